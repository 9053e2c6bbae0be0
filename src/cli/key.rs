//! `strata key list|create|disable|enable|delete`: access keys, one's own or, for administrators, those of any account.
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use strata_frontend_http::document::{
    Account, Key, KeyChangeRequest, KeyRequest, Keys, Narrowing, NarrowingRequest, NewKey, State,
};
use strata_frontend_http::{AdminClient, Resource};

use super::account::state;
use super::place::Refusal;
use super::prompt::confirm;
use super::server::{self, ServerArguments};
use super::table::{Table, parts};
use super::when::{self, When};
use super::wording::{count, verb};

/// All that a key can be narrowed to.
const ACTIONS: [&str; 3] = ["pull", "push", "delete"];

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Lists the keys of an account, oldest first.
    List(ListArguments),
    /// Makes a key and prints its secret, which nobody can be told again.
    Create(CreateArguments),
    /// Lets nobody in with a key, from the next request on.
    Disable(ChangeArguments),
    /// Lets a disabled key in again.
    Enable(ChangeArguments),
    /// Deletes a key.
    Delete(DeleteArguments),
}

/// Whose keys.
#[derive(Debug, Args)]
struct Owner {
    /// The account [default: one's own]
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    #[command(flatten)]
    server: ServerArguments,
}

impl Owner {
    async fn name(&self, client: &AdminClient) -> Result<String, Refusal> {
        match &self.account {
            Some(name) => Ok(name.clone()),
            None => server::own_account(client).await,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    owner: Owner,
}

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// From when on it cannot be used: a moment in UTC, such as 2027-01-31, or how long from now, such as 30d [default: never]
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    expires: Option<When>,
    /// Narrows a robot's key to images that fit this, such as "hy/app-*": * stands for anything within a segment, ** for anything; can be given again
    #[arg(long, value_name = "PATTERN")]
    repository: Vec<String>,
    /// Narrows a robot's key to this: pull, push or delete; can be given again
    #[arg(long, value_name = "ACTION", value_parser = ACTIONS)]
    action: Vec<String>,
    #[command(flatten)]
    owner: Owner,
}

#[derive(Debug, Args)]
pub(super) struct ChangeArguments {
    /// Its id
    #[arg(value_name = "KEY")]
    id: String,
    /// Only if its account still has this revision, as `strata account show --json` tells it
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
    #[command(flatten)]
    owner: Owner,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArguments {
    /// Asks nobody
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    which: ChangeArguments,
}

/// Does it and prints what came of it.
pub(super) fn run(command: &KeyCommand) -> ExitCode {
    match command {
        KeyCommand::List(ListArguments { owner }) => owner.server.answer(
            async |client| {
                let account = owner.name(client).await?;
                Ok(client.get::<Keys>(Resource::new(&["accounts", &account, "keys"])).await?)
            },
            table,
        ),
        KeyCommand::Create(arguments) => create(arguments),
        KeyCommand::Disable(arguments) => change(arguments, State::Disabled),
        KeyCommand::Enable(arguments) => change(arguments, State::Enabled),
        KeyCommand::Delete(arguments) => delete(arguments),
    }
}

fn create(arguments: &CreateArguments) -> ExitCode {
    let CreateArguments { description, expires, repository, action, owner } = arguments;
    let is_narrowed = !repository.is_empty() || !action.is_empty();
    let all = |given: &[String], all: &[&str]| {
        if given.is_empty() { all.iter().map(|word| (*word).to_owned()).collect() } else { given.to_vec() }
    };
    let request = KeyRequest {
        description: description.clone(),
        expires_at_millis: expires.map(When::to_come),
        narrowing: is_narrowed.then(|| NarrowingRequest {
            repositories: all(repository, &["**"]),
            actions: all(action, &ACTIONS),
        }),
    };
    let made = owner.server.ask(async |client| {
        let account = owner.name(client).await?;
        Ok(client.post::<NewKey>(Resource::new(&["accounts", &account, "keys"]), &request).await?)
    });
    match made {
        Ok(made) => {
            // Beside the answer, so that the answer is the key and nothing else.
            eprintln!("strata: the secret is shown this once; keep it now");
            server::show(owner.server.json, &made, new_text)
        }
        Err(refusal) => refusal.report(),
    }
}

fn change(arguments: &ChangeArguments, to: State) -> ExitCode {
    let ChangeArguments { id, revision, owner } = arguments;
    let request = KeyChangeRequest { state: Some(to), ..KeyChangeRequest::default() };
    owner.server.answer(
        async |client| {
            let account = owner.name(client).await?;
            let resource = Resource::new(&["accounts", &account, "keys", id]).at(*revision);
            Ok(client.patch::<Key>(resource, &request).await?)
        },
        |key| format!("the key {} is {}\n", key.id, state(key.state)),
    )
}

fn delete(arguments: &DeleteArguments) -> ExitCode {
    let ChangeArguments { id, revision, owner } = &arguments.which;
    owner.server.answer(
        async |client| {
            let account = owner.name(client).await?;
            let seen: Account = client.get(Resource::new(&["accounts", &account])).await?;
            let resource = Resource::new(&["accounts", &account, "keys", id]);
            let key: Key = client.get(resource.clone()).await?;
            confirm(arguments.yes, &format!("delete the key {id} of {account}, {}", used(&key)))?;
            // What was shown is what goes.
            client.delete(resource.at(Some(revision.unwrap_or(seen.revision)))).await?;
            Ok(json!({ "deleted": id }))
        },
        |_| format!("deleted the key {id}\n"),
    )
}

fn used(key: &Key) -> String {
    match key.used_at_millis {
        Some(at) => format!("last used {}", when::shown(at)),
        None => "never used".to_owned(),
    }
}

fn table(found: &Keys) -> String {
    let mut table =
        Table::new(&["ID", "STATE", "CREATED", "AGE", "LAST USED", "EXPIRES", "NARROWED TO", "DESCRIPTION"]);
    for key in &found.keys {
        let old = if key.is_old { ", old" } else { "" };
        table.row([
            key.id.clone(),
            if has_expired(key) { "expired" } else { state(key.state) }.to_owned(),
            when::shown(key.created_at_millis),
            count(key.age_days, "day") + old,
            when::shown_or_never(key.used_at_millis),
            when::shown_or_never(key.expires_at_millis),
            key.narrowing.as_ref().map_or_else(|| "-".to_owned(), narrowed),
            key.description.clone(),
        ]);
    }
    let mut text = table.text("the account has no keys");
    let old = found.keys.iter().filter(|key| key.is_old).count() as u64;
    if old > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} {} older than 90 days: make a new one (`strata key create`), then delete the old one",
            count(old, "key"),
            verb(old)
        );
    }
    text
}

fn has_expired(key: &Key) -> bool {
    key.expires_at_millis.is_some_and(|at| at <= when::now())
}

/// `pull push of hy/*`.
fn narrowed(narrowing: &Narrowing) -> String {
    format!("{} of {}", narrowing.actions.join(" "), narrowing.repositories.join(" "))
}

fn new_text(made: &NewKey) -> String {
    parts(&[
        ("id", Some(made.key.id.clone())),
        ("secret", Some(made.secret.clone())),
        ("expires", made.key.expires_at_millis.map(when::shown)),
        ("narrowed to", made.key.narrowing.as_ref().map(narrowed)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(age_days: u64) -> Key {
        Key {
            id: "SKA".to_owned(),
            state: State::Enabled,
            description: String::new(),
            created_at_millis: 0,
            age_days,
            is_old: age_days > 90,
            expires_at_millis: None,
            used_at_millis: None,
            narrowing: None,
        }
    }

    #[test]
    fn old_keys_are_marked_and_told() {
        assert_eq!(table(&Keys { keys: Vec::new() }), "the account has no keys\n");
        let text = table(&Keys { keys: vec![key(91), key(90)] });
        assert!(text.contains("91 days, old") && text.contains("90 days  "), "{text}");
        assert!(text.contains("1 key is older than 90 days"), "{text}");
        let text = table(&Keys { keys: vec![Key { expires_at_millis: Some(1), ..key(1) }] });
        assert!(text.contains("expired") && !text.contains("older than"), "{text}");
    }
}
