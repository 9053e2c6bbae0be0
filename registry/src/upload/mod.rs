//! Upload sessions: start, append, finish, status, cancel; and uploads in one request.

use strata_types::UploadId;

/// Where an upload session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadStatus {
    /// The session.
    pub id: UploadId,
    /// Bytes that it holds; the next chunk starts here.
    pub offset: u64,
}

/// The place of a chunk as its `Content-Range` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRange {
    /// Offset of the first byte.
    pub start: u64,
    /// How many bytes.
    pub len: u64,
}
