//! The keys that tokens are signed with; never what they sign with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strata_registry as registry;

/// A signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SigningKey {
    /// What tokens name it by (`kid`).
    pub id: String,
    /// When it was made, milliseconds since 1970.
    pub created_at_millis: u64,
    /// When another took its place, milliseconds since 1970; not there for the one that signs. Tokens of it count to their end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retired_at_millis: Option<u64>,
}

/// Answer of `GET /api/v1/signing-keys`: newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SigningKeys {
    /// The keys; none where there are no accounts.
    pub keys: Vec<SigningKey>,
}

impl From<registry::SigningKeyDocument> for SigningKey {
    fn from(key: registry::SigningKeyDocument) -> Self {
        let registry::SigningKeyDocument { id, created_at, retired_at } = key;
        Self { id, created_at_millis: created_at.0, retired_at_millis: retired_at.map(|at| at.0) }
    }
}
