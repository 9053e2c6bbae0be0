//! Accounts and their keys.

use crate::access::{Grants, Narrowing};
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use strata_engine::UnixMillis;

/// Whose an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountKind {
    /// A person's.
    Person,
    /// Nobody's: of a program. Its keys can be narrowed.
    Robot,
}

/// Whether an account or a key can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Yes.
    Enabled,
    /// Not now; it can be enabled again.
    Disabled,
}

/// An account with its keys and roles: one row of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name, which never changes.
    pub name: Arc<str>,
    /// Whose it is.
    pub kind: AccountKind,
    /// Where its owner can be reached.
    pub email: Option<String>,
    /// Whether it can be used.
    pub state: State,
    /// When it was made.
    pub created_at: UnixMillis,
    /// The account that made it; empty where that was nobody's.
    pub created_by: String,
    /// Goes up with every change of the account, its roles and its keys.
    pub revision: u64,
    /// Its roles.
    pub roles: Arc<Grants>,
    /// Its keys, oldest first.
    pub keys: Vec<Key>,
}

/// An access key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id, unique in the instance: what a client gives for a user name.
    pub id: Arc<str>,
    /// The argon2id hash of its secret (PHC string).
    pub hash: Secret,
    /// What its refresh tokens are made with.
    pub refresh_secret: [u8; 32],
    /// Whether it can be used.
    pub state: State,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it cannot be used any more.
    pub expires_at: Option<UnixMillis>,
    /// What it is for, in its owner's words.
    pub description: String,
    /// What it is narrowed to.
    pub narrowing: Option<Arc<Narrowing>>,
}

impl Key {
    /// Whether it can be used at a moment, as far as it is up to the key itself.
    pub fn is_usable(&self, now: UnixMillis) -> bool {
        self.state == State::Enabled && self.expires_at.is_none_or(|end| now < end)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .field("description", &self.description)
            .field("narrowing", &self.narrowing)
            .finish_non_exhaustive()
    }
}
