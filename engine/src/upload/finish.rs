//! The end of an upload that becomes a blob: verify, make durable, commit. Plain code on the engine's threads, so that a client
//! that goes away cannot tear it.

use super::removal::{remove_file, remove_session};
use super::settle::{fall_back, sync, write_rest};
use super::start::read_all;
use super::writer::{Session, Upload};
use crate::blob::{self, NewFile, checksum, checksum_part};
use crate::error::EngineError;
use crate::ingest::Hasher;
use crate::limits::{COMMIT_ATTEMPTS_MAX, SETTLED_STEP};
use crate::meta::{Batch, BlobRecord, Committed, Placement, StoredBlob, TombstoneItem};
use crate::segment::{Append, Place};
use crate::store::{Store, closed};
use crate::sync::{PendingGuard, lock};
use bytes::Bytes;
use std::sync::Arc;
use strata_types::Digest;
use tokio::sync::oneshot;

/// Receives the blob's row.
type Answer = oneshot::Sender<Result<BlobRecord, EngineError>>;

/// Finishes an upload, in the background, and answers. A small one is hashed here, on the caller's thread.
pub(crate) fn start(mut upload: Box<Upload>, digest: Digest, with: Batch, answer: Answer) {
    if let Some(session) = &upload.session {
        session.hold.settle();
    }
    let pending = upload.store.pending.enter();
    if upload.large.is_some() {
        let flow = Arc::clone(&upload.flow);
        return flow.when_idle(move || {
            let threads = Arc::clone(&upload.store.writers);
            threads.run(move || large(*upload, digest, with, pending, answer));
        });
    }
    let cancelled = upload.is_cancelled();
    let payload = Bytes::from(std::mem::take(&mut upload.tail));
    let actual = Hasher::digest(digest.algorithm(), &payload);
    let mut finish = Finish::new(&mut upload, digest, with, pending, answer);
    finish.checksum = checksum(&payload);
    finish.size = payload.len() as u64;
    finish.payload = Some(payload);
    drop(upload);
    finish.verified(cancelled, actual);
}

/// Verifies and syncs a large upload, of which nothing is under way.
fn large(mut upload: Upload, digest: Digest, with: Batch, pending: PendingGuard, answer: Answer) {
    let cancelled = upload.is_cancelled();
    let outcome = upload.flow.check().and_then(|()| end_of_stream(&mut upload, &digest));
    let mut finish = Finish::new(&mut upload, digest, with, pending, answer);
    finish.size = upload.offset;
    finish.file = upload.large.as_ref().map(|large| Arc::clone(&large.file));
    drop(upload);
    match outcome {
        Ok((actual, checksum)) => {
            finish.checksum = checksum;
            finish.verified(cancelled, actual);
        }
        Err(error) => finish.failed(error),
    }
}

/// Writes, hashes and syncs what is left; returns digest and checksum of the whole.
fn end_of_stream(upload: &mut Upload, digest: &Digest) -> Result<(Digest, u64), EngineError> {
    let tail = std::mem::take(&mut upload.tail);
    let (offset, size_hint) = (upload.offset, upload.size_hint);
    let large = upload.large.as_mut().ok_or_else(closed)?;
    let rest = write_rest(large, &tail, size_hint)?;
    let hashed = large.lane.with(|hasher| {
        hasher.update(rest.all());
        hasher.clone().finish()
    });
    let mut actual = hashed.ok_or_else(closed)?;
    let checksum = large.stretch.checksum().wrapping_add(checksum_part(rest.all(), large.sent));
    drop(rest);
    if actual.algorithm() != digest.algorithm() {
        // The client closes with another algorithm than the session was hashed with, which is rare.
        let mut hasher = Hasher::new(digest.algorithm());
        read_all(&large.file, offset, |block| hasher.update(block))?;
        actual = hasher.finish();
    }
    // Bytes that are not wanted need no sync.
    if actual == *digest {
        if large.file.cut(offset)? {
            large.durable = 0;
        }
        sync(large, offset)?;
    }
    Ok((actual, checksum))
}

/// An upload whose bytes are all there.
struct Finish {
    store: Arc<Store>,
    digest: Digest,
    size: u64,
    checksum: u64,
    /// The bytes of a small blob.
    payload: Option<Bytes>,
    /// The file of a large one.
    file: Option<Arc<NewFile>>,
    /// Where the bytes are, once they are durable.
    placement: Option<Placement>,
    /// Keeps a segment from being compacted until the row is there that names the frame.
    flight: Option<Place>,
    with: Batch,
    session: Option<Arc<Session>>,
    /// The blob's row as the present attempt found it.
    found: Option<StoredBlob>,
    attempts: u32,
    answer: Answer,
    _pending: PendingGuard,
}

impl Finish {
    fn new(
        upload: &mut Upload,
        digest: Digest,
        with: Batch,
        pending: PendingGuard,
        answer: Answer,
    ) -> Box<Self> {
        Box::new(Self {
            store: Arc::clone(&upload.store),
            digest,
            size: 0,
            checksum: 0,
            payload: None,
            file: None,
            placement: None,
            flight: None,
            with,
            session: upload.session.take(),
            found: None,
            attempts: 0,
            answer,
            _pending: pending,
        })
    }

    /// Goes on with an upload whose bytes have digest `actual`.
    fn verified(self: Box<Self>, cancelled: bool, actual: Digest) {
        if cancelled {
            return self.removed(EngineError::UploadUnknown);
        }
        if actual != self.digest {
            self.store.counters.digest_mismatches.add(1);
            let expected = self.digest;
            return self.removed(EngineError::DigestMismatch { expected, actual });
        }
        self.commit();
    }

    /// Commits the blob, or what goes with it where the blob is there already. Reads the metadata: not for the threads of the
    /// commit queue and the segments.
    fn commit(mut self: Box<Self>) {
        self.found = match self.store.gate.pass().and_then(|()| self.store.view()?.stored_blob(&self.digest))
        {
            Ok(found) => found,
            Err(error) => return self.failed(error),
        };
        // A blob in quarantine is healed by the bytes that came.
        let Some(found) = self.found.and_then(StoredBlob::served) else { return self.place() };
        // Looks at files, so not on the caller's thread.
        let threads = Arc::clone(&self.store.writers);
        threads.run(move || {
            if blob::is_whole(&*self.store.files.disk, &self.digest, &found) {
                return self.commit_existing(found);
            }
            // RACE: garbage collection removes the row before the bytes, so bytes that are missing may just not be a blob's any more.
            match self.store.view().and_then(|view| view.stored_blob(&self.digest)) {
                Ok(now) if now == self.found => {}
                Ok(_) => return self.commit(),
                Err(error) => return self.failed(error),
            }
            self.place();
        });
    }

    /// Gives the bytes a place, and goes on to commit it.
    fn place(mut self: Box<Self>) {
        if let Some(file) = &self.file {
            self.placement = Some(Placement::File { generation: file.generation() });
        }
        match (self.placement, self.payload.clone()) {
            (Some(placement), _) => self.commit_new(placement),
            (None, Some(payload)) => self.append(payload),
            (None, None) => self.failed(closed()),
        }
    }

    fn append(self: Box<Self>, payload: Bytes) {
        let store = Arc::clone(&self.store);
        let (digest, checksum) = (self.digest, self.checksum);
        let mut this = self;
        let placed = Box::new(move |place: Result<Place, EngineError>| match place {
            Ok(place) => {
                let placement = place.placement;
                this.placement = Some(placement);
                this.flight = Some(place);
                this.commit_new(placement);
            }
            Err(error) => this.failed(error),
        });
        store.appender.append(Append { digest, payload, checksum, placed });
    }

    fn commit_new(self: Box<Self>, placement: Placement) {
        let record =
            BlobRecord { size: self.size, placement, checksum: self.checksum, created_at: self.with.at() };
        let mut batch = self.with.clone();
        let bad = self.found;
        let mut damaged = None;
        match &self.found {
            None => batch.put_blob(&self.digest, &record),
            Some(found) => {
                batch.replace_blob(&self.digest, found, &record);
                if let Placement::File { generation } = found.record.placement {
                    damaged = Some(generation);
                }
            }
        }
        if let Some(session) = &self.session {
            batch.delete_upload(session.hold.id(), &lock(&session.record));
        }
        if let Some(settled) = self.store.files.generations.settled_every(SETTLED_STEP) {
            batch.set_settled(settled);
        }
        self.submit(batch, move |this| {
            if let Some(file) = &this.file {
                file.set_named();
            }
            if let Some(generation) = damaged {
                remove_file(&this.store, generation);
            }
            if let Some(bad) = bad {
                this.store.counters.blobs_healed.add(1);
                this.store.counters.quarantined.subtract(u64::from(bad.quarantine.is_some()));
                tracing::info!(digest = %this.digest, "a damaged blob was healed by the bytes of an upload");
            }
            this.store.counters.blobs_stored.add(1);
            this.store.counters.bytes_stored.add(this.size);
            this.done(record);
        });
    }

    fn commit_existing(self: Box<Self>, existing: BlobRecord) {
        let mut batch = self.with.clone();
        // RACE: a sweep that removes the blob at this moment must not leave what goes with it dangling, and what is put into
        // quarantine at this moment must be healed by the bytes that came.
        batch.expect_blob_as(&self.digest, &existing);
        // A frame that an earlier attempt wrote is not needed.
        let wasted = self.placement.filter(|place| matches!(place, Placement::Segment { .. }));
        if let Some(place) = &wasted {
            batch.bury(place, self.size);
        }
        let mut named = None;
        if let Some(session) = &self.session {
            let record = lock(&session.record);
            batch.delete_upload(session.hold.id(), &record);
            named = record.generation;
            if let Some(generation) = named {
                batch.put_tombstone(TombstoneItem::File { generation }, record.file_bytes);
            }
        }
        self.submit(batch, move |mut this| {
            this.store.counters.blobs_deduplicated.add(1);
            if let Some(place) = &wasted {
                this.store.dead.add(place);
            }
            // A file that no row ever named goes with its last handle.
            this.file = None;
            if let Some(generation) = named {
                remove_file(&this.store, generation);
            }
            this.done(existing);
        });
    }

    fn submit(self: Box<Self>, mut batch: Batch, then: impl FnOnce(Box<Self>) + Send + 'static) {
        batch.set_synced();
        let store = Arc::clone(&self.store);
        let mut this = self;
        store.submit(batch, move |outcome: Result<Committed, EngineError>| match outcome {
            Ok(_) => then(this),
            Err(EngineError::Conflict) => {
                this.attempts += 1;
                let threads = Arc::clone(&this.store.writers);
                threads.run(move || this.again());
            }
            Err(error @ EngineError::UsageExceeded { .. }) => this.refused(error),
            Err(error) => this.failed(error),
        });
    }

    /// After a lost race: with another upload of the same blob, with its removal, or one that the service layer's part lost.
    fn again(self: Box<Self>) {
        // The row may be as it was found although the race was about it: stored by another upload and collected since.
        if self.attempts < COMMIT_ATTEMPTS_MAX {
            return self.commit();
        }
        self.failed(EngineError::Conflict);
    }

    /// Gives up what a limit refuses, and its session: whoever sends it again is refused again. A frame that was written for it is dead.
    fn refused(self: Box<Self>, error: EngineError) {
        let threads = Arc::clone(&self.store.writers);
        let Some(place @ Placement::Segment { .. }) = self.placement else {
            return threads.run(move || self.removed(error));
        };
        let mut batch = Batch::new(self.with.at());
        batch.bury(&place, self.size);
        batch.set_unsynced();
        let store = Arc::clone(&self.store);
        store.submit(batch, move |outcome: Result<Committed, EngineError>| {
            if outcome.is_ok() {
                self.store.dead.add(&place);
            }
            threads.run(move || self.removed(error));
        });
    }

    /// Gives up without a blob. The session stays at its last durable state.
    fn failed(mut self: Box<Self>, error: EngineError) {
        if let Some(session) = self.session.take() {
            // After a poisoning the outcome of the commit is open: nothing may be cut.
            if self.store.gate.poisoned().is_none() {
                fall_back(&session, self.file.as_deref());
            }
            session.hold.release();
        } else {
            self.store.counters.uploads_abandoned.add(1);
        }
        self.file = None;
        drop(self.answer.send(Err(error)));
    }

    /// Gives up and removes the session too.
    fn removed(mut self: Box<Self>, error: EngineError) {
        self.file = None;
        let Some(session) = self.session.take() else { return self.failed(error) };
        let store = Arc::clone(&self.store);
        remove_session(&store, session, move |_| {
            drop(self.answer.send(Err(error)));
        });
    }

    fn done(mut self: Box<Self>, record: BlobRecord) {
        // The session is free before anybody is told.
        if let Some(session) = self.session.take() {
            session.hold.release();
        }
        drop(self.answer.send(Ok(record)));
    }
}
