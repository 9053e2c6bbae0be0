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

impl BlobBody {
    /// Length of the blob, bytes.
    #[expect(clippy::len_without_is_empty, reason = "an empty blob is a blob as others are; nobody asks")]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(file) => file.len(),
        }
    }
}

impl From<strata_engine::BlobBody> for BlobBody {
    fn from(body: strata_engine::BlobBody) -> Self {
        match body {
            strata_engine::BlobBody::Bytes(bytes) => Self::Bytes(bytes),
            strata_engine::BlobBody::File(file) => Self::File(BlobFile(file)),
        }
    }
}

/// A blob that is a file of its own. Immutable as long as this lives, also when the blob is deleted meanwhile. Clones read the same file.
#[derive(Debug, Clone)]
pub struct BlobFile(strata_engine::BlobFile);

impl BlobFile {
    /// Length of the blob, bytes; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a blob in a file of its own is never empty")]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// The open file, whose bytes from 0 to [`BlobFile::len`] are the blob, for the kernel to send from; `None` where the store has no
    /// descriptor to give.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_fd()
    }

    /// The same file without holding it open.
    pub fn idle(&self) -> IdleBlobFile {
        IdleBlobFile(self.0.idle())
    }

    /// Reads from `offset` on: at least one byte and at most `len`, fewer at the end of the blob or where `len` is more than one read
    /// may take.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        self.0.read_at(offset, len).await
    }
}

/// A blob's file that is not held open from here, as long as the store has it open for other readers.
#[derive(Debug, Clone)]
pub struct IdleBlobFile(strata_engine::IdleBlobFile);

impl IdleBlobFile {
    /// Whether the store has the file open at the moment.
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// The file, if the store has it open and it has the length of its blob; else the blob has to be asked for. Reads nothing from the
    /// disk.
    pub fn open(&self) -> Option<BlobFile> {
        self.0.open().map(BlobFile)
    }
}
