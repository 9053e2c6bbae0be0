//! Gives the bytes of files back: those that a committed tombstone names.
//!
//! Row and tombstone changed places in one synced commit before, so nothing names the file any more. Then: unlink, forget the handle,
//! sync the directory (once for many), remove the tombstone. A crash anywhere leaves the tombstone, and the next start or run goes on.

use super::report::{GcKind, GcReport};
use super::sweeper::Pace;
use crate::blob::FileKey;
use crate::blob::generation::{BLOBS, directory_of, directory_path, file_path};
use crate::disk::retry_interrupted;
use crate::error::EngineError;
use crate::meta::{Batch, TombstoneItem, TombstoneRecord};
use crate::store::Store;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Files that are removed between two rests: each costs the file system a moment in which it does nothing else.
const STEP_FILES: usize = 32;

/// Removes the files of all tombstones. `false`: the run is to end.
pub(super) fn bury(
    store: &Arc<Store>,
    report: &mut GcReport,
    pace: &mut dyn Pace,
) -> Result<bool, EngineError> {
    let mut after = None;
    let mut touched = BTreeSet::new();
    loop {
        store.gate.check()?;
        let mut page = store.view()?.tombstones(after, STEP_FILES)?;
        page.truncate(page.iter().take_while(|(item, _)| matches!(item, TombstoneItem::File { .. })).count());
        // RACE: behind the look at the tombstones, so that a backup which begins now has none of these blobs.
        if store.holds.is_held() {
            return Ok(true);
        }
        let full = page.len() == STEP_FILES;
        after = page.last().map(|(item, _)| *item).or(after);
        let buried = bury_page(store, &page, report, &mut touched)?;
        if !pace.go_on(buried) {
            return Ok(false);
        }
        if !full {
            break;
        }
    }
    remove_directories(store, touched)?;
    Ok(true)
}

fn bury_page(
    store: &Arc<Store>,
    page: &[(TombstoneItem, TombstoneRecord)],
    report: &mut GcReport,
    touched: &mut BTreeSet<u64>,
) -> Result<u64, EngineError> {
    let mut directories = BTreeSet::new();
    let mut batch = Batch::new(store.now());
    let mut buried = 0;
    for (item, record) in page {
        let TombstoneItem::File { generation } = *item else { continue };
        if store.view()?.generation(generation)?.is_some() {
            // Cannot be; but if it is, bytes that a row names are worth more than the space.
            tracing::error!(generation, "a tombstone names a file that a row names too; both stay");
            continue;
        }
        match store.files.disk.remove(&file_path(generation)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %file_path(generation).display(), %error, "a file was not removed; the next run tries again");
                continue;
            }
            _ => {}
        }
        // Behind the unlink: what is opened from now on is not found.
        store.handles.forget(FileKey::Blob(generation));
        directories.insert(directory_of(generation));
        batch.delete_tombstone(*item);
        buried += 1;
        report.removed.add(GcKind::File, record.length);
        report.rows_written += 1;
    }
    // DURABILITY: a name that came back after a crash would have no tombstone any more.
    for directory in &directories {
        store.files.sync_removals(*directory)?;
    }
    touched.extend(directories);
    if buried > 0 {
        batch.set_unsynced();
        for outcome in store.commit_all([batch]) {
            outcome?;
        }
    }
    Ok(buried)
}

/// Removes those directories of blob files that are empty and in which no file will ever be made.
pub(super) fn remove_directories(store: &Store, touched: BTreeSet<u64>) -> Result<(), EngineError> {
    // Generations below are settled, and numbers are not used again.
    let settled = directory_of(store.files.generations.settled());
    let mut removed = false;
    for directory in touched.into_iter().filter(|directory| *directory < settled) {
        match store.files.disk.remove_dir(&directory_path(directory)) {
            Ok(()) => removed = true,
            // Mostly because it is not empty. What else it may be, costs a directory.
            Err(error) => tracing::debug!(directory, %error, "a directory of blob files stays"),
        }
    }
    if removed {
        let sync = retry_interrupted(|| store.files.disk.sync_dir(Path::new(BLOBS)));
        sync.map_err(|error| store.gate.sync_failed(BLOBS, error))?;
    }
    Ok(())
}
