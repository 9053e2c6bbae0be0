//! `strata quarantine`: blobs whose bytes are bad. Exit code 0: done, 1: it could not be done, or a blob that was looked at again is still
//! bad.
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use strata_frontend_http::document::{QUARANTINED_MAX, Quarantine, Rechecked};
use strata_types::Digest;

use super::place::{Place, PlaceArguments, Refusal, context};

const PATH: &str = "/api/v1/quarantine";

#[derive(Debug, Subcommand)]
pub(super) enum QuarantineCommand {
    /// Lists the blobs in quarantine.
    List {
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Reads a blob again: back in service if it is sound, into quarantine if it is not.
    Recheck(OneBlob),
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

/// Does it and prints what came of it.
pub(super) fn run(command: &QuarantineCommand) -> ExitCode {
    match command {
        QuarantineCommand::List { place } => match place.ask(list) {
            Ok(quarantine) => place.show(&quarantine, list_text),
            Err(refusal) => refusal.report(),
        },
        QuarantineCommand::Recheck(OneBlob { digest, place }) => {
            match place.ask(async |place| recheck(place, digest).await) {
                Ok(rechecked) => {
                    let written = place.show(&rechecked, recheck_text);
                    let is_sound = matches!(rechecked.outcome.as_str(), "sound" | "released");
                    if is_sound { written } else { ExitCode::from(1) }
                }
                Err(refusal) => refusal.report(),
            }
        }
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

async fn list(place: &Place) -> Result<Quarantine, Refusal> {
    let mut all = Quarantine { blobs: Vec::new(), more: true };
    while all.more {
        let last = all.blobs.last().map(|blob| blob.digest.clone());
        let page = match place {
            Place::Server(client) => {
                let query = last.map_or_else(String::new, |last| format!("?last={last}"));
                client.get::<Quarantine>(&format!("{PATH}{query}")).await?
            }
            Place::Directory(opened) => {
                let last = last.map(|last| Digest::parse(&last)).transpose().map_err(Refusal::new)?;
                let ctx = context();
                let found = opened.registry.quarantined(&ctx, last.as_ref(), QUARANTINED_MAX + 1).await?;
                Quarantine::page(found)
            }
        };
        all.more = page.more && !page.blobs.is_empty();
        all.blobs.extend(page.blobs);
    }
    Ok(all)
}

async fn recheck(place: &Place, digest: &Digest) -> Result<Rechecked, Refusal> {
    match place {
        Place::Server(client) => Ok(client.post(&format!("{PATH}/{digest}/recheck"), &json!({})).await?),
        Place::Directory(opened) => Ok(opened.registry.recheck_blob(&context(), digest).await?.into()),
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
        let _ = writeln!(text, "{} {} bytes, {}", blob.digest, blob.size, blob.damage);
    }
    let _ = writeln!(text, "{} blobs are in quarantine", quarantine.blobs.len());
    text
}

fn recheck_text(rechecked: &Rechecked) -> String {
    match &rechecked.message {
        Some(message) => format!("{}: {message}\n", rechecked.outcome),
        None => format!("{}\n", rechecked.outcome),
    }
}
