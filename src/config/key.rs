//! [`Key`]: what is known about one setting besides its value: names, default, documentation.
use super::setting::{Form, Kind};
use super::value::Value;

/// One setting. The names all follow from table and field: `http.idle-timeout`, `STRATA_HTTP_IDLE_TIMEOUT`,
/// `--http-idle-timeout`; a few have a shorter flag.
#[derive(Debug)]
pub(crate) struct Key {
    /// The TOML table.
    pub(crate) table: &'static str,
    /// The field in Rust; with dashes it is the name in TOML.
    pub(crate) field: &'static str,
    /// The default as a flag would write it; empty: not set.
    pub(crate) default: &'static str,
    /// The short flag's name, without dashes.
    pub(crate) short_flag: Option<&'static str>,
    /// A value worth showing for a setting that has no default.
    pub(crate) example: Option<&'static str>,
    /// The type.
    pub(crate) kind: Kind,
    /// The documentation, line by line; the first sentence is the summary.
    pub(crate) doc: &'static [&'static str],
    /// A written value as canonical TOML, or `None` when it is not set or does not parse.
    pub(crate) canonical: fn(&Value) -> Option<String>,
}

impl Key {
    /// The name inside its table: `idle-timeout`.
    pub(crate) fn name(&self) -> String {
        self.field.replace('_', "-")
    }

    /// The full name: `http.idle-timeout`.
    pub(crate) fn dotted(&self) -> String {
        format!("{}.{}", self.table, self.name())
    }

    /// The environment variable, unless the setting can only stand in the file.
    pub(crate) fn environment(&self) -> Option<String> {
        let name = || format!("STRATA_{}_{}", self.table, self.field).to_ascii_uppercase();
        (self.kind.form != Form::FileOnly).then(name)
    }

    /// The flag without dashes, unless the setting can only stand in the file.
    pub(crate) fn flag(&self) -> Option<String> {
        let long = || format!("{}-{}", self.table, self.name());
        (self.kind.form != Form::FileOnly).then(|| self.short_flag.map_or_else(long, str::to_owned))
    }

    /// The first sentence of the documentation, without its full stop.
    pub(crate) fn summary(&self) -> String {
        let text = self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        match text.find(". ") {
            Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
            None => text.trim_end_matches('.').to_owned(),
        }
    }
}

/// The candidate that a mistyped name most likely stood for; `None` if none is close.
pub(crate) fn nearest<S: AsRef<str>>(typed: &str, candidates: impl IntoIterator<Item = S>) -> Option<S> {
    let within = (typed.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (edits(typed, candidate.as_ref()), candidate))
        .filter(|(edits, _)| *edits <= within)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// How many characters have to be changed, added, removed or swapped with their neighbour to get from one word to the
/// other.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let of = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut least = of(&above, column) + usize::from(letter != other);
            least = least.min(of(&above, column + 1) + 1).min(of(&current, column) + 1);
            let swapped = row > 0
                && column > 0
                && from.get(row - 1) == Some(other)
                && to.get(column - 1) == Some(letter);
            if swapped {
                least = least.min(of(&before, column - 1) + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_name_is_found_and_a_far_one_is_not() {
        let names = ["http.listen", "http.listener", "storage.reserve", "log.level"];
        let table = [
            ("http.lisen", Some("http.listen")),
            ("http.listner", Some("http.listener")),
            ("storage.reserved", Some("storage.reserve")),
            ("loglevel", Some("log.level")),
            ("grpc.listen", None),
            ("", None),
        ];
        for (typed, expected) in table {
            assert_eq!(nearest(typed, names), expected, "{typed:?}");
        }
    }

    #[test]
    fn edits_counts_changes() {
        for (from, to, count) in [
            ("", "", 0),
            ("abc", "", 3),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("ab", "ba", 1),
            ("kye", "key", 1),
        ] {
            assert_eq!(edits(from, to), count, "{from} → {to}");
        }
    }
}
