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

/// A read under way: the bytes found, fewer than asked for only at the end of the file.
pub type ReadFuture = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>;

/// An immutable file of the store. It stays readable as long as the value lives, whether or not its name is removed.
#[expect(clippy::len_without_is_empty, reason = "nobody asks whether a stored file is empty")]
pub trait FileSource: Debug + Send + Sync + 'static {
    /// Length in bytes when the file was opened.
    fn len(&self) -> u64;

    /// The descriptor to send from, where the file is one of the operating system's. Without it the file is read.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Reads `len` bytes at `offset`. Nothing happens before the first poll.
    ///
    /// # Errors
    /// (of the future) whatever the disk says.
    fn read_at(self: Arc<Self>, offset: u64, len: usize) -> ReadFuture;
}

/// A file ended before the range that is being sent. Somebody cut a file of the store: the log has to say so, and the client
/// must not take what it got for whole.
pub(crate) fn too_short(file: &Arc<dyn FileSource>, end: u64) -> io::Error {
    tracing::error!(
        ?file,
        len = file.len(),
        end,
        "a stored file has become shorter, what is sent from it is cut"
    );
    io::ErrorKind::UnexpectedEof.into()
}
