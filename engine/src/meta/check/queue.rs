//! Is everything that may be garbage on the queue of garbage collection? What is not would never be looked at again.

use super::Checker;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::key::{self, Key, table};
use crate::meta::record::{Edges, GcItem, Record};
use bytes::Bytes;
use std::collections::HashSet;
use strata_types::{Digest, RepositoryName};
use xxhash_rust::xxh3::xxh3_64;

/// What is queued, whenever it was: 8 bytes an entry, since the queue is as long as there are candidates, not as the store is large.
/// Read when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct Queued(Option<HashSet<u64>>);

impl Queued {
    fn of(item: &GcItem) -> u64 {
        xxh3_64(&key::gc(UnixMillis(0), item))
    }
}

impl Checker<'_> {
    /// Whether an item is queued; `at` is when it most likely was, where the queue does not say.
    fn is_queued(&mut self, at: Option<UnixMillis>, item: &GcItem) -> Result<bool, EngineError> {
        let at = match at {
            None => self.view.gc_since(item)?.map(|since| since.at),
            at => at,
        };
        if let Some(at) = at
            && self.view.raw(&key::gc(at, item))?.is_some()
        {
            return Ok(true);
        }
        if self.queued.0.is_none() {
            self.queued.0 = Some(self.read_queue());
        }
        Ok(self.queued.0.as_ref().is_some_and(|queued| queued.contains(&Queued::of(item))))
    }

    /// The whole queue. What cannot be read is told when its table has its turn.
    fn read_queue(&self) -> HashSet<u64> {
        let mut queued = HashSet::new();
        let mut after: Option<Bytes> = None;
        while let Ok(rows) = self.view.raw_page(&[table::GC], after.as_deref(), super::PAGE_ROWS) {
            queued.extend(rows.iter().filter_map(|(row, _)| match Key::decode(row) {
                Ok(Key::Gc { item, .. } | Key::GcFormat1 { item, .. }) => Some(Queued::of(&item)),
                _ => None,
            }));
            if rows.len() < super::PAGE_ROWS {
                break;
            }
            after = rows.into_iter().last().map(|(row, _)| row);
        }
        queued
    }

    /// A link that no manifest holds and that is not pinned.
    pub(super) fn queued_link(
        &mut self,
        row: &Bytes,
        repository: &RepositoryName,
        digest: &Digest,
        at: UnixMillis,
    ) -> Result<(), EngineError> {
        let item = GcItem::Link { repository: repository.clone(), digest: *digest };
        if !self.view.is_held(repository, digest)?
            && self.view.raw(&key::pin(repository, digest))?.is_none()
            && !self.is_queued(Some(at), &item)?
        {
            self.leaked(row);
        }
        Ok(())
    }

    /// A manifest without a tag that no index holds and that refers to nothing in the repository.
    pub(super) fn queued_manifest(
        &mut self,
        row: &Bytes,
        repository: &RepositoryName,
        digest: &Digest,
        at: UnixMillis,
    ) -> Result<(), EngineError> {
        let item = GcItem::Manifest { repository: repository.clone(), digest: *digest };
        if !self.view.tags_of(repository, digest, None, 1)?.is_empty()
            || self.view.is_held(repository, digest)?
            || self.is_queued(Some(at), &item)?
        {
            return Ok(());
        }
        let edges =
            self.view.raw(&key::edges(repository, digest))?.and_then(|value| Edges::decode(value).ok());
        match edges.and_then(|edges| edges.subject()) {
            Some(subject) if self.view.has_manifest(repository, &subject)? => {}
            _ => self.leaked(row),
        }
        Ok(())
    }

    /// A blob that no repository may read.
    pub(super) fn queued_blob(&mut self, row: &Bytes, digest: &Digest) -> Result<(), EngineError> {
        if self.view.raw_page(&key::blob_repositories(digest), None, 1)?.is_empty()
            && !self.is_queued(None, &GcItem::Blob { digest: *digest })?
        {
            self.leaked(row);
        }
        Ok(())
    }

    /// The bytes of a manifest that no repository has.
    pub(super) fn queued_bytes(&mut self, row: &Bytes, digest: &Digest) -> Result<(), EngineError> {
        if self.view.raw_page(&key::manifest_repositories(digest), None, 1)?.is_empty()
            && !self.is_queued(None, &GcItem::ManifestBytes { digest: *digest })?
        {
            self.leaked(row);
        }
        Ok(())
    }

    fn leaked(&mut self, row: &Bytes) {
        self.found(row, super::Problem::NotQueued);
    }
}
