//! The repair of what a check found and can be mended without a guess. Takes the data directory for itself; says what it did.
//!
//! Rows first, until there is nothing left to mend; then bytes: what is damaged goes into quarantine, what no row names is removed. A
//! second repair finds nothing to do.

use super::{CheckFinding, CheckOptions, CheckReport, Damaged, Verify, check_with, examine};
use crate::backup;
use crate::clock::{Clock, SystemClock, UnixMillis};
use crate::config::EngineConfig;
use crate::disk::{Disk, RealDisk, retry_interrupted};
use crate::engine::{META, rocks_config};
use crate::entropy::SystemEntropy;
use crate::error::EngineError;
use crate::gate::failed;
use crate::lock::DirLock;
use crate::meta::check::{Finding, Problem, Severity, mend};
use crate::meta::{self, Batch, MetaStore, RocksStore, View};
use crate::scrub::{Measure, Reading, Verdict, judge};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Rows that one commit mends.
const FINDINGS_PER_COMMIT: usize = 1000;
/// Times that the metadata is gone through: what is mended can bring to light what follows from it.
const PASSES_MAX: usize = 8;

/// One thing that was mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRepair {
    /// Where, as in [`CheckFinding`].
    pub place: String,
    /// What was done, in words.
    pub what: String,
}

/// Checks the data directory of `config`, mends what can be mended, and reports how it is then. Nobody else may be using it.
///
/// # Errors
/// [`EngineError::Locked`] where somebody does; [`EngineError::IncompleteBackup`]; [`EngineError::StoreUnreadable`], [`EngineError::FormatVersion`], [`EngineError::ReadOnly`],
/// [`EngineError::Io`] where it cannot be done. What was mended before stays mended.
pub fn repair(config: &EngineConfig, options: &CheckOptions) -> Result<CheckReport, EngineError> {
    // Before anything is made: what is no store, or not a whole one, stays as it is.
    backup::refuse_incomplete(&config.data_dir)?;
    if !config.data_dir.join(META).is_dir() {
        return Err(EngineError::corrupt("it holds no metadata, so it is no data directory"));
    }
    let _lock = DirLock::exclusive(&config.data_dir)?;
    let store = RocksStore::open(&config.data_dir.join(META), &rocks_config(config))?;
    let now = SystemClock.now();
    let outcome = meta::identity(&View::new(store.view()?)).and_then(|identity| match identity {
        None => Err(EngineError::corrupt("the metadata store is empty")),
        Some(_) => meta::prepare(&store, &SystemEntropy, now),
    });
    let outcome = outcome.and_then(|_| repair_with(&RealDisk::new(&config.data_dir), &store, now, options));
    store.close();
    outcome
}

/// As [`repair`], on other ports.
///
/// # Errors
/// As [`repair`].
pub fn repair_with(
    disk: &dyn Disk,
    store: &dyn MetaStore,
    now: UnixMillis,
    options: &CheckOptions,
) -> Result<CheckReport, EngineError> {
    let mut repair = Repair { disk, store, now, repaired: Vec::new() };
    repair.rows()?;
    let (_, trouble) = examine(disk, &repair.view()?, options)?;
    let mut left = trouble.unreadable;
    left.extend(repair.quarantine(trouble.damaged)?);
    repair.remove(&trouble.unnamed)?;
    // How the metadata is now, and what the bytes were seen to be.
    let sizes = CheckOptions { verify: Verify::Size, ..*options };
    let mut report = check_with(disk, &repair.view()?, &sizes)?;
    for finding in left {
        if !report.findings.iter().any(|known| known.place == finding.place) {
            report.errors += 1;
            report.findings.push(finding);
        }
    }
    report.repaired = repair.repaired;
    Ok(report)
}

struct Repair<'a> {
    disk: &'a dyn Disk,
    store: &'a dyn MetaStore,
    now: UnixMillis,
    repaired: Vec<CheckRepair>,
}

impl Repair<'_> {
    fn view(&self) -> Result<View, EngineError> {
        self.store.view().map(View::new)
    }

    fn rows(&mut self) -> Result<(), EngineError> {
        for _ in 0..PASSES_MAX {
            let view = self.view()?;
            let mut found = Vec::new();
            meta::check::check(&view, &mut |finding| found.push(finding))?;
            if self.mend(&view, &found)? == 0 {
                return self.recount(&found);
            }
        }
        Ok(())
    }

    /// Counts what registries use where a figure is wrong. Last, since it follows from all else.
    fn recount(&mut self, found: &[Finding]) -> Result<(), EngineError> {
        let is_wrong = |finding: &&Finding| matches!(finding.problem, Problem::Miscounted { .. });
        let Some(first) = found.iter().find(is_wrong) else { return Ok(()) };
        meta::recount(self.store, self.now)?;
        let what = format!("{}: what registries use was counted anew", first.problem);
        self.repaired.push(CheckRepair { place: first.key.clone(), what });
        Ok(())
    }

    /// Mends what can be, and says how much that was.
    fn mend(&mut self, view: &View, found: &[Finding]) -> Result<usize, EngineError> {
        let mut mended = 0;
        for findings in found.chunks(FINDINGS_PER_COMMIT) {
            let mut batch = Batch::new(self.now);
            let mut repaired = Vec::new();
            for finding in findings {
                if let Some(what) = mend(view, finding, &mut batch)? {
                    let what = format!("{}: {what}", finding.problem);
                    repaired.push(CheckRepair { place: finding.key.clone(), what });
                }
            }
            if !repaired.is_empty() {
                meta::commit(self.store, batch)?;
                mended += repaired.len();
                self.repaired.append(&mut repaired);
            }
        }
        Ok(mended)
    }

    /// Puts blobs into quarantine that are bad by their digest, too; returns what is said of the others.
    fn quarantine(&mut self, damaged: Vec<Damaged>) -> Result<Vec<CheckFinding>, EngineError> {
        let mut left = Vec::new();
        for Damaged { digest, record, why, .. } in damaged {
            let place = format!("blob {digest}");
            match judge(self.disk, &digest, &record, Measure::Digest, Reading::Passing) {
                Verdict::Damaged(damage, _) => {
                    let mut batch = Batch::new(self.now);
                    batch.quarantine_blob(&digest, &record, damage);
                    meta::commit(self.store, batch)?;
                    let what = format!("{why}: it was put into quarantine");
                    self.repaired.push(CheckRepair { place, what });
                }
                Verdict::Sound | Verdict::Unreadable(_) => {
                    left.push(CheckFinding { severity: Severity::Error, place, message: why });
                }
            }
        }
        Ok(left)
    }

    fn remove(&mut self, unnamed: &[PathBuf]) -> Result<(), EngineError> {
        let mut directories = BTreeSet::new();
        for path in unnamed {
            self.disk.remove(path).map_err(|error| failed(path.display().to_string(), error))?;
            directories.insert(path.parent().unwrap_or(Path::new("")));
            let what = "the file, which no row names, was removed".to_owned();
            self.repaired.push(CheckRepair { place: path.display().to_string(), what });
        }
        for directory in directories {
            retry_interrupted(|| self.disk.sync_dir(directory))
                .map_err(|error| failed(directory.display().to_string(), error))?;
        }
        Ok(())
    }
}
