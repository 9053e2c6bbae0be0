//! [`Layers`]: the written values of file, environment and flags, the stronger one kept for each setting; every name
//! that no setting has is a problem. This is the raw half of the configuration, [`Settings`](super::Settings) the typed.
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::key::{Key, nearest};
use super::problem::Problems;
use super::setting::{Form, Setting};
use super::value::{Origin, Raw, Value};

/// What Kubernetes puts into the environment for a service called `strata` or `strata-http`: not ours, never an error.
const FOREIGN_SUFFIXES: [&str; 2] = ["_SERVICE_HOST", "_PORT"];
const FOREIGN_PARTS: [&str; 2] = ["_SERVICE_PORT", "_PORT_"];

/// The value that counts for each setting that somebody wrote.
#[derive(Debug)]
pub(crate) struct Layers {
    keys: &'static [Key],
    written: BTreeMap<(&'static str, &'static str), (Origin, Value)>,
}

impl Layers {
    /// Nothing written yet: defaults only.
    pub(crate) fn new(keys: &'static [Key]) -> Layers {
        Layers { keys, written: BTreeMap::new() }
    }

    /// Adds the text of a TOML file. Call it first: what comes later is stronger.
    pub(crate) fn add_file(&mut self, path: &Path, text: &str, problems: &mut Problems) {
        let origin = Origin::File(Arc::new(path.to_owned()));
        let line_of = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            for error in errors {
                problems.push(&origin, error.span().map(|span| line_of(span.start)), error.message());
            }
            return;
        }
        for (table, content) in document.get_ref() {
            let line = Some(line_of(table.span().start));
            let name = table.get_ref().as_ref();
            let value = convert(content.get_ref(), line, &line_of);
            let known_table = self.keys.iter().any(|key| key.table == name);
            match (known_table, value.raw) {
                (true, Raw::Table(entries)) => {
                    for (field, value) in entries {
                        self.add_from_file(&origin, name, &field, value, problems);
                    }
                }
                (true, _) => problems.push(&origin, line, format!("`{name}` is a table; write [{name}]")),
                (false, Raw::Table(_)) => {
                    let hint = match self.suggest_table(name) {
                        Some(near) => format!("; did you mean [{near}]?"),
                        None => format!("; the tables are {}", self.tables()),
                    };
                    problems.push(&origin, line, format!("unknown table [{name}]{hint}"));
                }
                (false, _) => {
                    problems.push(&origin, line, format!("unknown key `{name}`{}", self.hint("", name)));
                }
            }
        }
    }

    fn add_from_file(
        &mut self,
        origin: &Origin,
        table: &str,
        name: &str,
        value: Value,
        problems: &mut Problems,
    ) {
        if let Some(key) = self.keys.iter().find(|key| key.table == table && key.name() == name) {
            self.written.insert((key.table, key.field), (origin.clone(), value));
        } else {
            let hint = self.hint(table, name);
            problems.push(origin, value.line, format!("unknown key `{table}.{name}`{hint}"));
        }
    }

    /// Adds the variables that belong to settings. An empty one counts as not set, as compose files write it. A name
    /// that starts like a setting's and is none is a problem; other names that start with `STRATA_` are left alone.
    pub(crate) fn add_environment(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        problems: &mut Problems,
    ) {
        for (name, text) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with("STRATA_")) else { continue };
            if text.is_empty() {
                continue;
            }
            let origin = Origin::Environment(name.to_owned());
            match self.keys.iter().find(|key| key.environment().as_deref() == Some(name)) {
                Some(key) => match text.into_string() {
                    Ok(text) => {
                        self.written.insert((key.table, key.field), (origin, Value::text(text)));
                    }
                    Err(_) => problems.push(&origin, None, "the value is not UTF-8"),
                },
                None => {
                    if let Some(hint) = self.misspelt_variable(name) {
                        problems.push(&origin, None, format!("no setting has this name{hint}"));
                    }
                }
            }
        }
    }

    /// Adds the values given for one flag.
    pub(crate) fn add_flag(&mut self, key: &'static Key, values: &[String]) {
        let Some(flag) = key.flag() else { return };
        let value = match (key.kind.form, values) {
            (Form::Many, values) => Value::text(values.join(",")),
            (_, [.., last]) => Value::text(last),
            (_, []) => return,
        };
        self.written.insert((key.table, key.field), (Origin::Flag(flag), value));
    }

    /// The value that counts and where it was written; the default where nobody wrote one.
    pub(crate) fn effective(&self, key: &Key) -> (Origin, Value) {
        let written = self.written.get(&(key.table, key.field)).cloned();
        written.unwrap_or_else(|| (Origin::Default, Value::text(key.default)))
    }

    /// Whether somebody wrote this setting.
    pub(crate) fn is_written(&self, table: &'static str, field: &'static str) -> bool {
        self.written.contains_key(&(table, field))
    }

    /// Reads the effective value of a key as `T`; a value that does not fit is noted.
    pub(crate) fn read<T: Setting>(&self, key: &Key, problems: &mut Problems) -> Option<T> {
        let (origin, value) = self.effective(key);
        match T::read(&value) {
            Ok(read) => Some(read),
            Err(refusals) => {
                for why in refusals {
                    let named = match origin {
                        Origin::File(_) => format!("{}: {}", key.dotted(), why.message),
                        _ => why.message,
                    };
                    problems.push(&origin, why.line.or(value.line), named);
                }
                None
            }
        }
    }

    fn tables(&self) -> String {
        let mut names: Vec<String> = self.keys.iter().map(|key| format!("[{}]", key.table)).collect();
        names.dedup();
        names.join(", ")
    }

    fn suggest_table(&self, typed: &str) -> Option<&'static str> {
        nearest(typed, self.keys.iter().map(|key| key.table))
    }

    /// "; did you mean …?": a key of the same name in another table, else the closest one.
    fn hint(&self, table: &str, name: &str) -> String {
        let of_name = |wanted: &str| self.keys.iter().find(|key| key.name() == wanted).map(Key::dotted);
        let same = self.keys.iter().find(|key| key.name() == name || key.short_flag == Some(name));
        let near = same.map(Key::dotted).or_else(|| {
            let in_table = self.keys.iter().filter(|key| key.table == table);
            let close = nearest(name, in_table.map(Key::name)).map(|near| format!("{table}.{near}"));
            close.or_else(|| nearest(name, self.keys.iter().map(Key::name)).and_then(|near| of_name(&near)))
        });
        near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
    }

    /// The hint for a variable that was surely meant for us; `None` for one that somebody else put there.
    fn misspelt_variable(&self, name: &str) -> Option<String> {
        let foreign = FOREIGN_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
            || FOREIGN_PARTS.iter().any(|part| name.contains(part));
        if foreign {
            return None;
        }
        let by_flag = self.keys.iter().find(|key| {
            key.short_flag.is_some_and(|flag| name == format!("STRATA_{}", flag.to_ascii_uppercase()))
        });
        if let Some(key) = by_flag {
            return Some(format!("; did you mean {}?", key.environment()?));
        }
        let of_table = |key: &Key| name.starts_with(&format!("STRATA_{}_", key.table.to_ascii_uppercase()));
        let near = nearest(name, self.keys.iter().filter_map(Key::environment));
        let hint = near.as_ref().map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        (self.keys.iter().any(of_table) || near.is_some()).then_some(hint)
    }
}

/// A TOML value with the lines of its parts.
fn convert(value: &DeValue<'_>, line: Option<usize>, line_of: &impl Fn(usize) -> usize) -> Value {
    let raw = match value {
        DeValue::String(text) => Raw::Text(text.as_ref().to_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Raw::Integer(number),
            Err(_) => Raw::Other("number beyond 64 bits"),
        },
        DeValue::Boolean(truth) => Raw::Boolean(*truth),
        DeValue::Array(parts) => Raw::List(
            parts
                .iter()
                .map(|part| convert(part.get_ref(), Some(line_of(part.span().start)), line_of))
                .collect(),
        ),
        DeValue::Table(table) => Raw::Table(
            table
                .iter()
                .map(|(name, part)| {
                    let line = Some(line_of(name.span().start));
                    (name.get_ref().as_ref().to_owned(), convert(part.get_ref(), line, line_of))
                })
                .collect(),
        ),
        DeValue::Float(_) => Raw::Other("fractional number"),
        DeValue::Datetime(_) => Raw::Other("date"),
    };
    Value { raw, line }
}
