//! What the scrub tells: plain values, for those who show them.

use crate::clock::UnixMillis;
use crate::meta::key::table;
use crate::meta::{ScrubRecord, ScrubRound, ScrubTally};

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// A blob whose bytes are bad; it is in quarantine now.
    Damaged,
    /// A blob that the device refused to read; in quarantine if it does so again in the next round.
    Unreadable,
    /// Rows of the metadata that contradict each other.
    Broken,
    /// A blob that was in quarantine before.
    Quarantined,
}

impl FindingKind {
    /// The kind as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::Broken => "broken",
            Self::Quarantined => "quarantined",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubFinding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// Where: `blob DIGEST`, or a row of the metadata.
    pub place: String,
    /// What, in words.
    pub message: String,
}

/// Where the scrub stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScrubStatus {
    /// Whether a round is under way.
    pub running: bool,
    /// Whether it waits because the server has much to do.
    pub paused: bool,
    /// The number of the round under way, or of the last one; 0 before the first.
    pub round: u64,
    /// When that round began; `None` before the first.
    pub started_at: Option<UnixMillis>,
    /// How much of the round under way is done, from 0 to 1, roughly.
    pub progress: f64,
    /// What that round came to, so far.
    pub tally: ScrubTally,
    /// What was found in it since the process was started, the first 100 of it.
    pub findings: Vec<ScrubFinding>,
    /// The last round that came to its end.
    pub last: Option<ScrubRound>,
    /// When the next round begins by itself; `None`: one is under way, or only when asked.
    pub next_at: Option<UnixMillis>,
    /// Why the round does not go on, where it does not.
    pub error: Option<String>,
}

impl ScrubStatus {
    pub(crate) fn new(record: &ScrubRecord, findings: &[ScrubFinding]) -> Self {
        Self {
            running: record.position.is_some(),
            paused: false,
            round: record.number,
            started_at: (record.number > 0).then_some(record.started_at),
            progress: progress(record),
            tally: record.tally,
            findings: findings.to_vec(),
            last: record.last,
            next_at: None,
            error: None,
        }
    }
}

/// Blobs stand in the order of their digests, which are spread evenly, and take nearly all of the time.
fn progress(record: &ScrubRecord) -> f64 {
    let Some(position) = &record.position else { return if record.number > 0 { 1.0 } else { 0.0 } };
    match position.first() {
        None => 0.0,
        Some(first) if *first < table::BLOB => 0.0,
        // The table, the algorithm, the hash.
        Some(&table::BLOB) => match position.get(1..) {
            Some([1, high, low, ..]) => f64::from(u16::from_be_bytes([*high, *low])) / 65_536.0,
            Some([_, ..]) => 0.99,
            _ => 0.0,
        },
        Some(_) => 0.99,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::key;
    use strata_types::Digest;

    #[test]
    fn progress_follows_the_digests() {
        let at = |position: Option<bytes::Bytes>| {
            progress(&ScrubRecord { number: 1, position, ..ScrubRecord::default() })
        };
        assert!((at(Some(bytes::Bytes::new()))).abs() < 1e-9);
        assert!((at(Some(key::blob(&Digest::Sha256([0x80; 32])))) - 0.5).abs() < 0.01);
        assert!(at(Some(key::blob(&Digest::Sha512([0; 64])))) > 0.9);
        assert!(at(Some(bytes::Bytes::from_static(b"e"))) > 0.9);
        assert!((at(None) - 1.0).abs() < 1e-9);
        assert!(progress(&ScrubRecord::default()).abs() < 1e-9);
    }
}
