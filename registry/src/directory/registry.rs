//! Registries: the first segments of repository names, as managed things.

use super::time;
use crate::access::Rights;
use crate::context::Scope;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use strata_engine::UnixMillis;

/// How a registry gets its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistryKind {
    /// By pushes.
    Standard,
    /// By pulls through it; nobody pushes to it.
    Cache,
}

/// What is known of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryEntry {
    /// Its name: a segment of a repository name.
    #[serde(skip)]
    pub name: Arc<str>,
    /// How it gets its content.
    pub kind: RegistryKind,
    /// Whether everybody may pull, without an account.
    pub anonymous_pull: bool,
    /// Whether it exists on public listeners.
    pub public: bool,
    /// What it is for.
    pub description: String,
    /// Most bytes that its content may have, each digest counted once; `None` for no limit.
    pub quota: Option<u64>,
    /// When it was made.
    #[serde(with = "time")]
    pub created_at: UnixMillis,
    /// The account that made it; empty where that was nobody's.
    pub created_by: String,
    /// Goes up with every change.
    pub revision: u64,
}

impl RegistryEntry {
    /// A registry as a push in open mode makes it.
    pub(crate) fn standard(name: &str, created_at: UnixMillis) -> Self {
        Self {
            name: name.into(),
            kind: RegistryKind::Standard,
            anonymous_pull: false,
            public: true,
            description: String::new(),
            quota: None,
            created_at,
            created_by: String::new(),
            revision: 1,
        }
    }

    /// Whether it exists on a listener.
    pub(crate) fn is_visible_in(&self, scope: Scope) -> bool {
        self.public || scope == Scope::Private
    }

    /// What everybody may do in it.
    pub(crate) const fn free(&self) -> Rights {
        if self.anonymous_pull { Rights::SEE.and(Rights::PULL) } else { Rights::NONE }
    }
}
