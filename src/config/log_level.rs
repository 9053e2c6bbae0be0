//! [`LogLevel`]: which log lines are written, in the directives of `tracing`.
use std::fmt;

use tracing_subscriber::filter::Targets;

use super::setting::{Form, Kind, Refusal, Setting, quoted};
use super::value::{Raw, Value};

/// A level for all parts, and levels for single parts: `info,strata_engine=debug`.
#[derive(Clone, PartialEq)]
pub(crate) struct LogLevel {
    text: String,
    targets: Targets,
}

impl LogLevel {
    /// The filter to put before the log.
    pub(crate) fn targets(&self) -> Targets {
        self.targets.clone()
    }

    fn parse(text: &str) -> Option<LogLevel> {
        // The parser of `Targets` takes any word without `=` for a part's name, so that "inf" would silence everything.
        let mut default = false;
        for directive in text.split(',') {
            match directive.trim().split_once('=') {
                Some((part, level)) if !part.is_empty() && is_level(level) => {}
                None if is_level(directive.trim()) => default = true,
                _ => return None,
            }
        }
        let text = if default { text.to_owned() } else { format!("info,{text}") };
        text.parse().ok().map(|targets| LogLevel { text, targets })
    }
}

fn is_level(word: &str) -> bool {
    ["off", "error", "warn", "info", "debug", "trace"].iter().any(|level| word.eq_ignore_ascii_case(level))
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(out)
    }
}

impl Setting for LogLevel {
    const KIND: Kind = Kind { name: "log level", form: Form::One };

    fn read(value: &Value) -> Result<Self, Vec<Refusal>> {
        let level = match &value.raw {
            Raw::Text(text) => LogLevel::parse(text),
            _ => None,
        };
        level.ok_or_else(|| {
            let form =
                "write off, error, warn, info, debug or trace, or parts as in \"info,strata_engine=debug\"";
            vec![format!("{} is not a log level; {form}", value.describe()).into()]
        })
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_parts_are_read_and_typing_errors_are_not_taken_for_parts() {
        let table = [
            ("info", Some("info")),
            ("off", Some("off")),
            ("warn,strata_engine=debug", Some("warn,strata_engine=debug")),
            ("strata_engine=debug", Some("info,strata_engine=debug")),
            ("inf", None),
            ("", None),
            ("info,", None),
            ("strata_engine=loud", None),
            ("=info", None),
        ];
        for (text, expected) in table {
            let level = LogLevel::parse(text);
            assert_eq!(level.as_ref().map(|level| level.text.as_str()), expected, "{text:?}");
        }
    }
}
