//! The one handle of the service layer. Its use cases stand beside what they are about: blobs, uploads, manifests, tags, referrers,
//! the catalog.

use crate::audit::Refusals;
use crate::config::{AuthMode, RegistryConfig};
use crate::context::Context;
use crate::credential::Gate;
use crate::directory::{Directory, Snapshot};
use crate::error::RegistryError;
use crate::figures::Counters;
use crate::health::Health;
use crate::pulled::Pulls;
use arc_swap::Guard;
use std::sync::{Arc, Weak};
use strata_engine::meta::{Batch, View};
use strata_engine::{Engine, EngineError};
use strata_types::RepositoryName;

/// What every use case answers.
pub(crate) type Result<T> = std::result::Result<T, RegistryError>;

/// The registry: every use case is one function. Clones are the same registry.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    config: RegistryConfig,
    counters: Counters,
    pulls: Pulls,
    refusals: Refusals,
    directory: Directory,
    /// `None` in open mode.
    gate: Option<Gate>,
}

/// A registry that is not kept open: what tasks hold that wait for a while.
#[derive(Debug, Clone)]
pub(crate) struct WeakRegistry(Weak<Inner>);

impl WeakRegistry {
    /// The registry, as long as somebody holds it.
    pub(crate) fn upgrade(&self) -> Option<Registry> {
        self.0.upgrade().map(|inner| Registry { inner })
    }
}

impl Registry {
    pub(crate) fn downgrade(&self) -> WeakRegistry {
        WeakRegistry(Arc::downgrade(&self.inner))
    }

    /// A registry on an open store; reads its directory, and blocks meanwhile. The store is closed by who opened it.
    ///
    /// # Errors
    /// The store's condition.
    pub fn open(engine: Engine, config: RegistryConfig) -> Result<Self> {
        let directory = Directory::load(&engine)?;
        let gate = match config.auth.mode {
            AuthMode::Open => None,
            AuthMode::Accounts => Some(Gate::open(&engine, &config.auth)?),
        };
        let (counters, pulls) = (Counters::default(), Pulls::default());
        let refusals = Refusals::default();
        let inner = Inner { engine, config, counters, pulls, refusals, directory, gate };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Accounts, keys, roles and registries as they are now.
    pub fn directory(&self) -> Arc<Snapshot> {
        self.inner.directory.held()
    }

    /// The same for one look: costs less, and is not to be held.
    pub(crate) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.inner.directory.snapshot()
    }

    /// Whether reads and writes are served.
    pub fn health(&self) -> Health {
        Health::of(&self.inner.engine.health())
    }

    /// What judges credentials; `None` in open mode.
    pub(crate) fn gate(&self) -> Option<&Gate> {
        self.inner.gate.as_ref()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(crate) fn config(&self) -> &RegistryConfig {
        &self.inner.config
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    pub(crate) fn pulls(&self) -> &Pulls {
        &self.inner.pulls
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.inner.refusals
    }

    pub(crate) fn directory_state(&self) -> &Directory {
        &self.inner.directory
    }

    /// A consistent view of the metadata; one for each decision.
    pub(crate) fn view(&self) -> Result<View> {
        self.engine().view().map_err(RegistryError::store)
    }

    /// An empty batch whose events tell about this request.
    pub(crate) fn batch(&self, ctx: &Context) -> Batch {
        let mut batch = Batch::new(self.engine().now());
        batch.set_detail(ctx.event_detail());
        batch
    }

    /// Refuses where there is no such repository. Asked only after something was not found, so that the answer can say which.
    pub(crate) fn require_repository(view: &View, repository: &RepositoryName) -> Result<()> {
        match view.repository(repository).map_err(RegistryError::store)? {
            Some(_) => Ok(()),
            None => Err(RegistryError::NameUnknown(repository.clone())),
        }
    }
}

/// Runs work that takes long enough to be felt where it keeps no connection waiting: its thread may block on the disk.
pub(crate) async fn away<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(RegistryError::corrupt(format!("work was not done to its end: {error}"))),
    }
}

impl RegistryError {
    /// An error of the engine that has no meaning of its own to the use case: the store's condition, or the server's fault.
    pub(crate) fn store(error: EngineError) -> Self {
        match error {
            EngineError::NoSpace => Self::NoSpace,
            EngineError::Conflict | EngineError::Overloaded => Self::Contended,
            EngineError::UsageExceeded { registry, limit, used, .. } => {
                Self::QuotaExceeded { registry, limit, used }
            }
            EngineError::ReadOnly | EngineError::Poisoned { .. } => Self::Unavailable(error),
            other => Self::Internal(other),
        }
    }

    /// Something stored, or a step that cannot fail, is not as it must be.
    pub(crate) fn corrupt(what: String) -> Self {
        Self::Internal(EngineError::Corrupt { what })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use strata_engine::EngineConfig;
    use tempfile::TempDir;

    /// A registry on a store of its own, to be closed by who asked for it.
    pub(crate) fn empty() -> (Registry, TempDir) {
        with(RegistryConfig::default())
    }

    /// The same, with these settings.
    pub(crate) fn with(settings: RegistryConfig) -> (Registry, TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let mut config = EngineConfig::new(directory.path());
        config.reserve_bytes = 1024 * 1024;
        config.metadata_memory_bytes = 4 * 1024 * 1024;
        let engine = Engine::open(config).unwrap();
        (Registry::open(engine, settings).unwrap(), directory)
    }

    /// From now on the directory is this, whatever the store says.
    pub(crate) fn set_directory(registry: &Registry, snapshot: Snapshot) {
        registry.directory_state().edit(|present| *present = snapshot);
    }
}
