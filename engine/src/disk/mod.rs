//! The one seam through which the engine reaches the files of its data directory.
//!
//! Knows paths, bytes, offsets and syncs; knows nothing of blobs, frames or metadata (the metadata store keeps its own
//! files). Called by `segment`, `blob`, `upload`, `recovery` and `check`; made by [`crate::Engine::open`] or by a test.
//!
//! What may take long is either done on a thread that waits for it (a [`Pool`]'s), or begun where the disk takes it
//! ([`DiskFile::begin`]: the ring), and told to its owner when it is done.

mod pool;
mod real;
mod request;
mod ring;

#[cfg(any(test, feature = "sim"))]
pub mod faulty;
#[cfg(any(test, feature = "sim"))]
pub mod sim;

pub use pool::Pool;
pub use real::RealDisk;
pub use request::{Ended, Request, Work, begin};
pub use ring::{RingDisk, RingUse};

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

/// Alignment of memory, offset and length that direct writes need, bytes. Covers every logical block size in use.
pub const DIRECT_ALIGNMENT: usize = 4096;

/// In words, why a file was not found.
pub(crate) fn missing(error: &io::Error) -> String {
    error
        .get_ref()
        .map_or_else(|| "its file is missing".to_owned(), |why| format!("its file is missing: {why}"))
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; the file must exist.
    Read,
    /// For reading and writing; the file must exist.
    Write,
    /// For reading and writing; the file must not exist yet.
    Create,
    /// For writing past the page cache; the file must exist. Memory, offset and length of every write are multiples of
    /// [`DIRECT_ALIGNMENT`].
    Direct,
}

/// What a directory holds under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without the directory. A name that is not UTF-8 is given with replacement characters.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Space on the file system under the data directory, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What this process may still write.
    pub available: u64,
    /// Size of the file system.
    pub total: u64,
}

/// Positioned access to the files of a data directory. All paths are relative to it.
///
/// Durability: the content and length of a file are durable once [`DiskFile::sync`] returned; its name, and the absence of a
/// removed name, once [`Disk::sync_dir`] of the directory returned. Before that a crash may keep any part of it.
pub trait Disk: Send + Sync + Debug {
    /// Opens a regular file; anything else (a FIFO, a socket, a directory) is no file, and opening it does not wait.
    ///
    /// # Errors
    /// As the operating system; `NotFound`, `AlreadyExists`; `InvalidInput` for [`OpenMode::Direct`] where direct writes are not
    /// to be had.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file's name; open handles go on reading it. A directory is no file.
    ///
    /// # Errors
    /// As the operating system; `NotFound`.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Lists a directory, in no order, without `.` and `..`.
    ///
    /// # Errors
    /// As the operating system; `NotFound`.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Makes one directory; that it exists already is no error.
    ///
    /// # Errors
    /// As the operating system; `NotFound` where its parent does not exist.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Removes a directory, which must be empty.
    ///
    /// # Errors
    /// As the operating system; `DirectoryNotEmpty`, `NotFound`.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// As the operating system. After an error nobody can say what is durable: the caller poisons the engine.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Space left and in all.
    ///
    /// # Errors
    /// As the operating system.
    fn space(&self) -> io::Result<Space>;
}

/// An open file. Shared between threads; all access is positioned.
#[expect(
    clippy::len_without_is_empty,
    reason = "a file's length is asked of the system; whether it is empty is nobody's question"
)]
pub trait DiskFile: Send + Sync + Debug {
    /// Reads into `buffer` at `offset` and returns how many bytes came; 0 only at or behind the end. May be short.
    ///
    /// # Errors
    /// As the operating system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// As [`DiskFile::read_at`], but never waits for the device.
    ///
    /// # Errors
    /// `WouldBlock` where the bytes are not in memory or the file system cannot tell.
    fn read_at_cached(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// As [`DiskFile::read_at`], for one who reads a whole store once: what was not in memory before does not stay there. For a handle
    /// that nobody else reads through.
    ///
    /// # Errors
    /// As [`DiskFile::read_at`].
    fn read_at_passing(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buffer, offset)
    }

    /// Writes at `offset` and returns how many bytes were taken. May be short.
    ///
    /// # Errors
    /// As the operating system.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Writes the slices one behind another at `offset` and returns how many bytes were taken. May be short, also inside a
    /// slice, and takes at most a system-defined number of slices (1024 on Linux).
    ///
    /// # Errors
    /// As the operating system.
    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Length, bytes.
    ///
    /// # Errors
    /// As the operating system.
    fn len(&self) -> io::Result<u64>;

    /// Cuts the file, or lengthens it by zeros.
    ///
    /// # Errors
    /// As the operating system.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes content and length durable.
    ///
    /// # Errors
    /// As the operating system. After an error the lost pages may look clean: the caller poisons the engine.
    fn sync(&self) -> io::Result<()>;

    /// The descriptor, where there is one (the simulated disk has none).
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Begins work that ends elsewhere: the request is told when it is done, and nothing waits for it here. Requests that are
    /// under way together may end in any order, but a sync covers all writes that were begun before it on this handle.
    ///
    /// # Errors
    /// Gives the request back where this disk does not take it, or not now; the caller then [runs](Request::run) it on a thread
    /// that may wait.
    fn begin(&self, request: Request) -> Result<(), Request> {
        Err(request)
    }

    /// Whether writes are worth beginning: else a caller that wants them on a thread can go there at once.
    fn begins_writes(&self) -> bool {
        false
    }
}

/// Reads exactly `buffer.len()` bytes at `offset`.
///
/// # Errors
/// `UnexpectedEof` where the file ends before; else as [`DiskFile::read_at`]. An interrupted read is taken up again.
pub(crate) fn read_exact_at(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads exactly `buffer.len()` bytes at `offset` if that needs no device; `false` where it would (the buffer's content is
/// undefined then).
///
/// # Errors
/// As [`read_exact_at`].
pub(crate) fn read_exact_at_cached(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at_cached(rest, offset + filled as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Slices one vectored write takes at most: the kernel's `UIO_MAXIOV`.
const SLICES_PER_WRITE_MAX: usize = 1024;

/// Writes all of `slices`, one behind another, at `offset`. The slices are used up.
///
/// # Errors
/// As [`DiskFile::write_vectored_at`]; `WriteZero` where the disk takes nothing. An interrupted write is taken up again.
pub(crate) fn write_all_vectored_at(
    file: &dyn DiskFile,
    mut slices: &mut [IoSlice<'_>],
    mut offset: u64,
) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let batch = slices.get(..slices.len().min(SLICES_PER_WRITE_MAX)).unwrap_or_default();
        match file.write_vectored_at(batch, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                offset += count as u64;
                IoSlice::advance_slices(&mut slices, count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes a file or directory sync again when a signal interrupted it; any other failure is final.
pub(crate) fn retry_interrupted(mut sync: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match sync() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests;
