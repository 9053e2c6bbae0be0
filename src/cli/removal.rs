//! `strata image delete`, `strata registry delete`: removes images with all that they have, at a server or in a directory.
use std::process::ExitCode;

use clap::Args;
use strata_frontend_http::Resource;
use strata_frontend_http::document::Removed;
use strata_registry::RepositoryName;

use super::place::{Place, PlaceArguments, Refusal, context};
use super::prompt::confirm;
use super::wording::count;

#[derive(Debug, Args)]
pub(super) struct ImageArguments {
    /// The image
    #[arg(value_name = "IMAGE", value_parser = |text: &str| RepositoryName::parse(text))]
    name: RepositoryName,
    /// Asks nobody
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct RegistryArguments {
    /// The first segment of its images' names; "default" for names of one segment
    #[arg(value_name = "REGISTRY", value_parser = parse_registry)]
    name: RepositoryName,
    /// With all the images that it holds
    #[arg(long)]
    force: bool,
    /// Asks nobody
    #[arg(long)]
    yes: bool,
    /// Only if it still has this revision, as `show --json` tells it
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
    #[command(flatten)]
    place: PlaceArguments,
}

/// The name of a registry, which is that of a repository of one segment.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub(super) fn parse_registry(text: &str) -> Result<RepositoryName, String> {
    match RepositoryName::parse(text) {
        Ok(name) if !name.as_str().contains('/') => Ok(name),
        Ok(_) => Err("a registry's name has one segment".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Does it and prints what went.
pub(super) fn run_image(ImageArguments { name, yes, place }: &ImageArguments) -> ExitCode {
    answer(*yes, &format!("delete the image {name} with all its tags"), place, async |place| match place {
        Place::Server(client) => Ok(client.remove(Resource::new(&["images", name.as_str()])).await?),
        Place::Directory(opened) => Ok(opened.registry.delete_repository(&context(), name).await?.into()),
    })
}

/// Does it and prints what went.
pub(super) fn run_registry(arguments: &RegistryArguments) -> ExitCode {
    let RegistryArguments { name, force, yes, revision, place } = arguments;
    let all = if *force { " with all its images" } else { "" };
    answer(*yes, &format!("delete the registry {name}{all}"), place, async |place| match place {
        Place::Server(client) => {
            let resource = Resource::new(&["registries", name.as_str()]).with("force", force);
            Ok(client.remove(resource.at(*revision)).await?)
        }
        Place::Directory(opened) => {
            let (registry, context) = (&opened.registry, context());
            Ok(registry.delete_registry(&context, name.as_str(), *force, *revision).await?.into())
        }
    })
}

fn answer(
    yes: bool,
    what: &str,
    place: &PlaceArguments,
    question: impl AsyncFnOnce(&Place) -> Result<Removed, Refusal>,
) -> ExitCode {
    match confirm(yes, what).and_then(|()| place.ask(question)) {
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
