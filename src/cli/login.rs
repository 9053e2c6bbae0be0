//! `strata login`, `strata logout`: an access key that is kept for a server, so that commands need not be told it.
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use strata_frontend_http::document::{Session, Who};
use strata_registry::Secret;

use super::credentials::{AccessKey, CredentialsFile};
use super::place::Refusal;
use super::prompt;
use super::server::{ServerArguments, show, wait};

#[derive(Debug, Args)]
pub(super) struct LoginArguments {
    /// The id of the access key; asked for at a terminal
    #[arg(long, value_name = "ID", env = "STRATA_KEY_ID", hide_env_values = true)]
    key_id: Option<String>,
    /// Reads the secret from the first line of standard input, where it is not to be typed at a terminal
    #[arg(long)]
    secret_stdin: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Args)]
pub(super) struct LogoutArguments {
    #[command(flatten)]
    server: ServerArguments,
}

/// What a login came to. Without the secret.
#[derive(Debug, Serialize)]
struct LoggedIn {
    server: String,
    account: String,
    key: String,
}

/// What a logout came to.
#[derive(Debug, Serialize)]
struct LoggedOut {
    server: String,
    was_logged_in: bool,
}

/// Asks the server who the key is, and keeps it.
pub(super) fn run_login(arguments: &LoginArguments) -> ExitCode {
    match login(arguments) {
        Ok(done) => show(arguments.server.json, &done, |done| {
            format!("logged in to {} as {}, with the key {}\n", done.server, done.account, done.key)
        }),
        Err(refusal) => refusal.report(),
    }
}

/// Forgets the key of a server.
pub(super) fn run_logout(arguments: &LogoutArguments) -> ExitCode {
    match logout(arguments) {
        Ok(done) => show(arguments.server.json, &done, |done| {
            let LoggedOut { server, was_logged_in } = done;
            if *was_logged_in {
                format!("logged out of {server}; the key itself can still be used by whoever has it\n")
            } else {
                format!("there was no login to {server}\n")
            }
        }),
        Err(refusal) => refusal.report(),
    }
}

fn login(arguments: &LoginArguments) -> Result<LoggedIn, Refusal> {
    let file = file()?;
    // Before anything is asked: a file that cannot be used is no place for a secret.
    file.read()?;
    let client = arguments.server.stranger()?;
    if client.is_in_the_open() {
        eprintln!("strata: {} has no TLS: whoever is on the way there can read the secret", client.origin());
    }
    let key = key(arguments, client.origin())?;
    let client = client.with_key(&key.id, key.secret.expose())?;
    let session: Session = wait(async { Ok(client.get("/api/v1/session").await?) })?;
    let (Who::Account, Some(account)) = (session.who, session.account) else {
        let origin = client.origin();
        return Err(Refusal::new(format!("{origin} has no accounts: there is nothing to log in to")));
    };
    let (server, id) = (client.origin().to_owned(), key.id.clone());
    file.change(|kept| kept.servers.insert(server.clone(), key))?;
    Ok(LoggedIn { server, account: account.name, key: id })
}

/// What is typed, or piped.
fn key(arguments: &LoginArguments, server: &str) -> Result<AccessKey, Refusal> {
    let attended = prompt::is_attended();
    let id = match &arguments.key_id {
        Some(id) => id.clone(),
        None if attended && !arguments.secret_stdin => prompt::ask(&format!("id of the key for {server}: "))?,
        None => return Err(Refusal::wrong_use("say which key it is, with --key-id ID")),
    };
    let secret = if arguments.secret_stdin {
        Secret::new(prompt::line()?)
    } else if attended {
        prompt::secret("secret: ")?
    } else {
        return Err(Refusal::wrong_use(
            "there is no terminal to ask for the secret: give it on standard input, with --secret-stdin",
        ));
    };
    Ok(AccessKey { id, secret })
}

fn logout(arguments: &LogoutArguments) -> Result<LoggedOut, Refusal> {
    let file = file()?;
    let server = arguments.server.stranger()?.origin().to_owned();
    // Nothing is written where nothing is kept.
    let was_logged_in = file.read()?.servers.contains_key(&server)
        && file.change(|kept| kept.servers.remove(&server).is_some())?;
    Ok(LoggedOut { server, was_logged_in })
}

fn file() -> Result<CredentialsFile, Refusal> {
    CredentialsFile::find().ok_or_else(|| {
        Refusal::new("there is nowhere to keep a key: neither HOME nor XDG_CONFIG_HOME names a directory")
    })
}
