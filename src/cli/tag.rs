//! `strata tag list|show|create|delete|history`: the tags of an image.
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use strata_frontend_http::document::{TagDetail, TagHistory, TagRequest, Tags};
use strata_frontend_http::{ClientError, Resource};
use strata_registry::RepositoryName;
use strata_types::{Digest, Reference, Tag};

use super::artifact::Named;
use super::place::Refusal;
use super::prompt::confirm;
use super::server::{self, ServerArguments};
use super::table::{Table, parts};
use super::when;
use super::wording::size;

#[derive(Debug, Subcommand)]
pub(super) enum TagCommand {
    /// Lists the tags of an image, by name.
    List(ListArguments),
    /// Shows what a tag stands for.
    Show(TagArguments),
    /// Makes a tag for a manifest that the image has, without a push.
    Create(CreateArguments),
    /// Deletes a tag, and leaves its manifest. It can be restored for a while (`strata deleted`).
    Delete(DeleteArguments),
    /// Shows what a tag stood for, oldest first; also one that was deleted.
    History(TagArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// The image
    #[arg(value_name = "IMAGE", value_parser = |text: &str| RepositoryName::parse(text))]
    image: RepositoryName,
    /// Only those whose name holds this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub(super) struct TagArguments {
    /// Image and tag
    #[arg(value_name = "IMAGE:TAG", value_parser = TagName::parse)]
    name: TagName,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// Image and tag
    #[arg(value_name = "IMAGE:TAG", value_parser = TagName::parse)]
    name: TagName,
    /// The manifest, such as sha256:…
    #[arg(value_name = "DIGEST", value_parser = |text: &str| Digest::parse(text))]
    digest: Digest,
    /// Moves a tag that stands for something else
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArguments {
    /// Image and tag
    #[arg(value_name = "IMAGE:TAG", value_parser = TagName::parse)]
    name: TagName,
    /// Asks nobody
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// A tag as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TagName {
    image: RepositoryName,
    tag: Tag,
}

impl TagName {
    fn parse(text: &str) -> Result<TagName, String> {
        match Named::parse(text)? {
            Named { image, reference: Reference::Tag(tag) } => Ok(TagName { image, tag }),
            Named { .. } => Err(format!("{text:?} names a digest: say IMAGE:TAG")),
        }
    }

    fn resource(&self, more: &[&str]) -> Resource {
        let (image, tag) = (self.image.as_str(), self.tag.to_string());
        Resource::new(&[&["images", image, "tags", &tag], more].concat())
    }
}

impl std::fmt::Display for TagName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}", self.image, self.tag)
    }
}

/// Does it and prints what came of it.
pub(super) fn run(command: &TagCommand) -> ExitCode {
    match command {
        TagCommand::List(ListArguments { image, search, server }) => server.answer(
            async |client| {
                let list = Resource::new(&["images", image.as_str(), "tags"]);
                Ok(server::all::<Tags>(client, list.with_some("search", search.as_ref())).await?)
            },
            table,
        ),
        TagCommand::Show(TagArguments { name, server }) => {
            server.answer(async |client| Ok(client.get::<TagDetail>(name.resource(&[])).await?), text)
        }
        TagCommand::Create(arguments) => create(arguments),
        TagCommand::Delete(DeleteArguments { name, yes, server }) => server.answer(
            async |client| {
                let seen: TagDetail = client.get(name.resource(&[])).await?;
                confirm(*yes, &format!("delete the tag {name}, which stands for {}", seen.tag.digest))?;
                client.delete(name.resource(&[])).await?;
                Ok(json!({ "deleted": name.to_string() }))
            },
            |_| format!("deleted the tag {name}\n"),
        ),
        TagCommand::History(TagArguments { name, server }) => server.answer(
            async |client| Ok(server::all::<TagHistory>(client, name.resource(&["history"])).await?),
            history_text,
        ),
    }
}

fn create(CreateArguments { name, digest, force, server }: &CreateArguments) -> ExitCode {
    let request = TagRequest { digest: digest.to_string() };
    let resource = name.resource(&[]);
    let resource = if *force { resource } else { resource.if_absent() };
    server.answer(
        async |client| match client.set(resource, &request).await {
            Ok(()) => Ok(json!({ "tag": name.to_string(), "digest": request.digest })),
            Err(error @ ClientError::Refused { status: 412, .. }) => {
                Err(Refusal::new(format!("{error}\n  To move a tag that is there: --force")))
            }
            Err(error) => Err(error.into()),
        },
        |_| format!("{name} stands for {digest}\n"),
    )
}

fn table(found: &Tags) -> String {
    let mut table = Table::new(&["TAG", "DIGEST", "SET"]);
    for tag in &found.tags {
        table.row([tag.name.clone(), tag.digest.clone(), when::shown(tag.updated_at_millis)]);
    }
    table.text("no tags were found")
}

fn text(detail: &TagDetail) -> String {
    parts(&[
        ("tag", Some(detail.tag.name.clone())),
        ("digest", Some(detail.tag.digest.clone())),
        ("set", Some(when::shown(detail.tag.updated_at_millis))),
        ("media type", Some(detail.media_type.clone())),
        ("manifest", Some(size(detail.size))),
        ("pushed", Some(when::shown(detail.pushed_at_millis))),
        ("pulled", Some(detail.pulled_at_millis.map_or_else(|| "never".to_owned(), when::shown))),
    ])
}

fn history_text(history: &TagHistory) -> String {
    let mut table = Table::new(&["WHEN", "EVENT", "DIGEST"]);
    for step in &history.moves {
        let digest = step.digest.clone().unwrap_or_else(|| "(deleted)".to_owned());
        table.row([when::shown(step.at_millis), step.id.to_string(), digest]);
    }
    table.text("nothing is known of its past any more")
}
