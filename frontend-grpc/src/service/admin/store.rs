//! The store itself: how it is, what is collected, what was deleted.

use super::{limit, number, some};
use crate::call::Call;
use crate::error::Refusal;
use crate::proto::registry as v1;
use std::collections::HashMap;
use strata_registry as registry;
use strata_registry::Health;
use strata_types::Reference;

/// Most removals that a plan lists.
const REMOVALS_MAX: usize = 10_000;

pub(super) async fn get_status(
    call: &Call,
    _: v1::AdminGetStatusRequest,
) -> Result<v1::AdminGetStatusResponse, Refusal> {
    let status = call.registry().status(&call.context).await?;
    Ok(v1::AdminGetStatusResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        store: format!("{:032x}", u128::from_be_bytes(status.store_id)),
        format: status.format_version,
        ready: !matches!(status.health, Health::ReadOnly { .. }),
        full: matches!(status.health, Health::ReadOnly { .. } | Health::Full { .. }),
        space_available: status.space_available,
        space_total: status.space_total,
    })
}

fn counts(found: &registry::GcCounts) -> HashMap<String, v1::GcTally> {
    let some = found.iter().filter(|(_, tally)| tally.objects > 0);
    some.map(|(kind, tally)| {
        (kind.name().to_owned(), v1::GcTally { objects: tally.objects, bytes: tally.bytes })
    })
    .collect()
}

fn report(report: &registry::GcReport) -> v1::GcReport {
    v1::GcReport {
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

fn plan(plan: registry::GcPlan) -> v1::GcPlan {
    let removal = |removal: registry::GcRemoval| v1::GcRemoval {
        kind: removal.kind.name().to_owned(),
        repository: removal.repository.map(|name| name.to_string()).unwrap_or_default(),
        digest: removal.digest.map(|digest| digest.to_string()).unwrap_or_default(),
        bytes: removal.bytes,
    };
    v1::GcPlan {
        at_millis: plan.at.0,
        counts: counts(&plan.counts),
        bytes: plan.counts.bytes(),
        removals: plan.removals.into_iter().map(removal).collect(),
        cut: plan.cut,
        rows_read: plan.rows_read,
    }
}

#[expect(clippy::unused_async, reason = "a method of the service is a future, whether or not it waits")]
pub(super) async fn get_gc(call: &Call, _: v1::AdminGetGcRequest) -> Result<v1::AdminGetGcResponse, Refusal> {
    let status = call.registry().gc_status(&call.context)?;
    Ok(v1::AdminGetGcResponse {
        running: status.running,
        queued: status.queued,
        reclaimable_bytes: status.reclaimable_bytes,
        removed: counts(&status.removed),
        runs: status.runs,
        failures: status.failures,
        last: status.last.as_ref().map(report),
        last_failed: status.last_error.is_some(),
    })
}

pub(super) async fn run_gc(
    call: &Call,
    asked: v1::AdminRunGcRequest,
) -> Result<v1::AdminRunGcResponse, Refusal> {
    use v1::admin_run_gc_response::Outcome;
    let registry = call.registry();
    let outcome = if asked.dry_run {
        Outcome::Plan(plan(registry.gc_plan(&call.context, REMOVALS_MAX).await?))
    } else {
        Outcome::Report(report(&registry.gc_run(&call.context).await?))
    };
    Ok(v1::AdminRunGcResponse { outcome: Some(outcome) })
}

fn tally(tally: registry::ScrubTally) -> v1::ScrubTally {
    v1::ScrubTally {
        rows: tally.rows,
        blobs: tally.blobs,
        bytes: tally.bytes,
        damaged: tally.damaged,
        unreadable: tally.unreadable,
        broken: tally.broken,
        quarantined: tally.quarantined,
    }
}

#[expect(clippy::unused_async, reason = "a method of the service is a future, whether or not it waits")]
pub(super) async fn get_scrub(
    call: &Call,
    _: v1::AdminGetScrubRequest,
) -> Result<v1::AdminGetScrubResponse, Refusal> {
    let status = call.registry().scrub_status(&call.context)?;
    let finding = |finding: registry::ScrubFinding| v1::ScrubFinding {
        kind: finding.kind.as_str().to_owned(),
        place: finding.place,
        message: finding.message,
    };
    let round = |round: registry::ScrubRound| v1::ScrubRound {
        round: round.number,
        started_at_millis: round.started_at.0,
        finished_at_millis: round.finished_at.0,
        tally: Some(tally(round.tally)),
    };
    Ok(v1::AdminGetScrubResponse {
        running: status.running,
        paused: status.paused,
        round: status.round,
        started_at_millis: status.started_at.map(|at| at.0),
        progress: status.progress,
        tally: Some(tally(status.tally)),
        findings: status.findings.into_iter().map(finding).collect(),
        last: status.last.map(round),
        next_at_millis: status.next_at.map(|at| at.0),
        stuck: status.error.is_some(),
    })
}

pub(super) async fn start_scrub(
    call: &Call,
    asked: v1::AdminStartScrubRequest,
) -> Result<v1::AdminStartScrubResponse, Refusal> {
    let round = call.registry().scrub_start(&call.context, asked.rate).await?;
    Ok(v1::AdminStartScrubResponse { round })
}

fn deletion(deletion: registry::Deletion) -> v1::Deletion {
    let (kind, tags) = match deletion.reference {
        Reference::Tag(tag) => ("tag", vec![tag.to_string()]),
        Reference::Digest(_) => ("manifest", deletion.tags.iter().map(ToString::to_string).collect()),
    };
    v1::Deletion {
        id: deletion.number,
        at_millis: deletion.at.0,
        until_millis: deletion.until.0,
        repository: deletion.repository.to_string(),
        kind: kind.to_owned(),
        digest: deletion.digest.to_string(),
        tags,
        media_type: deletion.media_type.unwrap_or_default(),
        size: deletion.size,
    }
}

pub(super) async fn list_deleted(
    call: &Call,
    asked: v1::AdminListDeletedRequest,
) -> Result<v1::AdminListDeletedResponse, Refusal> {
    let repository = some(&asked.repository).map(|name| call.repository(name)).transpose()?;
    let (after, limit) = (number(&asked.page_token)?, limit(asked.page_size));
    let page = call.registry().list_deleted(&call.context, repository.as_ref(), after, limit).await?;
    Ok(v1::AdminListDeletedResponse {
        deletions: page.deletions.into_iter().map(deletion).collect(),
        next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
    })
}

pub(super) async fn restore(
    call: &Call,
    asked: v1::AdminRestoreRequest,
) -> Result<v1::AdminRestoreResponse, Refusal> {
    let restored = call.registry().restore(&call.context, asked.id, asked.force).await?;
    Ok(v1::AdminRestoreResponse {
        quarantined: restored.quarantined.iter().map(ToString::to_string).collect(),
        deletion: Some(deletion(restored.deletion)),
    })
}
