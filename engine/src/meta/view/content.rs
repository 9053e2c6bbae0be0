//! Pinned blobs, and ingests.

use super::View;
use crate::error::EngineError;
use crate::meta::key::{self, Key};
use crate::meta::record::{IngestRecord, PinRecord};
use strata_types::{Digest, RepositoryName, UploadId};

#[expect(clippy::missing_errors_doc, reason = "all return what MetaView::get documents")]
impl View {
    /// What is written down of a blob that is pinned in a repository.
    pub fn pin(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<PinRecord>, EngineError> {
        self.record(&key::pin(repository, digest))
    }

    /// Blobs that are pinned in a repository, in the order of digests. An entry can weigh as much as its labels.
    pub fn pins(
        &self,
        repository: &RepositoryName,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, PinRecord)>, EngineError> {
        let after = after.map(|after| key::pin(repository, after));
        self.page(&key::pins(repository), after.as_deref(), limit, |key, record| match key {
            Key::Pin { digest, .. } => Some((digest, record)),
            _ => None,
        })
    }

    /// An ingest of a repository, by its session, expired or not.
    pub fn ingest(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<Option<IngestRecord>, EngineError> {
        self.record(&key::ingest(repository, id))
    }

    /// Ingests of a repository, in the order of their sessions' ids.
    pub fn ingests(
        &self,
        repository: &RepositoryName,
        after: Option<&UploadId>,
        limit: usize,
    ) -> Result<Vec<(UploadId, IngestRecord)>, EngineError> {
        let after = after.map(|after| key::ingest(repository, after));
        self.page(&key::ingests(repository), after.as_deref(), limit, |key, record| match key {
            Key::Ingest { id, .. } => Some((id, record)),
            _ => None,
        })
    }
}
