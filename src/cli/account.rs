//! `strata account list|show|create|change|delete`: who may come.
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use strata_frontend_http::Resource;
use strata_frontend_http::document::{
    Account, AccountChangeRequest, AccountKind, AccountRequest, Accounts, Role, Roles, State,
};

use super::prompt::confirm;
use super::server::{self, ServerArguments};
use super::table::{Table, parts};
use super::when;
use super::wording::count;

#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Lists accounts.
    List(ListArguments),
    /// Shows an account with its roles; one's own, where none is named.
    Show(ShowArguments),
    /// Makes an account. It needs a key (`strata key create`) and a role (`strata role grant`) to be of use.
    Create(CreateArguments),
    /// Changes an account; what is not said stays.
    Change(ChangeArguments),
    /// Deletes an account with its keys and roles.
    Delete(DeleteArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Only those whose name or e-mail address holds this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// Its name
    #[arg(value_name = "ACCOUNT")]
    name: Option<String>,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// Its name, which never changes
    #[arg(value_name = "ACCOUNT")]
    name: String,
    /// A program's: its keys can be narrowed to images and actions
    #[arg(long)]
    robot: bool,
    /// Where its owner can be reached
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArguments {
    /// Its name
    #[arg(value_name = "ACCOUNT")]
    name: String,
    #[command(flatten)]
    change: Change,
    /// Only if it still has this revision, as `show --json` tells it
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// Where its owner can be reached; "" for nowhere
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Lets its keys in again
    #[arg(long)]
    enable: bool,
    /// Lets none of its keys in, from the next request on
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArguments {
    /// Its name
    #[arg(value_name = "ACCOUNT")]
    name: String,
    /// Asks nobody
    #[arg(long)]
    yes: bool,
    /// Only if it still has this revision, as `show --json` tells it
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
    #[command(flatten)]
    server: ServerArguments,
}

fn resource(name: &str) -> Resource {
    Resource::new(&["accounts", name])
}

/// Does it and prints what came of it.
pub(super) fn run(command: &AccountCommand) -> ExitCode {
    match command {
        AccountCommand::List(arguments) => arguments.server.answer(
            async |client| {
                let list = Resource::new(&["accounts"]).with_some("search", arguments.search.as_ref());
                Ok(server::all::<Accounts>(client, list).await?)
            },
            table,
        ),
        AccountCommand::Show(arguments) => arguments.server.answer(
            async |client| {
                let name = match &arguments.name {
                    Some(name) => name.clone(),
                    None => server::own_account(client).await?,
                };
                Ok(client.get::<Account>(resource(&name)).await?)
            },
            text,
        ),
        AccountCommand::Create(arguments) => create(arguments),
        AccountCommand::Change(arguments) => change(arguments),
        AccountCommand::Delete(arguments) => delete(arguments),
    }
}

fn create(arguments: &CreateArguments) -> ExitCode {
    let request = AccountRequest {
        name: arguments.name.clone(),
        kind: if arguments.robot { AccountKind::Robot } else { AccountKind::Person },
        email: arguments.email.clone(),
    };
    arguments.server.answer(
        async |client| Ok(client.post::<Account>(Resource::new(&["accounts"]), &request).await?),
        |account| format!("made the account {}\n", account.name),
    )
}

fn change(arguments: &ChangeArguments) -> ExitCode {
    let Change { email, enable, disable } = &arguments.change;
    let request = AccountChangeRequest {
        email: email.clone().map(|address| Some(address).filter(|address| !address.is_empty())),
        state: match (enable, disable) {
            (true, _) => Some(State::Enabled),
            (_, true) => Some(State::Disabled),
            (false, false) => None,
        },
    };
    let resource = resource(&arguments.name).at(arguments.revision);
    arguments.server.answer(async |client| Ok(client.patch::<Account>(resource, &request).await?), text)
}

fn delete(arguments: &DeleteArguments) -> ExitCode {
    let name = &arguments.name;
    arguments.server.answer(
        async |client| {
            let account: Account = client.get(resource(name)).await?;
            let keys = count(account.keys as u64, "key");
            confirm(arguments.yes, &format!("delete the account {name} with {keys} and its roles"))?;
            // What was shown is what goes.
            let revision = arguments.revision.unwrap_or(account.revision);
            client.delete(resource(name).at(Some(revision))).await?;
            Ok(json!({ "deleted": name }))
        },
        |_| format!("deleted the account {name}\n"),
    )
}

fn table(found: &Accounts) -> String {
    let mut table =
        Table::new(&["NAME", "KIND", "STATE", "INSTANCE", "REGISTRIES", "KEYS", "CREATED", "E-MAIL"]);
    for account in &found.accounts {
        table.row([
            account.name.clone(),
            kind(account.kind).to_owned(),
            state(account.state).to_owned(),
            account.roles.instance.map_or("-", role).to_owned(),
            on_registries(&account.roles).unwrap_or_else(|| "-".to_owned()),
            account.keys.to_string(),
            when::shown(account.created_at_millis),
            account.email.clone().unwrap_or_default(),
        ]);
    }
    table.text("no accounts were found")
}

fn text(account: &Account) -> String {
    let made = when::shown(account.created_at_millis);
    let by = account.created_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    parts(&[
        ("name", Some(account.name.clone())),
        ("kind", Some(kind(account.kind).to_owned())),
        ("state", Some(state(account.state).to_owned())),
        ("e-mail", account.email.clone()),
        ("on the instance", account.roles.instance.map(|held| role(held).to_owned())),
        ("in registries", on_registries(&account.roles)),
        ("keys", Some(account.keys.to_string())),
        ("created", Some(made + &by)),
        ("revision", Some(account.revision.to_string())),
    ])
}

/// `hy uploader, zz viewer`.
fn on_registries(roles: &Roles) -> Option<String> {
    let held: Vec<String> =
        roles.registries.iter().map(|(name, held)| format!("{name} {}", role(*held))).collect();
    Some(held.join(", ")).filter(|text| !text.is_empty())
}

const fn kind(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Person => "person",
        AccountKind::Robot => "robot",
    }
}

/// The word for it.
pub(super) const fn state(state: State) -> &'static str {
    match state {
        State::Enabled => "enabled",
        State::Disabled => "disabled",
    }
}

/// The word for it.
pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Viewer => "viewer",
        Role::Uploader => "uploader",
    }
}
