//! Who one is to the server.

use super::account::Account;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strata_registry as registry;

/// Who the one who asks is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// Anybody: there are no accounts, and everything is allowed.
    Everyone,
    /// Somebody who showed no credentials.
    Anonymous,
    /// Somebody with an account.
    Account,
}

/// Answer of `GET /api/v1/session`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// Who asks.
    pub who: Who,
    /// The account, with its roles.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<Account>,
    /// The id of the key that was shown, or that the token is of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
}

impl From<registry::WhoAmI> for Session {
    fn from(who: registry::WhoAmI) -> Self {
        match who {
            registry::WhoAmI::Everyone => Self { who: Who::Everyone, account: None, key: None },
            registry::WhoAmI::Anonymous => Self { who: Who::Anonymous, account: None, key: None },
            registry::WhoAmI::Account { account, key } => Self {
                who: Who::Account,
                account: Some(Account::from(&*account)),
                key: Some(key.to_string()),
            },
        }
    }
}
