//! The scrub: where it stands, what it found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strata_registry as registry;

/// Request of `POST /api/v1/scrub`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScrubRequest {
    /// Bytes per second for this round; 0 is no limit. Without it the settings count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
}

/// Answer of `POST /api/v1/scrub`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScrubStarted {
    /// The number of the round that is under way now.
    pub round: u64,
}

/// Answer of `GET /api/v1/scrub`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScrubStatus {
    /// Whether a round is under way.
    pub running: bool,
    /// Whether it waits because the server has much to do.
    pub paused: bool,
    /// The number of the round under way, or of the last one; 0 before the first.
    pub round: u64,
    /// When that round began, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_at_millis: Option<u64>,
    /// How much of the round under way is done, from 0 to 1, roughly.
    pub progress: f64,
    /// What that round came to, so far.
    pub tally: ScrubTally,
    /// What was found in it since the server was started, the first 100 of it.
    pub findings: Vec<ScrubFinding>,
    /// The last round that came to its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last: Option<ScrubRound>,
    /// When the next round begins by itself, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_at_millis: Option<u64>,
    /// Whether the round cannot go on for now; the log says why.
    pub stuck: bool,
}

/// What a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScrubTally {
    /// Rows of the metadata that were compared with those that belong to them.
    pub rows: u64,
    /// Blobs whose bytes were read.
    pub blobs: u64,
    /// Bytes of those blobs.
    pub bytes: u64,
    /// Blobs that were put into quarantine.
    pub damaged: u64,
    /// Blobs that the device refused to read.
    pub unreadable: u64,
    /// Rows that contradict others.
    pub broken: u64,
    /// Blobs that were in quarantine before.
    pub quarantined: u64,
    /// The sum of the four before.
    pub findings: u64,
}

/// A round that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScrubRound {
    /// Its number.
    pub round: u64,
    /// When it began, milliseconds since 1970.
    pub started_at_millis: u64,
    /// When it ended.
    pub finished_at_millis: u64,
    /// What it came to.
    pub tally: ScrubTally,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScrubFinding {
    /// `damaged`, `unreadable`, `broken` or `quarantined`.
    pub kind: String,
    /// Where: `blob DIGEST`, or a row of the metadata.
    pub place: String,
    /// What, in words.
    pub message: String,
}

impl From<registry::ScrubTally> for ScrubTally {
    fn from(tally: registry::ScrubTally) -> Self {
        Self {
            rows: tally.rows,
            blobs: tally.blobs,
            bytes: tally.bytes,
            damaged: tally.damaged,
            unreadable: tally.unreadable,
            broken: tally.broken,
            quarantined: tally.quarantined,
            findings: tally.findings(),
        }
    }
}

impl From<registry::ScrubStatus> for ScrubStatus {
    fn from(status: registry::ScrubStatus) -> Self {
        let finding = |finding: registry::ScrubFinding| ScrubFinding {
            kind: finding.kind.as_str().to_owned(),
            place: finding.place,
            message: finding.message,
        };
        let round = |round: registry::ScrubRound| ScrubRound {
            round: round.number,
            started_at_millis: round.started_at.0,
            finished_at_millis: round.finished_at.0,
            tally: round.tally.into(),
        };
        Self {
            running: status.running,
            paused: status.paused,
            round: status.round,
            started_at_millis: status.started_at.map(|at| at.0),
            progress: status.progress,
            tally: status.tally.into(),
            findings: status.findings.into_iter().map(finding).collect(),
            last: status.last.map(round),
            next_at_millis: status.next_at.map(|at| at.0),
            stuck: status.error.is_some(),
        }
    }
}
