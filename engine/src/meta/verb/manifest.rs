//! Manifests: bytes, place in the repository, edges both ways, referrer row, tags, events, in one batch.

use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::batch::{Batch, Expectation};
use crate::meta::digest::digest_of;
use crate::meta::key;
use crate::meta::record::{
    BackEdge, Edge, EdgeRole, Edges, EventKind, GcItem, LinkRecord, ManifestBytes, ManifestRecord, Presence,
    Record, Referrer, Target, Trashed, TrashedManifest,
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
    /// Links and manifests of the repository that it holds, with the times of their rows as the caller saw them: their entries
    /// are taken off the queue of garbage collection. One that is left out, or whose row has changed since, costs the sweeper a
    /// look and nothing else.
    pub seen: Vec<(UnixMillis, GcItem)>,
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

/// What a repository has of a digest that a manifest held.
struct Found {
    link: Option<Bytes>,
    is_manifest: bool,
}

impl Found {
    fn target(&self) -> Option<Target> {
        match self {
            Self { link: Some(_), .. } => Some(Target::Link),
            Self { is_manifest: true, .. } => Some(Target::Manifest),
            Self { .. } => None,
        }
    }
}

impl Batch {
    /// Stores a manifest in a repository (which is created where it is not there) and points tags to it. Pushing it again
    /// is no error: what is the same stays, with its first time where a tag is given, else with a new one, because a recent push
    /// protects it; an event is appended in any case.
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
        let before = self.put_manifest_rows(view, put)?;
        self.take_off_queue(put, before);
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

    /// What is held now, or named by a tag, is no candidate of the sweeper any more; `before` is the time of the manifest's row
    /// where it was there.
    // RACE: an entry that a release or a push put meanwhile has another time and stays, so that no candidate is ever without one.
    fn take_off_queue(&mut self, put: &ManifestPut, before: Option<UnixMillis>) {
        let held = put.edges().held();
        for (at, item) in &put.seen {
            if let GcItem::Link { repository, digest } | GcItem::Manifest { repository, digest } = item
                && *repository == put.repository
                && held.binary_search_by(|(held, _)| held.cmp(digest)).is_ok()
            {
                self.delete_gc(*at, item);
            }
        }
        // Where it has no tag, it is queued anew with its new time.
        if let Some(before) = before {
            let (repository, digest) = (put.repository.clone(), put.digest);
            self.delete_gc(before, &GcItem::Manifest { repository, digest });
        }
    }

    /// The rows of the manifest itself, where they differ from what the view shows; the time of its row where it was there.
    fn put_manifest_rows(
        &mut self,
        view: &View,
        put: &ManifestPut,
    ) -> Result<Option<UnixMillis>, EngineError> {
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

        let before = old.as_ref().map(|old| old.pushed_at);
        let edges = put.edges();
        let same = old_edges.as_ref() == Some(&edges)
            && old_descriptor.as_ref() == put.subject.as_ref().map(|(_, descriptor)| descriptor)
            && old.is_some_and(|old| old.media_type == put.media_type && old.attributes == put.attributes);
        if same && !put.tags.is_empty() {
            return Ok(before);
        }
        let record = ManifestRecord {
            media_type: put.media_type.clone(),
            size: put.bytes.len() as u64,
            pushed_at: self.at(),
            attributes: put.attributes.clone(),
        };
        self.put(row, record.encode());
        if same {
            return Ok(before);
        }
        if let Some(old_edges) = &old_edges {
            self.drop_edges(view, repository, digest, old_edges, &edges)?;
        }
        self.put(key::manifest_repository(digest, repository), Presence.encode());
        for (child, roles) in edges.held() {
            self.put(key::back_edge(repository, &child, digest), BackEdge { roles }.encode());
        }
        if let Some((subject, descriptor)) = &put.subject {
            self.put(key::referrer(repository, subject, digest), Referrer(descriptor.clone()).encode());
        }
        self.put(edges_row, edges.encode());
        Ok(before)
    }

    /// Removes the back edges and the referrer row of a manifest, and releases what it held and does not hold by the edges `kept`.
    /// Answers what of that the repository has.
    fn drop_edges(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        digest: &Digest,
        edges: &Edges,
        kept: &Edges,
    ) -> Result<Vec<(Digest, Target)>, EngineError> {
        let kept = kept.held();
        let mut there = Vec::new();
        for (child, _) in edges.held() {
            if kept.binary_search_by(|(kept, _)| kept.cmp(&child)).is_ok() {
                continue;
            }
            self.delete(key::back_edge(repository, &child, digest));
            // No bytes can hold their own digest; if they did, they would not keep themselves.
            let is_itself = child == *digest;
            let found = Found {
                link: view.raw(&key::link(repository, &child))?,
                is_manifest: !is_itself && view.has_manifest(repository, &child)?,
            };
            // RACE: what a restore will ask for is what was there when the manifest went, not when it was looked at.
            if !is_itself {
                self.expect_found(repository, &child, &found);
            }
            there.extend(found.target().map(|target| (child, target)));
            self.release(view, repository, digest, &child, found)?;
        }
        if let Some(subject) = edges.subject() {
            self.delete(key::referrer(repository, &subject, digest));
        }
        Ok(there)
    }

    /// Expects that the repository has the same of a digest.
    fn expect_found(&mut self, repository: &RepositoryName, digest: &Digest, found: &Found) {
        let (link, manifest) = (key::link(repository, digest), key::manifest(repository, digest));
        if found.link.is_some() {
            return self.expect(Expectation::Present(link));
        }
        self.expect(Expectation::Absent(link));
        self.expect(if found.is_manifest {
            Expectation::Present(manifest)
        } else {
            Expectation::Absent(manifest)
        });
    }

    /// The manifest `by` holds `child` no longer. Where nothing else does, `child` becomes a candidate of the sweeper: the time
    /// of its link begins anew, and it is queued.
    fn release(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        by: &Digest,
        child: &Digest,
        found: Found,
    ) -> Result<(), EngineError> {
        let holders = view.holders(repository, child, None, 2)?;
        if let Some((other, _)) = holders.iter().find(|(holder, _)| holder != by) {
            // RACE: two holders that go at once must not both leave it to the other: the second finds the first gone.
            self.expect(Expectation::Present(key::back_edge(repository, child, other)));
            return Ok(());
        }
        // RACE: one that comes meanwhile takes the link's entry off the queue, and holds it.
        let own = key::back_edge(repository, child, by);
        self.expect(Expectation::PrefixKeys(key::back_edges(repository, child), vec![own]));
        // A link that is made meanwhile queues itself.
        if let Some(value) = found.link {
            let link = key::link(repository, child);
            let since = LinkRecord::decode(value.clone())?.created_at;
            // Later than before, whatever the clock says: whoever saw the link at its former time is told that it has changed.
            let released_at = UnixMillis(self.at().0.max(since.0.saturating_add(1)));
            self.expect(Expectation::Equals(link.clone(), value));
            self.put(link, LinkRecord { created_at: released_at }.encode());
            let item = GcItem::Link { repository: repository.clone(), digest: *child };
            self.put(key::gc(released_at, &item), Presence.encode());
        }
        if found.is_manifest {
            self.queue_gc(&GcItem::Manifest { repository: repository.clone(), digest: *child });
        }
        Ok(())
    }

    /// Removes a manifest from a repository, with all tags that point to it, and queues what nothing else holds. It can be
    /// restored while its bytes stay, until they are collected; manifests that refer to it or hold it stay as they are. `false`: it is not there, nothing is
    /// added to the batch. One batch removes one manifest of a repository: of two that hold the same, neither is the last.
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
        let record = ManifestRecord::decode(value.clone())?;
        self.expect_value(row.clone(), Some(value));
        self.expect_value(edges_row.clone(), edges_value);
        let descriptor = match edges.subject() {
            Some(subject) => view.referrer(repository, &subject, digest)?,
            None => None,
        };
        let tags = self.delete_tags_of(view, repository, digest)?;
        self.delete(row);
        self.delete(edges_row);
        self.delete(key::manifest_repository(digest, repository));
        let there = self.drop_edges(view, repository, digest, &edges, &Edges::default())?;
        self.queue_gc(&GcItem::ManifestBytes { digest: *digest });
        // Manifests that refer to this one may have been kept for its sake only.
        self.queue_referrers(view, repository, digest)?;
        let event = self.event(EventKind::ManifestDeleted, repository, Some(*digest), None);
        let ManifestRecord { media_type, size, pushed_at, attributes } = record;
        let manifest =
            TrashedManifest { media_type, size, pushed_at, attributes, edges, there, descriptor, tags };
        let trash = self.trash(repository, digest, Trashed::Manifest(manifest));
        self.append(&event, Some(trash));
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
