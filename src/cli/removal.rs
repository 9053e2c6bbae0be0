//! `strata repository delete`, `strata registry delete`: removes repositories with all that they have.
use std::process::ExitCode;

use clap::{Args, Subcommand};
use strata_frontend_http::document::Removed;
use strata_registry::RepositoryName;

use super::place::{Place, PlaceArguments, Refusal, context};
use super::wording::count;

#[derive(Debug, Subcommand)]
pub(super) enum RepositoryCommand {
    /// Deletes a repository: its manifests, tags and uploads, at once. Manifests can be restored for a while.
    Delete(RepositoryArguments),
}

#[derive(Debug, Args)]
pub(super) struct RepositoryArguments {
    /// The repository
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct RegistryArguments {
    /// The first segment of the repositories' names; "default" for names of one segment
    #[arg(value_name = "REGISTRY")]
    name: String,
    #[command(flatten)]
    place: PlaceArguments,
}

/// Does it and prints what went.
pub(super) fn run_repository(RepositoryCommand::Delete(arguments): &RepositoryCommand) -> ExitCode {
    let name = match RepositoryName::parse(&arguments.name) {
        Ok(name) => name,
        Err(error) => return Refusal::wrong_use(error).report(),
    };
    answer(&arguments.place, async |place| match place {
        Place::Server(client) => Ok(client.remove(&format!("/api/v1/images/{name}")).await?),
        Place::Directory(opened) => Ok(opened.registry.delete_repository(&context(), &name).await?.into()),
    })
}

/// Does it and prints what went.
pub(super) fn run_registry(arguments: &RegistryArguments) -> ExitCode {
    // What goes into a path must be of its grammar: that of a name of one segment.
    let name = match RepositoryName::parse(&arguments.name) {
        Ok(name) if !name.as_str().contains('/') => name,
        Ok(_) => return Refusal::wrong_use("a registry's name has one segment").report(),
        Err(error) => return Refusal::wrong_use(error).report(),
    };
    answer(&arguments.place, async |place| match place {
        Place::Server(client) => Ok(client.remove(&format!("/api/v1/registries/{name}?force=true")).await?),
        Place::Directory(opened) => {
            Ok(opened.registry.delete_registry(&context(), name.as_str(), true, None).await?.into())
        }
    })
}

fn answer(
    place: &PlaceArguments,
    question: impl AsyncFnOnce(&Place) -> Result<Removed, Refusal>,
) -> ExitCode {
    match place.ask(question) {
        Ok(removed) => place.show(&removed, text),
        Err(refusal) => refusal.report(),
    }
}

fn text(removed: &Removed) -> String {
    let Removed { repositories, manifests, tags, blobs, uploads } = removed;
    let [manifests, tags, blobs, uploads] =
        [(manifests, "manifest"), (tags, "tag"), (blobs, "blob"), (uploads, "upload")]
            .map(|(number, word)| count(*number, word));
    let went = format!("{manifests}, {tags}, {blobs}, {uploads}");
    let names = if repositories.is_empty() {
        "a registry without content".to_owned()
    } else {
        repositories.join(", ")
    };
    format!("deleted {names}: {went}\n")
}
