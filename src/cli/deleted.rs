//! `strata deleted list|restore`: what was deleted and can be restored.
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use strata_frontend_http::document::{Deletion, Deletions, RestoreRequest, Restored};
use strata_registry::{DELETIONS_MAX, RepositoryName};

use super::place::{Place, PlaceArguments, Refusal, context};

const PATH: &str = "/api/v1/deleted";

#[derive(Debug, Subcommand)]
pub(super) enum DeletedCommand {
    /// Lists deleted manifests and tags that can be restored, oldest first.
    List(ListArguments),
    /// Puts a deleted manifest back with the tags that went with it, or a deleted tag.
    Restore(RestoreArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Lists those of this repository only
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    repository: Option<RepositoryName>,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// The number that the list shows
    #[arg(value_name = "ID")]
    id: u64,
    /// Moves tags that stand for something else by now
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

fn parse_name(text: &str) -> Result<RepositoryName, String> {
    RepositoryName::parse(text).map_err(|error| error.to_string())
}

/// Does it and prints what came of it.
pub(super) fn run(command: &DeletedCommand) -> ExitCode {
    match command {
        DeletedCommand::List(arguments) => {
            let name = arguments.repository.as_ref();
            match arguments.place.ask(async |place| list(place, name).await) {
                Ok(found) => arguments.place.show(&found, list_text),
                Err(refusal) => refusal.report(),
            }
        }
        DeletedCommand::Restore(arguments) => {
            let (id, request) = (arguments.id, RestoreRequest { force: arguments.force });
            match arguments.place.ask(async |place| restore(place, id, request).await) {
                Ok(restored) => arguments.place.show(&restored, restored_text),
                Err(refusal) => refusal.report(),
            }
        }
    }
}

/// All of them, page by page.
async fn list(place: &Place, name: Option<&RepositoryName>) -> Result<Deletions, Refusal> {
    let mut all = Deletions { deletions: Vec::new(), next: None };
    loop {
        let page = page(place, name, all.next.take()).await?;
        all.deletions.extend(page.deletions);
        all.next = page.next;
        if all.next.is_none() {
            return Ok(all);
        }
    }
}

async fn page(
    place: &Place,
    name: Option<&RepositoryName>,
    cursor: Option<String>,
) -> Result<Deletions, Refusal> {
    match place {
        Place::Server(client) => {
            let mut path = format!("{PATH}?limit={DELETIONS_MAX}");
            // Writing to a string cannot fail; a name needs no escapes in a query.
            if let Some(name) = name {
                let _ = write!(path, "&repository={name}");
            }
            if let Some(cursor) = cursor {
                let _ = write!(path, "&cursor={cursor}");
            }
            Ok(client.get(&path).await?)
        }
        Place::Directory(opened) => {
            let after = cursor.map(|cursor| cursor.parse()).transpose().map_err(Refusal::new)?;
            let page = opened.registry.list_deleted(&context(), name, after, DELETIONS_MAX).await?;
            Ok(page.into())
        }
    }
}

async fn restore(place: &Place, id: u64, request: RestoreRequest) -> Result<Restored, Refusal> {
    match place {
        Place::Server(client) => Ok(client.post(&format!("{PATH}/{id}/restore"), &request).await?),
        Place::Directory(opened) => Ok(opened.registry.restore(&context(), id, request.force).await?.into()),
    }
}

fn restored_text(restored: &Restored) -> String {
    let mut text = format!("restored {}\n", line(&restored.deletion));
    for digest in &restored.quarantined {
        let _ = writeln!(text, "in quarantine, and not served before it is pushed again: {digest}");
    }
    text
}

fn list_text(found: &Deletions) -> String {
    if found.deletions.is_empty() {
        return "nothing that was deleted can be restored\n".to_owned();
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut text = String::new();
    for deletion in &found.deletions {
        let left = Duration::from_millis(deletion.until_millis).saturating_sub(now);
        let minutes = left.as_secs() / 60;
        let _ = writeln!(text, "{}, for {} h {} min", line(deletion), minutes / 60, minutes % 60);
    }
    text
}

/// `7 manifest a/b@sha256:…, tags v1 v2`, `8 tag a/b:v1 (sha256:…)`.
fn line(deletion: &Deletion) -> String {
    let Deletion { id, kind, repository, digest, tags, .. } = deletion;
    let tags = tags.join(" ");
    match (kind.as_str(), tags.is_empty()) {
        ("tag", _) => format!("{id} tag {repository}:{tags} ({digest})"),
        (_, true) => format!("{id} {kind} {repository}@{digest}"),
        (_, false) => format!("{id} {kind} {repository}@{digest}, tags {tags}"),
    }
}
