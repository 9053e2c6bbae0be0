//! What an operator can set about the rules of the registry.

use crate::secret::Secret;
use std::collections::BTreeMap;
use std::time::Duration;

/// Settings of the service layer. Plain values: the file they are read from is the binary's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryConfig {
    /// Accepts image manifests whose layers are not in the repository (a "sparse" image, distribution-spec "Pushing manifests").
    /// Off by default: a push that names a missing layer is then refused with `MANIFEST_BLOB_UNKNOWN`. The children of an index may
    /// be missing either way.
    pub sparse_images: bool,
    /// Who may come in, and how.
    pub auth: AuthConfig,
    /// What is written down of what was done.
    pub audit: AuditConfig,
    /// Programs that keep their content here.
    pub content: ContentConfig,
}

/// Settings of the content of programs that look after it themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContentConfig {
    /// The registry of each namespace. Where there is none at all, each namespace is in open mode that of the registry of its name.
    pub namespaces: BTreeMap<String, String>,
}

/// Settings of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditConfig {
    /// How long its entries are kept; zero for ever. Default 90 days.
    pub retention: Duration,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { retention: Duration::from_hours(90 * 24) }
    }
}

/// Whether there are accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthMode {
    /// No: everybody may do everything, but for what only operators on this machine may.
    #[default]
    Open,
    /// Yes: who may do what is a matter of accounts, keys and roles.
    Accounts,
}

/// Longest life of a token.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_hours(12);

/// Settings of accounts and tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthConfig {
    /// Whether there are accounts.
    pub mode: AuthMode,
    /// What tokens and challenges call this service; never empty. Default `strata`.
    pub service: String,
    /// How long a token lives; at most [`TOKEN_LIFE_MAX`]. Default an hour.
    pub token_life: Duration,
    /// How long a refresh token lives. Default 90 days.
    pub refresh_life: Duration,
    /// Id and secret of the key that the first administrator gets; made at random where there are none.
    pub admin_key: Option<(String, Secret)>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            mode: AuthMode::Open,
            service: "strata".to_owned(),
            token_life: Duration::from_hours(1),
            refresh_life: Duration::from_hours(90 * 24),
            admin_key: None,
        }
    }
}
