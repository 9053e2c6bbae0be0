//! Brings a data directory in order when it is opened: removes files that no row names, cuts what was never acknowledged off the
//! last segment, finds where to go on.
//!
//! Looks only where a crash can have left something: at tombstones, at directories from the settled generation on, at the last
//! segments. Never walks over the blobs. Each step may be repeated, so a crash in here costs nothing but the repetition.

use crate::blob::generation::{BLOBS, directory_of, directory_path, file_path, parse_name};
use crate::clock::UnixMillis;
use crate::disk::{Disk, OpenMode, retry_interrupted};
use crate::error::EngineError;
use crate::gate::failed;
use crate::limits::PAGE_ROWS;
use crate::meta::{self, Batch, MetaStore, TombstoneItem, View};
use crate::segment::{self, Position, SEGMENTS};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Where the store goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// The next generation; no file has it or a later one.
    pub(crate) generation_next: u64,
    /// Where the next frame goes.
    pub(crate) position: Position,
}

/// Brings the data directory in order.
///
/// # Errors
/// [`EngineError::Io`], [`EngineError::ReadOnly`], [`EngineError::NoSpace`], [`EngineError::Corrupt`] from the metadata.
pub(crate) fn recover(
    disk: &dyn Disk,
    store: &dyn MetaStore,
    now: UnixMillis,
) -> Result<Recovered, EngineError> {
    let view = View::new(store.view()?);
    let recovery = Recovery { disk, view: &view };
    recovery.make_directories()?;
    let mut batch = Batch::new(now);
    let buried = recovery.bury(&mut batch)?;
    let settled = view.settled()?;
    let found = recovery.remove_unnamed_files(settled)?;
    let named = view.last_generation()?;
    let generation_next =
        [buried, found, named].into_iter().flatten().map(|last| last + 1).fold(settled, u64::max);
    let position = recovery.cut_segments()?;
    recovery.forget_cut_frames(position, &mut batch)?;
    if generation_next != settled {
        batch.set_settled(generation_next);
    }
    if !batch.is_empty() {
        meta::commit(store, batch)?;
    }
    Ok(Recovered { generation_next, position })
}

/// Refuses a directory that holds blobs and has lost its metadata: recovery would take every blob for one that nobody names.
///
/// # Errors
/// [`EngineError::Corrupt`] where the metadata store has no row and there are files of blobs or segments, or where it names files and
/// their directory is missing; [`EngineError::Io`].
pub(crate) fn refuse_orphans(disk: &dyn Disk, store: &dyn MetaStore) -> Result<(), EngineError> {
    let view = View::new(store.view()?);
    if meta::identity(&view)?.is_some() {
        return refuse_lost_files(disk, &view);
    }
    let recovery = Recovery { disk, view: &view };
    for directory in [BLOBS, SEGMENTS] {
        if !recovery.list(Path::new(directory))?.is_empty() {
            return Err(EngineError::corrupt(format!(
                "the data directory holds blobs in {directory}/, but its metadata is empty. No blob was touched. If meta/ was moved \
                 or lost, restore it from a backup; to begin anew, choose an empty directory"
            )));
        }
    }
    Ok(())
}

/// Refuses a directory whose metadata names files while there is not even a place for them: a volume that was not mounted. Served
/// like that, each blob that is asked for would be taken for lost.
fn refuse_lost_files(disk: &dyn Disk, view: &View) -> Result<(), EngineError> {
    let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    if view.last_generation()?.is_some() && disk.list(Path::new(BLOBS)).is_err_and(|error| missing(&error)) {
        return Err(EngineError::corrupt(format!(
            "the metadata names files in {BLOBS}/, but there is no such directory. If it is a volume of its own, mount it; if it was lost, \
             restore the data directory from a backup, or make {BLOBS}/ by hand to go on without those blobs"
        )));
    }
    Ok(())
}

struct Recovery<'a> {
    disk: &'a dyn Disk,
    view: &'a View,
}

impl Recovery<'_> {
    fn make_directories(&self) -> Result<(), EngineError> {
        for directory in [BLOBS, SEGMENTS] {
            let made = self.disk.create_dir(Path::new(directory));
            made.map_err(|error| failed(directory, error))?;
        }
        self.sync(Path::new(""))
    }

    fn sync(&self, directory: &Path) -> Result<(), EngineError> {
        retry_interrupted(|| self.disk.sync_dir(directory))
            .map_err(|error| failed(format!("sync of directory {}", directory.display()), error))
    }

    fn remove(&self, path: &Path) -> Result<(), EngineError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed(path.display().to_string(), error))
            }
            _ => Ok(()),
        }
    }

    /// The names in a directory; none where it does not exist.
    fn list(&self, directory: &Path) -> Result<Vec<crate::disk::DirEntry>, EngineError> {
        match self.disk.list(directory) {
            Ok(entries) => Ok(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed(directory.display().to_string(), error)),
        }
    }

    /// Removes the files of tombstones, and with `batch` the tombstones. Returns the greatest generation among them.
    fn bury(&self, batch: &mut Batch) -> Result<Option<u64>, EngineError> {
        let mut directories = BTreeSet::new();
        let mut segments = false;
        let mut after = None;
        let mut last = None;
        loop {
            let page = self.view.tombstones(after, PAGE_ROWS)?;
            let full = page.len() == PAGE_ROWS;
            after = page.last().map(|(item, _)| *item);
            for (item, _) in page {
                let generation = match item {
                    TombstoneItem::File { generation } => generation,
                    // Dead bytes inside a file, for the sweeper.
                    TombstoneItem::Frame { .. } => continue,
                    TombstoneItem::Segment { segment } => {
                        if self.bury_segment(segment)? {
                            batch.delete_tombstone(item);
                            segments = true;
                        }
                        continue;
                    }
                };
                if self.view.generation(generation)?.is_some() {
                    // Cannot be; but if it is, bytes that a row names are worth more than the space.
                    tracing::error!(generation, "a tombstone names a file that a row names too; both stay");
                    continue;
                }
                self.remove(&file_path(generation))?;
                directories.insert(directory_of(generation));
                batch.delete_tombstone(item);
                last = last.max(Some(generation));
            }
            if !full {
                break;
            }
        }
        self.sync_all(&directories)?;
        if segments {
            self.sync(Path::new(SEGMENTS))?;
        }
        Ok(last)
    }

    fn bury_segment(&self, segment: u32) -> Result<bool, EngineError> {
        if self.view.last_frame(segment)?.is_some() {
            // As with files.
            tracing::error!(segment, "a tombstone names a segment that has frames; both stay");
            return Ok(false);
        }
        self.remove(&segment::path(segment))?;
        Ok(true)
    }

    /// Removes, with `batch`, the tombstones of frames at `position` or behind: their bytes are cut off, and others will stand
    /// there.
    fn forget_cut_frames(&self, position: Position, batch: &mut Batch) -> Result<(), EngineError> {
        let Position { segment, offset } = position;
        let mut after = match (segment.checked_sub(1), offset.checked_sub(1)) {
            (_, Some(offset)) => TombstoneItem::Frame { segment, offset },
            (Some(segment), None) => TombstoneItem::Frame { segment, offset: u64::MAX },
            (None, None) => TombstoneItem::File { generation: u64::MAX },
        };
        loop {
            let page = self.view.tombstones(Some(after), PAGE_ROWS)?;
            let full = page.len() == PAGE_ROWS;
            for (item, _) in page {
                after = item;
                if matches!(item, TombstoneItem::Frame { .. }) {
                    batch.delete_tombstone(item);
                }
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// Syncs directories of blob files, where they exist.
    fn sync_all(&self, directories: &BTreeSet<u64>) -> Result<(), EngineError> {
        if directories.is_empty() {
            return Ok(());
        }
        let there = self.blob_directories()?;
        directories.intersection(&there).try_for_each(|directory| self.sync(&directory_path(*directory)))
    }

    fn blob_directories(&self) -> Result<BTreeSet<u64>, EngineError> {
        let entries = self.list(Path::new(BLOBS))?;
        Ok(entries
            .iter()
            .filter(|entry| entry.is_dir)
            .filter_map(|entry| parse_name(&entry.name, 8))
            .collect())
    }

    /// Removes files from generation `settled` on that no row names. Returns the greatest generation that had a file.
    fn remove_unnamed_files(&self, settled: u64) -> Result<Option<u64>, EngineError> {
        let mut last = None;
        for directory in self.blob_directories()?.range(directory_of(settled)..) {
            let path = directory_path(*directory);
            for entry in self.list(&path)? {
                let generation = parse_name(&entry.name, 16)
                    .filter(|generation| !entry.is_dir && directory_of(*generation) == *directory);
                let Some(generation) = generation else {
                    tracing::warn!(directory = %path.display(), name = entry.name, "a stranger's file is left alone");
                    continue;
                };
                last = last.max(Some(generation));
                if generation >= settled && self.view.generation(generation)?.is_none() {
                    tracing::info!(file = %file_path(generation).display(), "removing what a crash left behind");
                    self.remove(&file_path(generation))?;
                }
            }
            // Also where nothing was removed: an earlier recovery may have, and ended before its sync.
            self.sync(&path)?;
        }
        Ok(last)
    }

    /// Removes segments without any named frame behind the last one that has some, and cuts that one behind its last named
    /// frame. What is cut was never acknowledged.
    fn cut_segments(&self) -> Result<Position, EngineError> {
        let named = self.view.last_segment()?;
        let mut removed = false;
        for entry in self.list(Path::new(SEGMENTS))? {
            let Some(segment) = segment::parse_name(&entry.name).filter(|_| !entry.is_dir) else {
                tracing::warn!(directory = SEGMENTS, name = entry.name, "a stranger's file is left alone");
                continue;
            };
            if named.is_none_or(|named| segment > named) {
                self.remove(&segment::path(segment))?;
                removed = true;
            }
        }
        if removed {
            self.sync(Path::new(SEGMENTS))?;
        }
        match named {
            Some(segment) => self.cut_last(segment),
            None => Ok(Position { segment: 0, offset: 0 }),
        }
    }

    fn cut_last(&self, segment: u32) -> Result<Position, EngineError> {
        let (offset, frame) = self
            .view
            .last_frame(segment)?
            .ok_or_else(|| EngineError::corrupt(format!("segment {segment} has frames and no last one")))?;
        let end = offset + u64::from(frame.length);
        let path = segment::path(segment);
        let name = path.display().to_string();
        // What is there stays as it is, for whoever repairs it; its blobs are answered as corrupt, others are not affected.
        let beside = Position { segment: segment.saturating_add(1), offset: 0 };
        let file = match self.disk.open(&path, OpenMode::Write) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::error!(file = name, "a segment with acknowledged blobs is missing");
                return Ok(beside);
            }
            Err(error) => return Err(failed(name, error)),
        };
        let len = file.len().map_err(|error| failed(&name, error))?;
        if len < end {
            tracing::error!(file = name, len, end, "a segment with acknowledged blobs is too short");
            return Ok(beside);
        }
        if len > end {
            retry_interrupted(|| file.set_len(end)).map_err(|error| failed(&name, error))?;
            retry_interrupted(|| file.sync()).map_err(|error| failed(&name, error))?;
        }
        Ok(Position { segment, offset: end })
    }
}
