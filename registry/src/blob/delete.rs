//! `DELETE` of a blob (distribution-spec end-10): the repository can no longer read it. Its bytes are the collector's.

use super::read::unknown;
use crate::access::Action;
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use strata_types::{Digest, RepositoryName};

impl Registry {
    /// Takes a blob out of the repository.
    ///
    /// Refused while a manifest of the repository needs it: unlinking would break every image that was acknowledged with it, and the
    /// one who asks can delete the manifests first, as the spec's conformance suite does (it takes 202, 404 and 405 for an answer).
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`]; [`RegistryError::BlobReferenced`]; [`RegistryError::Denied`]; the store's condition.
    pub async fn delete_blob(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<()> {
        let attempt = Attempt::on_digest("blob.delete", repository, digest);
        self.told(ctx, attempt, self.authorize(ctx, Action::Delete, repository))?;
        self.transact(ctx, |view, batch| {
            if view.link(repository, digest).map_err(RegistryError::store)?.is_none() {
                return Err(unknown(repository, digest));
            }
            if let Some((by, _)) =
                view.holders(repository, digest, None, 1).map_err(RegistryError::store)?.first()
            {
                return Err(RegistryError::BlobReferenced { digest: *digest, by: *by });
            }
            // RACE: a push that refers to the blob and commits first makes this batch conflict, and the next round refuses.
            batch.expect_not_held(repository, digest);
            batch.unlink_blob(repository, digest);
            Ok(())
        })
        .await?;
        self.counters().blobs_deleted.add(1);
        Ok(())
    }
}
