//! `strata registry create|list|show|change|delete`: registries, which are made before something is pushed to them where there are accounts.
use std::process::ExitCode;

use clap::{Args, Subcommand};
use strata_frontend_http::Resource;
use strata_frontend_http::document::{
    Figures, Registries, Registry, RegistryChangeRequest, RegistryKind, RegistryRequest,
};
use strata_registry::RepositoryName;

use super::place::{Place, PlaceArguments, context};
use super::removal::{self, parse_registry};
use super::server;
use super::table::Table;
use super::when;
use super::wording::{count, size};
use crate::config::ByteSize;

#[derive(Debug, Subcommand)]
pub(super) enum RegistryCommand {
    /// Makes a registry.
    Create(CreateArguments),
    /// Lists registries.
    List(ListArguments),
    /// Shows a registry and what it holds.
    Show(ShowArguments),
    /// Changes a registry; what is not said stays.
    Change(ChangeArguments),
    /// Deletes a registry; one that holds images only with --force.
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
pub(super) struct ChangeArguments {
    /// Its name
    #[arg(value_name = "REGISTRY", value_parser = parse_registry)]
    name: RepositoryName,
    #[command(flatten)]
    change: Change,
    /// Only if it still has this revision, as `show --json` tells it
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Most bytes that it may hold, each digest counted once; "none" for no limit
    #[arg(long, value_name = "SIZE", value_parser = Quota::parse)]
    quota: Option<Quota>,
    /// Whether everybody may pull
    #[arg(long, value_name = "BOOLEAN")]
    anonymous_pull: Option<bool>,
    /// Whether it is there on public addresses; if not, it can be changed at private ones only
    #[arg(long, value_name = "BOOLEAN")]
    public: Option<bool>,
}

/// A limit, or none.
#[derive(Debug, Clone, Copy)]
struct Quota(Option<ByteSize>);

impl Quota {
    fn parse(text: &str) -> Result<Quota, String> {
        if text == "none" { Ok(Quota(None)) } else { ByteSize::parse(text).map(|size| Quota(Some(size))) }
    }
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Only those whose name holds this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// Its name
    #[arg(value_name = "REGISTRY", value_parser = parse_registry)]
    name: RepositoryName,
    #[command(flatten)]
    place: PlaceArguments,
}

/// Does it and prints what came of it.
pub(super) fn run(command: &RegistryCommand) -> ExitCode {
    match command {
        RegistryCommand::Create(arguments) => create(arguments),
        RegistryCommand::List(arguments) => list(arguments),
        RegistryCommand::Show(arguments) => show(arguments),
        RegistryCommand::Change(arguments) => change(arguments),
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

fn change(ChangeArguments { name, change, revision, place }: &ChangeArguments) -> ExitCode {
    let request = RegistryChangeRequest {
        anonymous_pull: change.anonymous_pull,
        public: change.public,
        description: change.description.clone(),
        quota: change.quota.map(|Quota(limit)| limit.map(ByteSize::bytes)),
    };
    let changed = place.ask(async |place| match place {
        Place::Server(client) => {
            let resource = Resource::new(&["registries", name.as_str()]).at(*revision);
            Ok(client.patch::<Registry>(resource, &request).await?)
        }
        Place::Directory(opened) => {
            let (registry, wanted) = (&opened.registry, request.clone().into());
            Ok(registry.change_registry(&context(), name.as_str(), wanted, *revision).await?.into())
        }
    });
    match changed {
        Ok(changed) => place.show(&changed, |changed| format!("changed {}\n", line(changed))),
        Err(refusal) => refusal.report(),
    }
}

fn list(ListArguments { search, place }: &ListArguments) -> ExitCode {
    let search = search.as_deref();
    let all = place.ask(async |place| match place {
        Place::Server(client) => {
            Ok(server::all(client, Resource::new(&["registries"]).with_some("search", search)).await?)
        }
        Place::Directory(opened) => {
            let mut all = Registries { registries: Vec::new(), next: None };
            loop {
                let (registry, after) = (&opened.registry, all.next.as_deref());
                let page: Registries =
                    registry.registries(&context(), after, server::PAGE, search).await?.into();
                all.registries.extend(page.registries);
                all.next = page.next;
                if all.next.is_none() {
                    return Ok(all);
                }
            }
        }
    });
    match all {
        Ok(all) => place.show(&all, table),
        Err(refusal) => refusal.report(),
    }
}

fn show(ShowArguments { name, place }: &ShowArguments) -> ExitCode {
    let shown = place.ask(async |place| match place {
        Place::Server(client) => {
            Ok(client.get::<Registry>(Resource::new(&["registries", name.as_str()])).await?)
        }
        Place::Directory(opened) => {
            let (registry, ctx) = (&opened.registry, context());
            let usage = registry.registry_usage(&ctx, name.as_str()).await?;
            let entry = registry.registry(&ctx, name.as_str()).await?;
            Ok(Registry { figures: Some(usage.into()), ..Registry::from(entry) })
        }
    });
    match shown {
        Ok(shown) => place.show(&shown, text),
        Err(refusal) => refusal.report(),
    }
}

fn table(found: &Registries) -> String {
    let mut table = Table::new(&["NAME", "KIND", "PULL", "ADDRESSES", "QUOTA", "CREATED", "DESCRIPTION"]);
    for registry in &found.registries {
        let kind = if registry.kind == RegistryKind::Cache { "cache" } else { "standard" };
        table.row([
            registry.name.clone(),
            kind.to_owned(),
            if registry.anonymous_pull { "everybody" } else { "by role" }.to_owned(),
            if registry.public { "all" } else { "private" }.to_owned(),
            registry.quota.map_or_else(|| "-".to_owned(), |quota| ByteSize::new(quota).to_string()),
            when::shown(registry.created_at_millis),
            registry.description.clone(),
        ]);
    }
    table.text("no registries were found")
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
        "{}\n{images}, {artifacts}, {tags}; {}, {} counted in each image\n",
        line(registry),
        size(*unique_bytes),
        size(*logical_bytes)
    )
}
