//! Manifests: bytes, place in the repository, edges both ways, referrer row, tags, events, in one batch.

use crate::error::EngineError;
use crate::meta::batch::{Batch, Expectation};
use crate::meta::digest::digest_of;
use crate::meta::key;
use crate::meta::record::{
    BackEdge, Edge, EdgeRole, Edges, EventKind, GcItem, ManifestBytes, ManifestRecord, Presence, Record,
    Referrer,
};
use crate::meta::view::View;
use bytes::Bytes;
use strata_types::{Digest, RepositoryName, Tag};

/// A manifest to store, parsed by the service layer into edges.
#[derive(Debug, Clone)]
pub struct ManifestPut {
    /// Where.
    pub repository: RepositoryName,
    /// Under which name; the bytes are checked against it.
    pub digest: Digest,
    /// The media type to serve it with, at most 255 bytes.
    pub media_type: String,
    /// The bytes as they came.
    pub bytes: Bytes,
    /// What it holds: config, layers, children. Order and repetitions do not matter.
    pub edges: Vec<Edge>,
    /// Blobs that must be readable in the repository when the batch is applied.
    pub required_blobs: Vec<Digest>,
    /// Manifests that must be in the repository when the batch is applied.
    pub required_manifests: Vec<Digest>,
    /// What it refers to, which need not exist, and the descriptor that it is listed with among the subject's referrers.
    pub subject: Option<(Digest, Bytes)>,
    /// Tags to point to it.
    pub tags: Vec<Tag>,
    /// What the service layer keeps beside it.
    pub attributes: Bytes,
}

impl ManifestPut {
    fn edges(&self) -> Edges {
        let held = self.edges.iter().filter(|edge| edge.role != EdgeRole::Subject).copied();
        let subject =
            self.subject.iter().map(|(digest, _)| Edge { role: EdgeRole::Subject, digest: *digest });
        Edges::new(held.chain(subject).collect())
    }
}

/// Each digest once: a manifest may name the same layer thousands of times.
fn distinct(digests: &[Digest]) -> Vec<Digest> {
    let mut distinct = digests.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

impl Batch {
    /// Stores a manifest in a repository (which is created where it is not there) and points tags to it. Pushing it again
    /// is no error: what is the same stays, with its first time; an event is appended in any case.
    ///
    /// # Errors
    /// [`EngineError::DigestMismatch`] where the bytes are not what the digest names; errors of the view.
    pub fn put_manifest(&mut self, view: &View, put: &ManifestPut) -> Result<(), EngineError> {
        let actual = digest_of(put.digest.algorithm(), &put.bytes);
        if actual != put.digest {
            return Err(EngineError::DigestMismatch { expected: put.digest, actual });
        }
        self.create_repository(&put.repository);
        for digest in distinct(&put.required_blobs) {
            self.expect_link(&put.repository, &digest);
        }
        for digest in distinct(&put.required_manifests) {
            self.expect(Expectation::Present(key::manifest(&put.repository, &digest)));
        }
        self.put_manifest_rows(view, put)?;
        let event = self.event(EventKind::ManifestPushed, &put.repository, Some(put.digest), None);
        self.append(&event, None);
        let mut tags: Vec<&Tag> = put.tags.iter().collect();
        tags.sort_unstable();
        tags.dedup();
        for tag in tags {
            self.set_tag(view, &put.repository, tag, &put.digest)?;
        }
        if put.tags.is_empty() {
            self.queue_gc(&GcItem::Manifest { repository: put.repository.clone(), digest: put.digest });
        }
        Ok(())
    }

    /// The rows of the manifest itself, where they differ from what the view shows.
    fn put_manifest_rows(&mut self, view: &View, put: &ManifestPut) -> Result<(), EngineError> {
        let (repository, digest) = (&put.repository, &put.digest);
        let (row, edges_row) = (key::manifest(repository, digest), key::edges(repository, digest));
        let (old_value, old_edges_value) = (view.raw(&row)?, view.raw(&edges_row)?);
        let old = old_value.clone().map(ManifestRecord::decode).transpose()?;
        let old_edges = old_edges_value.clone().map(Edges::decode).transpose()?;
        let old_descriptor = match old_edges.as_ref().and_then(Edges::subject) {
            Some(subject) => {
                let row = key::referrer(repository, &subject, digest);
                let value = view.raw(&row)?;
                self.expect_value(row, value.clone());
                value.map(Referrer::decode).transpose()?.map(|Referrer(descriptor)| descriptor)
            }
            None => None,
        };
        self.expect_value(row.clone(), old_value);
        self.expect_value(edges_row.clone(), old_edges_value);
        // The bytes may be there from another repository; whoever removes them expects that no repository has them.
        self.put_if_absent(key::manifest_bytes(digest), ManifestBytes(put.bytes.clone()).encode(), None);

        let edges = put.edges();
        let same = old_edges.as_ref() == Some(&edges)
            && old_descriptor.as_ref() == put.subject.as_ref().map(|(_, descriptor)| descriptor)
            && old.is_some_and(|old| old.media_type == put.media_type && old.attributes == put.attributes);
        if same {
            return Ok(());
        }
        if let Some(old_edges) = &old_edges {
            self.drop_edges(repository, digest, old_edges);
        }
        let record = ManifestRecord {
            media_type: put.media_type.clone(),
            size: put.bytes.len() as u64,
            pushed_at: self.at(),
            attributes: put.attributes.clone(),
        };
        self.put(row, record.encode());
        self.put(key::manifest_repository(digest, repository), Presence.encode());
        for (child, roles) in edges.held() {
            self.put(key::back_edge(repository, &child, digest), BackEdge { roles }.encode());
        }
        if let Some((subject, descriptor)) = &put.subject {
            self.put(key::referrer(repository, subject, digest), Referrer(descriptor.clone()).encode());
        }
        self.put(edges_row, edges.encode());
        Ok(())
    }

    /// Removes the back edges and the referrer row of a manifest, and queues what it held.
    fn drop_edges(&mut self, repository: &RepositoryName, digest: &Digest, edges: &Edges) {
        for (child, roles) in edges.held() {
            self.delete(key::back_edge(repository, &child, digest));
            if roles.contains(EdgeRole::Child) {
                self.queue_gc(&GcItem::Manifest { repository: repository.clone(), digest: child });
            }
            if roles.contains(EdgeRole::Config) || roles.contains(EdgeRole::Layer) {
                self.queue_gc(&GcItem::Link { repository: repository.clone(), digest: child });
            }
        }
        if let Some(subject) = edges.subject() {
            self.delete(key::referrer(repository, &subject, digest));
        }
    }

    /// Removes a manifest from a repository, with all tags that point to it, and queues what it held. Its bytes stay until
    /// they are collected; manifests that refer to it or hold it stay as they are. `false`: it is not there, nothing is
    /// added to the batch.
    ///
    /// # Errors
    /// Errors of the view.
    pub fn delete_manifest(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, EngineError> {
        let (row, edges_row) = (key::manifest(repository, digest), key::edges(repository, digest));
        let Some(value) = view.raw(&row)? else { return Ok(false) };
        let edges_value = view.raw(&edges_row)?;
        let edges = edges_value.clone().map(Edges::decode).transpose()?.unwrap_or_default();
        self.expect_value(row.clone(), Some(value));
        self.expect_value(edges_row.clone(), edges_value);
        self.delete_tags_of(view, repository, digest)?;
        self.delete(row);
        self.delete(edges_row);
        self.delete(key::manifest_repository(digest, repository));
        self.drop_edges(repository, digest, &edges);
        self.queue_gc(&GcItem::ManifestBytes { digest: *digest });
        // Manifests that refer to this one may have been kept for its sake only.
        self.queue_referrers(view, repository, digest)?;
        let event = self.event(EventKind::ManifestDeleted, repository, Some(*digest), None);
        self.append(&event, None);
        Ok(true)
    }

    fn queue_referrers(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<(), EngineError> {
        const PAGE: usize = 256;
        let mut after = None;
        loop {
            let page = view.referrers(repository, subject, after.as_ref(), PAGE)?;
            for (referrer, _) in &page {
                self.queue_gc(&GcItem::Manifest { repository: repository.clone(), digest: *referrer });
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => after = Some(*last),
                _ => return Ok(()),
            }
        }
    }
}
