//! Settings of the engine: plain values with their defaults. Knows no file format and no environment; the root crate fills it.

use crate::fast_path::FastPaths;
use crate::gc::GcConfig;
use crate::scrub::{ScrubConfig, VerifyOnRead};
use std::path::PathBuf;
use std::time::Duration;

/// How a store is opened. Every limit is named with its unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// The data directory; made if it does not exist.
    pub data_dir: PathBuf,
    /// Whether a store of an older format becomes one of this format, which older programs then refuse. `false` leaves it as it is and
    /// opens it not at all.
    pub upgrade: bool,
    /// Memory for upload buffers of the whole store, bytes (`storage.buffer-memory`). Uploads wait for one another beyond it.
    /// At least [`crate::limits::BUFFERS_MIN`] buffers are had in any case.
    pub buffer_memory_bytes: u64,
    /// Memory for the block cache and write buffers of the metadata store, bytes (`storage.metadata-memory`).
    pub metadata_memory_bytes: u64,
    /// Free space below which writes are refused, bytes (`storage.reserve`). The metadata store cannot go on after it has met a
    /// full disk, so it must never meet one.
    pub reserve_bytes: u64,
    /// How long an upload session lives after its last activity (`storage.upload-expiry`).
    pub upload_expiry: Duration,
    /// Files of blobs that are kept open for readers (`storage.open-files`).
    pub open_files_max: usize,
    /// Threads that hash uploads; 0 means one for each processor.
    pub hash_threads: usize,
    /// Threads that read, write and sync files; 0 means four for each processor, at least eight.
    pub io_threads: usize,
    /// Which fast paths may be taken.
    pub fast_paths: FastPaths,
    /// Length at which a segment file is closed and the next one begun, bytes.
    pub segment_bytes_max: u64,
    /// When and how fast garbage is collected.
    pub gc: GcConfig,
    /// When and how fast all stored bytes are read again.
    pub scrub: ScrubConfig,
    /// Whether large blobs are verified before they are sent (`storage.verify-on-read`).
    pub verify_on_read: VerifyOnRead,
}

impl EngineConfig {
    /// The defaults, on the directory `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            upgrade: true,
            buffer_memory_bytes: 64 * 1024 * 1024,
            metadata_memory_bytes: 256 * 1024 * 1024,
            reserve_bytes: 256 * 1024 * 1024,
            upload_expiry: Duration::from_hours(24),
            open_files_max: 512,
            hash_threads: 0,
            io_threads: 0,
            fast_paths: FastPaths::AUTO,
            segment_bytes_max: 256 * 1024 * 1024,
            gc: GcConfig::default(),
            scrub: ScrubConfig::default(),
            verify_on_read: VerifyOnRead::default(),
        }
    }

    /// Threads that hash, with the default worked out.
    pub(crate) fn hash_thread_count(&self) -> usize {
        if self.hash_threads == 0 { processors() } else { self.hash_threads }
    }

    /// Threads that read, write and sync, with the default worked out.
    pub(crate) fn io_thread_count(&self) -> usize {
        if self.io_threads == 0 { (processors() * 4).max(8) } else { self.io_threads }
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
