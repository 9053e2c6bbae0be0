//! From the figures of a comparison to something to read: docs/performance.md and its charts.
//!
//! The figures are the files that `benches/compare` saves, one per phase. Everything told is the median of a workload's rounds.

mod bars;
mod curve;
mod document;
mod paint;
mod results;
mod targets;

use std::fs;
use std::io;
use std::path::Path;

pub use bars::{Bar, Panel, bars};
pub use curve::{Series, curve};
pub use results::Results;
pub use targets::{Reached, targets};

/// Reads all figures of the folder `results`, and writes `performance.md` and, in a folder `performance` beside it, the charts and the figures in one file.
///
/// # Errors
/// When figures cannot be read or something cannot be written.
pub fn write(results: &Path, docs: &Path) -> io::Result<()> {
    let read = Results::read(results)?;
    let charts = docs.join("performance");
    fs::create_dir_all(&charts)?;
    for entry in fs::read_dir(&charts)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "svg") {
            fs::remove_file(path)?;
        }
    }
    let mut text = document::Document::new(&read);
    text.write();
    for (name, svg) in &text.charts {
        fs::write(charts.join(format!("{name}.svg")), svg)?;
    }
    fs::write(docs.join("performance.md"), text.text)
}

/// A number with as many digits as mean something.
pub(crate) fn figure(value: f64) -> String {
    if value >= 99.95 {
        let digits = format!("{value:.0}");
        let mut grouped = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        return grouped;
    }
    match value {
        _ if value >= 9.995 => format!("{value:.1}"),
        _ if value >= 0.095 || value == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A span of time given in microseconds, in the unit that fits.
pub(crate) fn span(microseconds: f64) -> String {
    match microseconds {
        _ if microseconds >= 999_500.0 => format!("{} s", figure(microseconds / 1e6)),
        _ if microseconds >= 999.5 => format!("{} ms", figure(microseconds / 1e3)),
        _ => format!("{} µs", figure(microseconds)),
    }
}

#[cfg(test)]
mod tests;
