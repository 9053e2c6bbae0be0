//! The engine's façade: open, close, and the verbs that the service layer calls.
//!
//! Async and `Send`, on any runtime. What changes the store runs on the engine's own threads to its end: dropping a future
//! loses the answer, never the work, and tears nothing.

use crate::backup::{self, Backup, Backups, Holds};
use crate::blob::{BlobBody, Files, Handles, Reader};
use crate::clock::{Clock, SystemClock, UnixMillis};
use crate::config::EngineConfig;
use crate::disk::{Disk, Pool};
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::EngineError;
use crate::fast_path;
use crate::gate::{Gate, Marks, failed};
use crate::gc::{self, Driver, GcPlan, GcReport, GcStatus, Seen};
use crate::ingest::{BufferPool, Hashing};
use crate::lock::DirLock;
use crate::meta::{
    self, Batch, Committed, EventFeed, GcItem, MetaStore, Moment, Proof, RocksConfig, RocksStore,
    StoreIdentity, View,
};
use crate::metrics::{Counters, EngineMetrics};
use crate::quarantine;
use crate::recovery;
use crate::scrub::{self, ScrubStatus};
use crate::segment::{Appender, Dead};
use crate::store::Store;
use crate::sync::Pending;
use crate::upload::{self, Sessions, UploadStatus, UploadWriter};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use strata_types::{Algorithm, Digest, FastPath, RepositoryName, Tag, UploadId};

/// Name of the metadata store's directory in a data directory.
pub(crate) const META: &str = "meta";

/// What the engine stands on. [`Engine::open`] takes the real ones, tests bring their own.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Files of blobs and segments.
    pub disk: Arc<dyn Disk>,
    /// Metadata.
    pub meta: Arc<dyn MetaStore>,
    /// Times in records.
    pub clock: Arc<dyn Clock>,
    /// Names of sessions.
    pub entropy: Arc<dyn Entropy>,
}

/// Whether the engine takes writes. It reads in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Reads and writes.
    Ready,
    /// Reads only, until free space is above the reserve again.
    NoSpace {
        /// Free space, bytes.
        available: u64,
        /// The reserve, bytes.
        reserve: u64,
    },
    /// Reads only, until the process is started again.
    Poisoned {
        /// The first failure.
        why: Arc<str>,
    },
}

/// How far ahead somebody is noted who is told of a blob that nothing holds: longer than the answer may be given again, by what clocks may
/// differ.
const LOOSE_NOTE_AHEAD: Duration = Duration::from_mins(1);

/// How a blob is linked in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    /// A manifest of the repository holds it, or no grace protects it.
    Held,
    /// Nothing holds it yet, or any more: it may be collected when its grace is over.
    Loose,
}

/// An open store. Clones are the same store; dropping the last one closes it.
#[derive(Debug, Clone)]
pub struct Engine {
    open: Arc<Open>,
}

#[derive(Debug)]
struct Open {
    store: Arc<Store>,
    identity: StoreIdentity,
    fast_paths: Vec<FastPath>,
    closed: AtomicBool,
    gc: Driver,
    backups: Backups,
    scrub: scrub::Driver,
    _lock: Option<DirLock>,
}

/// The identity of a store, which is given one where it is new, and made one of this format where that is wanted.
fn identify(
    config: &EngineConfig,
    disk: &dyn Disk,
    meta: &dyn MetaStore,
    entropy: &dyn Entropy,
    now: UnixMillis,
) -> Result<StoreIdentity, EngineError> {
    recovery::refuse_orphans(disk, meta)?;
    if !config.upgrade {
        meta::refuse_old(&View::new(meta.view()?))?;
    }
    meta::prepare(meta, entropy, now)
}

impl Engine {
    /// Opens a data directory, makes it where it does not exist, and brings it in order after a crash. Blocks.
    ///
    /// # Errors
    /// [`EngineError::Locked`], [`EngineError::ReadOnly`], [`EngineError::NoSpace`], [`EngineError::FormatVersion`],
    /// [`EngineError::FormatOld`], [`EngineError::StoreUnreadable`], [`EngineError::Corrupt`], [`EngineError::Io`].
    pub fn open(config: EngineConfig) -> Result<Self, EngineError> {
        let directory = config.data_dir.clone();
        make_directory(&directory).map_err(|error| refused(&directory, error))?;
        backup::refuse_incomplete(&directory)?;
        let lock = DirLock::exclusive(&directory)?;
        backup::remove_left_over(&directory)?;
        let meta = RocksStore::open(&directory.join(META), &rocks_config(&config))?;
        let (disk, io) = fast_path::open_disk(directory, config.fast_paths.io);
        let ports = Ports {
            disk,
            meta: Arc::new(meta),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        Self::start(config, ports, Some(lock), vec![io])
    }

    /// Opens a store on other ports. `config.data_dir` is not used, and nothing is locked. Blocks.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_with(config: EngineConfig, ports: Ports) -> Result<Self, EngineError> {
        Self::start(config, ports, None, Vec::new())
    }

    fn start(
        config: EngineConfig,
        ports: Ports,
        lock: Option<DirLock>,
        mut fast_paths: Vec<FastPath>,
    ) -> Result<Self, EngineError> {
        let Ports { disk, meta, clock, entropy } = ports;
        let identity = identify(&config, &*disk, &*meta, &*entropy, clock.now())?;
        let recovered = recovery::recover(&*disk, &*meta, clock.now())?;
        let gate = Arc::new(Gate::new(Arc::clone(&disk), marks(&config)));
        let spared = Arc::clone(&meta);
        gate.tell_shortage(move |is_short| spared.spare_space(is_short));
        let counters = Arc::<Counters>::default();
        let pending = Arc::<Pending>::default();
        let holds = Arc::<Holds>::default();
        let pool = |name: &str, count| {
            Pool::start(name, count).map(Arc::new).map_err(|error| EngineError::io("starting threads", error))
        };
        let writers = pool("strata-write", config.io_thread_count())?;
        let readers = pool("strata-read", config.io_thread_count())?;
        let hashing = Hashing::start(config.hash_thread_count());
        let files = Files::new(
            Arc::clone(&disk),
            Arc::clone(&gate),
            Arc::clone(&writers),
            Arc::clone(&pending),
            Arc::clone(&holds),
            recovered.generation_next,
            config.fast_paths.direct_io,
        );
        fast_paths.push(files.probe_direct());
        let appender = Appender::start(
            Arc::clone(&disk),
            Arc::clone(&gate),
            Arc::clone(&counters),
            recovered.position,
            config.segment_bytes_max,
        );
        let store = Store {
            reader: Reader::new(readers, Arc::clone(&counters)),
            buffers: BufferPool::new(config.buffer_memory_bytes),
            handles: Handles::new(disk, config.open_files_max),
            appender: appender.map_err(|error| EngineError::io("starting threads", error))?,
            sessions: Arc::<Sessions>::default(),
            seen: Seen::new(clock.now()),
            dead: Dead::default(),
            config,
            meta,
            clock,
            entropy,
            gate,
            counters,
            writers,
            hashing: hashing.map_err(|error| EngineError::io("starting threads", error))?,
            files,
            holds,
            pending,
        };
        let store = Arc::new(store);
        quarantine::count(&store)?;
        let gc =
            Driver::start(Arc::clone(&store)).map_err(|error| EngineError::io("starting threads", error))?;
        let open = Open {
            store: Arc::clone(&store),
            identity,
            fast_paths,
            closed: AtomicBool::new(false),
            gc,
            scrub: scrub::Driver::start(&store)?,
            backups: Backups::default(),
            _lock: lock,
        };
        Ok(Self { open: Arc::new(open) })
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.open.store
    }

    /// Refuses new work, lets the work under way come to its end, and closes the store. Blocks; idempotent.
    pub fn close(&self) {
        self.open.close();
    }

    /// A consistent view of the metadata.
    ///
    /// # Errors
    /// [`EngineError::Io`] where the store is closed.
    pub fn view(&self) -> Result<View, EngineError> {
        self.store().view()
    }

    /// The present moment in the order of commits, for [`proof_of_blob`](Self::proof_of_blob) and
    /// [`proof_of_manifest`](Self::proof_of_manifest): to be taken before anything is read.
    pub fn moment(&self) -> Moment {
        self.store().meta.freshness().moment()
    }

    /// Proof that a blob which was found in a repository at `moment` or later is still there and at its place.
    pub fn proof_of_blob(&self, moment: Moment, repository: &RepositoryName, digest: &Digest) -> Proof {
        let keys = [meta::key::link(repository, digest), meta::key::blob(digest)];
        self.store().meta.freshness().proof(moment, &keys)
    }

    /// Proof that a manifest which was found in a repository at `moment` or later, by `tag` where one is given, is still what it
    /// was.
    pub fn proof_of_manifest(
        &self,
        moment: Moment,
        repository: &RepositoryName,
        tag: Option<&Tag>,
        digest: &Digest,
    ) -> Proof {
        let manifest = meta::key::manifest(repository, digest);
        let bytes = meta::key::manifest_bytes(digest);
        let tag = tag.map_or_else(|| manifest.clone(), |tag| meta::key::tag(repository, tag));
        self.store().meta.freshness().proof(moment, &[manifest, bytes, tag])
    }

    /// Commits a batch: all of it or nothing. Returns when it is as durable as the batch asks. Dropping the future does not undo
    /// it. One that adds nothing to the store, such as a deletion, is taken below the reserve too.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] where an expectation does not hold, for the caller to read and try again;
    /// [`EngineError::Overloaded`], [`EngineError::NoSpace`], [`EngineError::Poisoned`].
    pub async fn commit(&self, batch: Batch) -> Result<Committed, EngineError> {
        let gate = &self.store().gate;
        if batch.adds() { gate.admit() } else { gate.admit_release() }?;
        self.store().commit(batch).await
    }

    /// The present moment of the engine's clock, for batches.
    pub fn now(&self) -> UnixMillis {
        self.store().now()
    }

    /// The random number that tells this store from others, and its format version.
    pub fn identity(&self) -> StoreIdentity {
        self.open.identity
    }

    /// Which fast paths were chosen when the store was opened, and why.
    pub fn fast_paths(&self) -> &[FastPath] {
        &self.open.fast_paths
    }

    /// How long the answer that a blob which nothing holds is there may be given again.
    pub const LOOSE_ANSWER_AGE_MAX: Duration = Duration::from_secs(50);

    /// Whether a blob may be read in a repository, asked for somebody who is told: one that no manifest holds is then kept for
    /// `gc.grace`, counted from [`Engine::LOOSE_ANSWER_AGE_MAX`] later, so that the answer may be given again until then. Notes that in
    /// memory and writes nothing.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`], [`EngineError::Io`].
    pub fn find_link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Linked>, EngineError> {
        let found = self.find_links(repository, std::slice::from_ref(digest))?;
        Ok(found.first().copied().flatten())
    }

    /// [`Engine::find_link`] for many, in their order, on one view.
    ///
    /// # Errors
    /// As there.
    pub fn find_links(
        &self,
        repository: &RepositoryName,
        digests: &[Digest],
    ) -> Result<Vec<Option<Linked>>, EngineError> {
        let store = self.store();
        let (freshness, moment) = (store.meta.freshness(), self.moment());
        let view = store.view()?;
        let promises = !store.config.gc.grace.is_zero();
        let ahead = store.now().after(LOOSE_NOTE_AHEAD);
        let (mut found, mut has_loose) = (Vec::with_capacity(digests.len()), false);
        for digest in digests {
            let linked = match view.link(repository, digest)? {
                None => None,
                Some(link) if promises => {
                    let entry = GcItem::Link { repository: repository.clone(), digest: *digest };
                    // A link that is not queued is held; the queue may be asked by key, the holders have to be searched.
                    if !view.is_queued(link.created_at, &entry)? || view.is_held(repository, digest)? {
                        Some(Linked::Held)
                    } else {
                        store.seen.note(repository, digest, ahead).then_some(Linked::Loose)
                    }
                }
                // Nobody is promised anything.
                Some(_) => Some(Linked::Held),
            };
            has_loose |= linked == Some(Linked::Loose);
            found.push(linked);
        }
        if has_loose {
            // RACE: a removal that was over before the note shows from here on. What nothing has written since the first look need not be
            // looked at again.
            let view = store.view()?;
            for (digest, linked) in digests.iter().zip(&mut found) {
                if *linked == Some(Linked::Loose)
                    && !freshness.proof(moment, &[meta::key::link(repository, digest)]).holds()
                    && view.link(repository, digest)?.is_none()
                {
                    *linked = None;
                }
            }
        }
        Ok(found)
    }

    /// How far the event log is durable, for those who follow it.
    pub fn events(&self) -> &EventFeed {
        self.store().meta.events()
    }

    /// Opens a blob, whichever repositories may read it; `None` where the store does not have it, or has it in quarantine. Ranges are
    /// the reader's. A blob whose bytes turn out to be missing or damaged is put into quarantine here.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] where the stored bytes are missing or damaged and that cannot be written down: such a blob is not
    /// served. [`EngineError::Io`].
    pub async fn open_blob(&self, digest: &Digest) -> Result<Option<BlobBody>, EngineError> {
        quarantine::open_blob(self.store(), digest).await
    }

    /// As [`Engine::open_blob`], for one who sends the blob: where `storage.verify-on-read` says so, a large one is read and verified as
    /// a whole before.
    ///
    /// # Errors
    /// As [`Engine::open_blob`].
    pub async fn read_blob(&self, digest: &Digest) -> Result<Option<BlobBody>, EngineError> {
        quarantine::read_blob(self.store(), digest).await
    }

    /// Whether an open file of a blob may be sent a second time without another [`Engine::read_blob`].
    pub fn may_read_again(&self) -> bool {
        self.store().config.verify_on_read == scrub::VerifyOnRead::Off
    }

    /// Starts an upload session for a repository. It survives restarts and expires some time after its last use.
    ///
    /// # Errors
    /// [`EngineError::NoSpace`], [`EngineError::Poisoned`], [`EngineError::Overloaded`].
    pub async fn start_upload(
        &self,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<UploadStatus, EngineError> {
        upload::start_session(self.store(), repository, algorithm).await
    }

    /// What a session holds; while somebody writes to it, what that writer has received.
    ///
    /// # Errors
    /// [`EngineError::UploadUnknown`], also for another repository's session.
    pub async fn upload_status(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<UploadStatus, EngineError> {
        upload::status(self.store(), repository, id).await
    }

    /// Opens a session for writing, behind the bytes that it holds. One writer at a time; waits for the end of a writer that was
    /// dropped.
    ///
    /// # Errors
    /// [`EngineError::UploadUnknown`], also for another repository's session, or where its bytes are lost;
    /// [`EngineError::UploadBusy`]; [`EngineError::NoSpace`], [`EngineError::Poisoned`], [`EngineError::Io`].
    pub async fn resume_upload(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<UploadWriter, EngineError> {
        upload::resume(self.store(), repository, id).await
    }

    /// Gives a session up. One that is being written to goes when its writer notices; it is unknown from now on.
    ///
    /// # Errors
    /// [`EngineError::UploadUnknown`], also for another repository's session; [`EngineError::Poisoned`].
    pub async fn cancel_upload(&self, repository: &RepositoryName, id: &UploadId) -> Result<(), EngineError> {
        upload::cancel(self.store(), repository, id).await
    }

    /// Gives up all sessions of these repositories that were begun by a moment, and says how many they were. Looks at all sessions.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`], [`EngineError::Overloaded`]; those given up before stay so.
    pub async fn cancel_uploads(
        &self,
        repositories: &[RepositoryName],
        begun_by: UnixMillis,
    ) -> Result<u64, EngineError> {
        upload::cancel_all(self.store(), repositories, begun_by).await
    }

    /// How long a deletion can be undone.
    pub fn undo_window(&self) -> Duration {
        self.store().config.gc.undo
    }

    /// Since when deletions can be undone now.
    pub fn undoable_since(&self) -> UnixMillis {
        let undo = self.undo_window();
        if undo.is_zero() { UnixMillis(u64::MAX) } else { self.now().before(undo) }
    }

    /// Until when the blobs of a repository that is deleted now are kept for a restore.
    pub fn blobs_until(&self) -> UnixMillis {
        let gc = &self.store().config.gc;
        let kept = if gc.undo_keeps_bytes { gc.undo } else { gc.grace.min(gc.undo) };
        self.now().after(kept)
    }

    /// A writer without a session, for an upload that lives within one request. `size_hint` is what the client says its size
    /// is; nothing relies on it.
    ///
    /// # Errors
    /// [`EngineError::NoSpace`], [`EngineError::Poisoned`], [`EngineError::Io`].
    pub fn ingest(&self, algorithm: Algorithm, size_hint: Option<u64>) -> Result<UploadWriter, EngineError> {
        upload::ingest(self.store(), algorithm, size_hint)
    }

    /// Removes the sessions that have expired, with their bytes, and says how many. A run of garbage collection does so too.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`], [`EngineError::Overloaded`]; those removed before stay removed.
    pub async fn expire_uploads(&self) -> Result<usize, EngineError> {
        let (count, _) = upload::expire(self.store()).await?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Collects garbage now, as fast as `gc.rate` allows, and tells what was removed. Waits for a run that is under way and then
    /// makes one more. Dropping the future does not stop it.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`], [`EngineError::Closed`], [`EngineError::Corrupt`], [`EngineError::Io`]; what was removed before stays
    /// removed, and the next run goes on.
    pub async fn gc_run(&self) -> Result<GcReport, EngineError> {
        self.open.gc.run().await
    }

    /// What a run would remove now, at most `limit` things. Changes nothing.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`], [`EngineError::Io`].
    pub async fn gc_plan(&self, limit: usize) -> Result<GcPlan, EngineError> {
        gc::plan(self.store(), limit).await
    }

    /// Where garbage collection stands.
    pub fn gc_status(&self) -> GcStatus {
        self.open.gc.status()
    }

    /// Removes events from before a moment from the front of the log, at most `rows_max` with one commit, and says how many; 0: none is left
    /// that old. Moves of tags that were followed by another go with them. The last event stays.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] where somebody else does the same; [`EngineError::Poisoned`], [`EngineError::Overloaded`].
    pub async fn trim_events(&self, before: UnixMillis, rows_max: usize) -> Result<u64, EngineError> {
        let store = self.store();
        store.gate.admit_reclaim()?;
        let mut batch = Batch::new(store.now());
        // A log that is longer again after a power cut is trimmed again.
        batch.set_unsynced();
        let removed = batch.trim_events(&store.view()?, before, rows_max)?;
        if removed > 0 {
            store.commit(batch).await?;
        }
        Ok(removed)
    }

    /// Begins a backup: what the store has now stays there, to be copied, as long as the hold lives, which is `hold` from now on.
    ///
    /// # Errors
    /// [`EngineError::BackupsUnderWay`]; [`EngineError::NoSpace`] below the reserve; [`EngineError::Poisoned`];
    /// [`EngineError::Closed`], [`EngineError::Io`].
    pub async fn start_backup(&self, hold: Duration) -> Result<Backup, EngineError> {
        self.open.backups.start(self.store(), hold).await
    }

    /// Lets the hold of a backup live for `hold` from now on.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where it has ended: what it named may be gone.
    pub fn renew_backup(&self, id: &str, hold: Duration) -> Result<Backup, EngineError> {
        self.open.backups.renew(self.store(), id, hold)
    }

    /// Ends a backup and removes its checkpoint. Blocks.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where it has ended.
    pub fn end_backup(&self, id: &str) -> Result<(), EngineError> {
        self.open.backups.end(id)
    }

    /// The backups that are under way.
    pub fn backups(&self) -> Vec<Backup> {
        self.open.backups.list(self.store())
    }

    /// Begins a round of the scrub, if none is under way, and tells its number. With `rate` it goes so many bytes a second fast, 0 without
    /// a limit; else as the settings say.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`], [`EngineError::NoSpace`], [`EngineError::Closed`].
    pub async fn scrub_start(&self, rate: Option<u64>) -> Result<u64, EngineError> {
        self.open.scrub.begin(rate).await
    }

    /// Where the scrub stands.
    pub fn scrub_status(&self) -> ScrubStatus {
        self.open.scrub.status()
    }

    /// Takes note of a read that was answered without asking: work in the background makes room for readers.
    pub fn note_kept_answer(&self) {
        self.store().counters.answers_kept.add(1);
    }

    /// What the engine did since it was opened, and what it holds now.
    pub fn metrics(&self) -> EngineMetrics {
        let store = self.store();
        let counters = &store.counters;
        let space = store.gate.space().ok();
        EngineMetrics {
            blobs_stored: counters.blobs_stored.get(),
            blobs_deduplicated: counters.blobs_deduplicated.get(),
            bytes_stored: counters.bytes_stored.get(),
            digest_mismatches: counters.digest_mismatches.get(),
            uploads_abandoned: counters.uploads_abandoned.get(),
            sessions_started: counters.sessions_started.get(),
            checkpoints: counters.checkpoints.get(),
            segment_appends: counters.segment_appends.get(),
            segment_frames: counters.segment_frames.get(),
            blobs_opened: counters.blobs_opened.get(),
            reads_inline: counters.reads_inline.get(),
            reads_deferred: counters.reads_deferred.get(),
            corruptions: counters.corruptions.get(),
            blobs_quarantined: counters.blobs_quarantined.get(),
            blobs_healed: counters.blobs_healed.get(),
            quarantined: counters.quarantined.get(),
            scrubbed_bytes: counters.scrubbed_bytes.get(),
            scrub_rounds: counters.scrub_rounds.get(),
            reads_verified: counters.reads_verified.get(),
            buffers_used: store.buffers.used() as u64,
            buffers_max: store.buffers.count() as u64,
            writers: counters.writers.get(),
            files_open: store.handles.count() as u64,
            backups: self.backups().len() as u64,
            space_available: space.map_or(0, |space| space.available),
            space_total: space.map_or(0, |space| space.total),
        }
    }

    /// Whether writes are taken.
    pub fn health(&self) -> Health {
        let gate = &self.store().gate;
        if let Some(why) = gate.poisoned().or_else(|| self.store().meta.poisoned()) {
            return Health::Poisoned { why };
        }
        let reserve = self.store().config.reserve_bytes;
        match gate.space() {
            Ok(space) if space.available < reserve => Health::NoSpace { available: space.available, reserve },
            _ => Health::Ready,
        }
    }

    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn parts(&self) -> &Arc<Store> {
        self.store()
    }
}

impl Open {
    fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let store = &self.store;
        self.gc.stop();
        self.scrub.stop();
        // What waited for them is removed before the threads that do so end.
        self.backups.close();
        store.gate.close();
        store.buffers.close();
        store.pending.wait_for_none();
        store.appender.stop();
        store.hashing.stop();
        store.writers.stop();
        store.reader.threads.stop();
        if store.gate.poisoned().is_none() {
            let mut batch = Batch::new(store.now());
            batch.set_settled(store.files.generations.settled());
            if let Err(error) = meta::commit(&*store.meta, batch) {
                // The next start looks at a few more directories.
                tracing::warn!(%error, "the watermark of generations was not written at close");
            }
        }
        store.meta.close();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close();
    }
}

/// How the metadata memory is shared out: up to half for writes that are not in tables yet, which need no more however large the
/// store is, the rest for cached blocks.
pub(crate) fn rocks_config(config: &EngineConfig) -> RocksConfig {
    const WRITES_MAX: usize = 32 * 1024 * 1024;
    let memory = usize::try_from(config.metadata_memory_bytes).unwrap_or(usize::MAX);
    let memtable_bytes = (memory / 2).min(WRITES_MAX);
    RocksConfig { cache_bytes: memory - memtable_bytes, memtable_bytes }
}

/// The marks of free space: what the metadata store may have to write at once is known from its memory.
fn marks(config: &EngineConfig) -> Marks {
    let memtable_bytes = rocks_config(config).memtable_bytes;
    Marks::new(config.reserve_bytes, memtable_bytes as u64)
}

/// Makes a data directory and what is missing above it, each name durable.
fn make_directory(directory: &Path) -> std::io::Result<()> {
    let missing: Vec<&Path> = directory.ancestors().take_while(|path| !path.exists()).collect();
    std::fs::create_dir_all(directory)?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn refused(directory: &Path, error: std::io::Error) -> EngineError {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => EngineError::ReadOnly,
        _ => failed(directory.display().to_string(), error),
    }
}

#[cfg(test)]
pub(crate) mod tests;
