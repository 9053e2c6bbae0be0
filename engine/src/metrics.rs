//! Counters of the byte side of the engine. Counting is one relaxed addition; reading takes a snapshot.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the engine did since it was opened, and what it holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EngineMetrics {
    /// Uploads finished with a new blob.
    pub blobs_stored: u64,
    /// Uploads finished with a blob that was there already.
    pub blobs_deduplicated: u64,
    /// Bytes of new blobs.
    pub bytes_stored: u64,
    /// Uploads whose bytes were not what their digest names.
    pub digest_mismatches: u64,
    /// Uploads given up before their end: cancelled, expired, failed, or left by a client that had no session.
    pub uploads_abandoned: u64,
    /// Upload sessions started.
    pub sessions_started: u64,
    /// Checkpoints of upload sessions written.
    pub checkpoints: u64,
    /// Appends to segment files, each with one sync.
    pub segment_appends: u64,
    /// Small blobs that those appends carried.
    pub segment_frames: u64,
    /// Blobs opened for reading.
    pub blobs_opened: u64,
    /// Small reads that were answered from memory without a thread.
    pub reads_inline: u64,
    /// Reads that went to a thread because the device had to be asked.
    pub reads_deferred: u64,
    /// Reads that found stored bytes damaged.
    pub corruptions: u64,
    /// Blobs that were put into quarantine.
    pub blobs_quarantined: u64,
    /// Damaged blobs that have good bytes again.
    pub blobs_healed: u64,
    /// Blobs that are in quarantine now.
    pub quarantined: u64,
    /// Bytes that the scrub read.
    pub scrubbed_bytes: u64,
    /// Rounds of the scrub that came to their end.
    pub scrub_rounds: u64,
    /// Large blobs that were verified before they were sent.
    pub reads_verified: u64,
    /// Upload buffers in use now.
    pub buffers_used: u64,
    /// Upload buffers that there are at most.
    pub buffers_max: u64,
    /// Uploads that are being written now.
    pub writers: u64,
    /// Blob files held open for readers now.
    pub files_open: u64,
    /// Backups under way.
    pub backups: u64,
    /// Free space on the data directory's file system when last asked, bytes.
    pub space_available: u64,
    /// Size of that file system, bytes.
    pub space_total: u64,
}

/// One number that only its owner moves.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Adds one and returns what there was before.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn subtract(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters behind [`EngineMetrics`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) blobs_stored: Counter,
    pub(crate) blobs_deduplicated: Counter,
    pub(crate) bytes_stored: Counter,
    pub(crate) digest_mismatches: Counter,
    pub(crate) uploads_abandoned: Counter,
    pub(crate) sessions_started: Counter,
    pub(crate) checkpoints: Counter,
    pub(crate) segment_appends: Counter,
    pub(crate) segment_frames: Counter,
    pub(crate) blobs_opened: Counter,
    /// Answers that were given again without asking the store.
    pub(crate) answers_kept: Counter,
    pub(crate) reads_inline: Counter,
    pub(crate) reads_deferred: Counter,
    pub(crate) corruptions: Counter,
    pub(crate) blobs_quarantined: Counter,
    pub(crate) blobs_healed: Counter,
    pub(crate) quarantined: Counter,
    pub(crate) scrubbed_bytes: Counter,
    pub(crate) scrub_rounds: Counter,
    /// Large blobs opened to be sent, verified or not.
    pub(crate) large_reads: Counter,
    pub(crate) reads_verified: Counter,
    pub(crate) writers: Counter,
}
