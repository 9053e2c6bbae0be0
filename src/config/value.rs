//! Values as they were written, before anyone knows what they mean: text, number, list or table, with the place
//! they came from. Not the meaning (that is [`Setting`](super::setting::Setting)'s).
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// One written value and, when it stands in a file, its line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    /// What was written.
    pub(crate) raw: Raw,
    /// The line in the file, counted from 1; `None` outside files.
    pub(crate) line: Option<usize>,
}

/// The shapes a written value can have. Flags and the environment only know `Text`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    /// A string, a flag's value, an environment variable.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML array, or a flag that was given several times.
    List(Vec<Value>),
    /// A TOML table.
    Table(BTreeMap<String, Value>),
    /// A TOML float or date: no setting takes one, the name is for the message.
    Other(&'static str),
}

impl Value {
    /// A value that does not stand in a file.
    pub(crate) fn text(text: impl Into<String>) -> Value {
        Value { raw: Raw::Text(text.into()), line: None }
    }

    /// The value in words, for a message: `"a text"`, `17`, `a table`.
    pub(crate) fn describe(&self) -> String {
        match &self.raw {
            Raw::Text(text) => format!("{text:?}"),
            Raw::Integer(number) => number.to_string(),
            Raw::Boolean(truth) => truth.to_string(),
            Raw::List(_) => "a list".to_owned(),
            Raw::Table(_) => "a table".to_owned(),
            Raw::Other(kind) => format!("a {kind}"),
        }
    }
}

/// Where the value that counts was written. The order of the variants is the order of precedence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// Nobody wrote it.
    Default,
    /// A configuration file.
    File(Arc<PathBuf>),
    /// An environment variable of this name.
    Environment(String),
    /// A command-line flag, without the dashes.
    Flag(String),
}

impl Origin {
    /// The origin as a reader finds it again: `strata.toml:3`, `STRATA_HTTP_LISTEN`, `--listen`, `default`.
    pub(crate) fn at(&self, line: Option<usize>) -> String {
        match (self, line) {
            (Origin::File(path), Some(line)) => format!("{}:{line}", path.display()),
            (other, _) => other.to_string(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => out.write_str("default"),
            Origin::File(path) => write!(out, "{}", path.display()),
            Origin::Environment(name) => out.write_str(name),
            Origin::Flag(name) => write!(out, "--{name}"),
        }
    }
}
