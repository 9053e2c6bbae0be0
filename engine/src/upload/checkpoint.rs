//! The durable state of a session: its record, and the checkpoints of a long stream that are written while it goes on.
//!
//! INVARIANT: a record never claims bytes of a file that were not synced before it was written.

use super::writer::Session;
use crate::blob::NewFile;
use crate::error::EngineError;
use crate::ingest::{Flow, Hasher, Passage, SnapshotSlot};
use crate::limits::CHECKPOINT_BYTES;
use crate::meta::{Batch, HashState, UploadRecord};
use crate::store::Store;
use crate::sync::lock;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a stream sent since its last checkpoint.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// The extents of the stretch that are under way.
    flow: Arc<Flow>,
    /// The hash behind its last extent.
    snapshot: SnapshotSlot,
    start: u64,
    /// The checksum of its extents so far.
    sum: Arc<AtomicU64>,
    /// The checksum of all before it, once their checkpoints are over.
    base: Arc<AtomicU64>,
    /// Whether the checkpoint of an earlier stretch is still being written.
    running: Arc<AtomicBool>,
}

impl Stretch {
    /// The first stretch, behind `start` bytes whose checksum is `base`.
    pub(crate) fn new(start: u64, base: u64) -> Self {
        Self::following(start, Arc::new(base.into()), Arc::default())
    }

    fn following(start: u64, base: Arc<AtomicU64>, running: Arc<AtomicBool>) -> Self {
        let (flow, snapshot, sum) = (Arc::default(), SnapshotSlot::default(), Arc::default());
        Self { flow, snapshot, start, sum, base, running }
    }

    pub(crate) fn enter(&self) -> Passage {
        self.flow.enter()
    }

    /// Where the extents of this stretch add their checksums.
    pub(crate) fn sum(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.sum)
    }

    /// The checksum of all that was sent. Only while nothing is under way.
    pub(crate) fn checksum(&self) -> u64 {
        self.base.load(Ordering::Acquire).wrapping_add(self.sum.load(Ordering::Acquire))
    }

    pub(crate) fn snapshot_slot(&self) -> SnapshotSlot {
        Arc::clone(&self.snapshot)
    }

    /// Begins a new stretch at `end` and returns the old one, if it is time for a checkpoint there and none is under way.
    /// So all that lies before a stretch is written and synced when its own checkpoint comes.
    pub(crate) fn close_at(&mut self, end: u64) -> Option<Self> {
        if end - self.start < CHECKPOINT_BYTES || self.running.swap(true, Ordering::AcqRel) {
            return None;
        }
        let next = Self::following(end, Arc::clone(&self.base), Arc::clone(&self.running));
        Some(std::mem::replace(self, next))
    }
}

/// Writes a checkpoint at `end` once all extents of `stretch` are hashed and written, while the stream goes on. A row that is not
/// committed for want of space costs nothing but itself.
pub(crate) fn in_background(
    store: &Arc<Store>,
    session: &Arc<Session>,
    file: &Arc<NewFile>,
    flow: &Arc<Flow>,
    stretch: &Stretch,
    end: u64,
) {
    // The end of the upload waits for this passage: no checkpoint can be committed after it.
    let passage = flow.enter();
    let (store, session, file) = (Arc::clone(store), Arc::clone(session), Arc::clone(file));
    let (snapshot, running) = (Arc::clone(&stretch.snapshot), Arc::clone(&stretch.running));
    let (sum, base) = (Arc::clone(&stretch.sum), Arc::clone(&stretch.base));
    let (written, upload) = (Arc::clone(&stretch.flow), Arc::clone(flow));
    stretch.flow.when_idle(move || {
        let threads = Arc::clone(&store.writers);
        threads.run(move || {
            let over = move || {
                running.store(false, Ordering::Release);
                passage.done();
            };
            // In any case, because the next stretch stands on it.
            let sum = sum.load(Ordering::Acquire);
            let checksum = base.fetch_add(sum, Ordering::AcqRel).wrapping_add(sum);
            let hash = lock(&snapshot).take();
            // A failed write is known before its extent is done, so before this.
            let failed = written.has_failed() || upload.has_failed();
            let Some(hash) = hash.filter(|_| !failed) else { return over() };
            let synced = Arc::clone(&file);
            synced.sync_then(move |outcome| {
                if let Err(error) = outcome {
                    // The system tells it once: a later sync would succeed without the bytes that this one lost.
                    upload.fail(error);
                    return over();
                }
                let record = session.record_at(&store, Some((&file, end)), Vec::new(), (hash, checksum));
                commit(&store, &session, Some(file), record, move |_| over());
            });
        });
    });
}

/// Commits a record of a session, unsynced, and tells `then` what it says, or why there is none. `file` is the one that the
/// record names.
pub(crate) fn commit(
    store: &Arc<Store>,
    session: &Arc<Session>,
    file: Option<Arc<NewFile>>,
    record: UploadRecord,
    then: impl FnOnce(Result<UploadRecord, EngineError>) + Send + 'static,
) {
    if let Err(error) = store.gate.pass() {
        return then(Err(error));
    }
    let mut batch = Batch::new(store.now());
    batch.put_upload(session.hold.id(), &record);
    batch.set_unsynced();
    let (session, counters) = (Arc::clone(session), Arc::clone(&store.counters));
    store.submit(batch, move |outcome| match outcome {
        Ok(_) => {
            counters.checkpoints.add(1);
            if let Some(file) = file {
                file.set_named();
            }
            lock(&session.record).clone_from(&record);
            then(Ok(record));
        }
        Err(error) => {
            tracing::warn!(session = %session.hold.id(), %error, "the state of an upload session was not written");
            then(Err(error));
        }
    });
}

impl Session {
    /// The record for the front of a file and `tail` behind it, with hash state and checksum of the former.
    pub(crate) fn record_at(
        &self,
        store: &Store,
        file: Option<(&NewFile, u64)>,
        tail: Vec<u8>,
        (hash, checksum): (HashState, u64),
    ) -> UploadRecord {
        let last = lock(&self.record);
        let file_bytes = file.map_or(0, |(_, bytes)| bytes);
        UploadRecord {
            repository: last.repository.clone(),
            algorithm: last.algorithm,
            offset: file_bytes + tail.len() as u64,
            hash,
            checksum: Bytes::copy_from_slice(&checksum.to_le_bytes()),
            generation: file.map(|(file, _)| file.generation()),
            file_bytes,
            tail: tail.into(),
            created_at: last.created_at,
            expires_at: store.now().after(store.config.upload_expiry),
        }
    }
}

/// Hash and checksum as a record says; `None` where the record's forms are not known or not of its bytes, which are to be hashed again.
pub(crate) fn continued(record: &UploadRecord) -> Option<(Hasher, u64)> {
    if !Hasher::covers(&record.hash, record.file_bytes) {
        return None;
    }
    let hasher = Hasher::import(record.algorithm, &record.hash)?;
    Some((hasher, u64::from_le_bytes(record.checksum.as_ref().try_into().ok()?)))
}
