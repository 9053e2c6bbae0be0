//! The offline check of a data directory: metadata against itself, every blob against its bytes, every file against its row.
//!
//! Reads only, and goes on after what it finds; memory stays bounded. `strata check` calls it and prints the report, whose fields
//! are plain values for that purpose. Repairs nothing: an unnamed file is removed by the next start.

mod bytes;
mod files;
#[cfg(test)]
mod tests;

use crate::backup;
use crate::config::EngineConfig;
use crate::disk::{Disk, RealDisk};
use crate::engine::{META, rocks_config};
use crate::error::EngineError;
use crate::lock::DirLock;
use crate::meta::check::{Severity, Summary};
use crate::meta::{self, MetaStore, RocksStore, View};
use crate::sync::lock;
use std::sync::Mutex;

/// How closely the bytes of blobs are looked at. Each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verify {
    /// That they are there, and as many as their row says.
    Size,
    /// That they have the checksum of their row: reads everything, at the disk's speed.
    #[default]
    Checksum,
    /// That they have the digest that names them: reads everything, at the processors' speed.
    Digest,
}

/// What a check is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckOptions {
    /// How closely the bytes of blobs are looked at.
    pub verify: Verify,
    /// Findings that the report keeps; more are counted only.
    pub findings_max: usize,
    /// Threads that read; 0 means one for each processor.
    pub threads: usize,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { verify: Verify::default(), findings_max: 10_000, threads: 0 }
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFinding {
    /// How bad it is: an error breaks a promise of the store, a note can come about in a healthy one.
    pub severity: Severity,
    /// Where: a key of the metadata, `blob DIGEST`, `upload ID`, or a path in the data directory.
    pub place: String,
    /// What, in words.
    pub message: String,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// What the metadata holds; its errors and notes are among those below.
    pub metadata: Summary,
    /// Blobs whose bytes were looked at.
    pub blobs: u64,
    /// Bytes of those blobs.
    pub blob_bytes: u64,
    /// Upload sessions whose file was looked at.
    pub uploads: u64,
    /// Files of blobs and sessions.
    pub files: u64,
    /// Segment files.
    pub segments: u64,
    /// Bytes of segment files that no row names: what was deleted, and what was never acknowledged.
    pub segment_bytes_dead: u64,
    /// Files that no row names.
    pub unnamed_files: u64,
    /// Bytes of those files.
    pub unnamed_bytes: u64,
    /// Findings that break a promise.
    pub errors: u64,
    /// Findings that break none.
    pub notes: u64,
    /// The findings, those of the metadata first, at most as many as asked for.
    pub findings: Vec<CheckFinding>,
}

impl CheckReport {
    /// Whether every promise of the store is kept.
    pub const fn is_sound(&self) -> bool {
        self.errors == 0
    }
}

/// Checks the data directory of `config`, which no server may be using. Changes nothing.
///
/// # Errors
/// [`EngineError::Locked`] where a server uses it; [`EngineError::StoreUnreadable`], [`EngineError::FormatVersion`],
/// [`EngineError::Io`] where it cannot be read at all. What is found is no error.
pub fn check(config: &EngineConfig, options: &CheckOptions) -> Result<CheckReport, EngineError> {
    let _lock = DirLock::shared(&config.data_dir)?;
    backup::refuse_incomplete(&config.data_dir)?;
    let store = RocksStore::open_read_only(&config.data_dir.join(META), &rocks_config(config))?;
    let view = View::new(store.view()?);
    check_with(&RealDisk::new(&config.data_dir), &view, options)
}

/// Checks files against a view that is as old as they are: of a store that nobody writes to.
///
/// # Errors
/// As [`check`].
pub fn check_with(disk: &dyn Disk, view: &View, options: &CheckOptions) -> Result<CheckReport, EngineError> {
    if meta::identity(view)?.is_none() {
        return Err(EngineError::corrupt("the metadata store is empty"));
    }
    let report = CheckReport::default();
    let log = Log { report: Mutex::new(report), findings_max: options.findings_max };
    let metadata = meta::check::check(view, &mut |finding| {
        log.add(finding.severity(), finding.key.clone(), finding.problem.to_string());
    })?;
    log.count(|report| report.metadata = metadata);
    let checker = Checker { disk, view, options, log: &log };
    checker.blobs()?;
    checker.uploads()?;
    checker.blob_files()?;
    checker.segments()?;
    Ok(log.report.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// The report in the making; shared by the threads that read.
struct Log {
    report: Mutex<CheckReport>,
    findings_max: usize,
}

impl Log {
    fn add(&self, severity: Severity, place: impl Into<String>, message: impl Into<String>) {
        let mut report = lock(&self.report);
        match severity {
            Severity::Error => report.errors += 1,
            Severity::Note => report.notes += 1,
        }
        if report.findings.len() < self.findings_max {
            report.findings.push(CheckFinding { severity, place: place.into(), message: message.into() });
        }
    }

    fn error(&self, place: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Error, place, message);
    }

    fn note(&self, place: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Note, place, message);
    }

    fn count(&self, change: impl FnOnce(&mut CheckReport)) {
        change(&mut lock(&self.report));
    }
}

struct Checker<'a> {
    disk: &'a dyn Disk,
    view: &'a View,
    options: &'a CheckOptions,
    log: &'a Log,
}
