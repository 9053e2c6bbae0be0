//! How a store is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strata_registry as registry;

/// Answer of `GET /api/v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// The random number that tells this store from all others, in hexadecimal digits.
    pub store: String,
    /// Version of the format of the data directory.
    pub format: u32,
    /// Whether the store serves reads and writes.
    pub health: Health,
    /// Free space for the data directory, bytes.
    pub space_available: u64,
    /// Size of its file system, bytes.
    pub space_total: u64,
}

/// Whether a store serves, as `/readyz` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `true` where requests are served: all of them, or, where there is a reason below, all but pushes.
    pub ready: bool,
    /// Why pushes are refused, and what to do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

impl From<registry::Status> for Status {
    fn from(status: registry::Status) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            store: format!("{:032x}", u128::from_be_bytes(status.store_id)),
            format: status.format_version,
            health: status.health.into(),
            space_available: status.space_available,
            space_total: status.space_total,
        }
    }
}

impl From<registry::Health> for Health {
    fn from(health: registry::Health) -> Self {
        let told = |why: String| Some(crate::handler::health::without_paths(&why));
        match health {
            registry::Health::ReadOnly { why } => Self { ready: false, why: told(why) },
            registry::Health::Full { why } => Self { ready: true, why: told(why) },
            _ => Self { ready: true, why: None },
        }
    }
}
