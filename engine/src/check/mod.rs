//! The offline check of a data directory: metadata against itself, every blob against its bytes, every file against its row.
//!
//! Reads only, and goes on after what it finds; memory stays bounded. `strata check` calls it and prints the report, whose fields
//! are plain values for that purpose. Only [`mod@repair`] changes anything.

mod bytes;
mod files;
mod repair;
#[cfg(test)]
mod repair_tests;
#[cfg(test)]
mod tests;

use crate::backup;
use crate::config::EngineConfig;
use crate::disk::{Disk, RealDisk};
use crate::engine::{META, rocks_config};
use crate::error::EngineError;
use crate::lock::DirLock;
use crate::meta::check::{Severity, Summary};
use crate::meta::{self, BlobRecord, Damage, MetaStore, RocksStore, View};
use crate::sync::lock;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use strata_types::Digest;

pub use repair::{CheckRepair, repair, repair_with};

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
    /// What was mended before, where that was asked for; the rest of the report is how it is since.
    pub repaired: Vec<CheckRepair>,
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
    examine(disk, view, options).map(|(report, _)| report)
}

/// What can be mended outside of the metadata, at most as much as there are findings.
#[derive(Debug, Default)]
struct Trouble {
    /// Blobs whose bytes are bad.
    damaged: Vec<Damaged>,
    /// Blobs that cannot be read just now: what the report says of them.
    unreadable: Vec<CheckFinding>,
    /// Files that no row names.
    unnamed: Vec<PathBuf>,
}

/// A blob whose bytes are bad.
#[derive(Debug)]
struct Damaged {
    digest: Digest,
    record: BlobRecord,
    why: String,
}

fn examine(
    disk: &dyn Disk,
    view: &View,
    options: &CheckOptions,
) -> Result<(CheckReport, Trouble), EngineError> {
    if meta::identity(view)?.is_none() {
        return Err(EngineError::corrupt("the metadata store is empty"));
    }
    let log = Log { found: Mutex::default(), findings_max: options.findings_max };
    let metadata = meta::check::check(view, &mut |finding| {
        log.add(finding.severity(), finding.key.clone(), finding.problem.to_string());
    })?;
    log.count(|report| report.metadata = metadata);
    let checker = Checker { disk, view, options, log: &log };
    checker.blobs()?;
    checker.uploads()?;
    checker.blob_files()?;
    checker.segments()?;
    Ok(log.found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// The report in the making; shared by the threads that read.
struct Log {
    found: Mutex<(CheckReport, Trouble)>,
    findings_max: usize,
}

impl Log {
    fn add(&self, severity: Severity, place: impl Into<String>, message: impl Into<String>) {
        let report = &mut lock(&self.found).0;
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
        change(&mut lock(&self.found).0);
    }

    /// A blob that is damaged or, without `damage`, cannot be read just now.
    fn blob(&self, digest: &Digest, record: &BlobRecord, damage: Option<Damage>, why: String) {
        let place = format!("blob {digest}");
        self.error(place.clone(), why.clone());
        let trouble = &mut lock(&self.found).1;
        match damage {
            Some(_) if trouble.damaged.len() < self.findings_max => {
                trouble.damaged.push(Damaged { digest: *digest, record: *record, why });
            }
            None if trouble.unreadable.len() < self.findings_max => {
                trouble.unreadable.push(CheckFinding { severity: Severity::Error, place, message: why });
            }
            _ => {}
        }
    }

    fn unnamed(&self, path: &Path) {
        let trouble = &mut lock(&self.found).1;
        if trouble.unnamed.len() < self.findings_max {
            trouble.unnamed.push(path.to_owned());
        }
    }
}

struct Checker<'a> {
    disk: &'a dyn Disk,
    view: &'a View,
    options: &'a CheckOptions,
    log: &'a Log,
}
