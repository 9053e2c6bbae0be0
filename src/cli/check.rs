//! `strata check`: asks the engine whether a data directory that nobody uses is as it should be, and prints what it says.
//! Exit code 0: clean, 1: something is broken, 2: it could not be run.
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use strata_engine::EngineError;
use strata_engine::meta::check::{Finding, Severity, Summary, check};
use strata_engine::meta::{MetaStore, RocksConfig, RocksStore, View};

use super::{fail, print};
use crate::config::{Config, Flags, KEYS};

/// Findings that a report holds; the rest is counted. A store with more is not read line by line.
const FINDINGS_MAX: usize = 10_000;

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Configuration file (TOML), for the data directory named in it
    #[arg(long, env = "STRATA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory [STRATA_STORAGE_DATA, default: ./strata-data]
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Reads every byte of every blob as well and compares it with its checksum
    #[arg(long)]
    content: bool,
    /// Prints the report as one JSON object
    #[arg(long)]
    json: bool,
}

/// What was found, as far as it is kept.
#[derive(Debug, Default)]
struct Report {
    kept: Vec<Finding>,
    errors: u64,
    notes: u64,
}

impl Report {
    fn take(&mut self, finding: Finding) {
        match finding.severity() {
            Severity::Error => self.errors += 1,
            Severity::Note => self.notes += 1,
        }
        if self.kept.len() < FINDINGS_MAX {
            self.kept.push(finding);
        }
    }

    fn omitted(&self) -> u64 {
        (self.errors + self.notes).saturating_sub(self.kept.len() as u64)
    }
}

/// Checks and prints.
pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let data = KEYS.iter().find(|key| key.table == "storage" && key.field == "data");
    let flags: Flags =
        data.zip(arguments.data.clone()).map(|(key, path)| (key, vec![path])).into_iter().collect();
    let directory = match Config::load(arguments.config.as_deref(), std::env::vars_os(), flags) {
        Ok(config) => config.settings.storage.data,
        Err(problems) => return fail(&problems, 2),
    };
    let mut report = Report::default();
    match examine(&directory, arguments.content, &mut |finding| report.take(finding)) {
        Ok(summary) => {
            let text = if arguments.json {
                as_json(&report, &summary)
            } else {
                as_text(&directory, &report, &summary)
            };
            let written = print(&text);
            if report.errors == 0 { written } else { ExitCode::from(1) }
        }
        Err(error) => fail(&format!("cannot check the data directory {}: {error}", directory.display()), 2),
    }
}

fn examine(
    directory: &Path,
    _content: bool,
    report: &mut dyn FnMut(Finding),
) -> Result<Summary, EngineError> {
    if let Ok(mut file) = File::open(directory.join("LOCK")) {
        let shared = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared);
        if shared.is_err() {
            let mut text = String::new();
            let _ = std::io::Read::read_to_string(&mut file, &mut text);
            return Err(EngineError::Locked { pid: text.trim().parse().ok() });
        }
    }
    let store = RocksStore::open_read_only(&directory.join("meta"), &RocksConfig::default())?;
    check(&View::new(store.view()?), report)
}

fn as_text(directory: &Path, report: &Report, summary: &Summary) -> String {
    let mut text = String::new();
    for finding in &report.kept {
        let severity = match finding.severity() {
            Severity::Error => "error",
            Severity::Note => "note",
        };
        let _ = writeln!(text, "{severity}: {finding}");
    }
    if report.omitted() > 0 {
        let _ = writeln!(text, "… and {} more", report.omitted());
    }
    let _ = writeln!(
        text,
        "{}: {} repositories, {} manifests, {} tags, {} blobs with {} bytes, {} uploads; {} errors, {} notes",
        directory.display(),
        summary.repositories,
        summary.manifests,
        summary.tags,
        summary.blobs,
        summary.blob_bytes,
        summary.uploads,
        report.errors,
        report.notes,
    );
    text
}

fn as_json(report: &Report, summary: &Summary) -> String {
    let one = |finding: &Finding| {
        let severity = match finding.severity() {
            Severity::Error => "error",
            Severity::Note => "note",
        };
        json!({"severity": severity, "key": finding.key, "problem": finding.problem.to_string()})
    };
    let findings: Vec<Value> = report.kept.iter().map(one).collect();
    let object = json!({
        "clean": report.errors == 0,
        "errors": report.errors,
        "notes": report.notes,
        "findings": findings,
        "omitted": report.omitted(),
        "checked": {
            "repositories": summary.repositories,
            "manifests": summary.manifests,
            "tags": summary.tags,
            "links": summary.links,
            "blobs": summary.blobs,
            "blob_bytes": summary.blob_bytes,
            "uploads": summary.uploads,
            "events": summary.events,
        },
    });
    format!("{object}\n")
}
