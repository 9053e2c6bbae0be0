//! Checks of pins and ingests.

use super::Checker;
use crate::error::EngineError;
use crate::meta::key;
use bytes::Bytes;
use strata_types::{Digest, RepositoryName, UploadId};

impl Checker<'_> {
    pub(super) fn pin(
        &mut self,
        row: &Bytes,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), EngineError> {
        self.summary.pins += 1;
        self.needs(row, &key::link(repository, digest), "the link")?;
        Ok(())
    }

    pub(super) fn ingest(
        &mut self,
        row: &Bytes,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<(), EngineError> {
        let session =
            self.related::<crate::meta::UploadRecord>(row, &key::upload(id), "the upload session")?;
        if session.is_some_and(|session| session.repository != *repository) || !id.is_named() {
            self.disagrees(row, "the upload session");
        }
        Ok(())
    }
}
