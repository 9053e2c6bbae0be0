//! Leases for a push that lost a race: what it refers to is kept alive, so that nothing that cleans up can win the next round as well.

use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use std::time::Duration;
use strata_engine::meta::{Batch, LeaseId};
use strata_engine::{Entropy, SystemEntropy};
use strata_types::Digest;

/// How long a lease holds if its push does not come back: longer than any push retries.
const LEASE_DURATION: Duration = Duration::from_mins(1);

/// A lease on several digests. Ended by [`Lease::end`] within the push's own batch; else it runs out.
#[derive(Debug)]
pub(super) struct Lease {
    id: LeaseId,
    digests: Vec<Digest>,
}

impl Lease {
    /// Takes a lease. It need not survive a power cut, as the push that needs it does not either.
    pub(super) async fn take(registry: &Registry, ctx: &Context, digests: Vec<Digest>) -> Result<Self> {
        let mut id = [0; 16];
        SystemEntropy.fill(&mut id).map_err(RegistryError::store)?;
        let lease = Self { id: LeaseId(id), digests };
        let mut batch = registry.batch(ctx);
        let expires_at = batch.at().after(LEASE_DURATION);
        for digest in &lease.digests {
            batch.put_lease(digest, lease.id, expires_at);
        }
        batch.set_unsynced();
        if !batch.is_empty() {
            registry.engine().commit(batch).await.map_err(RegistryError::store)?;
        }
        Ok(lease)
    }

    /// Ends the lease with a batch.
    pub(super) fn end(&self, batch: &mut Batch) {
        for digest in &self.digests {
            batch.delete_lease(digest, self.id);
        }
    }

    /// Ends the lease of a push that failed. If that fails too, it runs out.
    pub(super) async fn give_up(self, registry: &Registry, ctx: &Context) {
        let mut batch = registry.batch(ctx);
        self.end(&mut batch);
        batch.set_unsynced();
        if !batch.is_empty()
            && let Err(error) = registry.engine().commit(batch).await
        {
            tracing::debug!(error = &error as &dyn std::error::Error, "a lease was left to run out");
        }
    }
}
