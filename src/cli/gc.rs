//! `strata gc`: collects garbage now, says what that would remove, or where collection stands.
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use strata_frontend_http::document::{
    GcAnswer, GcCounts, GcPlan, GcReport, GcRequest, GcStatus, REMOVALS_MAX,
};

use super::place::{Place, PlaceArguments, Refusal, context};
use super::wording::{count, time, verb};

const PATH: &str = "/api/v1/gc";

#[derive(Debug, Args)]
pub(super) struct GcArguments {
    /// Removes nothing and says what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Says where collection stands: what waits, what was removed, how the last run went
    #[arg(long, conflicts_with = "dry_run")]
    status: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

/// Does it and prints what came of it.
pub(super) fn run(arguments: &GcArguments) -> ExitCode {
    let place = &arguments.place;
    if arguments.status {
        return match place.ask(status) {
            Ok(status) => place.show(&status, status_text),
            Err(refusal) => refusal.report(),
        };
    }
    let request = GcRequest { dry_run: arguments.dry_run };
    match place.ask(async |place| collect(place, &request).await) {
        Ok(GcAnswer::Plan(plan)) => place.show(&plan, plan_text),
        Ok(GcAnswer::Report(report)) => place.show(&report, report_text),
        Err(refusal) => refusal.report(),
    }
}

async fn status(place: &Place) -> Result<GcStatus, Refusal> {
    match place {
        Place::Server(client) => Ok(client.get(PATH).await?),
        Place::Directory(opened) => Ok(opened.registry.gc_status(&context())?.into()),
    }
}

async fn collect(place: &Place, request: &GcRequest) -> Result<GcAnswer, Refusal> {
    match place {
        Place::Server(client) => Ok(client.post_and_wait(PATH, request).await?),
        Place::Directory(opened) if request.dry_run => {
            Ok(GcAnswer::Plan(opened.registry.gc_plan(&context(), REMOVALS_MAX).await?.into()))
        }
        Place::Directory(opened) => Ok(GcAnswer::Report((&opened.registry.gc_run(&context()).await?).into())),
    }
}

fn status_text(status: &GcStatus) -> String {
    let mut text = format!(
        "{}; {} {}, {} {} known as garbage\nsince the start: {}, {} failed; removed {}\n",
        if status.running { "a run is under way" } else { "no run is under way" },
        count(status.queued, "candidate"),
        if status.queued == 1 { "waits" } else { "wait" },
        count(status.reclaimable_bytes, "byte"),
        verb(status.reclaimable_bytes),
        count(status.runs, "run"),
        status.failures,
        tallies(&status.removed),
    );
    if let Some(last) = &status.last {
        let _ = write!(text, "last run: {}", report_text(last));
    }
    if status.last_failed {
        text.push_str("the last run failed; the log of the server says why\n");
    }
    text
}

fn plan_text(plan: &GcPlan) -> String {
    let mut text = String::new();
    for removal in &plan.removals {
        let _ = write!(text, "{}", removal.kind);
        for part in [&removal.digest, &removal.repository].into_iter().flatten() {
            let _ = write!(text, " {part}");
        }
        let _ = writeln!(text, " {}", count(removal.bytes, "byte"));
    }
    if plan.cut {
        text.push_str("… and more\n");
    }
    let _ = writeln!(text, "would remove {}: {}", tallies(&plan.counts), count(plan.bytes, "byte"));
    text
}

fn report_text(report: &GcReport) -> String {
    format!(
        "removed {}: {} in {}; {} needed, {} left for later{}\n",
        tallies(&report.removed),
        count(report.removed_bytes, "byte"),
        time(Duration::from_millis(report.took_millis)),
        report.needed,
        report.postponed,
        if report.stopped { "; stopped before its end" } else { "" },
    )
}

/// `1 blob, 5 links`; `nothing` where there is none.
fn tallies(counts: &GcCounts) -> String {
    let parts: Vec<String> = counts.iter().map(|(kind, tally)| several(tally.objects, kind)).collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

/// Some kinds have names without a plural.
fn several(number: u64, kind: &str) -> String {
    match kind {
        "manifest-bytes" | "undo" => format!("{number} {kind}"),
        _ => count(number, kind),
    }
}
