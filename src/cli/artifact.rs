//! `strata artifact list|show|delete`: the manifests of an image, each with what it names.
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use strata_frontend_http::Resource;
use strata_frontend_http::document::{Artifact, ArtifactDetail, Artifacts, Content, Platform};
use strata_registry::RepositoryName;
use strata_types::{Digest, Reference, Tag};

use super::prompt::confirm;
use super::server::{self, ServerArguments};
use super::table::{Table, parts, plain};
use super::when;
use super::wording::{count, size};

#[derive(Debug, Subcommand)]
pub(super) enum ArtifactCommand {
    /// Lists the manifests of an image, in the order of digests.
    List(ListArguments),
    /// Shows a manifest: config, platforms, layers, history, and what refers to it.
    Show(ShowArguments),
    /// Deletes a manifest with its tags. It can be restored for a while (`strata deleted`).
    Delete(DeleteArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// The image
    #[arg(value_name = "IMAGE", value_parser = |text: &str| RepositoryName::parse(text))]
    image: RepositoryName,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// Image and tag, or image and digest
    #[arg(value_name = "IMAGE:TAG|IMAGE@DIGEST", value_parser = Named::parse)]
    named: Named,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArguments {
    /// Image and digest: a tag is deleted by `strata tag delete`
    #[arg(value_name = "IMAGE@DIGEST", value_parser = Named::parse_digest)]
    named: Named,
    /// Asks nobody
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// A manifest as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) image: RepositoryName,
    pub(super) reference: Reference,
}

impl Named {
    /// `hy/busybox:1`, `hy/busybox@sha256:…`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Named, String> {
        let (name, reference) = if let Some((name, digest)) = text.split_once('@') {
            (name, Reference::Digest(Digest::parse(digest).map_err(|error| error.to_string())?))
        } else {
            let named = text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
            let (name, tag) = named.ok_or_else(|| format!("{text:?} says neither :TAG nor @DIGEST"))?;
            (name, Reference::Tag(Tag::parse(tag).map_err(|error| error.to_string())?))
        };
        let image = RepositoryName::parse(name).map_err(|error| error.to_string())?;
        Ok(Named { image, reference })
    }

    /// The second of them.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    fn parse_digest(text: &str) -> Result<Named, String> {
        let named = Self::parse(text)?;
        match named.reference {
            Reference::Digest(_) => Ok(named),
            Reference::Tag(_) => Err(format!("{text:?} names a tag: say IMAGE@DIGEST")),
        }
    }

    fn resource(&self) -> Resource {
        Resource::new(&["images", self.image.as_str(), "artifacts", &self.reference.to_string()])
    }
}

/// Does it and prints what came of it.
pub(super) fn run(command: &ArtifactCommand) -> ExitCode {
    match command {
        ArtifactCommand::List(ListArguments { image, server }) => server.answer(
            async |client| {
                let list = Resource::new(&["images", image.as_str(), "artifacts"]);
                Ok(server::all::<Artifacts>(client, list).await?)
            },
            table,
        ),
        ArtifactCommand::Show(ShowArguments { named, server }) => server
            .answer(async |client| Ok(client.get::<ArtifactDetail>(named.resource()).await?), detail_text),
        ArtifactCommand::Delete(DeleteArguments { named, yes, server }) => server.answer(
            async |client| {
                let Named { image, reference } = named;
                let seen: ArtifactDetail = client.get(named.resource()).await?;
                let tags = count(seen.artifact.tags.len() as u64, "tag");
                confirm(*yes, &format!("delete {reference} from {image} with {tags}"))?;
                client.delete(named.resource()).await?;
                Ok(json!({ "image": image.as_str(), "deleted": reference.to_string() }))
            },
            |_| format!("deleted {} from {}\n", named.reference, named.image),
        ),
    }
}

fn table(found: &Artifacts) -> String {
    let mut table = Table::new(&["DIGEST", "SIZE", "PUSHED", "PULLED", "TAGS", "MEDIA TYPE"]);
    for artifact in &found.artifacts {
        table.row([
            artifact.digest.clone(),
            size(artifact.size),
            when::shown(artifact.pushed_at_millis),
            when::shown_or_never(artifact.pulled_at_millis),
            artifact.tags.join(" "),
            artifact.media_type.clone(),
        ]);
    }
    table.text("the image has no artifacts")
}

fn detail_text(detail: &ArtifactDetail) -> String {
    let Artifact { digest, media_type, size: bytes, pushed_at_millis, pulled_at_millis, tags } =
        &detail.artifact;
    let content = |content: &Content| format!("{} ({})", content.digest, size(content.size));
    let image = detail.image.as_ref();
    let words = |words: &Vec<String>| Some(words.join(" ")).filter(|text| !text.is_empty());
    let mut text = parts(&[
        ("digest", Some(digest.clone())),
        ("tags", words(tags)),
        ("media type", Some(media_type.clone())),
        ("artifact type", detail.artifact_type.clone()),
        ("platform", detail.platform.as_ref().map(platform)),
        ("size", Some(format!("{} in all, {} of them the manifest", size(detail.total_size), size(*bytes)))),
        ("pushed", Some(when::shown(*pushed_at_millis))),
        ("pulled", Some(pulled_at_millis.map_or_else(|| "never".to_owned(), when::shown))),
        ("about", detail.subject.clone()),
        ("config", detail.config.as_ref().map(content)),
        ("made", image.and_then(|image| image.created.clone())),
        ("author", image.and_then(|image| image.author.clone())),
        ("user", image.and_then(|image| image.user.clone())),
        ("entrypoint", image.and_then(|image| words(&image.entrypoint))),
        ("command", image.and_then(|image| words(&image.cmd))),
        ("ports", image.and_then(|image| words(&image.exposed_ports))),
    ]);
    let labels = image.map(|image| &image.labels);
    for (name, pairs) in [("annotations", Some(&detail.annotations)), ("labels", labels)] {
        for (index, (key, value)) in pairs.into_iter().flatten().enumerate() {
            if index == 0 {
                // Writing to a string cannot fail; so below.
                let _ = write!(text, "\n{name}\n");
            }
            let _ = writeln!(text, "  {}={}", plain(key), plain(value));
        }
    }
    listed(detail, &mut text);
    text
}

/// What it is made of, and what refers to it.
fn listed(detail: &ArtifactDetail, text: &mut String) {
    let mut section = |name: &str, is_there: bool, table: Table| {
        if is_there {
            let _ = write!(text, "\n{name}\n{}", table.text(""));
        }
    };
    let mut layers = Table::new(&["DIGEST", "SIZE", "MEDIA TYPE", "MADE BY"]);
    for layer in &detail.layers {
        let Content { digest, size: bytes, media_type } = &layer.content;
        let by = layer.created_by.clone().unwrap_or_default();
        layers.row([digest.clone(), size(*bytes), media_type.clone(), by]);
    }
    section("layers, the lowest first", !detail.layers.is_empty(), layers);
    let mut manifests = Table::new(&["PLATFORM", "DIGEST", "SIZE", "HERE", "MEDIA TYPE"]);
    for child in &detail.manifests {
        let Content { digest, size: bytes, media_type } = &child.content;
        let platform = child.platform.as_ref().map_or_else(|| "-".to_owned(), platform);
        let here = if child.present { "yes" } else { "no" }.to_owned();
        manifests.row([platform, digest.clone(), size(*bytes), here, media_type.clone()]);
    }
    section("manifests", !detail.manifests.is_empty(), manifests);
    let mut history = Table::new(&["WHEN", "BY", "COMMENT"]);
    for step in &detail.history {
        let said = |said: &Option<String>| said.clone().unwrap_or_else(|| "-".to_owned());
        history.row([said(&step.created), said(&step.created_by), step.comment.clone().unwrap_or_default()]);
    }
    section("history, the oldest step first", !detail.history.is_empty(), history);
    let mut referrers = Table::new(&["DIGEST", "SIZE", "TYPE"]);
    for referrer in &detail.referrers {
        let Content { digest, size: bytes, media_type } = &referrer.content;
        let kind = referrer.artifact_type.as_ref().unwrap_or(media_type);
        referrers.row([digest.clone(), size(*bytes), kind.clone()]);
    }
    section("referrers", !detail.referrers.is_empty(), referrers);
}

/// `linux/arm64/v8`.
fn platform(platform: &Platform) -> String {
    let Platform { os, architecture, variant, os_version } = platform;
    let name: Vec<&str> = [os, architecture, variant].into_iter().flatten().map(String::as_str).collect();
    match os_version {
        Some(version) => format!("{} ({version})", name.join("/")),
        None => name.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_named_by_tag_or_digest() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, image, reference) in [
            ("a:v1".to_owned(), "a", "v1"),
            ("hy/a/b:v1".to_owned(), "hy/a/b", "v1"),
            (format!("hy/a@{digest}"), "hy/a", &*digest),
        ] {
            let named = Named::parse(&text).expect("it names one");
            assert_eq!((named.image.as_str(), &*named.reference.to_string()), (image, reference));
        }
        for text in ["", "a", "hy/a", ":v1", "a:", "a:v 1", "a@sha256:0", "localhost:5000/a", "A:v1", "@x"] {
            assert!(Named::parse(text).is_err(), "{text}");
        }
        assert!(Named::parse_digest("a:v1").is_err_and(|error| error.contains("IMAGE@DIGEST")));
        assert!(Named::parse_digest(&format!("a@{digest}")).is_ok());
    }
}
