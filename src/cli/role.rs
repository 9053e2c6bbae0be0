//! `strata role list|grant|revoke`: what accounts may do, on the instance or in a registry.
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use strata_frontend_http::document::{Account, Accounts, Members, Role, RoleRequest, Roles};
use strata_frontend_http::{AdminClient, Resource};

use super::account::role;
use super::place::Refusal;
use super::server::{self, ServerArguments};
use super::table::Table;

#[derive(Debug, Subcommand)]
pub(super) enum RoleCommand {
    /// Lists who has which role.
    List(ListArguments),
    /// Gives an account a role, in place of the one that it has there.
    Grant(GrantArguments),
    /// Takes an account's role.
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Only those of this account
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "registry")]
    account: Option<String>,
    /// Only those in this registry
    #[arg(long, value_name = "REGISTRY")]
    registry: Option<String>,
    #[command(flatten)]
    server: ServerArguments,
}

/// Where a role counts.
#[derive(Debug, Args)]
struct Where {
    /// The account
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// In this registry only [default: on the instance]
    #[arg(long, value_name = "REGISTRY")]
    registry: Option<String>,
    /// Only if the account still has this revision, as `strata account show --json` tells it
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
}

impl Where {
    fn resource(&self) -> Resource {
        let resource = match &self.registry {
            Some(registry) => Resource::new(&["registries", registry, "members", &self.account]),
            None => Resource::new(&["accounts", &self.account, "roles", "instance"]),
        };
        resource.at(self.revision)
    }

    fn text(&self) -> String {
        self.registry.as_ref().map_or_else(|| "on the instance".to_owned(), |name| format!("in {name}"))
    }
}

/// A role, as it is given.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Given {
    /// Everything
    Admin,
    /// Sees and pulls
    Viewer,
    /// Sees and pushes
    Uploader,
}

#[derive(Debug, Args)]
pub(super) struct GrantArguments {
    #[command(flatten)]
    place: Where,
    /// The role
    #[arg(value_name = "ROLE", value_enum)]
    role: Given,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArguments {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    server: ServerArguments,
}

/// What a list answers, whatever it is of.
#[derive(Debug, Serialize)]
struct Held {
    roles: Vec<HeldRole>,
}

#[derive(Debug, Serialize)]
struct HeldRole {
    account: String,
    /// Not there for one on the instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<String>,
    role: Role,
}

/// Does it and prints what came of it.
pub(super) fn run(command: &RoleCommand) -> ExitCode {
    match command {
        RoleCommand::List(arguments) => {
            arguments.server.answer(async |client| list(client, arguments).await, table)
        }
        RoleCommand::Grant(GrantArguments { place, role: given, server }) => {
            let request = RoleRequest {
                role: match given {
                    Given::Admin => Role::Admin,
                    Given::Viewer => Role::Viewer,
                    Given::Uploader => Role::Uploader,
                },
            };
            server.answer(
                async |client| Ok(client.put::<Roles>(place.resource(), &request).await?),
                |_| format!("{} is {} {}\n", place.account, role(request.role), place.text()),
            )
        }
        RoleCommand::Revoke(RevokeArguments { place, server }) => server.answer(
            async |client| Ok(client.remove::<Roles>(place.resource()).await?),
            |_| format!("{} has no role {}\n", place.account, place.text()),
        ),
    }
}

async fn list(client: &AdminClient, arguments: &ListArguments) -> Result<Held, Refusal> {
    if let Some(registry) = &arguments.registry {
        let list = Resource::new(&["registries", registry, "members"]);
        let members = server::all::<Members>(client, list).await?.members.into_iter();
        let held = |member: strata_frontend_http::document::Member| HeldRole {
            account: member.account,
            registry: Some(registry.clone()),
            role: member.role,
        };
        return Ok(Held { roles: members.map(held).collect() });
    }
    let accounts = match &arguments.account {
        Some(name) => vec![client.get::<Account>(Resource::new(&["accounts", name])).await?],
        None => server::all::<Accounts>(client, Resource::new(&["accounts"])).await?.accounts,
    };
    Ok(Held { roles: accounts.into_iter().flat_map(held_by).collect() })
}

fn held_by(account: Account) -> Vec<HeldRole> {
    let Roles { instance, registries } = account.roles;
    let held = registries.into_iter().map(|(name, role)| (Some(name), role));
    let held = instance.map(|role| (None, role)).into_iter().chain(held);
    held.map(|(registry, role)| HeldRole { account: account.name.clone(), registry, role }).collect()
}

fn table(held: &Held) -> String {
    let mut table = Table::new(&["ACCOUNT", "REGISTRY", "ROLE"]);
    for HeldRole { account, registry, role: held } in &held.roles {
        let registry = registry.clone().unwrap_or_else(|| "(the instance)".to_owned());
        table.row([account.clone(), registry, role(*held).to_owned()]);
    }
    table.text("no roles were found")
}
