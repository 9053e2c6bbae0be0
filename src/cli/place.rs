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

use super::{fail, print};
use crate::config::{Config, Flags, KEYS, Settings};
use crate::wiring::{engine_config, registry_config};

#[derive(Debug, Args)]
pub(super) struct PlaceArguments {
    /// Asks the server at this address, such as http://localhost:5000; where it has accounts, with the access key that STRATA_KEY_ID and
    /// STRATA_KEY_SECRET name
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    server: Option<String>,
    /// Certificates to trust (PEM), for a server with https [default: those of the system]
    #[arg(long, value_name = "FILE", requires = "server")]
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
        if error.is_wrong_use() { Refusal::wrong_use(error) } else { Refusal::new(error) }
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

/// The access key to show, from the environment: an argument could be read by everybody on the machine.
fn key() -> Result<Option<(String, String)>, Refusal> {
    const NAMES: [&str; 2] = ["STRATA_KEY_ID", "STRATA_KEY_SECRET"];
    match NAMES.map(|name| std::env::var(name).ok().filter(|value| !value.is_empty())) {
        [Some(id), Some(secret)] => Ok(Some((id, secret))),
        [None, None] => Ok(None),
        [Some(_), None] => Err(Refusal::wrong_use("STRATA_KEY_ID is set and STRATA_KEY_SECRET is not")),
        [None, Some(_)] => Err(Refusal::wrong_use("STRATA_KEY_SECRET is set and STRATA_KEY_ID is not")),
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime
            .map_err(|error| Refusal::new(format!("the operating system refuses what is needed: {error}")))?;
        runtime.block_on(question(&place))
    }

    /// Prints an answer.
    pub(super) fn show<D: Serialize>(&self, document: &D, text: impl FnOnce(&D) -> String) -> ExitCode {
        if !self.json {
            return print(&text(document));
        }
        match serde_json::to_string(document) {
            Ok(json) => print(&format!("{json}\n")),
            Err(error) => fail(&error, 1),
        }
    }

    fn open(&self) -> Result<Place, Refusal> {
        if let Some(url) = &self.server {
            let client = AdminClient::new(url, self.ca.as_deref())?;
            return Ok(Place::Server(match key()? {
                Some((id, secret)) => client.with_key(&id, &secret)?,
                None => client,
            }));
        }
        let settings = self.settings()?;
        let mut config = engine_config(&settings);
        // A command does what it was asked for and nothing besides.
        config.gc.interval = Duration::ZERO;
        config.upgrade = false;
        let directory = config.data_dir.clone();
        let cannot = |why: String| {
            Refusal::new(format!("cannot open the data directory {}: {why}", directory.display()))
        };
        refuse_empty(&directory).map_err(cannot)?;
        let engine = open(config).map_err(cannot)?;
        let registry = Registry::open(engine.clone(), registry_config(&settings))?;
        Ok(Place::Directory(Box::new(Opened { registry, engine })))
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
