//! Blobs of a repository: look up, read, mount, delete.

mod body;

pub use body::{BlobBody, BlobFile};

use strata_types::Digest;

/// What a `HEAD` tells about a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobStat {
    /// The blob.
    pub digest: Digest,
    /// Its length, bytes.
    pub size: u64,
}

/// A blob to be sent.
#[derive(Debug)]
pub struct BlobRead {
    /// The blob.
    pub digest: Digest,
    /// Its length, bytes.
    pub size: u64,
    /// Its content, all of it; ranges are the reader's choice.
    pub body: BlobBody,
}
