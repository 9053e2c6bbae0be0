//! What has to be done now and then. The caller owns the timer; a round is bounded and can be repeated or left out.

use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use std::time::Duration;

/// What one round of housekeeping removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Housekeeping {
    /// Upload sessions whose time was over.
    pub uploads_expired: usize,
    /// Leases whose holder did not come back.
    pub leases_expired: usize,
}

/// Most leases that one round removes.
const LEASES_PER_ROUND_MAX: usize = 1024;

impl Registry {
    /// How often [`Registry::housekeep`] wants to be called.
    pub const HOUSEKEEPING_INTERVAL: Duration = Duration::from_mins(1);

    /// Removes what has expired.
    ///
    /// # Errors
    /// [`RegistryError::NoSpace`], [`RegistryError::Unavailable`] or [`RegistryError::Internal`]; the next round tries again.
    pub async fn housekeep(&self) -> Result<Housekeeping> {
        let uploads_expired = self.engine().expire_uploads().await.map_err(RegistryError::store)?;
        self.counters().uploads_expired.add(uploads_expired as u64);
        let leases_expired = self.expire_leases().await?;
        Ok(Housekeeping { uploads_expired, leases_expired })
    }

    async fn expire_leases(&self) -> Result<usize> {
        let ctx = Context::anonymous("housekeeping", None);
        let now = self.engine().now();
        self.transact(&ctx, |view, batch| {
            let expired = view.expired_leases(now, LEASES_PER_ROUND_MAX).map_err(RegistryError::store)?;
            for (digest, id, expires_at) in &expired {
                batch.expire_lease(digest, *id, *expires_at);
            }
            batch.set_unsynced();
            Ok(expired.len())
        })
        .await
    }
}
