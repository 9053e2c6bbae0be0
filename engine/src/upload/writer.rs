//! Takes the bytes of one upload and keeps receive, hash and write going side by side.
//!
//! The first 64 KiB stay in memory; beyond that a file is made and buffers flow through [`crate::ingest`]. How an upload ends
//! is in [`super::settle`] (kept for later) and [`super::finish`] (committed).

use super::checkpoint::{self, Stretch};
use super::session::Hold;
use super::start::Reopened;
use super::{UploadStatus, finish, settle};
use crate::blob::NewFile;
use crate::disk::DIRECT_ALIGNMENT;
use crate::error::EngineError;
use crate::ingest::{Buffer, Extent, Flow, Hasher, Lane, WriteLane};
use crate::limits::{BUFFER_HOLD_MILLIS_MAX, DIRECT_FROM_BYTES, EXTENTS_IN_FLIGHT_MAX, SMALL_BLOB_BYTES_MAX};
use crate::meta::{Batch, BlobRecord, UploadRecord};
use crate::store::{Store, closed};
use bytes::{Buf, Bytes};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use strata_types::{Algorithm, Digest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Takes the bytes of one blob, in order.
///
/// Made by [`crate::Engine::resume_upload`] for a session, or by [`crate::Engine::ingest`] for an upload that lives within one
/// request. Dropped before its end, a session's writer writes the state that it has in the background (its client may come
/// back); an ingest's is given up without a trace.
#[derive(Debug)]
pub struct UploadWriter {
    /// `None` only once the writer was used up.
    upload: Option<Box<Upload>>,
}

/// The state of an upload.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) store: Arc<Store>,
    pub(crate) algorithm: Algorithm,
    pub(crate) size_hint: Option<u64>,
    /// Bytes taken.
    pub(crate) offset: u64,
    /// The last of them, where they are in no buffer: all bytes of a small upload, or what parking left over.
    pub(crate) tail: Vec<u8>,
    pub(crate) large: Option<Large>,
    pub(crate) flow: Arc<Flow>,
    pub(crate) session: Option<Arc<Session>>,
    _gauge: Gauge,
}

/// What an upload beyond 64 KiB needs.
#[derive(Debug)]
pub(crate) struct Large {
    pub(crate) file: Arc<NewFile>,
    pub(crate) lane: Arc<Lane>,
    writes: Arc<WriteLane>,
    pub(crate) buffer: Option<Buffer>,
    /// When the buffer was taken.
    buffer_since: Instant,
    /// Bytes that were sent off to be hashed and written: where the next extent begins in the file.
    pub(crate) sent: u64,
    /// Bytes of the upload that are known to be durable in the file, those of `tail` included.
    pub(crate) durable: u64,
    /// Bounds the extents under way.
    slots: Arc<Semaphore>,
    /// What was sent since the last checkpoint.
    pub(crate) stretch: Stretch,
}

/// What the writer of a session needs.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) hold: Hold,
    /// The session's row as it was committed last.
    pub(crate) record: Mutex<UploadRecord>,
}

/// Counts writers.
#[derive(Debug)]
struct Gauge(Arc<Store>);

impl Gauge {
    fn new(store: &Arc<Store>) -> Self {
        store.counters.writers.add(1);
        Self(Arc::clone(store))
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.0.counters.writers.subtract(1);
    }
}

impl Upload {
    /// An upload of which nothing is in a file yet.
    pub(crate) fn new(
        store: &Arc<Store>,
        algorithm: Algorithm,
        size_hint: Option<u64>,
        tail: Vec<u8>,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            algorithm,
            size_hint,
            offset: tail.len() as u64,
            tail,
            large: None,
            flow: Arc::new(Flow::default()),
            session: None,
            _gauge: Gauge::new(store),
        }
    }

    /// Continues in the file of a session, behind `file_bytes` bytes; the bytes behind those are in the tail.
    pub(crate) fn continue_in(&mut self, reopened: Reopened, file_bytes: u64) {
        let Reopened { file, hasher, checksum, durable } = reopened;
        let stretch = Stretch::new(file_bytes, checksum);
        self.large = Some(Large { durable, ..Large::new(&self.store, file, hasher, stretch, file_bytes) });
        self.offset = file_bytes + self.tail.len() as u64;
    }

    /// Makes the upload that of a session.
    pub(crate) fn belongs_to(&mut self, hold: Hold, record: UploadRecord) {
        hold.set_offset(self.offset);
        self.session = Some(Arc::new(Session { hold, record: Mutex::new(record) }));
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.hold.is_cancelled())
    }

    fn check(&self) -> Result<(), EngineError> {
        self.flow.check()?;
        self.store.gate.check()?;
        if self.is_cancelled() { Err(EngineError::UploadUnknown) } else { Ok(()) }
    }

    async fn write(&mut self, mut chunk: Bytes) -> Result<(), EngineError> {
        self.check()?;
        if self.large.is_none() {
            if self.tail.len() + chunk.len() <= SMALL_BLOB_BYTES_MAX {
                self.tail.extend_from_slice(&chunk);
                self.took(chunk.len());
                return Ok(());
            }
            self.grow().await?;
        }
        while !chunk.is_empty() {
            let count = self.buffer().await?.fill(&chunk);
            chunk.advance(count);
            self.took(count);
            self.send_if_full().await?;
        }
        self.yield_buffer().await
    }

    /// Memory for at least one byte of a large upload.
    async fn space(&mut self) -> Result<&mut [u8], EngineError> {
        self.check()?;
        if self.large.is_none() {
            self.grow().await?;
        }
        // Left over where the caller did not wait for the last ones.
        self.send_if_full().await?;
        Ok(self.buffer().await?.free())
    }

    async fn advance(&mut self, count: usize) -> Result<(), EngineError> {
        let Some(buffer) = self.large.as_mut().and_then(|large| large.buffer.as_mut()) else { return Ok(()) };
        if count == 0 && buffer.len() < DIRECT_ALIGNMENT {
            // Nothing came after all: who waits for bytes must not keep a buffer from others that have some.
            return self.park().await;
        }
        buffer.advance(count);
        self.took(count);
        self.send_if_full().await?;
        self.yield_buffer().await
    }

    async fn send_if_full(&mut self) -> Result<(), EngineError> {
        if self.large.as_ref().and_then(|large| large.buffer.as_ref()).is_some_and(Buffer::is_full) {
            let slot = self.slot().await?;
            self.send(slot)?;
        }
        Ok(())
    }

    /// Gives a buffer back that this client fills slowly while others wait for one.
    async fn yield_buffer(&mut self) -> Result<(), EngineError> {
        let hold_max = Duration::from_millis(BUFFER_HOLD_MILLIS_MAX);
        if self.store.buffers.is_short()
            && self
                .large
                .as_ref()
                .is_some_and(|large| large.buffer.is_some() && large.buffer_since.elapsed() > hold_max)
        {
            self.park().await?;
        }
        Ok(())
    }

    fn took(&mut self, count: usize) {
        self.offset += count as u64;
        if let Some(session) = &self.session {
            session.hold.set_offset(self.offset);
        }
    }

    /// Makes the file. Dropping the future leaves the upload as it was; the file, if it came to be, is removed.
    async fn grow(&mut self) -> Result<(), EngineError> {
        self.store.gate.pass()?;
        let stretch = Stretch::new(0, 0);
        let (sender, receiver) = oneshot::channel();
        let files = Arc::clone(&self.store.files);
        let (flow, passage) = (Arc::clone(&self.flow), self.flow.enter());
        let stretch_passage = stretch.enter();
        self.store.writers.run(move || {
            let created = files.create();
            let generation = created.as_ref().map(NewFile::generation).ok();
            drop(sender.send(created));
            let synced = move |outcome: Result<(), EngineError>| {
                if let Err(error) = outcome {
                    flow.fail(error);
                }
                stretch_passage.done();
                passage.done();
            };
            match generation {
                // DURABILITY: the name is durable before anything is committed, because commits wait for the flow.
                Some(generation) => files.sync_directory(generation, synced),
                None => synced(Ok(())),
            }
        });
        let file = receiver.await.unwrap_or_else(|_| Err(closed()))?;
        let hasher = Hasher::new(self.algorithm);
        self.large = Some(Large::new(&self.store, file, hasher, stretch, 0));
        Ok(())
    }

    /// The buffer that is being filled; a fresh one starts with the tail.
    async fn buffer(&mut self) -> Result<&mut Buffer, EngineError> {
        let large = self.large.as_mut().ok_or_else(closed)?;
        if large.buffer.is_none() {
            let mut buffer = self.store.buffers.take().await.map_err(|_| closed())?;
            buffer.fill(&self.tail);
            self.tail.clear();
            large.buffer_since = Instant::now();
            large.buffer = Some(buffer);
        }
        large.buffer.as_mut().ok_or_else(closed)
    }

    /// Waits until so few extents are under way that another one may follow. Dropping the future changes nothing.
    async fn slot(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        let slots = self.large.as_ref().map(|large| Arc::clone(&large.slots)).ok_or_else(closed)?;
        slots.acquire_owned().await.map_err(|_| closed())
    }

    /// Sends the buffer off to be hashed and written.
    fn send(&mut self, slot: OwnedSemaphorePermit) -> Result<(), EngineError> {
        let Some(large) = self.large.as_mut() else { return Ok(()) };
        // The reserve is asked once for each buffer; the answer is at most a fifth of a second old.
        if let Err(error) = self.store.gate.pass() {
            self.flow.fail(error.clone());
            return Err(error);
        }
        let Some(buffer) = large.buffer.take() else { return Ok(()) };
        let (start, end) = (large.sent, large.sent + buffer.len() as u64);
        large.sent = end;
        let (passage, sum) = (large.stretch.enter(), large.stretch.sum());
        let closed_stretch = self.session.as_ref().and_then(|_| large.stretch.close_at(end));
        let snapshot = closed_stretch.as_ref().map(Stretch::snapshot_slot);
        let extent = Arc::new(Extent::new(buffer, start, [self.flow.enter(), passage], snapshot, sum, slot));
        large.lane.push(Arc::clone(&extent));
        large.writes.push(&large.file, extent, is_direct(start, self.size_hint));
        if let (Some(stretch), Some(session)) = (closed_stretch, &self.session) {
            checkpoint::in_background(&self.store, session, &large.file, &self.flow, &stretch, end);
        }
        self.flow.check()
    }

    async fn digest(&mut self) -> Result<Digest, EngineError> {
        self.check()?;
        let Some(large) = &self.large else { return Ok(Hasher::digest(self.algorithm, &self.tail)) };
        let (idle, is_idle) = oneshot::channel();
        // Whoever waits may be gone.
        self.flow.when_idle(move || idle.send(()).unwrap_or_default());
        is_idle.await.map_err(|_| closed())?;
        self.flow.check()?;
        let rest = large.buffer.as_ref().map_or(self.tail.as_slice(), Buffer::filled);
        let hashed = large.lane.with(|hasher| {
            let mut hasher = hasher.clone();
            hasher.update(rest);
            hasher.finish()
        });
        hashed.ok_or_else(closed)
    }

    async fn park(&mut self) -> Result<(), EngineError> {
        self.check()?;
        let Some(buffer) = self.large.as_mut().and_then(|large| large.buffer.as_mut()) else { return Ok(()) };
        let aligned = buffer.len() - buffer.len() % DIRECT_ALIGNMENT;
        let slot = if aligned == 0 { None } else { Some(self.slot().await?) };
        // Nothing waits from here on, so a dropped future cannot part the buffer from its tail.
        let Some(large) = self.large.as_mut() else { return Ok(()) };
        let Some(buffer) = &mut large.buffer else { return Ok(()) };
        self.tail.extend_from_slice(buffer.filled().get(aligned..).unwrap_or_default());
        buffer.truncate(aligned);
        let Some(slot) = slot else {
            large.buffer = None;
            return Ok(());
        };
        self.send(slot)
    }
}

impl Large {
    fn new(store: &Arc<Store>, file: NewFile, hasher: Hasher, stretch: Stretch, file_bytes: u64) -> Self {
        Self {
            file: Arc::new(file),
            lane: Lane::new(Arc::clone(&store.hashing), hasher),
            writes: WriteLane::new(Arc::clone(&store.writers)),
            buffer: None,
            buffer_since: Instant::now(),
            sent: file_bytes,
            durable: file_bytes,
            slots: Arc::new(Semaphore::new(EXTENTS_IN_FLIGHT_MAX)),
            stretch,
        }
    }
}

/// Whether the bytes at `offset` are written past the page cache.
pub(crate) fn is_direct(offset: u64, size_hint: Option<u64>) -> bool {
    offset >= DIRECT_FROM_BYTES || size_hint.is_some_and(|size| size > DIRECT_FROM_BYTES)
}

impl UploadWriter {
    pub(crate) fn new(upload: Upload) -> Self {
        Self { upload: Some(Box::new(upload)) }
    }

    /// Bytes taken so far, those of earlier requests included.
    pub fn offset(&self) -> u64 {
        self.upload.as_ref().map_or(0, |upload| upload.offset)
    }

    /// Says how many bytes are going to follow, as far as the client is to be believed; nothing relies on it.
    pub fn expect(&mut self, len: u64) {
        if let Some(upload) = &mut self.upload {
            upload.size_hint = Some(upload.offset.saturating_add(len));
        }
    }

    /// Takes the next bytes. Returns when they are in a buffer, which may mean waiting for the disk: the store takes no more
    /// from all clients than it can hash and write. Dropping the future keeps what [`UploadWriter::offset`] says then.
    ///
    /// # Errors
    /// After any error the writer takes nothing more; a session falls back to its last durable offset.
    /// [`EngineError::NoSpace`], [`EngineError::Poisoned`], [`EngineError::Io`]; [`EngineError::UploadUnknown`] where the session
    /// was cancelled meanwhile.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), EngineError> {
        match &mut self.upload {
            Some(upload) => upload.write(chunk).await,
            None => Err(closed()),
        }
    }

    /// Memory to read the next bytes into, at least one; then [`UploadWriter::advance`] says how many came. Spares the copy of
    /// [`UploadWriter::write`], for uploads that are known to be large. Waits as that does, and may be dropped.
    ///
    /// # Errors
    /// As [`UploadWriter::write`].
    pub async fn space(&mut self) -> Result<&mut [u8], EngineError> {
        match &mut self.upload {
            Some(upload) => upload.space().await,
            None => Err(closed()),
        }
    }

    /// Takes the first `count` bytes of what [`UploadWriter::space`] gave. Dropping the future keeps them.
    ///
    /// # Errors
    /// As [`UploadWriter::write`].
    pub async fn advance(&mut self, count: usize) -> Result<(), EngineError> {
        match &mut self.upload {
            Some(upload) => upload.advance(count).await,
            None => Err(closed()),
        }
    }

    /// Whether others wait for the memory that this upload holds: one that has nothing to write should be parked.
    pub fn is_wanted(&self) -> bool {
        let upload = self.upload.as_ref();
        upload.is_some_and(|upload| {
            upload.large.as_ref().is_some_and(|large| large.buffer.is_some())
                && upload.store.buffers.is_short()
        })
    }

    /// The digest of all bytes taken so far, by the algorithm that the upload is hashed with. Waits until they are hashed.
    ///
    /// # Errors
    /// As [`UploadWriter::write`].
    pub async fn digest(&mut self) -> Result<Digest, EngineError> {
        match &mut self.upload {
            Some(upload) => upload.digest().await,
            None => Err(closed()),
        }
    }

    /// Gives the upload up, with its session: both are gone when this returns. Dropping the future does not stop that.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`], [`EngineError::Closed`]; then the session may still be there.
    pub async fn discard(mut self) -> Result<(), EngineError> {
        let Some(upload) = self.upload.take() else { return Err(closed()) };
        upload.store.gate.check()?;
        if let Some(session) = &upload.session {
            session.hold.cancel();
        }
        let gate = Arc::clone(&upload.store.gate);
        let (answer, answered) = oneshot::channel();
        settle::start(upload, Some(answer));
        match answered.await.unwrap_or_else(|_| Err(closed())) {
            Ok(_) | Err(EngineError::UploadUnknown) => gate.check(),
            Err(error) => Err(error),
        }
    }

    /// Gives the buffer back while no bytes come: writes what fills whole blocks and keeps less than 4 KiB. To be called when
    /// the client was silent for about a second.
    ///
    /// # Errors
    /// As [`UploadWriter::write`].
    pub async fn park(&mut self) -> Result<(), EngineError> {
        match &mut self.upload {
            Some(upload) => upload.park().await,
            None => Err(closed()),
        }
    }

    /// Ends the request and keeps the session: its bytes are synced and its row says so before this returns. Dropping the
    /// future does not stop that. After a power cut an older state of the session may come back, never a wrong one.
    ///
    /// # Errors
    /// The upload's first failure, then the session is at its last durable offset; [`EngineError::UploadUnknown`] for a writer
    /// without a session, or one whose session was cancelled.
    pub async fn suspend(mut self) -> Result<UploadStatus, EngineError> {
        let Some(upload) = self.upload.take() else { return Err(closed()) };
        let (answer, answered) = oneshot::channel();
        settle::start(upload, Some(answer));
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Ends the upload: verifies the bytes, makes them durable and commits the blob, the end of the session and `with` (the
    /// service layer's link, repository, event; it may hold expectations of its own) at once. A blob that is there already is
    /// not stored again, also if another upload was faster by a moment. Dropping the future does not stop it.
    ///
    /// # Errors
    /// [`EngineError::DigestMismatch`]: the bytes are others, and the session is gone. [`EngineError::Conflict`]: an expectation
    /// of `with` does not hold. [`EngineError::NoSpace`], [`EngineError::Overloaded`], [`EngineError::Io`]: a session stays, at
    /// its last durable offset. [`EngineError::Poisoned`]: the outcome is open until the store is opened again.
    pub async fn finish(mut self, digest: &Digest, with: Batch) -> Result<BlobRecord, EngineError> {
        let Some(upload) = self.upload.take() else { return Err(closed()) };
        let (answer, answered) = oneshot::channel();
        finish::start(upload, *digest, with, answer);
        answered.await.unwrap_or_else(|_| Err(closed()))
    }
}

impl Drop for UploadWriter {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        if upload.session.is_some() {
            settle::start(upload, None);
        } else {
            // An unnamed file goes with its last handle.
            upload.store.counters.uploads_abandoned.add(1);
        }
    }
}
