//! Repositories come to be with their first row, and go with all that they have.

use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::limits::BATCH_STEPS_MAX;
use crate::meta::batch::{Batch, Expectation};
use crate::meta::key;
use crate::meta::record::{
    Edges, EventKind, GcItem, ManifestRecord, Presence, Record, RepositoryRecord, Target, Trashed,
    TrashedManifest,
};
use crate::meta::view::View;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use strata_types::{Digest, RepositoryName, Tag};

/// Rows of one read.
const PAGE: usize = 256;

/// What went with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RepositoryRemoved {
    /// Manifests.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs that could be read in it.
    pub links: u64,
}

/// What a repository has, as the view shows it.
#[derive(Debug, Default)]
struct Contents {
    links: BTreeSet<Digest>,
    manifests: BTreeMap<Digest, ManifestRecord>,
    tags: BTreeMap<Digest, Vec<Tag>>,
}

impl Batch {
    /// Makes sure that the repository exists; only where it did not, the event is appended. The verbs that write into a
    /// repository do this themselves.
    pub fn create_repository(&mut self, repository: &RepositoryName) {
        let row = key::repository(repository);
        if self.puts(&row) {
            return;
        }
        let record = RepositoryRecord { created_at: self.at() };
        let event = self.event(EventKind::RepositoryCreated, repository, None, None);
        self.put_if_absent(row, record.encode(), Some(&event));
    }

    /// Removes a repository with its manifests, tags, their history, and links. Its manifests can be restored. Blobs that are
    /// linked nowhere else stay until `blobs_until`, so that a restore finds them; then they are due for garbage
    /// collection. Expects that the repository has what the view shows and nothing more: what is pushed meanwhile refuses the
    /// batch. `None`: it is not there, nothing is added to the batch.
    ///
    /// # Errors
    /// [`EngineError::TooManyRows`] where that would be more than one batch takes; errors of the view.
    pub fn delete_repository(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        blobs_until: UnixMillis,
    ) -> Result<Option<RepositoryRemoved>, EngineError> {
        if view.repository(repository)?.is_none() {
            return Ok(None);
        }
        let row = key::repository(repository);
        self.expect(Expectation::Present(row.clone()));
        let mut contents = Contents::default();
        let tags = self.delete_all_tags(view, repository, &mut contents)?;
        self.delete_history(view, repository)?;
        self.delete_links(view, repository, blobs_until, &mut contents)?;
        self.delete_manifests(view, repository, &mut contents)?;
        self.delete(row);
        let event = self.event(EventKind::RepositoryDeleted, repository, None, None);
        self.append(&event, None);
        let (manifests, links) = (contents.manifests.len() as u64, contents.links.len() as u64);
        Ok(Some(RepositoryRemoved { manifests, tags, links }))
    }

    fn delete_all_tags(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        contents: &mut Contents,
    ) -> Result<u64, EngineError> {
        let mut seen = Vec::new();
        let mut after: Option<Tag> = None;
        loop {
            let page = view.tags(repository, after.as_ref().map(Tag::as_str), PAGE)?;
            let full = page.len() == PAGE;
            for (tag, record) in page {
                let row = key::tag(repository, &tag);
                self.expect(Expectation::Equals(row.clone(), record.encode()));
                self.delete(row.clone());
                seen.push(row);
                self.delete(key::manifest_tag(repository, &record.digest, &tag));
                let event = self.event(EventKind::TagDeleted, repository, Some(record.digest), Some(&tag));
                self.append(&event, None);
                contents.tags.entry(record.digest).or_default().push(tag.clone());
                after = Some(tag);
            }
            self.bounded()?;
            if !full {
                let count = seen.len() as u64;
                self.expect(Expectation::PrefixKeys(key::tags(repository), seen));
                return Ok(count);
            }
        }
    }

    /// A repository of the same name begins without a past.
    fn delete_history(&mut self, view: &View, repository: &RepositoryName) -> Result<(), EngineError> {
        let prefix = key::tag_history(repository);
        let mut seen: Vec<Bytes> = Vec::new();
        loop {
            let page = view.raw_page(&prefix, seen.last().map(AsRef::as_ref), PAGE)?;
            let full = page.len() == PAGE;
            for (row, _) in page {
                self.delete(row.clone());
                seen.push(row);
            }
            self.bounded()?;
            if !full {
                self.expect(Expectation::PrefixKeys(prefix, seen));
                return Ok(());
            }
        }
    }

    fn delete_links(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        blobs_until: UnixMillis,
        contents: &mut Contents,
    ) -> Result<(), EngineError> {
        let mut seen = Vec::new();
        let mut after: Option<Digest> = None;
        loop {
            let page = view.links(repository, after.as_ref(), PAGE)?;
            let full = page.len() == PAGE;
            for (digest, _) in page {
                let row = key::link(repository, &digest);
                self.delete(row.clone());
                seen.push(row);
                self.delete(key::blob_repository(&digest, repository));
                // Whatever is pinned is linked.
                self.delete(key::pin(repository, &digest));
                let event = self.event(EventKind::BlobDeleted, repository, Some(digest), None);
                self.append(&event, None);
                self.put(key::gc(blobs_until, &GcItem::Blob { digest }), Presence.encode());
                contents.links.insert(digest);
                after = Some(digest);
            }
            self.bounded()?;
            if !full {
                // RACE: one that is renewed meanwhile goes all the same; one that is new is somebody's push.
                self.expect(Expectation::PrefixKeys(key::links(repository), seen));
                return Ok(());
            }
        }
    }

    fn delete_manifests(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        contents: &mut Contents,
    ) -> Result<(), EngineError> {
        let mut after: Option<Digest> = None;
        loop {
            let page = view.manifests(repository, after.as_ref(), PAGE)?;
            let full = page.len() == PAGE;
            after = page.last().map(|(digest, _)| *digest);
            contents.manifests.extend(page);
            if !full {
                break;
            }
        }
        let rows = contents.manifests.keys().map(|digest| key::manifest(repository, digest)).collect();
        self.expect(Expectation::PrefixKeys(key::manifests(repository), rows));
        for digest in contents.manifests.keys() {
            self.delete_manifest_of(view, repository, digest, contents)?;
            self.bounded()?;
        }
        Ok(())
    }

    /// One of all manifests of a repository: nothing that it held needs to be let go of, since everything goes.
    fn delete_manifest_of(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        digest: &Digest,
        contents: &Contents,
    ) -> Result<(), EngineError> {
        let Some(record) = contents.manifests.get(digest) else { return Ok(()) };
        let (row, edges_row) = (key::manifest(repository, digest), key::edges(repository, digest));
        let edges_value = view.raw(&edges_row)?;
        let edges = edges_value.clone().map(Edges::decode).transpose()?.unwrap_or_default();
        self.expect(Expectation::Equals(row.clone(), record.encode()));
        self.expect_value(edges_row.clone(), edges_value);
        for row in [row, edges_row, key::manifest_repository(digest, repository)] {
            self.delete(row);
        }
        let mut there = Vec::new();
        for (child, _) in edges.held() {
            self.delete(key::back_edge(repository, &child, digest));
            if contents.links.contains(&child) {
                there.push((child, Target::Link));
            } else if child != *digest && contents.manifests.contains_key(&child) {
                there.push((child, Target::Manifest));
            }
        }
        let mut descriptor = None;
        if let Some(subject) = edges.subject() {
            descriptor = view.referrer(repository, &subject, digest)?;
            self.delete(key::referrer(repository, &subject, digest));
        }
        self.queue_gc(&GcItem::ManifestBytes { digest: *digest });
        let ManifestRecord { media_type, size, pushed_at, attributes } = record.clone();
        let tags = contents.tags.get(digest).cloned().unwrap_or_default();
        let manifest =
            TrashedManifest { media_type, size, pushed_at, attributes, edges, there, descriptor, tags };
        let trash = self.trash(repository, digest, Trashed::Manifest(manifest));
        let event = self.event(EventKind::ManifestDeleted, repository, Some(*digest), None);
        self.append(&event, Some(trash));
        Ok(())
    }

    /// Refuses what would hold up all other commits for too long.
    fn bounded(&self) -> Result<(), EngineError> {
        if self.steps.len() > BATCH_STEPS_MAX {
            Err(EngineError::TooManyRows { max: BATCH_STEPS_MAX })
        } else {
            Ok(())
        }
    }
}
