//! `DELETE` of a tag or a manifest (distribution-spec end-9).

use super::read::missing;
use crate::access::Action;
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use strata_types::{Reference, RepositoryName};

impl Registry {
    /// By tag: removes the tag only. By digest: removes the manifest and all tags that stand for it; it is no longer listed as a
    /// referrer. An index that lists it stays, as it may list what was never there.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`]; [`RegistryError::NameUnknown`]; [`RegistryError::Denied`]; the store's condition.
    pub async fn delete_manifest(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<()> {
        let attempt = Attempt::on_reference(["manifest.delete", "tag.delete"], repository, reference);
        self.told(ctx, attempt, self.authorize(ctx, Action::Delete, repository))?;
        self.transact(ctx, |view, batch| {
            let deleted = match reference {
                Reference::Tag(tag) => batch.delete_tag(view, repository, tag),
                Reference::Digest(digest) => batch.delete_manifest(view, repository, digest),
            };
            if deleted.map_err(RegistryError::store)? {
                Ok(())
            } else {
                Err(missing(view, repository, reference)?)
            }
        })
        .await?;
        let counters = self.counters();
        match reference {
            Reference::Tag(_) => counters.tags_deleted.add(1),
            Reference::Digest(_) => counters.manifests_deleted.add(1),
        }
        Ok(())
    }
}
