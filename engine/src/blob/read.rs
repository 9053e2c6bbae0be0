//! A blob opened for reading, and the cache of open files behind it.

use super::buffers::ReadBuffers;
use crate::disk::{self, Disk, DiskFile, OpenMode, Pool, Request, Work, read_exact_at_cached};
use crate::limits::READ_BYTES_MAX;
use crate::metrics::Counters;
use bytes::Bytes;
use quick_cache::sync::Cache;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use tokio::sync::oneshot;

/// Longest read that is tried on the caller's thread, bytes; copying more would keep other requests of that thread waiting.
const INLINE_BYTES_MAX: usize = 256 * 1024;

/// A blob opened for reading.
#[derive(Debug, Clone)]
pub enum BlobBody {
    /// A small blob, whole; its checksum was verified.
    Bytes(Bytes),
    /// A large blob; its length was verified.
    File(BlobFile),
}

impl BlobBody {
    /// Length of the blob, bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(file) => file.len(),
        }
    }
}

/// The file of a large blob. Immutable; clones read the same file. Removing the blob does not disturb a reader.
#[derive(Debug, Clone)]
pub struct BlobFile {
    file: Arc<dyn DiskFile>,
    len: u64,
    reader: Reader,
}

impl BlobFile {
    pub(crate) const fn new(file: Arc<dyn DiskFile>, len: u64, reader: Reader) -> Self {
        Self { file, len, reader }
    }

    /// Length of the blob, bytes; never 0. The file holds nothing else: byte 0 of the blob is byte 0 of the file.
    #[expect(clippy::len_without_is_empty, reason = "a blob in a file of its own is never empty")]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// The open file itself.
    pub(crate) fn handle(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file)
    }

    /// The descriptor, for sendfile; `None` on a simulated disk. Valid as long as this value or a clone lives.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_fd()
    }

    /// The same file without holding it open.
    pub fn idle(&self) -> IdleBlobFile {
        IdleBlobFile { file: Arc::downgrade(&self.file), len: self.len, reader: self.reader.clone() }
    }

    /// Reads up to `len` bytes at `offset`: all of them, or what there is up to the blob's end, or
    /// [`READ_BYTES_MAX`] if more was asked for. From the page cache at once, else on a thread that may wait.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file is shorter than the blob (somebody cut it), else as the operating system. Never short
    /// or other bytes.
    pub async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let rest = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = len.min(rest).min(READ_BYTES_MAX);
        let buffers = &self.reader.buffers;
        let buffer = self.reader.fill(&self.file, offset, buffers.take(len)).await?;
        Ok(buffers.share(buffer))
    }
}

/// The file of a large blob that is not held open from here: the store's own limit on open files counts, and the space of a removed blob
/// is free as soon as the store and its readers have let go of it.
#[derive(Debug, Clone)]
pub struct IdleBlobFile {
    file: Weak<dyn DiskFile>,
    len: u64,
    reader: Reader,
}

impl IdleBlobFile {
    /// Whether somebody has the file open at the moment.
    pub fn is_open(&self) -> bool {
        self.file.strong_count() > 0
    }

    /// The file, if somebody has it open and it has the length of its blob; otherwise [`crate::Engine::open_blob`] says why. Does not
    /// wait for the disk.
    pub fn open(&self) -> Option<BlobFile> {
        let file = self.file.upgrade()?;
        let is_whole = file.len().is_ok_and(|len| len == self.len);
        is_whole.then(|| BlobFile::new(file, self.len, self.reader.clone()))
    }
}

/// Reads ranges of files without keeping the caller's thread waiting for the device.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) threads: Arc<Pool>,
    pub(crate) counters: Arc<Counters>,
    buffers: Arc<ReadBuffers>,
}

impl Reader {
    pub(crate) fn new(threads: Arc<Pool>, counters: Arc<Counters>) -> Self {
        Self { threads, counters, buffers: Arc::default() }
    }

    /// Reads exactly `len` bytes at `offset`.
    pub(crate) async fn read(&self, file: &Arc<dyn DiskFile>, offset: u64, len: usize) -> io::Result<Bytes> {
        self.fill(file, offset, vec![0; len]).await.map(Bytes::from)
    }

    /// Reads as many bytes at `offset` as the buffer is long.
    async fn fill(&self, file: &Arc<dyn DiskFile>, offset: u64, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        if buffer.len() <= INLINE_BYTES_MAX && read_exact_at_cached(&**file, &mut buffer, offset)? {
            self.counters.reads_inline.add(1);
            return Ok(buffer);
        }
        self.counters.reads_deferred.add(1);
        let (sender, receiver) = oneshot::channel();
        let request = Request::new(Work::Read { buffer, offset }, move |ended| drop(sender.send(ended)));
        disk::begin(&self.threads, file, request);
        let ended = receiver.await.map_err(|_| lost())?;
        match (ended.work, ended.outcome?) {
            (Work::Read { buffer, .. }, count) if count == buffer.len() => Ok(buffer),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Runs blocking work on a thread that may wait.
    pub(crate) async fn wait<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (sender, receiver) = oneshot::channel();
        self.threads.run(move || drop(sender.send(work())));
        receiver.await.unwrap_or_else(|_| Err(lost()))
    }
}

/// What a reader is told whose work was dropped.
fn lost() -> io::Error {
    io::Error::other("the store was closed, or a reading thread panicked")
}

/// A file that readers share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FileKey {
    /// The file of a generation.
    Blob(u64),
    /// A segment.
    Segment(u32),
}

impl FileKey {
    fn path(self) -> PathBuf {
        match self {
            Self::Blob(generation) => super::generation::file_path(generation),
            Self::Segment(segment) => crate::segment::path(segment),
        }
    }
}

/// Open files, a bounded number. Neither a generation nor a segment's number is ever used for another file, so nothing in here
/// can be wrong; what was removed is dropped by [`Handles::forget`] to give its space back.
#[derive(Debug)]
pub(crate) struct Handles {
    disk: Arc<dyn Disk>,
    cache: Cache<FileKey, Arc<dyn DiskFile>>,
}

impl Handles {
    pub(crate) fn new(disk: Arc<dyn Disk>, files_max: usize) -> Arc<Self> {
        Arc::new(Self { disk, cache: Cache::new(files_max.max(1)) })
    }

    /// The file, opened if it is not. Opening runs on a thread that may wait.
    pub(crate) async fn get(
        self: &Arc<Self>,
        key: FileKey,
        reader: &Reader,
    ) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.cache.get(&key) {
            return Ok(file);
        }
        let handles = Arc::clone(self);
        reader
            .wait(move || {
                let file = handles.disk.open(&key.path(), OpenMode::Read)?;
                handles.cache.insert(key, Arc::clone(&file));
                Ok(file)
            })
            .await
    }

    /// Lets go of a file.
    pub(crate) fn forget(&self, key: FileKey) {
        self.cache.remove(&key);
    }

    /// Files held open.
    pub(crate) fn count(&self) -> usize {
        self.cache.len()
    }
}
