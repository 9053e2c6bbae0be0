//! Registries and who has a role in them.

use super::account::{Role, given};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strata_registry as registry;

/// How a registry gets its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RegistryKind {
    /// By pushes.
    #[default]
    Standard,
    /// By pulls through it; nobody pushes to it.
    Cache,
}

/// A registry: the first segment of the names of its images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Registry {
    /// Its name; `default` has the images whose names have one segment.
    pub name: String,
    /// How it gets its content.
    pub kind: RegistryKind,
    /// Whether everybody may pull.
    pub anonymous_pull: bool,
    /// Whether it is there on public addresses.
    pub public: bool,
    /// What it is for.
    pub description: String,
    /// Most bytes that it may hold, each digest once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quota: Option<u64>,
    /// When it was made, milliseconds since 1970.
    pub created_at_millis: u64,
    /// The account that made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_by: Option<String>,
    /// Goes up with every change; the `ETag`.
    pub revision: u64,
    /// What it holds, where one registry was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub figures: Option<Figures>,
}

/// What a registry holds now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// Images (repositories).
    pub images: u64,
    /// Artifacts (manifests), each in each image that has it.
    pub artifacts: u64,
    /// Tags.
    pub tags: u64,
    /// Bytes of blobs and manifests, counted in each image that has them.
    pub logical_bytes: u64,
    /// Bytes of blobs and manifests, each counted once; what the quota is about.
    pub unique_bytes: u64,
}

impl From<registry::Usage> for Figures {
    fn from(usage: registry::Usage) -> Self {
        Self {
            images: usage.repositories,
            artifacts: usage.manifests,
            tags: usage.tags,
            logical_bytes: usage.logical_bytes,
            unique_bytes: usage.unique_bytes,
        }
    }
}

/// Answer of `GET /api/v1/registries`: in the order of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Registries {
    /// The registries.
    pub registries: Vec<Registry>,
    /// Where more may follow: the `cursor` to ask again with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// Request of `POST /api/v1/registries`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistryRequest {
    /// Its name: lower-case letters, digits and separators, without a slash.
    pub name: String,
    /// How it gets its content.
    #[serde(default)]
    pub kind: RegistryKind,
    /// Whether everybody may pull.
    #[serde(default)]
    pub anonymous_pull: bool,
    /// Whether it is there on public addresses.
    #[serde(default = "yes")]
    pub public: bool,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Most bytes that it may hold, each digest once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quota: Option<u64>,
}

const fn yes() -> bool {
    true
}

/// Request of `PATCH /api/v1/registries/{registry}`: what is not there stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryChangeRequest {
    /// Whether everybody may pull.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous_pull: Option<bool>,
    /// Whether it is there on public addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Most bytes that it may hold, each digest once; `null` for no limit.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub quota: Option<Option<u64>>,
}

/// An account with a role in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// The account.
    pub account: String,
    /// Its role.
    pub role: Role,
}

/// Answer of `GET /api/v1/registries/{registry}/members`: in the order of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Members {
    /// The members.
    pub members: Vec<Member>,
    /// Where more may follow: the `cursor` to ask again with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

impl From<registry::RegistryKind> for RegistryKind {
    fn from(kind: registry::RegistryKind) -> Self {
        match kind {
            registry::RegistryKind::Standard => Self::Standard,
            registry::RegistryKind::Cache => Self::Cache,
        }
    }
}

impl From<RegistryKind> for registry::RegistryKind {
    fn from(kind: RegistryKind) -> Self {
        match kind {
            RegistryKind::Standard => Self::Standard,
            RegistryKind::Cache => Self::Cache,
        }
    }
}

impl From<registry::RegistryEntry> for Registry {
    fn from(entry: registry::RegistryEntry) -> Self {
        Self {
            name: entry.name.to_string(),
            kind: entry.kind.into(),
            anonymous_pull: entry.anonymous_pull,
            public: entry.public,
            description: entry.description,
            quota: entry.quota,
            created_at_millis: entry.created_at.0,
            created_by: Some(entry.created_by).filter(|by| !by.is_empty()),
            revision: entry.revision,
            figures: None,
        }
    }
}

impl From<registry::RegistryPage> for Registries {
    fn from(page: registry::RegistryPage) -> Self {
        Self { registries: page.registries.into_iter().map(Registry::from).collect(), next: page.next }
    }
}

impl From<registry::MemberPage> for Members {
    fn from(page: registry::MemberPage) -> Self {
        let member = |(account, role): &(std::sync::Arc<registry::Account>, registry::Role)| Member {
            account: account.name.to_string(),
            role: (*role).into(),
        };
        Self { members: page.members.iter().map(member).collect(), next: page.next }
    }
}

impl From<RegistryRequest> for registry::NewRegistry {
    fn from(request: RegistryRequest) -> Self {
        let RegistryRequest { name, kind, anonymous_pull, public, description, quota } = request;
        Self { name, kind: kind.into(), anonymous_pull, public, description, quota }
    }
}

impl From<RegistryChangeRequest> for registry::RegistryChange {
    fn from(request: RegistryChangeRequest) -> Self {
        let RegistryChangeRequest { anonymous_pull, public, description, quota } = request;
        Self { anonymous_pull, public, description, quota }
    }
}
