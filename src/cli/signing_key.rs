//! `strata signing-key list|rotate`: the keys that tokens are signed with.
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use strata_frontend_http::document::{SigningKey, SigningKeys};

use super::server::ServerArguments;
use super::table::Table;
use super::when;

const PATH: &str = "/api/v1/signing-keys";

#[derive(Debug, Subcommand)]
pub(super) enum SigningKeyCommand {
    /// Lists the signing keys, newest first.
    List(SigningKeyArguments),
    /// Makes a new key sign. Tokens of the one before count to their end.
    Rotate(SigningKeyArguments),
}

#[derive(Debug, Args)]
pub(super) struct SigningKeyArguments {
    #[command(flatten)]
    server: ServerArguments,
}

/// Does it and prints what came of it.
pub(super) fn run(command: &SigningKeyCommand) -> ExitCode {
    match command {
        SigningKeyCommand::List(SigningKeyArguments { server }) => {
            server.answer(async |client| Ok(client.get::<SigningKeys>(PATH).await?), table)
        }
        SigningKeyCommand::Rotate(SigningKeyArguments { server }) => server.answer(
            async |client| Ok(client.post::<SigningKey>(PATH, &json!({})).await?),
            |key| format!("tokens are signed with the key {} from now on\n", key.id),
        ),
    }
}

fn table(found: &SigningKeys) -> String {
    let mut table = Table::new(&["ID", "CREATED", "STATE"]);
    for key in &found.keys {
        let state = match key.retired_at_millis {
            None => "signs".to_owned(),
            Some(at) => format!("retired {}", when::shown(at)),
        };
        table.row([key.id.clone(), when::shown(key.created_at_millis), state]);
    }
    table.text("the server signs no tokens: it has no accounts")
}
