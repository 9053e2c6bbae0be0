//! The figures as a table, and whether they are within their bounds.

use crate::Outcome;
use crate::measure::{DIGESTS, Figures};
use std::fmt::Write as _;
use std::io::Write as _;

/// Prints the table, Markdown. An error where a bound is not kept.
pub(crate) fn print(figures: &Figures, share_min: f64, find_max: f64) -> Outcome<()> {
    let mut text = String::from(
        "| processor of the server, s/GB | HTTP/1.1 | HTTP/2 | gRPC | HTTP/2 ÷ gRPC | at least |\n|---|--:|--:|--:|--:|--:|\n",
    );
    let mut kept = true;
    for work in &figures.works {
        let [one, two, grpc] = work.turns.each_ref().map(|turns| median(turns));
        let share = two / grpc;
        let bound = if work.is_bounded { format!("{share_min:.2}") } else { String::new() };
        kept &= !work.is_bounded || share >= share_min;
        let _ = writeln!(text, "| {} | {one:.3} | {two:.3} | {grpc:.3} | {share:.2} | {bound} |", work.name);
    }
    let [held, loose] = figures.finds.each_ref().map(|turns| median(turns));
    kept &= held <= find_max;
    let _ = writeln!(
        text,
        "\nFindMissing of {DIGESTS} digests, every other one there: {held:.1} ms where manifests hold those (at most {find_max:.0}), {loose:.1} ms where nothing does"
    );
    std::io::stdout().write_all(text.as_bytes())?;
    if kept { Ok(()) } else { Err("a bound is not kept".into()) }
}

fn median(turns: &[f64]) -> f64 {
    let mut sorted = turns.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
