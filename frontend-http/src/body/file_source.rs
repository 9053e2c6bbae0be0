//! What a response body needs of a stored file: its length, perhaps a descriptor, and positioned reads.
//!
//! Implemented for the registry's blob file here and for plain files by the tests.

use bytes::Bytes;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::Arc;

/// A read under way: at least one byte and at most as many as asked for; none only at the end of the file.
pub type ReadFuture = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>;

/// An immutable file of the store. It stays readable as long as the value lives, whether or not its name is removed.
#[expect(clippy::len_without_is_empty, reason = "nobody asks whether a stored file is empty")]
pub trait FileSource: Debug + Send + Sync + 'static {
    /// Length in bytes when the file was opened.
    fn len(&self) -> u64;

    /// The descriptor to send from, where the file is one of the operating system's. Without it the file is read.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Reads up to `len` bytes at `offset`. Nothing happens before the first poll.
    ///
    /// # Errors
    /// (of the future) whatever the disk says.
    fn read_at(self: Arc<Self>, offset: u64, len: usize) -> ReadFuture;
}

/// Notes that a stored file could not be read where it has to be readable: a bad disk, or somebody cut the file. The client gets
/// a broken transfer, which it must not take for whole; why is for the operator.
pub(crate) fn unreadable(file: &Arc<dyn FileSource>, offset: u64, error: io::Error) -> io::Error {
    tracing::error!(?file, len = file.len(), offset, %error, "a stored file cannot be read, what is sent of it is cut");
    error
}

/// As [`unreadable`], for a file that ends at `end`, before the range that is being sent.
pub(crate) fn too_short(file: &Arc<dyn FileSource>, end: u64) -> io::Error {
    unreadable(file, end, io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter"))
}
