//! Takes turns between what is small and what is large, and prints medians, ratios and counts.

use crate::Outcome;
use crate::fill::{Filler, config, tag};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use strata_engine::gc::{GcKind, GcReport};
use strata_engine::meta::{MetaStore as _, RocksConfig, RocksStore};
use strata_engine::{Engine, EngineConfig};
use strata_types::RepositoryName;

/// Rows that are counted in one step.
const ROWS: usize = 10_000;
/// Deletions of a tag in each turn.
const DELETIONS: usize = 40;

/// Fills both stores and measures everything.
pub(crate) fn compare(directory: &Path, blobs: [usize; 2], tags: usize, rounds: usize) -> Outcome<()> {
    std::fs::create_dir_all(directory)?;
    let stores = blobs.map(|count| (directory.join(count.to_string()), count));
    for (path, count) in &stores {
        let begun = Instant::now();
        let filler = Filler::open(path)?;
        filler.blobs(*count)?;
        filler.engine.close();
        eprintln!("{count} blobs pushed in {:.1} s", begun.elapsed().as_secs_f64());
    }
    let mut text = String::new();
    opens(&mut text, &stores, rounds)?;
    deletions(&mut text, &directory.join("tags"), tags, rounds)?;
    writeln!(
        text,
        "\n| blobs | rows | garbage blobs | looked at | of all blobs | rows looked up or written | of all rows | for each |\n|--:|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    for (path, count) in &stores {
        collect(&mut text, path, *count)?;
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Opens both stores in turns, each time in a process of its own.
fn opens(text: &mut String, stores: &[(PathBuf, usize); 2], rounds: usize) -> Outcome<()> {
    let mut figures = [Vec::new(), Vec::new()];
    // The first open after filling may have to write what the log holds.
    for round in 0..=rounds {
        for ((path, _), figures) in stores.iter().zip(&mut figures) {
            let output = Command::new(std::env::current_exe()?).arg("open").arg(path).output()?;
            let told = String::from_utf8(output.stdout)?;
            let numbers: Vec<f64> = told.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
            let [took, before, after] = *numbers else {
                return Err(format!("open: {told:?}, {}", String::from_utf8_lossy(&output.stderr)).into());
            };
            if round > 0 {
                figures.push((took, (after - before) / 1024.0));
            }
        }
    }
    writeln!(text, "| blobs | open, median | smallest … largest | memory for it |\n|--:|--:|--:|--:|")?;
    let mut medians = Vec::new();
    for ((_, count), figures) in stores.iter().zip(&figures) {
        let took = sorted(figures.iter().map(|figures| figures.0));
        let memory = sorted(figures.iter().map(|figures| figures.1));
        let (median, least, most) = (middle(&took), took.first(), took.last());
        writeln!(
            text,
            "| {count} | {median:.1} ms | {:.1} … {:.1} | {:.1} MiB |",
            least.copied().unwrap_or_default(),
            most.copied().unwrap_or_default(),
            middle(&memory)
        )?;
        medians.push(median);
    }
    if let [small, large] = *medians {
        writeln!(text, "\nOpen: {:.2} times as long", large / small)?;
    }
    Ok(())
}

/// Opens one store, and prints what that took.
pub(crate) fn open(directory: &Path) -> Outcome<()> {
    let before = resident_kib()?;
    let begun = Instant::now();
    let engine = Engine::open(EngineConfig::new(directory))?;
    let took = begun.elapsed();
    let after = resident_kib()?;
    writeln!(std::io::stdout(), "{:.3} {before} {after}", took.as_secs_f64() * 1e3)?;
    engine.close();
    Ok(())
}

fn resident_kib() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no such figure")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Deletes tags, durably, in a repository of ten and in one of many, in turns. What was deleted is put back, which is not measured.
fn deletions(text: &mut String, directory: &Path, tags: usize, rounds: usize) -> Outcome<()> {
    let filler = Filler::open(directory)?;
    let repositories = [("tags/few", 10), ("tags/many", tags)];
    let mut latencies = [Vec::new(), Vec::new()];
    for (name, count) in repositories {
        filler.tags(&RepositoryName::parse(name)?, count)?;
    }
    let mut drawn = 7_usize;
    for _ in 0..rounds {
        for ((name, count), latencies) in repositories.iter().zip(&mut latencies) {
            let name = RepositoryName::parse(name)?;
            for _ in 0..DELETIONS {
                drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let tag = tag((drawn >> 20) % count)?;
                let target = filler.engine.view()?.tag(&name, &tag)?.ok_or("the tag is there")?.digest;
                let begun = Instant::now();
                filler.commit(|view, batch| batch.delete_tag(view, &name, &tag).map(drop))?;
                latencies.push(begun.elapsed());
                filler.commit(|view, batch| batch.set_tag(view, &name, &tag, &target))?;
            }
        }
    }
    filler.engine.close();
    writeln!(text, "\n| tags in the repository | deleting one, median | p90 |\n|--:|--:|--:|")?;
    let mut medians = Vec::new();
    for ((_, count), latencies) in repositories.iter().zip(&latencies) {
        let took = sorted(latencies.iter().map(|took: &Duration| took.as_secs_f64() * 1e6));
        let ninth = took.get(took.len() * 9 / 10).copied().unwrap_or_default();
        writeln!(text, "| {count} | {:.0} µs | {ninth:.0} µs |", middle(&took))?;
        medians.push(middle(&took));
    }
    if let [few, many] = *medians {
        writeln!(text, "\nDeleting a tag: {:.2} times as long", many / few)?;
    }
    Ok(())
}

/// Collects what nothing holds, which is one blob of every hundred, and prints what that touched.
fn collect(text: &mut String, directory: &Path, blobs: usize) -> Outcome<()> {
    let rows = rows(directory)?;
    let filler = Filler::open(directory)?;
    let report: GcReport = filler.runtime.block_on(filler.engine.gc_run())?;
    filler.engine.close();
    let garbage = report.removed.of(GcKind::Blob).objects;
    let looked_at = garbage + report.needed + report.postponed;
    let touched = report.rows_read + report.rows_written;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than a float can count")]
    let ratio = |some: u64, all: u64| some as f64 / all as f64;
    let part = |some, all| 100.0 * ratio(some, all);
    writeln!(
        text,
        "| {blobs} | {rows} | {garbage} | {looked_at} | {:.2} % | {touched} | {:.2} % | {:.1} |",
        part(looked_at, blobs as u64),
        part(touched, rows),
        ratio(touched, garbage)
    )?;
    Ok(())
}

/// How many rows a closed store has.
fn rows(directory: &Path) -> Outcome<u64> {
    let store =
        RocksStore::open_read_only(&config(directory).data_dir.join("meta"), &RocksConfig::default())?;
    let view = store.view()?;
    let (mut count, mut after) = (0, None);
    loop {
        let page = view.scan(&[], after.as_deref(), ROWS)?;
        count += page.len() as u64;
        let Some((last, _)) = page.last() else { return Ok(count) };
        after = Some(last.clone());
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

fn middle(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
