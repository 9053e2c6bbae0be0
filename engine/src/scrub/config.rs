//! Settings of the scrub and of verified reads: plain values with their defaults.

use std::time::Duration;

/// When every stored byte is read again, and how fast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubConfig {
    /// Time between the end of a round and the start of the next (`scrub.interval`); zero: only when asked.
    pub interval: Duration,
    /// Bytes per second (`scrub.rate`); 0: no limit.
    pub rate: u64,
}

impl Default for ScrubConfig {
    fn default() -> Self {
        Self { interval: Duration::from_hours(7 * 24), rate: 64 * 1024 * 1024 }
    }
}

/// Whether large blobs are verified before they are sent (`storage.verify-on-read`). Small ones always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifyOnRead {
    /// Not: their length only.
    #[default]
    Off,
    /// One read in [`SAMPLE_EVERY`], the first one of a process among them.
    Sample,
    /// Every read.
    Always,
}

/// Reads of large blobs of which one is verified, where a sample is.
pub const SAMPLE_EVERY: u64 = 64;

impl VerifyOnRead {
    /// Whether read number `count` (from 0) is verified.
    pub(crate) const fn wants(self, count: u64) -> bool {
        match self {
            Self::Off => false,
            Self::Sample => count.is_multiple_of(SAMPLE_EVERY),
            Self::Always => true,
        }
    }
}
