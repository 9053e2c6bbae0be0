//! The list of everything that is wrong with a configuration, so that one start shows all of it.
use std::fmt;

use super::value::Origin;

/// What was found wrong, in the order of finding.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Problems {
    lines: Vec<String>,
}

impl Problems {
    /// Notes a problem at the place where the value was written.
    pub(crate) fn push(&mut self, origin: &Origin, line: Option<usize>, message: impl fmt::Display) {
        self.lines.push(format!("{}: {message}", origin.at(line)));
    }

    /// Notes a problem of several settings together.
    pub(crate) fn push_general(&mut self, message: impl Into<String>) {
        self.lines.push(message.into());
    }

    /// Whether nothing is wrong so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lines.as_slice() {
            [only] => write!(out, "the configuration is not usable: {only}"),
            several => {
                write!(out, "the configuration has {} problems:", several.len())?;
                several.iter().try_for_each(|line| write!(out, "\n  {line}"))
            }
        }
    }
}

impl std::error::Error for Problems {}
