//! Settings of garbage collection: plain values with their defaults.

use std::time::Duration;

/// When what is no longer needed goes, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GcConfig {
    /// How long a blob that no manifest of its repository holds stays, counted from its push, its mount, its release by the last
    /// manifest or the last time that a client was told it is there (`gc.grace`).
    pub grace: Duration,
    /// Time between the starts of two runs (`gc.interval`); zero: only when asked.
    pub interval: Duration,
    /// How long a manifest stays that no tag and no index names and that refers to nothing in its repository (`gc.untagged`);
    /// `None`: for ever.
    pub untagged: Option<Duration>,
    /// How long a deletion can be undone (`gc.undo`): so long the bytes of deleted manifests stay.
    pub undo: Duration,
    /// Whether blobs stay as long as a deletion can be undone, where that is longer than the grace (`gc.undo-keeps-bytes`).
    pub undo_keeps_bytes: bool,
    /// Removals per second (`gc.rate`); 0: no limit.
    pub rate: u32,
    /// Part of a segment file that must be dead before what lives in it is moved and the file removed, percent
    /// (`gc.segment-dead`).
    pub segment_dead_percent: u32,
    /// Dead bytes below which no segment is looked at.
    pub segment_dead_bytes_min: u64,
}

impl Default for GcConfig {
    fn default() -> Self {
        Self {
            grace: Duration::from_hours(1),
            interval: Duration::from_mins(1),
            untagged: None,
            undo: Duration::from_hours(24),
            undo_keeps_bytes: false,
            rate: 2000,
            segment_dead_percent: 50,
            segment_dead_bytes_min: 1024 * 1024,
        }
    }
}

impl GcConfig {
    /// How long a link that nothing holds stays.
    pub(crate) fn link_grace(&self) -> Duration {
        if self.undo_keeps_bytes { self.grace.max(self.undo) } else { self.grace }
    }
}
