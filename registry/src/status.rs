//! How the store is, for its operator: what it is, whether it takes writes, how much room it has.

use crate::access::InstanceAction;
use crate::context::Context;
use crate::health::Health;
use crate::registry::{Registry, Result};

/// How a store is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The random number that tells this store from all others.
    pub store_id: [u8; 16],
    /// The version of the format of its data directory.
    pub format_version: u32,
    /// Whether reads and writes are served.
    pub health: Health,
    /// Free space for the data directory, bytes.
    pub space_available: u64,
    /// Size of its file system, bytes.
    pub space_total: u64,
}

impl Registry {
    /// How the store is now.
    ///
    /// # Errors
    /// [`RegistryError::OperatorsOnly`](crate::RegistryError::OperatorsOnly).
    pub async fn status(&self, ctx: &Context) -> Result<Status> {
        self.authorize_instance(ctx, InstanceAction::Operate)?;
        let identity = self.engine().identity();
        let store = self.engine().metrics();
        Ok(Status {
            store_id: identity.store_id,
            format_version: identity.format_version,
            health: self.health(),
            space_available: store.space_available,
            space_total: store.space_total,
        })
    }
}
