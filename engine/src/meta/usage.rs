//! Counts what every registry uses from the rows of its repositories: for a store of a format that did not keep it, and where a check
//! finds that what was kept is wrong. Nobody else writes to the store meanwhile.

use super::batch::Batch;
use super::format::commit;
use super::key::{self, Key, table};
use super::record::{Held, HoldersRecord, Record, Usage};
use super::store::MetaStore;
use super::view::View;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::limits::PAGE_ROWS;
use bytes::Bytes;
use std::collections::BTreeMap;
use strata_types::{Digest, RepositoryName};

/// Rows that one commit writes.
const ROWS_PER_COMMIT: u64 = 4096;

/// Writes down anew what registries use, and syncs it. May be repeated after a crash.
///
/// # Errors
/// Errors of the view and of commits.
pub(crate) fn recount(store: &dyn MetaStore, now: UnixMillis) -> Result<(), EngineError> {
    let view = View::new(store.view()?);
    let mut count =
        Recount { store, view: &view, batch: unsynced(now), holders: BTreeMap::new(), sums: BTreeMap::new() };
    // What an earlier count left, or what was wrong.
    for first in [table::USAGE, table::HOLDERS] {
        count.walk(first, |count, row, _| count.write(|batch| batch.delete(row)))?;
    }
    for (first, held) in [(table::BLOB_REPOSITORY, Held::Blob), (table::MANIFEST_REPOSITORY, Held::Manifest)]
    {
        let mut last: Option<(Digest, RepositoryName)> = None;
        count.walk(first, |count, row, _| {
            let (digest, repository, other) = match Key::decode(&row) {
                Ok(Key::BlobRepository { digest, repository }) => {
                    let link = key::link(&repository, &digest);
                    (digest, repository, link)
                }
                Ok(Key::ManifestRepository { digest, repository }) => {
                    let manifest = key::manifest(&repository, &digest);
                    (digest, repository, manifest)
                }
                // A check tells.
                _ => return Ok(()),
            };
            if count.view.raw(&other)?.is_some() {
                if let Some((before, one)) = last.take().filter(|(before, _)| *before != digest) {
                    count.digest(held, &before, &one)?;
                }
                *count.holders.entry(repository.registry().to_owned()).or_default() += 1;
                last = Some((digest, repository));
            }
            Ok(())
        })?;
        if let Some((digest, one)) = last {
            count.digest(held, &digest, &one)?;
        }
    }
    for first in [table::REPOSITORY, table::TAG] {
        count.walk(first, |count, row, _| {
            match Key::decode(&row) {
                Ok(Key::Repository { repository }) => count.sums(repository.registry()).repositories += 1,
                Ok(Key::Tag { repository, .. }) => count.sums(repository.registry()).tags += 1,
                _ => {}
            }
            Ok(())
        })?;
    }
    for (registry, usage) in std::mem::take(&mut count.sums) {
        count.write(|batch| batch.put(key::usage(&registry), usage.encode()))?;
    }
    count.batch.set_synced();
    commit(store, count.batch)?;
    Ok(())
}

fn unsynced(now: UnixMillis) -> Batch {
    let mut batch = Batch::new(now);
    batch.set_unsynced();
    batch
}

/// The length of what a repository holds, as its rows say; `None` where they are missing.
pub(super) fn length(
    view: &View,
    held: Held,
    digest: &Digest,
    repository: &RepositoryName,
) -> Result<Option<u64>, EngineError> {
    Ok(match held {
        Held::Blob => view.stored_blob(digest)?.map(|stored| stored.record.size),
        Held::Manifest => view.manifest(repository, digest)?.map(|record| record.size),
    })
}

struct Recount<'a> {
    store: &'a dyn MetaStore,
    view: &'a View,
    batch: Batch,
    /// Of the digest that is being counted: how many repositories of each registry hold it.
    holders: BTreeMap<String, u64>,
    sums: BTreeMap<String, Usage>,
}

impl Recount<'_> {
    fn sums(&mut self, registry: &str) -> &mut Usage {
        self.sums.entry(registry.to_owned()).or_default()
    }

    /// Goes through a table as it was at the beginning.
    fn walk(
        &mut self,
        first: u8,
        mut each: impl FnMut(&mut Self, Bytes, Bytes) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut after: Option<Bytes> = None;
        loop {
            let rows = self.view.raw_page(&[first], after.as_deref(), PAGE_ROWS)?;
            let full = rows.len() == PAGE_ROWS;
            after = rows.last().map(|(row, _)| row.clone());
            for (row, value) in rows {
                each(self, row, value)?;
            }
            if !full {
                return Ok(());
            }
        }
    }

    /// All repositories that hold a digest were seen; one of them is given.
    fn digest(
        &mut self,
        held: Held,
        digest: &Digest,
        repository: &RepositoryName,
    ) -> Result<(), EngineError> {
        let bytes = length(self.view, held, digest, repository)?.unwrap_or(0);
        for (registry, repositories) in std::mem::take(&mut self.holders) {
            let record = HoldersRecord { repositories, bytes };
            self.sums(&registry).hold(held, record);
            self.write(|batch| batch.put(key::holders(&registry, held, digest), record.encode()))?;
        }
        Ok(())
    }

    fn write(&mut self, fill: impl FnOnce(&mut Batch)) -> Result<(), EngineError> {
        fill(&mut self.batch);
        if self.batch.step_count() >= ROWS_PER_COMMIT {
            let next = unsynced(self.batch.at());
            commit(self.store, std::mem::replace(&mut self.batch, next))?;
        }
        Ok(())
    }
}

impl Usage {
    /// Adds what so many repositories hold.
    pub(super) const fn hold(&mut self, held: Held, record: HoldersRecord) {
        let logical_bytes = record.bytes.saturating_mul(record.repositories);
        self.logical_bytes = self.logical_bytes.saturating_add(logical_bytes);
        self.unique_bytes = self.unique_bytes.saturating_add(record.bytes);
        if matches!(held, Held::Manifest) {
            self.manifests += record.repositories;
        }
    }
}
