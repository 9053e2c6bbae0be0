//! Leases for a push that lost a race: what it refers to is kept alive, so that nothing that cleans up can win the next round as well.

use crate::context::Context;
use crate::registry::Registry;
use std::time::Duration;
use strata_engine::meta::{Batch, LeaseId};
use strata_engine::{EngineError, Entropy, SystemEntropy};
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
    /// Takes a lease. It need not survive a power cut, as the push that needs it does not either. `None` where the store has trouble: the
    /// push goes on without, and meets the trouble itself.
    pub(super) async fn take(registry: &Registry, ctx: &Context, digests: Vec<Digest>) -> Option<Self> {
        if digests.is_empty() {
            return None;
        }
        let mut id = [0; 16];
        let lease = match SystemEntropy.fill(&mut id) {
            Ok(()) => Self { id: LeaseId(id), digests },
            Err(error) => return untaken(&error),
        };
        let mut batch = registry.batch(ctx);
        let expires_at = batch.at().after(LEASE_DURATION);
        for digest in &lease.digests {
            batch.put_lease(digest, lease.id, expires_at);
        }
        batch.set_unsynced();
        match registry.engine().commit(batch).await {
            Ok(_) => Some(lease),
            Err(error) => untaken(&error),
        }
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
        if let Err(error) = registry.engine().commit(batch).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "a lease was left to run out");
        }
    }
}

fn untaken(error: &EngineError) -> Option<Lease> {
    tracing::debug!(error = error as &dyn std::error::Error, "a push goes on without a lease");
    None
}
