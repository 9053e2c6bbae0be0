//! Is everything that may be garbage on the queue of garbage collection? What is not would never be looked at again.

use super::Checker;
use crate::error::EngineError;
use crate::meta::key::{self, Key, table};
use crate::meta::record::{Edges, GcItem, Record};
use bytes::Bytes;
use std::collections::HashSet;
use strata_types::{Digest, RepositoryName};
use xxhash_rust::xxh3::xxh3_64;

/// What is queued, whenever it was: 8 bytes an entry, since the queue is as long as there are candidates, not as the store is large.
#[derive(Debug, Default)]
pub(super) struct Queued(HashSet<u64>);

impl Queued {
    fn of(item: &GcItem) -> u64 {
        xxh3_64(&key::gc(crate::clock::UnixMillis(0), item))
    }

    fn has(&self, item: &GcItem) -> bool {
        self.0.contains(&Self::of(item))
    }
}

impl Checker<'_> {
    /// Reads the queue before all else. What cannot be read is told when its table has its turn.
    pub(super) fn read_queue(&mut self) {
        let mut after: Option<Bytes> = None;
        while let Ok(rows) = self.view.raw_page(&[table::GC], after.as_deref(), super::PAGE_ROWS) {
            let items = rows.iter().filter_map(|(row, _)| match Key::decode(row) {
                Ok(Key::Gc { item, .. } | Key::GcFormat1 { item, .. }) => Some(Queued::of(&item)),
                _ => None,
            });
            self.queued.0.extend(items);
            if rows.len() < super::PAGE_ROWS {
                return;
            }
            after = rows.into_iter().last().map(|(row, _)| row);
        }
    }

    /// A link that no manifest holds.
    pub(super) fn queued_link(
        &mut self,
        row: &Bytes,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), EngineError> {
        let item = GcItem::Link { repository: repository.clone(), digest: *digest };
        if !self.queued.has(&item) && !self.view.is_held(repository, digest)? {
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
    ) -> Result<(), EngineError> {
        let item = GcItem::Manifest { repository: repository.clone(), digest: *digest };
        if self.queued.has(&item)
            || !self.view.tags_of(repository, digest, None, 1)?.is_empty()
            || self.view.is_held(repository, digest)?
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
        if !self.queued.has(&GcItem::Blob { digest: *digest })
            && self.view.raw_page(&key::blob_repositories(digest), None, 1)?.is_empty()
        {
            self.leaked(row);
        }
        Ok(())
    }

    /// The bytes of a manifest that no repository has.
    pub(super) fn queued_bytes(&mut self, row: &Bytes, digest: &Digest) -> Result<(), EngineError> {
        if !self.queued.has(&GcItem::ManifestBytes { digest: *digest })
            && self.view.raw_page(&key::manifest_repositories(digest), None, 1)?.is_empty()
        {
            self.leaked(row);
        }
        Ok(())
    }

    fn leaked(&mut self, row: &Bytes) {
        self.found(row, super::Problem::NotQueued);
    }
}
