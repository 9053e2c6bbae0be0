//! Removal of whole repositories: at once, or not at all. Registries go with their repositories, see [`crate::directory`].

use crate::access::Action;
use crate::audit::Attempt;
use crate::context::Context;
use crate::directory::behind;
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use crate::retry::Attempts;
use strata_engine::meta::{Batch, View};
use strata_engine::{EngineError, UnixMillis};
use strata_types::{DEFAULT_REGISTRY, RepositoryName};

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// The repositories, by name.
    pub repositories: Vec<RepositoryName>,
    /// Their manifests.
    pub manifests: u64,
    /// Their tags.
    pub tags: u64,
    /// Blobs that could be read in them, each once for each repository.
    pub blobs: u64,
    /// Upload sessions that were cancelled.
    pub uploads: u64,
}

impl Registry {
    /// Removes a repository with all that it has, and cancels its uploads. What is pushed to it meanwhile is either part of it or makes
    /// it anew. Its manifests can be restored.
    ///
    /// # Errors
    /// [`RegistryError::NameUnknown`]; [`RegistryError::RemovalTooLarge`]; [`RegistryError::Denied`]; [`RegistryError::Contended`]
    /// and the store's condition.
    pub async fn delete_repository(&self, ctx: &Context, repository: &RepositoryName) -> Result<Removed> {
        let attempt = Attempt::on_repository("repository.delete", repository);
        self.told(ctx, attempt, self.authorize(ctx, Action::Delete, repository))?;
        let removed = self.remove(ctx, repository).await?;
        removed.ok_or_else(|| RegistryError::NameUnknown(repository.clone()))
    }

    /// `None`: there is none.
    async fn remove(&self, ctx: &Context, repository: &RepositoryName) -> Result<Option<Removed>> {
        let mut attempts = Attempts::new();
        loop {
            let (registry, ctx_of, wanted) = (self.clone(), ctx.clone(), repository.clone());
            let (batch, removed) = away(move || {
                let (view, mut batch) = (registry.view()?, registry.batch(&ctx_of));
                let removed = registry.remove_repositories(&view, &mut batch, vec![wanted])?;
                Ok((batch, removed))
            })
            .await?;
            if removed.repositories.is_empty() {
                return Ok(None);
            }
            let at = batch.at();
            let outcome = self.engine().commit(batch).await;
            if attempts.judge(self, ctx, outcome).await?.is_some() {
                return self.removed(removed, at).await.map(Some);
            }
        }
    }

    /// Fills a batch with the removal of repositories; what is pushed to them meanwhile refuses it.
    pub(crate) fn remove_repositories(
        &self,
        view: &View,
        batch: &mut Batch,
        repositories: Vec<RepositoryName>,
    ) -> Result<Removed> {
        let until = self.engine().blobs_until();
        let mut removed = Removed::default();
        for repository in repositories {
            let gone = batch.delete_repository(view, &repository, until).map_err(too_large)?;
            let Some(gone) = gone else { continue };
            removed.manifests += gone.manifests;
            removed.tags += gone.tags;
            removed.blobs += gone.links;
            removed.repositories.push(repository);
        }
        Ok(removed)
    }

    /// Counts what was removed at a moment, and cancels its uploads.
    pub(crate) async fn removed(&self, mut removed: Removed, at: UnixMillis) -> Result<Removed> {
        let counters = self.counters();
        counters.repositories_deleted.add(removed.repositories.len() as u64);
        counters.manifests_deleted.add(removed.manifests);
        let cancelled = self.engine().cancel_uploads(&removed.repositories, at).await;
        removed.uploads = cancelled.map_err(RegistryError::store)?;
        Ok(removed)
    }
}

fn too_large(error: EngineError) -> RegistryError {
    match error {
        EngineError::TooManyRows { max } => RegistryError::RemovalTooLarge { max },
        other => RegistryError::store(other),
    }
}

/// The repositories of a registry, at most `limit`. Passes over all others by their registries, not one by one.
pub(crate) fn repositories_of(view: &View, registry: &str, limit: usize) -> Result<Vec<RepositoryName>> {
    const PAGE: usize = 64;
    let mut found = Vec::new();
    // Names of a registry other than the default one stand together.
    let mut after = (registry != DEFAULT_REGISTRY).then(|| format!("{registry}/"));
    loop {
        let page = view.repositories(after.as_deref(), PAGE).map_err(RegistryError::store)?;
        let is_last = page.len() < PAGE;
        for (name, _) in page {
            after = Some(name.to_string());
            if name.registry() == registry {
                found.push(name);
                if found.len() == limit {
                    return Ok(found);
                }
            } else if registry != DEFAULT_REGISTRY {
                return Ok(found);
            } else if let Some((other, _)) = name.as_str().split_once('/') {
                after = Some(behind(other));
                if !is_last {
                    break;
                }
            }
        }
        if is_last {
            return Ok(found);
        }
    }
}
