//! Where an operator's command works: at a running server, or on a data directory that no server uses.
//!
//! Each command asks one question of either ([`PlaceArguments::ask`]) and gets a document of the admin API from both, which it then shows
//! as text or as JSON.
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use strata_engine::{Engine, EngineConfig, EngineError};
use strata_frontend_http::{AdminClient, ClientError};
use strata_registry::{Context, Registry, RegistryError};

use super::table::plain;
use super::{fail, server};
use crate::config::{Config, Flags, KEYS, Settings};
use crate::wiring::{engine_config, registry_config};

#[derive(Debug, Args)]
pub(super) struct PlaceArguments {
    /// Asks the server at this address, such as http://localhost:5000; where it has accounts, with the access key that `strata login` keeps, or
    /// that STRATA_KEY_ID and STRATA_KEY_SECRET name [default: the one that `strata login` keeps a key for, unless a data directory is named]
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    server: Option<String>,
    /// Certificates to trust (PEM), for a server with https [default: those of the system]
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    ca: Option<PathBuf>,
    /// Works on this data directory, which no server may be using [STRATA_STORAGE_DATA, default: ./strata-data]
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Configuration file (TOML), for the data directory named in it and how it is kept
    #[arg(long, env = "STRATA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Prints the answer as one JSON document
    #[arg(long)]
    json: bool,
}

/// Where a command works.
#[derive(Debug)]
pub(super) enum Place {
    /// At a running server.
    Server(AdminClient),
    /// On a data directory, alone.
    Directory(Box<Opened>),
}

/// An open data directory. Closed when dropped.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) registry: Registry,
    engine: Engine,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.engine.close();
    }
}

impl Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.message)
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(super) struct Refusal {
    message: String,
    code: u8,
}

impl Refusal {
    /// It could not be done.
    pub(super) fn new(message: impl Display) -> Refusal {
        Refusal { message: message.to_string(), code: 1 }
    }

    /// It was asked for in a wrong way.
    pub(super) fn wrong_use(message: impl Display) -> Refusal {
        Refusal { message: message.to_string(), code: 2 }
    }

    /// Says it on stderr, with an exit code of the command's own.
    pub(super) fn report_as(&self, code: u8) -> ExitCode {
        fail(&self.message, code)
    }

    /// Says it on stderr.
    pub(super) fn report(&self) -> ExitCode {
        fail(&self.message, self.code)
    }
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Refusal {
        if error.is_wrong_use() {
            return Refusal::wrong_use(error);
        }
        let lines = [Some(error.to_string()), advice(&error)];
        // What a server says cannot move the cursor of the terminal.
        let lines: Vec<String> = lines.iter().flatten().map(|line| plain(line)).collect();
        Refusal::new(lines.join("\n  "))
    }
}

/// What can be done about what a server refuses.
fn advice(error: &ClientError) -> Option<String> {
    let ClientError::Refused { url, status, .. } = error else { return None };
    match status {
        401 => Some(format!("Log in with an access key: strata login --server {url}")),
        412 => Some("Somebody changed it meanwhile: look at it again.".to_owned()),
        429 => Some("Wait a little, then try again.".to_owned()),
        _ => None,
    }
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Refusal {
        // Whoever works on the directory itself may see all that lies behind.
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        Refusal::new(text)
    }
}

/// The circumstances under which the command line calls a use case itself.
pub(super) fn context() -> Context {
    Context::everyone("command-line", None)
}

impl PlaceArguments {
    /// Opens the place, asks, closes it.
    pub(super) fn ask<D>(
        &self,
        question: impl AsyncFnOnce(&Place) -> Result<D, Refusal>,
    ) -> Result<D, Refusal> {
        // Before the runtime: an open store must be closed where blocking is allowed.
        let place = self.open()?;
        server::wait(question(&place))
    }

    /// Prints an answer.
    pub(super) fn show<D: Serialize>(&self, document: &D, text: impl FnOnce(&D) -> String) -> ExitCode {
        server::show(self.json, document, text)
    }

    fn open(&self) -> Result<Place, Refusal> {
        if let Some(url) = self.url()? {
            return Ok(Place::Server(server::connect(&url, self.ca.as_deref())?));
        }
        if self.ca.is_some() {
            return Err(Refusal::wrong_use("--ca is for a server: say which one with --server URL"));
        }
        let settings = self.settings()?;
        let mut config = engine_config(&settings);
        // A command does what it was asked for and nothing besides.
        config.gc.interval = Duration::ZERO;
        config.upgrade = false;
        let directory = config.data_dir.clone();
        // Whoever means a server and does not say so should learn how.
        let advice = if self.data.is_none() { ". To ask a server, say --server URL" } else { "" };
        let cannot = |why: String| {
            Refusal::new(format!("cannot open the data directory {}: {why}", directory.display()))
        };
        refuse_empty(&directory).map_err(|why| cannot(why + advice))?;
        let engine = open(config).map_err(cannot)?;
        let registry = Registry::open(engine.clone(), registry_config(&settings))?;
        Ok(Place::Directory(Box::new(Opened { registry, engine })))
    }

    /// The server that is meant: the one that is named, else the one of the login, unless a data directory is named.
    fn url(&self) -> Result<Option<String>, Refusal> {
        let names_directory =
            self.data.is_some() || self.config.is_some() || std::env::var_os("STRATA_STORAGE_DATA").is_some();
        match &self.server {
            Some(url) => Ok(Some(url.clone())),
            None if names_directory => Ok(None),
            None => server::of_login(", or which data directory with --data PATH"),
        }
    }

    fn settings(&self) -> Result<Settings, Refusal> {
        load(self.config.as_deref(), self.data.as_deref()).map_err(Refusal::wrong_use)
    }
}

/// The settings that count for a data directory.
pub(super) fn load(config: Option<&Path>, data: Option<&str>) -> Result<Settings, String> {
    let key = KEYS.iter().find(|key| key.table == "storage" && key.field == "data");
    let flags: Flags = key.zip(data).map(|(key, path)| (key, vec![path.to_owned()])).into_iter().collect();
    let loaded = Config::load(config, std::env::vars_os(), flags);
    loaded.map(|config| config.settings).map_err(|problems| problems.to_string())
}

/// Refuses what no server has ever used: a wrong path is no new store.
pub(super) fn refuse_empty(directory: &Path) -> Result<(), String> {
    match fs::read_dir(directory).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Err("it is empty, no server has used it yet".to_owned()),
        Ok(false) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn open(config: EngineConfig) -> Result<Engine, String> {
    Engine::open(config).map_err(|error| match error {
        EngineError::Locked { .. } => {
            format!("{error}. Ask the server that uses it, with --server http://HOST:PORT")
        }
        other => other.to_string(),
    })
}
