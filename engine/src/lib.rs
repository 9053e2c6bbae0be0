//! The content-addressed layer store: blobs, upload sessions, metadata, leases and the event log.
//!
//! Knows bytes, digests and the edges between them. Knows no HTTP, no JSON, no account and no manifest format: the
//! service layer parses and hands down what follows from it.

mod background;
pub mod backup;
pub mod blob;
pub mod check;
pub mod clock;
pub mod config;
pub mod disk;
pub mod engine;
pub mod entropy;
pub mod error;
mod fast_path;
mod gate;
pub mod gc;
mod ingest;
pub mod limits;
mod load;
mod lock;
pub mod meta;
pub mod metrics;
pub mod quarantine;
mod recovery;
pub mod scrub;
mod segment;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod store;
mod sync;
pub mod upload;

pub use backup::Backup;
pub use blob::{BlobBody, BlobFile, IdleBlobFile};
pub use clock::{Clock, SystemClock, UnixMillis};
pub use config::EngineConfig;
pub use engine::{Engine, Health, Linked, Ports};
pub use entropy::{Entropy, SystemEntropy};
pub use error::EngineError;
pub use fast_path::{FastPaths, Io};
pub use gc::{GcConfig, GcCounts, GcKind, GcPlan, GcRemoval, GcReport, GcStatus, GcTally};
pub use metrics::EngineMetrics;
pub use scrub::{ScrubConfig, VerifyOnRead};
pub use upload::{IngestClaim, IngestStatus, UploadStatus, UploadWriter};
