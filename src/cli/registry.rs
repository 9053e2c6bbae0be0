//! `strata registry create|list|show|delete`: registries, which are made before something is pushed to them where there are accounts.
use std::process::ExitCode;

use clap::{Args, Subcommand};
use strata_frontend_http::document::{Figures, Registries, Registry, RegistryKind, RegistryRequest};
use strata_registry::RepositoryName;

use super::place::{Place, PlaceArguments, Refusal, context};
use super::removal;
use super::wording::count;
use crate::config::ByteSize;

/// Registries that are asked for at a time.
const PAGE: usize = 1000;

#[derive(Debug, Subcommand)]
pub(super) enum RegistryCommand {
    /// Makes a registry.
    Create(CreateArguments),
    /// Lists registries.
    List(ListArguments),
    /// Shows a registry and what it holds.
    Show(ShowArguments),
    /// Deletes a registry with all its repositories.
    Delete(removal::RegistryArguments),
}

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// Its name: the first segment of the names of its repositories; "default" for names of one segment
    #[arg(value_name = "REGISTRY")]
    name: String,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// Most bytes that it may hold, each digest counted once [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = ByteSize::parse)]
    quota: Option<ByteSize>,
    /// Lets everybody pull
    #[arg(long)]
    anonymous_pull: bool,
    /// Hides it from public addresses
    #[arg(long)]
    private: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// Its name
    #[arg(value_name = "REGISTRY")]
    name: String,
    #[command(flatten)]
    place: PlaceArguments,
}

/// Does it and prints what came of it.
pub(super) fn run(command: &RegistryCommand) -> ExitCode {
    match command {
        RegistryCommand::Create(arguments) => create(arguments),
        RegistryCommand::List(arguments) => list(arguments),
        RegistryCommand::Show(arguments) => show(arguments),
        RegistryCommand::Delete(arguments) => removal::run_registry(arguments),
    }
}

fn create(arguments: &CreateArguments) -> ExitCode {
    let request = RegistryRequest {
        name: arguments.name.clone(),
        kind: RegistryKind::Standard,
        anonymous_pull: arguments.anonymous_pull,
        public: !arguments.private,
        description: arguments.description.clone(),
        quota: arguments.quota.map(ByteSize::bytes),
    };
    let made = arguments.place.ask(async |place| match place {
        Place::Server(client) => Ok(client.post::<Registry>("/api/v1/registries", &request).await?),
        Place::Directory(opened) => {
            Ok(opened.registry.create_registry(&context(), request.clone().into()).await?.into())
        }
    });
    match made {
        Ok(made) => arguments.place.show(&made, |made| format!("made {}\n", line(made))),
        Err(refusal) => refusal.report(),
    }
}

fn list(arguments: &ListArguments) -> ExitCode {
    let all = arguments.place.ask(async |place| {
        let mut all = Registries { registries: Vec::new(), next: None };
        loop {
            let page = match place {
                Place::Server(client) => {
                    let cursor = all.next.as_ref().map(|next| format!("&cursor={next}")).unwrap_or_default();
                    client.get::<Registries>(&format!("/api/v1/registries?limit={PAGE}{cursor}")).await?
                }
                Place::Directory(opened) => {
                    opened.registry.registries(&context(), all.next.as_deref(), PAGE, None).await?.into()
                }
            };
            all.registries.extend(page.registries);
            all.next = page.next;
            if all.next.is_none() {
                return Ok(all);
            }
        }
    });
    match all {
        Ok(all) => arguments.place.show(&all, |all| match &*all.registries {
            [] => "there are no registries\n".to_owned(),
            registries => registries.iter().map(|registry| line(registry) + "\n").collect(),
        }),
        Err(refusal) => refusal.report(),
    }
}

fn show(arguments: &ShowArguments) -> ExitCode {
    // What goes into a path must be of its grammar: that of a name of one segment.
    let name = match RepositoryName::parse(&arguments.name) {
        Ok(name) if !name.as_str().contains('/') => name,
        Ok(_) => return Refusal::wrong_use("a registry's name has one segment").report(),
        Err(error) => return Refusal::wrong_use(error).report(),
    };
    let shown = arguments.place.ask(async |place| match place {
        Place::Server(client) => Ok(client.get::<Registry>(&format!("/api/v1/registries/{name}")).await?),
        Place::Directory(opened) => {
            let (registry, ctx) = (&opened.registry, context());
            let usage = registry.registry_usage(&ctx, name.as_str()).await?;
            let entry = registry.registry(&ctx, name.as_str()).await?;
            Ok(Registry { figures: Some(usage.into()), ..Registry::from(entry) })
        }
    });
    match shown {
        Ok(shown) => arguments.place.show(&shown, text),
        Err(refusal) => refusal.report(),
    }
}

/// A registry in one line.
fn line(registry: &Registry) -> String {
    let mut parts = vec![registry.name.clone()];
    if registry.kind == RegistryKind::Cache {
        parts.push("cache".to_owned());
    }
    parts.push(if registry.public { "public" } else { "private addresses only" }.to_owned());
    if registry.anonymous_pull {
        parts.push("everybody may pull".to_owned());
    }
    parts.extend(registry.quota.map(|quota| format!("quota {}", ByteSize::new(quota))));
    if !registry.description.is_empty() {
        parts.push(format!("{:?}", registry.description));
    }
    parts.join(", ")
}

fn text(registry: &Registry) -> String {
    let Some(Figures { images, artifacts, tags, logical_bytes, unique_bytes }) = &registry.figures else {
        return format!("{}\n", line(registry));
    };
    let [images, artifacts, tags] = [(images, "image"), (artifacts, "artifact"), (tags, "tag")]
        .map(|(number, word)| count(*number, word));
    format!(
        "{}\n{images}, {artifacts}, {tags}; {unique_bytes} bytes, {logical_bytes} counted in each image\n",
        line(registry)
    )
}
