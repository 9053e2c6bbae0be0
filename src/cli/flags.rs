//! One flag for each setting, made from [`KEYS`]: `--listen`, `--storage-reserve`, …
use clap::builder::{Arg, ArgAction};
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

use crate::config::{Flags, Form, KEYS, Key};

/// The settings that were given as flags, as they were written.
#[derive(Debug, Clone, Default)]
pub(super) struct SettingFlags(Flags);

impl SettingFlags {
    /// The flags for [`Config::load`](crate::config::Config::load).
    pub(super) fn into_flags(self) -> Flags {
        self.0
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |key: &'static Key| {
            let flag = key.flag()?;
            let values = matches.get_many::<String>(&flag)?;
            Some((key, values.cloned().collect()))
        };
        Ok(SettingFlags(KEYS.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        KEYS.iter().filter_map(argument).fold(command, Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The flag of a key; the short ones come first and the others under the heading of their table.
fn argument(key: &'static Key) -> Option<Arg> {
    let flag = key.flag()?;
    let default = if key.default.is_empty() { "not set" } else { key.default };
    let help = format!("{} [{}, default: {default}]", key.summary(), key.environment()?);
    let argument = Arg::new(flag.clone()).long(flag).help(help).action(ArgAction::Append);
    let argument = match key.kind.form {
        Form::Switch => {
            argument.value_name("BOOLEAN").num_args(0..=1).require_equals(true).default_missing_value("true")
        }
        Form::One | Form::Many | Form::FileOnly => argument.value_name(placeholder(key)),
    };
    Some(if key.short_flag.is_some() {
        argument
    } else {
        argument.help_heading(format!("Settings of [{}]", key.table))
    })
}

fn placeholder(key: &Key) -> String {
    match key.kind.name {
        words if words.starts_with('"') => words.replace('"', "").replace(", ", "|"),
        "list of addresses" => "ADDRESS".to_owned(),
        "list of networks" => "NETWORK".to_owned(),
        "log level" => "LEVEL".to_owned(),
        name => name.to_uppercase(),
    }
}
