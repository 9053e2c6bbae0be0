//! `strata check`: asks the engine whether a data directory that nobody uses is as it should be, and prints what it says.
//! Exit code 0: clean, 1: something is broken, 2: it could not be run.
use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use strata_engine::check::{CheckFinding, CheckOptions, CheckRepair, CheckReport, Verify, check, repair};
use strata_engine::meta::check::Severity;

use super::place::{load, refuse_empty};
use super::wording::{count, repositories, verb};
use super::{fail, print};
use crate::wiring::engine_config;

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Configuration file (TOML), for the data directory named in it
    #[arg(long, env = "STRATA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory [STRATA_STORAGE_DATA, default: ./strata-data]
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// How closely the bytes of blobs are looked at
    #[arg(long, value_enum, value_name = "LEVEL", default_value = "checksum")]
    verify: Level,
    /// Mends what can be mended without a guess, and says what that was; damaged blobs go into quarantine
    #[arg(long)]
    repair: bool,
    /// Prints the report as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    /// They are there, and as many as they should be
    Size,
    /// They have the checksum of their record; reads everything, at the disk's speed
    Checksum,
    /// They have the digest that names them; reads everything, at the processors' speed
    Digest,
}

impl From<Level> for Verify {
    fn from(level: Level) -> Verify {
        match level {
            Level::Size => Verify::Size,
            Level::Checksum => Verify::Checksum,
            Level::Digest => Verify::Digest,
        }
    }
}

/// Checks and prints.
pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let config = match load(arguments.config.as_deref(), arguments.data.as_deref()) {
        Ok(settings) => engine_config(&settings),
        Err(problems) => return fail(&problems, 2),
    };
    let directory = &config.data_dir;
    let cannot = |why: &dyn Display| {
        fail(&format!("cannot check the data directory {}: {why}", directory.display()), 2)
    };
    if let Err(why) = refuse_empty(directory) {
        return cannot(&why);
    }
    let options = CheckOptions { verify: arguments.verify.into(), ..CheckOptions::default() };
    let examined = if arguments.repair { repair(&config, &options) } else { check(&config, &options) };
    match examined {
        Ok(report) => {
            let written = print(&if arguments.json { as_json(&report) } else { as_text(directory, &report) });
            if report.is_sound() { written } else { ExitCode::from(1) }
        }
        Err(error) => fail(&format!("cannot check the data directory {}: {error}", directory.display()), 2),
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Note => "note",
    }
}

/// How many findings were counted and not kept.
fn omitted(report: &CheckReport) -> u64 {
    (report.errors + report.notes).saturating_sub(report.findings.len() as u64)
}

fn as_text(directory: &Path, report: &CheckReport) -> String {
    let mut text = String::new();
    for CheckRepair { place, what } in &report.repaired {
        let _ = writeln!(text, "repaired: {place}: {what}");
    }
    for CheckFinding { severity, place, message } in &report.findings {
        let _ = writeln!(text, "{}: {place}: {message}", word(*severity));
    }
    if omitted(report) > 0 {
        let _ = writeln!(text, "… and {} more", omitted(report));
    }
    let metadata = &report.metadata;
    let _ = writeln!(
        text,
        "{}: {}, {}, {}, {} of {}, {}: {}",
        directory.display(),
        repositories(metadata.repositories),
        count(metadata.manifests, "manifest"),
        count(metadata.tags, "tag"),
        count(report.blobs, "blob"),
        count(report.blob_bytes, "byte"),
        count(report.uploads, "upload"),
        if report.errors == 0 { "sound".to_owned() } else { count(report.errors, "error") },
    );
    if metadata.quarantined > 0 {
        let number = metadata.quarantined;
        let (blobs, pushed) = (count(number, "blob"), if number == 1 { "it is" } else { "they are" });
        let _ = writeln!(text, "{blobs} {} in quarantine until {pushed} pushed again", verb(number));
    }
    if report.unnamed_files > 0 {
        let _ = writeln!(
            text,
            "{} of {} {} to nothing; the next start removes {}",
            count(report.unnamed_files, "file"),
            count(report.unnamed_bytes, "byte"),
            if report.unnamed_files == 1 { "belongs" } else { "belong" },
            if report.unnamed_files == 1 { "it" } else { "them" },
        );
    }
    text
}

fn as_json(report: &CheckReport) -> String {
    let finding = |finding: &CheckFinding| json!({"severity": word(finding.severity), "place": finding.place, "message": finding.message});
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    let repaired: Vec<Value> = report
        .repaired
        .iter()
        .map(|CheckRepair { place, what }| json!({"place": place, "what": what}))
        .collect();
    let metadata = &report.metadata;
    let object = json!({
        "sound": report.is_sound(),
        "errors": report.errors,
        "notes": report.notes,
        "findings": findings,
        "findings_omitted": omitted(report),
        "repaired": repaired,
        "metadata": {
            "rows": metadata.rows,
            "repositories": metadata.repositories,
            "manifests": metadata.manifests,
            "tags": metadata.tags,
            "links": metadata.links,
            "pins": metadata.pins,
            "blobs": metadata.blobs,
            "blob_bytes": metadata.blob_bytes,
            "quarantined": metadata.quarantined,
            "uploads": metadata.uploads,
            "leases": metadata.leases,
            "events": metadata.events,
            "gc_entries": metadata.gc_entries,
            "tombstones": metadata.tombstones,
        },
        "blobs": report.blobs,
        "blob_bytes": report.blob_bytes,
        "uploads": report.uploads,
        "files": report.files,
        "segments": report.segments,
        "segment_bytes_dead": report.segment_bytes_dead,
        "unnamed_files": report.unnamed_files,
        "unnamed_bytes": report.unnamed_bytes,
    });
    format!("{object}\n")
}
