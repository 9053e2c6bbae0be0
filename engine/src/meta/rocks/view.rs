//! Snapshots that own what they look at, and scans over them.

use super::failure;
use crate::error::EngineError;
use crate::meta::store::{MetaView, prefix_end};
use bytes::Bytes;
use rocksdb::{DB, DBRawIterator, ReadOptions, SnapshotWithThreadMode};
use std::fmt;
use std::sync::Arc;

type Snapshot<'a> = SnapshotWithThreadMode<'a, DB>;

self_cell::self_cell!(
    struct Cell {
        owner: Arc<DB>,
        #[not_covariant]
        dependent: Snapshot,
    }
);

/// Whether blocks that were not in memory stay there once they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Blocks,
    Nothing,
}

/// A snapshot and the database that it belongs to.
pub(super) struct OwnedSnapshot {
    cell: Cell,
    keep: Keep,
}

impl OwnedSnapshot {
    pub(super) fn of(db: Arc<DB>, keep: Keep) -> Self {
        Self { cell: Cell::new(db, |db| db.snapshot()), keep }
    }

    fn reading(&self, mut options: ReadOptions) -> ReadOptions {
        options.fill_cache(self.keep == Keep::Blocks);
        options
    }
}

impl fmt::Debug for OwnedSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sequence = self.cell.with_dependent(|_, snapshot| snapshot.sequence_number());
        f.debug_struct("OwnedSnapshot").field("sequence", &sequence).finish_non_exhaustive()
    }
}

impl MetaView for OwnedSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let value = self
            .cell
            .with_dependent(|_, snapshot| match self.keep {
                Keep::Blocks => snapshot.get(key),
                Keep::Nothing => snapshot.get_opt(key, self.reading(ReadOptions::default())),
            })
            .map_err(|error| failure::on_read(&error))?;
        Ok(value.map(Bytes::from))
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.cell.with_dependent(|_, snapshot| {
            scan(|options| snapshot.raw_iterator_opt(self.reading(options)), prefix, after, limit)
        })
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        self.cell.with_dependent(|_, snapshot| {
            last(|options| snapshot.raw_iterator_opt(self.reading(options)), prefix)
        })
    }
}

/// As [`MetaView::scan`].
pub(super) fn scan<'a>(
    open: impl FnOnce(ReadOptions) -> DBRawIterator<'a>,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
    let mut rows = Vec::new();
    if limit == 0 {
        return Ok(rows);
    }
    let mut iterator = open(within(prefix));
    match after.filter(|after| *after >= prefix) {
        None => iterator.seek(prefix),
        Some(after) => {
            iterator.seek(after);
            if iterator.key() == Some(after) {
                iterator.next();
            }
        }
    }
    while let Some((key, value)) = iterator.item() {
        rows.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        if rows.len() == limit {
            return Ok(rows);
        }
        iterator.next();
    }
    // An iterator that failed looks like one at its end.
    iterator.status().map_err(|error| failure::on_read(&error))?;
    Ok(rows)
}

/// As [`MetaView::last`].
pub(super) fn last<'a>(
    open: impl FnOnce(ReadOptions) -> DBRawIterator<'a>,
    prefix: &[u8],
) -> Result<Option<(Bytes, Bytes)>, EngineError> {
    let mut iterator = open(within(prefix));
    iterator.seek_to_last();
    if let Some((key, value)) = iterator.item() {
        return Ok(Some((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))));
    }
    iterator.status().map_err(|error| failure::on_read(&error))?;
    Ok(None)
}

/// Reads that stay among the keys that start with `prefix`.
fn within(prefix: &[u8]) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(prefix);
    if let Some(end) = prefix_end(prefix) {
        options.set_iterate_upper_bound(end);
    }
    options
}
