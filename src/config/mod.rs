//! Configuration: flag > environment > file > default, in two steps. [`Layers`] hold what was written, with its place;
//! [`Settings`] are typed and checked. `wiring` turns settings into what each crate wants; no crate knows the file.
use std::ffi::OsString;
use std::path::Path;

use strata_transport::address::Address;

mod key;
mod layers;
mod listener;
mod log_level;
mod namespace;
mod problem;
mod reference;
mod setting;
mod settings;
mod size;
mod socket;
mod span;
mod validate;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use key::Key;
pub(crate) use listener::Listener;
pub(crate) use log_level::LogLevel;
pub(crate) use problem::Problems;
pub(crate) use reference::{default_toml, effective_toml, markdown};
pub(crate) use setting::Form;
pub(crate) use settings::{Auth, AuthMode, Gc, Io, KEYS, ListenerScope, LogFormat, Settings, VerifyOnRead};
pub(crate) use size::ByteSize;
pub(crate) use span::Span;

use layers::Layers;

/// The flags that were given: each key at most once, with its values in the order of writing.
pub(crate) type Flags = Vec<(&'static Key, Vec<String>)>;

/// A configuration that is right in itself: settings that read and fit together.
#[derive(Debug)]
pub(crate) struct Config {
    /// The typed settings.
    pub(crate) settings: Settings,
    /// Where to listen: the addresses of `http.listen` and the tables of `http.listener`.
    pub(crate) listeners: Vec<Listener>,
    /// The same for gRPC; may be none.
    pub(crate) grpc_listeners: Vec<Listener<Address>>,
    layers: Layers,
}

impl Config {
    /// Reads the file (if one is named), the environment and the flags.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: Flags,
    ) -> Result<Config, Problems> {
        let mut problems = Problems::default();
        let mut layers = Layers::new(KEYS);
        if let Some(path) = file {
            match std::fs::read_to_string(path) {
                Ok(text) => layers.add_file(path, &text, &mut problems),
                Err(error) => problems.push_general(format!("cannot read {}: {error}", path.display())),
            }
        }
        layers.add_environment(environment, &mut problems);
        for (key, values) in flags {
            layers.add_flag(key, &values);
        }
        let settings = Settings::read(&layers, &mut problems);
        match settings {
            Some(settings) => {
                let (listeners, grpc_listeners) = validate::check(&settings, &layers, &mut problems);
                if problems.is_empty() {
                    Ok(Config { settings, listeners, grpc_listeners, layers })
                } else {
                    Err(problems)
                }
            }
            None => Err(problems),
        }
    }

    /// Whether somebody has said where to listen for gRPC.
    pub(crate) fn is_grpc_written(&self) -> bool {
        ["listen", "listener"].iter().any(|field| self.layers.is_written("grpc", field))
    }

    /// Every setting as TOML, with the place where it was written behind it.
    pub(crate) fn effective_toml(&self) -> String {
        effective_toml(&self.layers)
    }
}
