//! Uploads: sessions that survive a restart, and uploads that live within one request. From the first byte to the commit.
//!
//! Knows sessions, files and rows of blobs; how bytes are hashed and written side by side is `ingest`'s, repositories
//! and links are the service layer's. Called by [`crate::Engine`].

mod checkpoint;
mod claim;
mod finish;
mod removal;
mod session;
mod settle;
mod start;
mod writer;

pub use claim::{IngestClaim, IngestStatus};
pub(crate) use removal::{cancel, cancel_all, expire, remove_file};
pub(crate) use session::Sessions;
pub(crate) use start::{ingest, resume, start_session, status};
pub use writer::UploadWriter;

use strata_types::{Algorithm, UploadId};

/// What an upload session holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadStatus {
    /// Names the session.
    pub id: UploadId,
    /// Bytes received, from the first one on without a gap.
    pub offset: u64,
    /// What the session is hashed with. It can be finished with a digest of another algorithm; that reads the bytes again.
    pub algorithm: Algorithm,
}
