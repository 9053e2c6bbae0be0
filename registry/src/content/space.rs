//! Where the content of a namespace lives.

use crate::access::Action;
use crate::audit::Attempt;
use crate::config::AuthMode;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use strata_types::{Digest, RepositoryName};

/// What the repository is called, behind the name of its registry.
pub const CONTENT_REPOSITORY: &str = "content";

/// The namespace that is written to by whoever names none.
const DEFAULT_NAMESPACE: &str = "default";

/// The repositories that a request is about: the one of its namespace, or those of all namespaces where it names none.
///
/// containerd keeps the namespaces of its content itself and does not name them in every call, and never where it collects its garbage.
#[derive(Debug, Clone)]
pub struct ContentSpace {
    repositories: Vec<RepositoryName>,
    /// Where what is new goes.
    target: Option<RepositoryName>,
}

impl ContentSpace {
    pub(super) fn repositories(&self) -> &[RepositoryName] {
        &self.repositories
    }

    /// Where what is new goes.
    pub(super) fn target(&self) -> Result<&RepositoryName> {
        self.target.as_ref().ok_or(RegistryError::NamespaceMissing)
    }
}

fn repository_in(registry: &str) -> Option<RepositoryName> {
    if registry.contains('/') {
        return None;
    }
    RepositoryName::parse(&format!("{registry}/{CONTENT_REPOSITORY}")).ok()
}

impl Registry {
    /// Finds where the content of a namespace lives: in the registry that the settings name for it. In open mode, where they name none at
    /// all, in the registry of the same name. `None`: in all of these together, and what is new in that of the namespace `default` or, where
    /// that has none, in the only one that there is.
    ///
    /// # Errors
    /// [`RegistryError::NamespaceUnmapped`].
    pub fn content_space(&self, namespace: Option<&str>) -> Result<ContentSpace> {
        let namespaces = &self.config().content.namespaces;
        let is_free = namespaces.is_empty() && self.config().auth.mode == AuthMode::Open;
        if let Some(namespace) = namespace {
            let registry = namespaces.get(namespace).map(String::as_str);
            let repository = registry.or_else(|| is_free.then_some(namespace)).and_then(repository_in);
            let unmapped = || RegistryError::NamespaceUnmapped { namespace: namespace.to_owned() };
            let repository = repository.ok_or_else(unmapped)?;
            return Ok(ContentSpace { repositories: vec![repository.clone()], target: Some(repository) });
        }
        let default = namespaces.get(DEFAULT_NAMESPACE).map(String::as_str);
        let default = default.or_else(|| is_free.then_some(DEFAULT_NAMESPACE)).and_then(repository_in);
        let mut repositories: Vec<_> = if is_free {
            let view = self.view()?;
            let mut there = Vec::new();
            for repository in self.snapshot().registry_names().filter_map(repository_in) {
                if view.repository(&repository).map_err(RegistryError::store)?.is_some() {
                    there.push(repository);
                }
            }
            there
        } else {
            namespaces.values().filter_map(|registry| repository_in(registry)).collect()
        };
        // An ingest may be under way where there is no repository yet.
        repositories.extend(default.clone());
        repositories.sort_unstable();
        repositories.dedup();
        let only = if let [only] = repositories.as_slice() { Some(only.clone()) } else { None };
        Ok(ContentSpace { repositories, target: default.or(only) })
    }

    /// The repositories of a space in which somebody may change something of a blob; a refusal is told.
    ///
    /// # Errors
    /// As [`Registry::allowed_in`].
    pub(super) fn changeable_in<'a>(
        &self,
        ctx: &Context,
        space: &'a ContentSpace,
        action: Action,
        (name, digest): (&'static str, &Digest),
    ) -> Result<Vec<&'a RepositoryName>> {
        let allowed = self.allowed_in(ctx, space, action);
        match space.repositories().first() {
            Some(repository) => self.told(ctx, Attempt::on_digest(name, repository, digest), allowed),
            None => allowed,
        }
    }

    /// The repositories of a space in which somebody may do something.
    ///
    /// # Errors
    /// Why he may not, where there is one repository, or he may nowhere.
    pub(super) fn allowed_in<'a>(
        &self,
        ctx: &Context,
        space: &'a ContentSpace,
        action: Action,
    ) -> Result<Vec<&'a RepositoryName>> {
        let mut refused = None;
        let mut allowed = Vec::new();
        for repository in space.repositories() {
            match self.authorize(ctx, action, repository) {
                Ok(()) => allowed.push(repository),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            Some(error) if allowed.is_empty() => Err(error),
            _ => Ok(allowed),
        }
    }
}
