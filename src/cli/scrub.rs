//! `strata scrub`: reads everything that is stored and compares it with what was stored. Exit code 0: clean, 1: something was found,
//! 2: it could not be run.
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use strata_frontend_http::document::{ScrubRequest, ScrubStarted, ScrubStatus, ScrubTally};

use super::place::{Place, PlaceArguments, Refusal, context};
use super::wording::count;
use crate::config::ByteSize;

const PATH: &str = "/api/v1/scrub";

/// How often it is asked how far the round is.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct ScrubArguments {
    /// Says where the scrub stands, and begins none
    #[arg(long)]
    status: bool,
    /// Bytes per second, such as "200 MiB"; 0 is no limit [default: a server's settings, without a server no limit]
    #[arg(long, value_name = "SIZE", conflicts_with = "status", value_parser = ByteSize::parse)]
    rate: Option<ByteSize>,
    #[command(flatten)]
    place: PlaceArguments,
}

/// Does it and prints what came of it.
pub(super) fn run(arguments: &ScrubArguments) -> ExitCode {
    let place = &arguments.place;
    let rate = arguments.rate.map(ByteSize::bytes);
    let answer =
        if arguments.status { place.ask(status) } else { place.ask(async |place| round(place, rate).await) };
    match answer {
        Ok(status) => {
            let written = place.show(&status, as_text);
            let found = status.last.filter(|_| !arguments.status).map_or(0, |last| last.tally.findings);
            if found > 0 { ExitCode::from(1) } else { written }
        }
        Err(refusal) => refusal.report_as(2),
    }
}

async fn status(place: &Place) -> Result<ScrubStatus, Refusal> {
    match place {
        Place::Server(client) => Ok(client.get(PATH).await?),
        Place::Directory(opened) => Ok(opened.registry.scrub_status(&context())?.into()),
    }
}

/// A whole round: begins one, or joins the one that is under way, and waits for its end.
async fn round(place: &Place, rate: Option<u64>) -> Result<ScrubStatus, Refusal> {
    let round = match place {
        Place::Server(client) => client.post::<ScrubStarted>(PATH, &ScrubRequest { rate }).await?.round,
        // Nobody else uses the disk.
        Place::Directory(opened) => opened.registry.scrub_start(&context(), Some(rate.unwrap_or(0))).await?,
    };
    let shown = std::io::stderr().is_terminal();
    loop {
        let status = status(place).await?;
        if status.last.is_some_and(|last| last.round >= round) {
            return Ok(status);
        }
        if status.stuck {
            return Err(Refusal::new("the round cannot go on: the log says why"));
        }
        if shown {
            let percent = status.progress * 100.0;
            let _ =
                write!(std::io::stderr(), "\rround {round}: {percent:5.1} %, {}   ", tally(&status.tally));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn tally(tally: &ScrubTally) -> String {
    format!(
        "{}, {} of {}: {} damaged, {} unreadable, {} in contradiction, {} in quarantine before",
        count(tally.rows, "row"),
        count(tally.blobs, "blob"),
        count(tally.bytes, "byte"),
        tally.damaged,
        tally.unreadable,
        count(tally.broken, "row"),
        tally.quarantined
    )
}

fn as_text(status: &ScrubStatus) -> String {
    let mut text = String::new();
    for finding in &status.findings {
        let _ = writeln!(text, "{}: {}: {}", finding.kind, finding.place, finding.message);
    }
    if status.running {
        let waits = if status.paused { ", waits for the server to have less to do" } else { "" };
        let percent = status.progress * 100.0;
        let _ = writeln!(text, "round {}: {percent:.1} %{waits}: {}", status.round, tally(&status.tally));
    }
    match &status.last {
        Some(last) => {
            let _ = writeln!(text, "round {} ended: {}", last.round, tally(&last.tally));
        }
        None if !status.running => text.push_str("no round was made yet\n"),
        None => {}
    }
    text
}
