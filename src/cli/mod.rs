//! The command line: what can be said, and which function does it. Exit codes: 0 done, 1 it could not be done (for
//! `check` and `scrub`: something was found), 2 wrong use (for those two: it could not be run).
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Problems};
use crate::wiring;

mod account;
mod artifact;
mod audit;
mod backup;
mod check;
mod credentials;
mod deleted;
mod flags;
mod gc;
mod image;
mod key;
mod login;
mod place;
mod prompt;
mod quarantine;
mod registry;
mod removal;
mod role;
mod scrub;
mod server;
mod signing_key;
mod status;
mod table;
mod tag;
mod when;
mod wording;

use flags::SettingFlags;

/// A container registry on its own storage engine.
#[derive(Debug, Parser)]
#[command(name = "strata", version, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves a data directory until SIGTERM or SIGINT.
    Serve(ConfigArguments),
    /// Keeps an access key for a server, after trying it.
    Login(login::LoginArguments),
    /// Forgets the access key of a server.
    Logout(login::LogoutArguments),
    /// Makes, shows, changes and deletes accounts of people and robots.
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Makes, lists, disables and deletes access keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Gives and takes roles, on the instance or in a registry.
    #[command(subcommand)]
    Role(role::RoleCommand),
    /// Says how a store is: at a running server (--server), or in a data directory that no process is using.
    Status(status::StatusArguments),
    /// Makes a backup of a store, also while a server uses it. To restore it, serve it.
    Backup(backup::BackupArguments),
    /// Removes now what is no longer needed, which a server also does by itself; or says what that would be.
    Gc(gc::GcArguments),
    /// Lists and restores what was deleted.
    #[command(subcommand)]
    Deleted(deleted::DeletedCommand),
    /// Makes, changes, lists and deletes registries: all images with the same first segment.
    #[command(subcommand)]
    Registry(registry::RegistryCommand),
    /// Lists, shows and deletes images (repositories).
    #[command(subcommand, alias = "repository")]
    Image(image::ImageCommand),
    /// Lists, shows and deletes the manifests of an image.
    #[command(subcommand)]
    Artifact(artifact::ArtifactCommand),
    /// Lists, shows, sets and deletes tags.
    #[command(subcommand)]
    Tag(tag::TagCommand),
    /// Says who did what, newest first; with --json an entry a line.
    Audit(audit::AuditArguments),
    /// Lists the keys that tokens are signed with, and makes a new one.
    #[command(subcommand)]
    SigningKey(signing_key::SigningKeyCommand),
    /// Checks a data directory that no process is using; changes nothing without --repair.
    Check(check::CheckArguments),
    /// Reads everything that is stored, at a running server (--server) or in a data directory that no process is using, and puts damaged blobs into quarantine.
    Scrub(scrub::ScrubArguments),
    /// Lists blobs whose bytes are bad, looks at one again, or gives one up.
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    /// Checks, shows or prints configurations.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Reads a configuration and says what is wrong with it.
    Check(ConfigArguments),
    /// Prints every value that counts and where it was written, as TOML.
    Show(ConfigArguments),
    /// Prints a file with every key, its documentation and its default.
    Default {
        /// Prints docs/config.md instead.
        #[arg(long)]
        markdown: bool,
    },
}

/// A file and single settings.
#[derive(Debug, Args)]
struct ConfigArguments {
    /// Configuration file (TOML)
    #[arg(long, env = "STRATA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingFlags,
}

impl ConfigArguments {
    fn load(self) -> Result<Config, Problems> {
        Config::load(self.config.as_deref(), std::env::vars_os(), self.settings.into_flags())
    }
}

/// Does what the arguments say.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    match arguments.command {
        Command::Serve(arguments) => {
            let file = arguments.config.clone();
            let flags = arguments.settings.clone();
            let reload =
                move || Config::load(file.as_deref(), std::env::vars_os(), flags.clone().into_flags());
            match arguments.load() {
                Ok(config) => finish(wiring::serve(&config, reload)),
                Err(problems) => fail(&problems, 2),
            }
        }
        Command::Login(arguments) => login::run_login(&arguments),
        Command::Logout(arguments) => login::run_logout(&arguments),
        Command::Account(command) => account::run(&command),
        Command::Key(command) => key::run(&command),
        Command::Role(command) => role::run(&command),
        Command::Status(arguments) => status::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::Gc(arguments) => gc::run(&arguments),
        Command::Deleted(command) => deleted::run(&command),
        Command::Registry(command) => registry::run(&command),
        Command::Image(command) => image::run(&command),
        Command::Artifact(command) => artifact::run(&command),
        Command::Tag(command) => tag::run(&command),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::SigningKey(command) => signing_key::run(&command),
        Command::Check(arguments) => check::run(&arguments),
        Command::Scrub(arguments) => scrub::run(&arguments),
        Command::Quarantine(command) => quarantine::run(&command),
        Command::Config(ConfigCommand::Check(arguments)) => match arguments.load() {
            Ok(_) => print("the configuration is right\n"),
            Err(problems) => fail(&problems, 1),
        },
        Command::Config(ConfigCommand::Show(arguments)) => match arguments.load() {
            Ok(config) => print(&config.effective_toml()),
            Err(problems) => fail(&problems, 1),
        },
        Command::Config(ConfigCommand::Default { markdown }) => {
            print(&if markdown { config::markdown() } else { config::default_toml() })
        }
    }
}

fn finish(outcome: Result<(), wiring::ServeError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

/// Says on stderr what went wrong.
fn fail(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("strata: {error}");
    ExitCode::from(code)
}

/// Writes to stdout; a reader that has gone away is no error of ours.
fn print(text: &str) -> ExitCode {
    match write(text) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

/// Writes to stdout; `false` where its reader has gone away.
fn write(text: &str) -> Result<bool, String> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("cannot write: {error}")),
    }
}
