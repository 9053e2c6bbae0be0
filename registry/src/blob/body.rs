//! The content of a blob on its way to a frontend, which knows nothing of the engine.

use bytes::Bytes;
use std::io;
use std::os::fd::BorrowedFd;

/// The content of a blob.
#[derive(Debug)]
pub enum BlobBody {
    /// A small one, in memory.
    Bytes(Bytes),
    /// A large one, in a file of its own.
    File(BlobFile),
}

/// A blob that is a file of its own. Immutable as long as this lives, also when the blob is deleted meanwhile. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BlobFile(());

impl BlobFile {
    /// Length of the blob, bytes.
    #[expect(clippy::len_without_is_empty, reason = "small and so empty blobs are never files")]
    pub fn len(&self) -> u64 {
        0
    }

    /// The open file, whose bytes from 0 to [`BlobFile::len`] are the blob, for the kernel to send from; `None` where the store has no
    /// descriptor to give.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Reads up to `len` bytes from `offset` on; fewer only at the end of the blob.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn read_at(&self, _offset: u64, _len: usize) -> io::Result<Bytes> {
        Ok(Bytes::new())
    }
}
