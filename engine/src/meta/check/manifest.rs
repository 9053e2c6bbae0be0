//! Checks of tags, manifests and edges.

use super::held::holds;
use super::{Checker, Problem};
use crate::error::EngineError;
use crate::meta::digest::digest_of;
use crate::meta::key;
use crate::meta::record::{
    BackEdge, EdgeRole, Edges, HistoryRecord, ManifestBytes, ManifestRecord, Record, TagRecord,
};
use bytes::Bytes;
use strata_types::{Digest, RepositoryName, Tag};

impl Checker<'_> {
    pub(super) fn tag(
        &mut self,
        row: &Bytes,
        repository: &RepositoryName,
        tag: &Tag,
        value: Bytes,
    ) -> Result<(), EngineError> {
        self.summary.tags += 1;
        self.count(repository, |usage| &mut usage.tags);
        let digest = TagRecord::decode(value)?.digest;
        self.needs(row, &key::manifest(repository, &digest), "the manifest")?;
        self.needs(row, &key::manifest_tag(repository, &digest, tag), "the manifest's index row")?;
        self.needs(row, &key::repository(repository), "the repository")?;
        let last = self.view.raw_last(&key::tag_moves(repository, tag))?;
        match last.and_then(|(_, value)| HistoryRecord::decode(value).ok()) {
            Some(last) if last.target == Some(digest) => {}
            _ => self.disagrees(row, "the tag's history"),
        }
        Ok(())
    }

    pub(super) fn manifest_tag(
        &mut self,
        row: &Bytes,
        repository: &RepositoryName,
        digest: &Digest,
        tag: &Tag,
    ) -> Result<(), EngineError> {
        let record = self.related::<TagRecord>(row, &key::tag(repository, tag), "the tag")?;
        if record.is_some_and(|record| record.digest != *digest) {
            self.disagrees(row, "the tag");
        }
        Ok(())
    }

    pub(super) fn tag_move(
        &mut self,
        row: &Bytes,
        repository: &RepositoryName,
        tag: &Tag,
        event: u64,
    ) -> Result<(), EngineError> {
        if event > self.log.last {
            self.disagrees(row, "the event log, which ends before it");
        }
        // Each tag once: at its last move.
        let last = self.view.raw_last(&key::tag_moves(repository, tag))?;
        if let Some((last, value)) = last.filter(|(last, _)| last == row) {
            let target = HistoryRecord::decode(value)?.target;
            let there = self.view.raw(&key::tag(repository, tag))?.is_some();
            if target.is_some() != there {
                self.disagrees(&last, "the tag");
            }
        }
        Ok(())
    }

    pub(super) fn manifest(
        &mut self,
        row: &Bytes,
        repository: &RepositoryName,
        digest: &Digest,
        value: Bytes,
    ) -> Result<(), EngineError> {
        self.summary.manifests += 1;
        let record = ManifestRecord::decode(value)?;
        self.needs(row, &key::repository(repository), "the repository")?;
        self.needs(row, &key::manifest_repository(digest, repository), "the index row")?;
        let bytes = self.related::<ManifestBytes>(row, &key::manifest_bytes(digest), "the bytes")?;
        if bytes.is_some_and(|ManifestBytes(bytes)| bytes.len() as u64 != record.size) {
            self.disagrees(row, "the length of the bytes");
        }
        self.needs(row, &key::edges(repository, digest), "the edges")?;
        self.queued_manifest(row, repository, digest, record.pushed_at)
    }

    pub(super) fn edges(
        &mut self,
        row: &Bytes,
        repository: &RepositoryName,
        digest: &Digest,
        value: Bytes,
    ) -> Result<(), EngineError> {
        let edges = Edges::decode(value)?;
        self.needs(row, &key::manifest(repository, digest), "the manifest")?;
        for (child, roles) in edges.held() {
            let back = key::back_edge(repository, &child, digest);
            let back = self.related::<BackEdge>(row, &back, "the back edge")?;
            if back.is_some_and(|back| back.roles != roles) {
                self.disagrees(row, "the back edge");
            }
            let is_blob = roles.contains(EdgeRole::Config) || roles.contains(EdgeRole::Layer);
            let lacks_link = self.view.raw(&key::link(repository, &child))?.is_none();
            // An index may list blobs, as build caches do: a child is a manifest or a blob.
            let lacks_child = lacks_link
                && roles.contains(EdgeRole::Child)
                && self.view.raw(&key::manifest(repository, &child))?.is_none();
            if (is_blob && lacks_link) || lacks_child {
                self.found(row, Problem::Dangling { digest: child });
            }
        }
        if let Some(subject) = edges.subject() {
            self.needs(row, &key::referrer(repository, &subject, digest), "the referrer row")?;
        }
        Ok(())
    }

    pub(super) fn back_edge(
        &mut self,
        row: &Bytes,
        repository: &RepositoryName,
        child: &Digest,
        parent: &Digest,
        value: Bytes,
    ) -> Result<(), EngineError> {
        let roles = BackEdge::decode(value)?.roles;
        let edges_row = key::edges(repository, parent);
        if self.held.get(&edges_row).is_none() {
            let edges = self.related::<Edges>(row, &edges_row, "the edges of its manifest")?;
            let Some(edges) = edges else { return Ok(()) };
            self.held.keep(edges_row.clone(), &edges);
        }
        if !self.held.get(&edges_row).is_some_and(|held| holds(held, child, roles)) {
            self.disagrees(row, "the edges of its manifest");
        }
        Ok(())
    }

    pub(super) fn referrer(
        &mut self,
        row: &Bytes,
        repository: &RepositoryName,
        subject: &Digest,
        referrer: &Digest,
    ) -> Result<(), EngineError> {
        let edges =
            self.related::<Edges>(row, &key::edges(repository, referrer), "the edges of its manifest")?;
        if edges.is_some_and(|edges| edges.subject() != Some(*subject)) {
            self.disagrees(row, "the edges of its manifest");
        }
        Ok(())
    }

    pub(super) fn manifest_bytes(
        &mut self,
        row: &Bytes,
        digest: &Digest,
        value: Bytes,
    ) -> Result<(), EngineError> {
        let ManifestBytes(bytes) = ManifestBytes::decode(value)?;
        let actual = digest_of(digest.algorithm(), &bytes);
        if actual != *digest {
            self.found(row, Problem::WrongDigest { actual });
        }
        self.queued_bytes(row, digest)
    }
}
