//! The figures as a table and as JSON.

use crate::Outcome;
use crate::measure::{Figures, StoreFigures};
use std::fmt::Write as _;
use std::io::Write as _;

/// What a request may take on the large store, times what it takes on the small one.
const RATIO_MAX: f64 = 1.3;

type Figure = fn(&StoreFigures) -> String;

/// Prints the tables, Markdown.
pub(crate) fn print(figures: &Figures) -> Outcome<()> {
    let [small, large] = figures.stores;
    let mut text = format!(
        "| request | p50, {} manifests | p99 | p50, {} manifests | p99 | ratio of p50 | at most {RATIO_MAX} |\n|---|--:|--:|--:|--:|--:|---|\n",
        small.manifests, large.manifests
    );
    for (name, [small, large]) in &figures.questions {
        let ratio = large.percentile_us(50) / small.percentile_us(50);
        let _ = writeln!(
            text,
            "| {name} | {:.1} µs | {:.1} µs | {:.1} µs | {:.1} µs | {ratio:.2} | {} |",
            small.percentile_us(50),
            small.percentile_us(99),
            large.percentile_us(50),
            large.percentile_us(99),
            if ratio <= RATIO_MAX { "yes" } else { "**no**" }
        );
    }
    text += "\n| | small | large |\n|---|--:|--:|\n";
    let rows: [(&str, Figure); 5] = [
        ("start to first answer", |store| format!("{:.0} ms", store.start_ms)),
        ("the same after kill -9 while writing", |store| format!("{:.0} ms", store.start_after_kill_ms)),
        ("RSS after the first answer", |store| mebibytes(store.rest_kib)),
        ("RSS after all requests", |store| mebibytes(store.after_kib)),
        ("RSS at its peak", |store| mebibytes(store.peak_kib)),
    ];
    for (name, figure) in rows {
        let _ = writeln!(text, "| {name} | {} | {} |", figure(&small), figure(&large));
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn mebibytes(kib: u64) -> String {
    format!("{} MiB", kib.div_ceil(1024))
}

/// Everything, for programs.
pub(crate) fn json(figures: &Figures) -> String {
    let requests: Vec<String> = figures
        .questions
        .iter()
        .map(|(name, [small, large])| {
            let of = |hundredths| {
                format!("[{:.2},{:.2}]", small.percentile_us(hundredths), large.percentile_us(hundredths))
            };
            format!(r#"{{"request":"{name}","p50_us":{},"p99_us":{}}}"#, of(50), of(99))
        })
        .collect();
    let stores = figures.stores.map(|store| {
        format!(
            r#"{{"manifests":{},"start_ms":{:.1},"start_after_kill_ms":{:.1},"rss_rest_kib":{},"rss_after_kib":{},"rss_peak_kib":{}}}"#,
            store.manifests,
            store.start_ms,
            store.start_after_kill_ms,
            store.rest_kib,
            store.after_kib,
            store.peak_kib
        )
    });
    format!("{{\"requests\":[{}],\"stores\":[{}]}}\n", requests.join(","), stores.join(","))
}
