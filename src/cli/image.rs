//! `strata image list|show|delete`: images (repositories), the parts of a registry.
use std::process::ExitCode;

use clap::{Args, Subcommand};
use strata_frontend_http::Resource;
use strata_frontend_http::document::{ImageDetail, Images};
use strata_registry::RepositoryName;

use super::removal;
use super::server::{self, ServerArguments};
use super::table::{Table, parts};
use super::when;

/// From this number on the server does not count.
const COUNTED_MAX: usize = 10_000;

#[derive(Debug, Subcommand)]
pub(super) enum ImageCommand {
    /// Lists images, by name.
    List(ListArguments),
    /// Shows an image and how much it has; `strata artifact` and `strata tag` say what.
    Show(ShowArguments),
    /// Deletes an image: its manifests, tags and uploads, at once. Manifests can be restored for a while.
    Delete(removal::ImageArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Only those of this registry
    #[arg(long, value_name = "REGISTRY")]
    registry: Option<String>,
    /// Only those whose name holds this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// The image
    #[arg(value_name = "IMAGE", value_parser = |text: &str| RepositoryName::parse(text))]
    name: RepositoryName,
    #[command(flatten)]
    server: ServerArguments,
}

/// Does it and prints what came of it.
pub(super) fn run(command: &ImageCommand) -> ExitCode {
    match command {
        ImageCommand::List(ListArguments { registry, search, server }) => server.answer(
            async |client| {
                let list = Resource::new(&["images"]).with_some("registry", registry.as_ref());
                Ok(server::all::<Images>(client, list.with_some("search", search.as_ref())).await?)
            },
            |found| {
                let mut table = Table::new(&["NAME", "REGISTRY", "CREATED"]);
                for image in &found.images {
                    let created = when::shown(image.created_at_millis);
                    table.row([image.name.clone(), image.registry.clone(), created]);
                }
                table.text("no images were found")
            },
        ),
        ImageCommand::Show(ShowArguments { name, server }) => server.answer(
            async |client| Ok(client.get::<ImageDetail>(Resource::new(&["images", name.as_str()])).await?),
            |detail| {
                parts(&[
                    ("name", Some(detail.image.name.clone())),
                    ("registry", Some(detail.image.registry.clone())),
                    ("created", Some(when::shown(detail.image.created_at_millis))),
                    ("tags", Some(counted(detail.tags))),
                    ("artifacts", Some(counted(detail.artifacts))),
                ])
            },
        ),
        ImageCommand::Delete(arguments) => removal::run_image(arguments),
    }
}

fn counted(number: usize) -> String {
    if number < COUNTED_MAX { number.to_string() } else { format!("{COUNTED_MAX} or more") }
}
