//! The configuration as text: docs/config.md, the commented default file, and the effective values with their origin.
//! All three are made from [`KEYS`], so that they cannot tell anything else than the code.
use std::fmt::Write;

use super::key::Key;
use super::layers::Layers;
use super::setting::Form;
use super::settings::{KEYS, TABLES};
use super::value::{Origin, Value};

const ABOUT: &str = "\
# Configuration

<!-- Generated from src/config/settings.rs by `make docs`; a test compares this file with the code. -->

Every setting is a key in a TOML file (`strata serve --config FILE` or `STRATA_CONFIG=FILE`), an environment variable and a
flag. The flag counts before the environment, the environment before the file, the file before the default. A key that does
not exist is an error that names it; everything wrong with a configuration is reported at once.

- `strata config check` reads a configuration and says what is wrong with it; exit code 0 or 1.
- `strata config show` prints every value that counts and where it was written.
- `strata config default` prints a file with every key, its documentation and its default.

Durations are numbers with a unit (`ms`, `s`, `m`, `h`, `d`, `w`): `\"30s\"`, `\"1h 30m\"`. Sizes are numbers with a unit (`B`,
`KiB`, `MiB`, `GiB`, `TiB`, or `KB`, `MB`, `GB`, `TB` for powers of 1000): `\"64 MiB\"`. A list in a flag or variable has commas
between its parts; a flag for a list can also be given several times. An empty environment variable counts as not set.
";

/// The whole of docs/config.md.
pub(crate) fn markdown() -> String {
    let mut text = ABOUT.to_owned();
    for (table, about) in TABLES {
        let _ = write!(text, "\n## `[{table}]`\n\n{}\n", paragraph(about));
        for key in keys_of(table) {
            let _ = write!(text, "\n### `{}`\n\n{}\n\n", key.dotted(), paragraph(key.doc));
            let default =
                default_of(key).map_or_else(|| "not set".to_owned(), |default| format!("`{default}`"));
            let _ = writeln!(text, "- Type: {}\n- Default: {default}", key.kind.name.replace('"', "`"));
            if let Some(example) = example_of(key) {
                let _ = writeln!(text, "- Example: `{} = {example}`", key.name());
            }
            match key.environment().zip(key.flag()) {
                Some((variable, flag)) => {
                    let _ = writeln!(text, "- Environment: `{variable}`, flag: `--{flag}`");
                }
                None => text.push_str("- Only in the file\n"),
            }
        }
    }
    text.push_str(
        "\n## Example\n\nEverything at its default, as `strata config default` prints it:\n\n```toml\n",
    );
    text.push_str(&default_toml());
    text.push_str("```\n");
    text
}

/// A TOML file with every key at its default, each commented out, so that later defaults reach whoever copies it.
pub(crate) fn default_toml() -> String {
    let mut text = String::from(
        "# Strata. Lines that begin with '#' followed by a key show its default, or an example where there is none; remove the '#' to set it.\n",
    );
    for (table, about) in TABLES {
        let _ = writeln!(text, "\n{}\n[{table}]", comment(about));
        for key in keys_of(table) {
            let shown = default_of(key).or_else(|| example_of(key)).unwrap_or_default();
            let _ = writeln!(text, "\n{}\n#{} = {shown}", comment(key.doc), key.name());
        }
    }
    text
}

/// Every value that counts, as a TOML file that gives the same configuration, with its origin in a comment.
pub(crate) fn effective_toml(layers: &Layers) -> String {
    let mut text = String::new();
    for (at, (table, _)) in TABLES.iter().enumerate() {
        let gap = if at == 0 { "" } else { "\n" };
        let _ = writeln!(text, "{gap}[{table}]");
        for key in keys_of(table) {
            let (origin, value) = layers.effective(key);
            let written = match origin {
                Origin::Default => "default".to_owned(),
                ref other => other.at(value.line),
            };
            let _ = match (key.canonical)(&value) {
                Some(shown) => writeln!(text, "{} = {shown}  # {written}", key.name()),
                None => writeln!(text, "#{} is not set  # {written}", key.name()),
            };
        }
    }
    text
}

fn keys_of(table: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.table == table)
}

/// The default as TOML, if there is one.
pub(crate) fn default_of(key: &Key) -> Option<String> {
    (key.canonical)(&Value::text(key.default))
}

/// The example as TOML: examples of file-only keys are written as TOML already.
fn example_of(key: &Key) -> Option<String> {
    let example = key.example?;
    if key.kind.form == Form::FileOnly {
        Some(example.to_owned())
    } else {
        (key.canonical)(&Value::text(example))
    }
}

fn paragraph(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n")
}

fn comment(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("# {}", line.trim())).collect::<Vec<_>>().join("\n")
}
