//! Commands that ask a running server: which one, with which key, and how its answers are shown.
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use strata_frontend_http::document::{Session, Who};
use strata_frontend_http::{AdminClient, ClientError, Resource};

use super::credentials::{self, CredentialsFile};
use super::place::Refusal;
use super::{fail, print};

/// Where `strata serve` listens if nothing else is said.
const HERE: &str = "http://127.0.0.1:5000";

/// Entries that are asked for at a time.
pub(super) const PAGE: usize = 1000;

#[derive(Debug, Args)]
pub(super) struct ServerArguments {
    /// The server, such as `https://registry.example` [default: the one that `strata login` keeps a key for, else `http://127.0.0.1:5000`]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Certificates to trust (PEM), for a server with https [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Prints the answer as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl ServerArguments {
    /// A client that shows no key.
    pub(super) fn stranger(&self) -> Result<AdminClient, Refusal> {
        Ok(AdminClient::new(&self.url()?, self.ca.as_deref())?)
    }

    /// A client with the key that is there for the server.
    pub(super) fn client(&self) -> Result<AdminClient, Refusal> {
        connect(&self.url()?, self.ca.as_deref())
    }

    /// Asks the server, and prints what it answers.
    pub(super) fn answer<D: Serialize>(
        &self,
        question: impl AsyncFnOnce(&AdminClient) -> Result<D, Refusal>,
        text: impl FnOnce(&D) -> String,
    ) -> ExitCode {
        match self.ask(question) {
            Ok(document) => show(self.json, &document, text),
            Err(refusal) => refusal.report(),
        }
    }

    /// Asks the server.
    pub(super) fn ask<D>(
        &self,
        question: impl AsyncFnOnce(&AdminClient) -> Result<D, Refusal>,
    ) -> Result<D, Refusal> {
        let client = self.client()?;
        wait(question(&client))
    }

    fn url(&self) -> Result<String, Refusal> {
        if let Some(url) = &self.server {
            return Ok(url.clone());
        }
        Ok(of_login("")?.unwrap_or_else(|| HERE.to_owned()))
    }
}

/// The one server that `strata login` keeps a key for. Where these are several, `or` is what else can be said than `--server`.
pub(super) fn of_login(or: &str) -> Result<Option<String>, Refusal> {
    let Some(file) = CredentialsFile::find() else { return Ok(None) };
    let mut servers = file.read()?.servers.into_keys();
    let first = servers.next();
    if servers.next().is_some() {
        let why = format!("keys of several servers are kept: say which one is meant with --server URL{or}");
        return Err(Refusal::wrong_use(why));
    }
    Ok(first)
}

/// A client of the server at `url` with the key that is there for it: that of the environment, else the one that `strata login` keeps.
pub(super) fn connect(url: &str, ca: Option<&Path>) -> Result<AdminClient, Refusal> {
    let client = AdminClient::new(url, ca)?;
    let key = match (credentials::of_environment()?, CredentialsFile::find()) {
        (Some(key), _) => Some(key),
        (None, Some(file)) => file.read()?.servers.remove(client.origin()),
        (None, None) => None,
    };
    Ok(match key {
        Some(key) => client.with_key(&key.id, key.secret.expose())?,
        None => client,
    })
}

/// Does on this thread what has to be waited for.
pub(super) fn wait<D>(work: impl Future<Output = Result<D, Refusal>>) -> Result<D, Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| Refusal::new(format!("the operating system refuses what is needed: {error}")))?;
    runtime.block_on(work)
}

/// Prints a document as one line of JSON, or as text.
pub(super) fn show<D: Serialize>(json: bool, document: &D, text: impl FnOnce(&D) -> String) -> ExitCode {
    if !json {
        return print(&text(document));
    }
    match serde_json::to_string(document) {
        Ok(json) => print(&format!("{json}\n")),
        Err(error) => fail(&error, 1),
    }
}

/// A page of a list.
pub(super) trait Page: DeserializeOwned {
    /// The cursor of the page behind it.
    fn take_next(&mut self) -> Option<String>;
    /// Puts a later page behind it.
    fn append(&mut self, later: Self);
}

macro_rules! pages {
    ($($document:ident of $entries:ident,)+) => {
        $(impl Page for strata_frontend_http::document::$document {
            fn take_next(&mut self) -> Option<String> {
                self.next.take()
            }

            fn append(&mut self, later: Self) {
                self.$entries.extend(later.$entries);
                self.next = later.next;
            }
        })+
    };
}

pages! {
    Accounts of accounts,
    Registries of registries,
    Members of members,
    Images of images,
    Artifacts of artifacts,
    Tags of tags,
    TagHistory of moves,
}

/// All pages of a list, as one.
pub(super) async fn all<P: Page>(client: &AdminClient, list: Resource) -> Result<P, ClientError> {
    let list = list.with("limit", PAGE);
    let mut all: P = client.get(list.clone()).await?;
    while let Some(cursor) = all.take_next() {
        all.append(client.get(list.clone().with("cursor", cursor)).await?);
    }
    Ok(all)
}

/// The account of the one who asks.
pub(super) async fn own_account(client: &AdminClient) -> Result<String, Refusal> {
    let session: Session = client.get("/api/v1/session").await?;
    match (session.who, session.account) {
        (Who::Account, Some(account)) => Ok(account.name),
        (Who::Anonymous, _) => Err(Refusal::new(format!(
            "the server at {url} does not know who you are: strata login --server {url}",
            url = client.url()
        ))),
        _ => Err(Refusal::wrong_use(format!(
            "the server at {} has nobody log in: say which account is meant",
            client.url()
        ))),
    }
}
