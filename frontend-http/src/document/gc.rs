//! Garbage collection: where it stands, what it would do, what it did.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use strata_registry as registry;

/// Most removals that an answer lists.
pub const REMOVALS_MAX: usize = 10_000;

/// Request of `POST /api/v1/gc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GcRequest {
    /// Nothing is removed; the answer says what would be.
    pub dry_run: bool,
}

/// Answer of `POST /api/v1/gc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GcAnswer {
    /// What a run would remove.
    Plan(GcPlan),
    /// What a run removed.
    Report(GcReport),
}

/// Answer of `GET /api/v1/gc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GcStatus {
    /// Whether a run is under way.
    pub running: bool,
    /// Candidates in the queue at the end of the last run.
    pub queued: u64,
    /// Bytes that the end of the last run knew as garbage and that the file system has not back yet.
    pub reclaimable_bytes: u64,
    /// What was removed since the start.
    pub removed: GcCounts,
    /// Runs since the start, those that failed too.
    pub runs: u64,
    /// Runs that failed.
    pub failures: u64,
    /// The last run that came to its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last: Option<GcReport>,
    /// Whether the last run failed; the server's log says why.
    pub last_failed: bool,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GcReport {
    /// When it began, milliseconds since 1970.
    pub started_at_millis: u64,
    /// How long it took, milliseconds.
    pub took_millis: u64,
    /// What it removed.
    pub removed: GcCounts,
    /// Bytes of content that are no longer kept.
    pub removed_bytes: u64,
    /// Candidates that it looked at and that are needed.
    pub needed: u64,
    /// Candidates that it left for a later run.
    pub postponed: u64,
    /// Rows that it read.
    pub rows_read: u64,
    /// Rows that it wrote or removed.
    pub rows_written: u64,
    /// Bytes of live blobs that were moved out of segments that are mostly dead.
    pub bytes_moved: u64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// What a run would remove now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GcPlan {
    /// For which moment, milliseconds since 1970.
    pub at_millis: u64,
    /// The removals in their order, at most [`REMOVALS_MAX`].
    pub removals: Vec<GcRemoval>,
    /// Tallies of those that are listed.
    pub counts: GcCounts,
    /// Bytes of content that would go with those that are listed.
    pub bytes: u64,
    /// Whether there are more than are listed.
    pub cut: bool,
    /// Rows that were read for it.
    pub rows_read: u64,
}

/// One thing that a run would remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GcRemoval {
    /// What it is: `manifest`, `link`, `blob`, `manifest-bytes`, `upload`, `lease`, `undo`, `file` or `segment`.
    pub kind: String,
    /// The repository that it is removed from, unless it belongs to the whole store.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repository: Option<String>,
    /// The blob or manifest, where it is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
    /// Bytes of content that go with it.
    pub bytes: u64,
}

/// How many of each kind; kinds without any are left out.
pub type GcCounts = BTreeMap<String, GcTally>;

/// How many of one kind, and how many bytes they had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GcTally {
    /// How many.
    pub objects: u64,
    /// Bytes of content.
    pub bytes: u64,
}

fn counts(found: &registry::GcCounts) -> GcCounts {
    let some = found.iter().filter(|(_, tally)| tally.objects > 0);
    let named = some.map(|(kind, tally)| {
        (kind.name().to_owned(), GcTally { objects: tally.objects, bytes: tally.bytes })
    });
    named.collect()
}

impl From<&registry::GcReport> for GcReport {
    fn from(report: &registry::GcReport) -> Self {
        Self {
            started_at_millis: report.started_at.0,
            took_millis: u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
            removed: counts(&report.removed),
            removed_bytes: report.removed.bytes(),
            needed: report.needed,
            postponed: report.postponed,
            rows_read: report.rows_read,
            rows_written: report.rows_written,
            bytes_moved: report.bytes_moved,
            stopped: report.stopped,
        }
    }
}

impl From<registry::GcStatus> for GcStatus {
    fn from(status: registry::GcStatus) -> Self {
        Self {
            running: status.running,
            queued: status.queued,
            reclaimable_bytes: status.reclaimable_bytes,
            removed: counts(&status.removed),
            runs: status.runs,
            failures: status.failures,
            last: status.last.as_ref().map(GcReport::from),
            last_failed: status.last_error.is_some(),
        }
    }
}

impl From<registry::GcPlan> for GcPlan {
    fn from(plan: registry::GcPlan) -> Self {
        let removal = |removal: registry::GcRemoval| GcRemoval {
            kind: removal.kind.name().to_owned(),
            repository: removal.repository.map(|name| name.to_string()),
            digest: removal.digest.map(|digest| digest.to_string()),
            bytes: removal.bytes,
        };
        Self {
            at_millis: plan.at.0,
            counts: counts(&plan.counts),
            bytes: plan.counts.bytes(),
            removals: plan.removals.into_iter().map(removal).collect(),
            cut: plan.cut,
            rows_read: plan.rows_read,
        }
    }
}
