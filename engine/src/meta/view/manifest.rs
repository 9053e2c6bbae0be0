//! Manifests, their edges both ways and their referrers.

use super::View;
use crate::error::EngineError;
use crate::meta::key::{self, Key};
use crate::meta::record::{BackEdge, Edges, ManifestBytes, ManifestRecord, Presence, Referrer, RoleSet};
use bytes::Bytes;
use strata_types::{Digest, RepositoryName};

#[expect(clippy::missing_errors_doc, reason = "all return what MetaView::get documents")]
impl View {
    /// A manifest of a repository, without its bytes.
    pub fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<ManifestRecord>, EngineError> {
        self.record(&key::manifest(repository, digest))
    }

    /// Whether a manifest is in a repository.
    pub fn has_manifest(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, EngineError> {
        self.holds(&key::manifest(repository, digest))
    }

    /// The bytes of a manifest, whichever repositories have it: ask [`View::manifest`] first.
    pub fn manifest_bytes(&self, digest: &Digest) -> Result<Option<Bytes>, EngineError> {
        Ok(self.record(&key::manifest_bytes(digest))?.map(|ManifestBytes(bytes)| bytes))
    }

    /// Manifests of a repository, in the order of digests.
    pub fn manifests(
        &self,
        repository: &RepositoryName,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, ManifestRecord)>, EngineError> {
        let after = after.map(|after| key::manifest(repository, after));
        self.page(&key::manifests(repository), after.as_deref(), limit, |key, record| match key {
            Key::Manifest { digest, .. } => Some((digest, record)),
            _ => None,
        })
    }

    /// Repositories that have a manifest, by name.
    pub fn manifest_repositories(
        &self,
        digest: &Digest,
        after: Option<&RepositoryName>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>, EngineError> {
        let after = after.map(|after| key::manifest_repository(digest, after));
        let prefix = key::manifest_repositories(digest);
        self.page(&prefix, after.as_deref(), limit, |key, _: Presence| match key {
            Key::ManifestRepository { repository, .. } => Some(repository),
            _ => None,
        })
    }

    /// What a manifest of a repository references.
    pub fn edges(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<Edges>, EngineError> {
        self.record(&key::edges(repository, digest))
    }

    /// Manifests of a repository that hold a digest as config, layer or child.
    pub fn holders(
        &self,
        repository: &RepositoryName,
        child: &Digest,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, RoleSet)>, EngineError> {
        let after = after.map(|after| key::back_edge(repository, child, after));
        let prefix = key::back_edges(repository, child);
        self.page(&prefix, after.as_deref(), limit, |key, edge: BackEdge| match key {
            Key::BackEdge { parent, .. } => Some((parent, edge.roles)),
            _ => None,
        })
    }

    /// Whether a manifest of the repository holds the digest as config, layer or child.
    pub fn is_held(&self, repository: &RepositoryName, child: &Digest) -> Result<bool, EngineError> {
        Ok(!self.holders(repository, child, None, 1)?.is_empty())
    }

    /// Manifests of a repository that refer to a subject, in the order of digests, with their descriptors.
    pub fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, Bytes)>, EngineError> {
        let after = after.map(|after| key::referrer(repository, subject, after));
        let prefix = key::referrers(repository, subject);
        self.page(&prefix, after.as_deref(), limit, |key, Referrer(descriptor)| match key {
            Key::Referrer { referrer, .. } => Some((referrer, descriptor)),
            _ => None,
        })
    }

    /// The descriptor with which one manifest is listed among a subject's referrers.
    pub fn referrer(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        referrer: &Digest,
    ) -> Result<Option<Bytes>, EngineError> {
        Ok(self.record(&key::referrer(repository, subject, referrer))?.map(|Referrer(descriptor)| descriptor))
    }
}
