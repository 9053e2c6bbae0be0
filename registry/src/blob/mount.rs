//! Mount of a blob from another repository (distribution-spec end-11): no bytes move, one row is written.

use crate::access::{Access, Action, Actions};
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use strata_engine::meta::View;
use strata_types::{Digest, RepositoryName};

/// Most repositories that are looked through for one that the principal may read.
const SOURCES_MAX: usize = 256;

impl Registry {
    /// Makes a blob of another repository readable in this one. Without `from`, any repository will do that the principal may read: see,
    /// in the same registry, pull from in another.
    ///
    /// Never fails for the blob's or the source's sake: `false` says that there is nothing to mount (or it may not be read, or the
    /// store had trouble), and the caller starts an upload instead, which is what every client goes on with.
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`] or [`RegistryError::Denied`] where the principal may not push to `repository`.
    pub async fn mount_blob(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
    ) -> Result<bool> {
        let attempt = Attempt::on_digest("blob.mount", repository, digest);
        self.told(ctx, attempt, self.authorize(ctx, Action::Push, repository))
            .map_err(|error| asking_for_source(error, from))?;
        // A damaged blob is sent again by the client, and healed by that.
        if !self.is_readable(digest).await.unwrap_or(false) {
            self.counters().mounts_missed.add(1);
            return Ok(false);
        }
        let mounted = self
            .transact(ctx, |view, batch| {
                if view.blob(digest).map_err(RegistryError::store)?.is_none() {
                    return Ok(None);
                }
                let Some(source) = self.source(ctx, view, repository, digest, from)? else {
                    return Ok(None);
                };
                let admitted = self.admit(ctx, Action::Push, batch, repository)?;
                batch.mount_blob(repository, digest, Some(&source));
                Ok(Some(admitted))
            })
            .await;
        match mounted {
            Ok(Some(admitted)) => {
                self.admitted(admitted);
                self.counters().mounts.add(1);
                Ok(true)
            }
            // Of a quota the upload is told that the client goes on with.
            Ok(None) | Err(RegistryError::QuotaExceeded { .. }) => {
                self.counters().mounts_missed.add(1);
                Ok(false)
            }
            Err(error) => {
                tracing::warn!(%repository, %digest, error = &error as &dyn std::error::Error, "mount failed");
                Ok(false)
            }
        }
    }

    /// The repository to mount from: `from` if it has the blob; else the target itself, which makes a repeated mount a success; and where
    /// the client named none, any that has it.
    fn source(
        &self,
        ctx: &Context,
        view: &View,
        repository: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
    ) -> Result<Option<RepositoryName>> {
        let readable = |candidate: &&RepositoryName| {
            let is_near = candidate.registry() == repository.registry();
            self.allows(ctx, if is_near { Action::See } else { Action::Pull }, candidate)
        };
        for candidate in from.into_iter().filter(readable).chain([repository]) {
            if view.link(candidate, digest).map_err(RegistryError::store)?.is_some() {
                return Ok(Some(candidate.clone()));
            }
        }
        if from.is_some() {
            return Ok(None);
        }
        let candidates = view.blob_repositories(digest, None, SOURCES_MAX).map_err(RegistryError::store)?;
        Ok(candidates.iter().find(readable).cloned())
    }
}

/// The same refusal, asking for a token that can read the source as well.
fn asking_for_source(error: RegistryError, from: Option<&RepositoryName>) -> RegistryError {
    match (error, from) {
        (RegistryError::Unauthorized { mut challenge }, Some(from)) => {
            challenge.scopes.push(Access::repository(from.as_str(), Actions::PULL));
            RegistryError::Unauthorized { challenge }
        }
        (error, _) => error,
    }
}
