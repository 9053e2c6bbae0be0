//! The door for content: what every batch that brings some into a repository expects of its registry.

use super::registry::RegistryEntry;
use super::row::{self, REGISTRIES};
use crate::access::{Action, Denial};
use crate::config::AuthMode;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use strata_engine::meta::Batch;
use strata_types::RepositoryName;

/// What [`Registry::admit`] put into a batch: to be told of its commit.
#[derive(Debug)]
#[must_use = "a registry that a batch makes has to come into memory"]
pub(crate) struct Admitted {
    /// The registry that the batch makes, unless it is there.
    made: Option<RegistryEntry>,
}

impl Registry {
    /// Looks once more whether the action is allowed, and binds the batch to it: it is refused where the registry is gone by then. In open
    /// mode it makes the registry instead. To be called anew for each attempt, after the body was received.
    ///
    /// # Errors
    /// As [`Registry::authorize`].
    pub(crate) fn admit(
        &self,
        ctx: &Context,
        action: Action,
        batch: &mut Batch,
        repository: &RepositoryName,
    ) -> Result<Admitted> {
        self.authorize(ctx, action, repository)?;
        self.limit(batch, repository);
        let registry = repository.registry();
        let snapshot = self.snapshot();
        let found = snapshot.registry(registry);
        let key = row::key(REGISTRIES, registry);
        if self.config().auth.mode == AuthMode::Accounts {
            if found.is_none() {
                return Err(RegistryError::Denied {
                    why: Denial::NoRegistry(registry.to_owned()).to_string(),
                });
            }
            // RACE: a registry that is deleted at this moment refuses the batch.
            batch.expect_setting_present(&key);
            return Ok(Admitted { made: None });
        }
        let entry = RegistryEntry::standard(registry, batch.at());
        batch.put_setting_if_absent(&key, row::encode_registry(&entry)?);
        Ok(Admitted { made: found.is_none().then_some(entry) })
    }

    /// The error of a batch that lost a race: where that was with the end of its registry, the one that says so.
    pub(crate) fn lost(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        error: RegistryError,
    ) -> RegistryError {
        match (error, self.authorize(ctx, Action::Push, repository)) {
            (RegistryError::Contended, Err(refused)) => refused,
            (error, _) => error,
        }
    }

    /// The batch was committed.
    pub(crate) fn admitted(&self, admitted: Admitted) {
        let Some(entry) = admitted.made else { return };
        self.directory_state().edit(|snapshot| {
            if snapshot.registry(&entry.name).is_none() {
                snapshot.put_registry(entry);
            }
        });
    }
}
