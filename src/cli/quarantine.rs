//! `strata quarantine`: blobs whose bytes are bad. Exit code 0: done, 1: it could not be done, or a blob that was looked at again is still
//! bad.
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use strata_frontend_http::document::{Quarantine, QuarantinedBlob, Rechecked, RecheckedAll};
use strata_registry::REPOSITORIES_COUNTED_MAX;
use strata_types::Digest;

use super::place::{Place, PlaceArguments, Refusal, context};
use super::wording::{count, verb};

const PATH: &str = "/api/v1/quarantine";
/// Blobs that are asked for at a time.
const PAGE: usize = 1000;

#[derive(Debug, Subcommand)]
pub(super) enum QuarantineCommand {
    /// Lists the blobs in quarantine.
    List {
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Reads a blob again, or all in quarantine: back in service if it is sound, into quarantine if it is not.
    Recheck(Recheck),
    /// Gives a blob in quarantine up: its bytes go, and it is no longer in any repository.
    Discard(OneBlob),
}

#[derive(Debug, Args)]
pub(super) struct OneBlob {
    /// The blob, such as sha256:…
    #[arg(value_name = "DIGEST", value_parser = |text: &str| Digest::parse(text))]
    digest: Digest,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct Recheck {
    /// The blob, such as sha256:…
    #[arg(value_name = "DIGEST", value_parser = |text: &str| Digest::parse(text), required_unless_present = "all")]
    digest: Option<Digest>,
    /// All that are in quarantine
    #[arg(long, conflicts_with = "digest")]
    all: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

/// Does it and prints what came of it.
pub(super) fn run(command: &QuarantineCommand) -> ExitCode {
    match command {
        QuarantineCommand::List { place } => match place.ask(list) {
            Ok(quarantine) => place.show(&quarantine, list_text),
            Err(refusal) => refusal.report(),
        },
        QuarantineCommand::Recheck(arguments) => run_recheck(arguments),
        QuarantineCommand::Discard(OneBlob { digest, place }) => {
            match place.ask(async |place| discard(place, digest).await) {
                Ok(()) => {
                    let answer = json!({"discarded": digest.to_string()});
                    place.show(&answer, |_| format!("{digest} was discarded\n"))
                }
                Err(refusal) => refusal.report(),
            }
        }
    }
}

/// Exit code 1 where something stays in quarantine.
fn run_recheck(Recheck { digest, all, place }: &Recheck) -> ExitCode {
    let Some(digest) = digest.as_ref().filter(|_| !all) else {
        return match place.ask(recheck_all) {
            Ok(tally) => {
                let written = place.show(&tally, tally_text);
                if tally.damaged + tally.unreadable == 0 { written } else { ExitCode::from(1) }
            }
            Err(refusal) => refusal.report(),
        };
    };
    match place.ask(async |place| recheck(place, digest).await) {
        Ok(rechecked) => {
            let written = place.show(&rechecked, recheck_text);
            let is_sound = matches!(rechecked.outcome.as_str(), "sound" | "released");
            if is_sound { written } else { ExitCode::from(1) }
        }
        Err(refusal) => refusal.report(),
    }
}

async fn list(place: &Place) -> Result<Quarantine, Refusal> {
    let mut all = Quarantine { blobs: Vec::new(), next: None };
    loop {
        let page = page(place, all.next.take()).await?;
        all.blobs.extend(page.blobs);
        all.next = page.next;
        if all.next.is_none() {
            return Ok(all);
        }
    }
}

async fn page(place: &Place, cursor: Option<String>) -> Result<Quarantine, Refusal> {
    match place {
        Place::Server(client) => {
            let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
            Ok(client.get(&format!("{PATH}?limit={PAGE}{cursor}")).await?)
        }
        Place::Directory(opened) => {
            let after = cursor.map(|cursor| Digest::parse(&cursor)).transpose().map_err(Refusal::new)?;
            let found = opened.registry.quarantined(&context(), after.as_ref(), PAGE + 1).await?;
            Ok(Quarantine::page(found, PAGE))
        }
    }
}

async fn recheck(place: &Place, digest: &Digest) -> Result<Rechecked, Refusal> {
    match place {
        Place::Server(client) => Ok(client.post(&format!("{PATH}/{digest}/recheck"), &json!({})).await?),
        Place::Directory(opened) => Ok(opened.registry.recheck_blob(&context(), digest).await?.into()),
    }
}

async fn recheck_all(place: &Place) -> Result<RecheckedAll, Refusal> {
    match place {
        Place::Server(client) => Ok(client.post_and_wait(&format!("{PATH}/recheck"), &json!({})).await?),
        Place::Directory(opened) => Ok(opened.registry.recheck_quarantine(&context()).await?.into()),
    }
}

async fn discard(place: &Place, digest: &Digest) -> Result<(), Refusal> {
    match place {
        Place::Server(client) => Ok(client.delete(&format!("{PATH}/{digest}")).await?),
        Place::Directory(opened) => Ok(opened.registry.discard_blob(&context(), digest).await?),
    }
}

fn list_text(quarantine: &Quarantine) -> String {
    let mut text = String::new();
    for blob in &quarantine.blobs {
        let size = count(blob.size, "byte");
        let _ = writeln!(text, "{} {size}, {}, in {}", blob.digest, blob.damage, places(blob));
    }
    let number = quarantine.blobs.len() as u64;
    let _ = writeln!(text, "{} {} in quarantine", count(number, "blob"), verb(number));
    text
}

/// `a/b, c/d and 7 more`: where it can be pushed to, to heal it.
fn places(blob: &QuarantinedBlob) -> String {
    let names = blob.repositories.join(", ");
    let more = blob.repositories_total.saturating_sub(blob.repositories.len() as u64);
    let is_all_counted = blob.repositories_total < REPOSITORIES_COUNTED_MAX as u64;
    match (blob.repositories_total, more) {
        (0, _) => "no repository".to_owned(),
        (_, 0) => names,
        (_, more) if is_all_counted => format!("{names} and {more} more"),
        (_, more) => format!("{names} and at least {more} more"),
    }
}

fn tally_text(tally: &RecheckedAll) -> String {
    let RecheckedAll { released, damaged, unreadable } = tally;
    format!(
        "{} back in service; {damaged} still damaged, {unreadable} unreadable\n",
        count(*released, "blob")
    )
}

fn recheck_text(rechecked: &Rechecked) -> String {
    match &rechecked.message {
        Some(message) => format!("{}: {message}\n", rechecked.outcome),
        None => format!("{}\n", rechecked.outcome),
    }
}
