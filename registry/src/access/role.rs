//! Roles, on the whole instance or on one registry.

use super::action::Rights;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What an account is, on the instance or in a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do everything.
    Admin,
    /// Sees everything and pulls.
    Viewer,
    /// Sees everything and pushes; pulls no content.
    Uploader,
}

impl Role {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Viewer => "viewer",
            Self::Uploader => "uploader",
        }
    }

    /// Parses the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Admin, Self::Viewer, Self::Uploader].into_iter().find(|role| role.as_str() == text)
    }

    pub(crate) const fn rights(self) -> Rights {
        match self {
            Self::Admin => Rights::ALL,
            Self::Viewer => Rights::SEE.and(Rights::PULL),
            Self::Uploader => Rights::SEE.and(Rights::PUSH),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The roles of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Grants {
    /// On the whole instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Role>,
    /// On registries, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registries: BTreeMap<String, Role>,
}

impl Grants {
    /// What the roles allow in the repositories of a registry: what either of the two allows.
    pub(crate) fn rights_in(&self, registry: &str) -> Rights {
        let of = |role: Option<&Role>| role.map_or(Rights::NONE, |role| role.rights());
        of(self.instance.as_ref()) | of(self.registries.get(registry))
    }
}
