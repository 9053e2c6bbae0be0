//! Removal of whole repositories and of whole registries (all repositories of one first segment): at once, or not at all.

use crate::access::Action;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use crate::retry::Attempts;
use strata_engine::EngineError;
use strata_engine::meta::{Batch, View};
use strata_types::RepositoryName;

/// The registry of the repositories whose name has one segment.
const DEFAULT: &str = "default";

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
        self.authorize(ctx, Action::Delete, repository)?;
        let removed = self.remove(ctx, Wanted::Repository(repository.clone())).await?;
        removed.ok_or_else(|| RegistryError::NameUnknown(repository.clone()))
    }

    /// Removes all repositories of a registry (the first segment of their names; `default` for names of one segment) together.
    ///
    /// # Errors
    /// [`RegistryError::RegistryUnknown`]; else as [`Registry::delete_repository`].
    pub async fn delete_registry(&self, ctx: &Context, registry: &str) -> Result<Removed> {
        let unknown = || RegistryError::RegistryUnknown { name: registry.to_owned() };
        // A name that nobody can have is one that nobody has.
        if registry.contains('/') || RepositoryName::parse(registry).is_err() {
            return Err(unknown());
        }
        self.remove(ctx, Wanted::Registry(registry.to_owned())).await?.ok_or_else(unknown)
    }

    /// `None`: there is none.
    async fn remove(&self, ctx: &Context, wanted: Wanted) -> Result<Option<Removed>> {
        let mut attempts = Attempts::new();
        let (mut removed, at) = loop {
            let (registry, ctx_of, wanted) = (self.clone(), ctx.clone(), wanted.clone());
            let (batch, removed) = away(move || registry.decide_removal(&ctx_of, &wanted)).await?;
            if removed.repositories.is_empty() {
                return Ok(None);
            }
            let at = batch.at();
            let outcome = self.engine().commit(batch).await;
            if attempts.judge(self, ctx, outcome).await?.is_some() {
                break (removed, at);
            }
        };
        let counters = self.counters();
        counters.repositories_deleted.add(removed.repositories.len() as u64);
        counters.manifests_deleted.add(removed.manifests);
        let cancelled = self.engine().cancel_uploads(&removed.repositories, at).await;
        removed.uploads = cancelled.map_err(RegistryError::store)?;
        Ok(Some(removed))
    }

    fn decide_removal(&self, ctx: &Context, wanted: &Wanted) -> Result<(Batch, Removed)> {
        let (view, mut batch) = (self.view()?, self.batch(ctx));
        let until = self.engine().blobs_until();
        let mut removed = Removed::default();
        for repository in wanted.repositories(&view)? {
            self.authorize(ctx, Action::Delete, &repository)?;
            let gone = batch.delete_repository(&view, &repository, until).map_err(too_large)?;
            let Some(gone) = gone else { continue };
            removed.manifests += gone.manifests;
            removed.tags += gone.tags;
            removed.blobs += gone.links;
            removed.repositories.push(repository);
        }
        Ok((batch, removed))
    }
}

fn too_large(error: EngineError) -> RegistryError {
    match error {
        EngineError::TooManyRows { max } => RegistryError::RemovalTooLarge { max },
        other => RegistryError::store(other),
    }
}

/// What is to be removed.
#[derive(Debug, Clone)]
enum Wanted {
    Repository(RepositoryName),
    Registry(String),
}

impl Wanted {
    fn repositories(&self, view: &View) -> Result<Vec<RepositoryName>> {
        match self {
            Self::Repository(repository) => Ok(vec![repository.clone()]),
            Self::Registry(registry) => repositories_of(view, registry),
        }
    }
}

/// The repositories of a registry. Passes over all others by their registries, not one by one.
fn repositories_of(view: &View, registry: &str) -> Result<Vec<RepositoryName>> {
    const PAGE: usize = 64;
    let mut found = Vec::new();
    // Names of a registry other than the default one stand together.
    let mut after = (registry != DEFAULT).then(|| format!("{registry}/"));
    loop {
        let page = view.repositories(after.as_deref(), PAGE).map_err(RegistryError::store)?;
        let is_last = page.len() < PAGE;
        for (name, _) in page {
            after = Some(name.to_string());
            if name.registry() == registry {
                found.push(name);
            } else if registry != DEFAULT {
                return Ok(found);
            } else if let Some((other, _)) = name.as_str().split_once('/') {
                // Behind all that begin with it: no name has a tilde.
                after = Some(format!("{other}/~"));
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
