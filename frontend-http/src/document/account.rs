//! Accounts, their keys and their roles.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use strata_registry as registry;

/// Whose an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccountKind {
    /// A person's.
    Person,
    /// A program's; its keys can be narrowed.
    Robot,
}

/// Whether an account or a key can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Yes.
    Enabled,
    /// Not now.
    Disabled,
}

/// What an account may do, on the instance or in a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// See everything and pull.
    Viewer,
    /// See everything and push.
    Uploader,
}

/// The roles of an account; of two that hold, both do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Roles {
    /// On the whole instance.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<Role>,
    /// On registries, by name.
    #[serde(default)]
    pub registries: BTreeMap<String, Role>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub kind: AccountKind,
    /// Where its owner can be reached.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub email: Option<String>,
    /// Whether it can be used.
    pub state: State,
    /// When it was made, milliseconds since 1970.
    pub created_at_millis: u64,
    /// The account that made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_by: Option<String>,
    /// Its roles.
    pub roles: Roles,
    /// How many keys it has.
    pub keys: usize,
    /// Goes up with every change; the `ETag`.
    pub revision: u64,
}

/// Answer of `GET /api/v1/accounts`: in the order of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accounts {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// Where more may follow: the `cursor` to ask again with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// Request of `POST /api/v1/accounts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRequest {
    /// Its name, which never changes.
    pub name: String,
    /// Whose it is.
    pub kind: AccountKind,
    /// Where its owner can be reached.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub email: Option<String>,
}

/// Request of `PATCH /api/v1/accounts/{account}`: what is not there stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccountChangeRequest {
    /// Where its owner can be reached; `null` for nowhere.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub email: Option<Option<String>>,
    /// Whether it can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
}

/// What a key is narrowed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Narrowing {
    /// Patterns of repository names, one of which has to fit: `*` stands for any characters within a segment, `**` for any characters.
    pub repositories: Vec<String>,
    /// Some of `pull`, `push` and `delete`.
    pub actions: Vec<String>,
}

/// An access key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Key {
    /// What a client gives for a user name.
    pub id: String,
    /// Whether it can be used.
    pub state: State,
    /// What it is for.
    pub description: String,
    /// When it was made, milliseconds since 1970.
    pub created_at_millis: u64,
    /// How old it is, days.
    pub age_days: u64,
    /// Whether it is older than 90 days, and should be replaced.
    pub is_old: bool,
    /// From when on it cannot be used, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at_millis: Option<u64>,
    /// When it was last used, milliseconds since 1970, to about a minute; not there if it never was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub used_at_millis: Option<u64>,
    /// What it is narrowed to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub narrowing: Option<Narrowing>,
}

/// Answer of `GET /api/v1/accounts/{account}/keys`: oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keys {
    /// The keys.
    pub keys: Vec<Key>,
}

/// Request of `POST /api/v1/accounts/{account}/keys`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeyRequest {
    /// What it is for.
    pub description: String,
    /// From when on it cannot be used, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at_millis: Option<u64>,
    /// What it is narrowed to; of a robot's account only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub narrowing: Option<NarrowingRequest>,
}

/// What a new key is narrowed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NarrowingRequest {
    /// Patterns of repository names, one of which has to fit: `*` stands for any characters within a segment, `**` for any characters.
    pub repositories: Vec<String>,
    /// Some of `pull`, `push` and `delete`.
    pub actions: Vec<String>,
}

/// Answer of `POST /api/v1/accounts/{account}/keys`: the only one that ever holds the secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewKey {
    /// The key.
    #[serde(flatten)]
    pub key: Key,
    /// Its secret, which nobody can be told again.
    pub secret: String,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Request of `PATCH /api/v1/accounts/{account}/keys/{key}`: what is not there stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeyChangeRequest {
    /// Whether it can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// From when on it cannot be used, milliseconds since 1970; `null` for never.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub expires_at_millis: Option<Option<u64>>,
}

/// Request of `PUT /api/v1/accounts/{account}/roles/instance` and `PUT /api/v1/registries/{registry}/members/{account}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRequest {
    /// The role that the account has from now on.
    pub role: Role,
}

/// A member that is there is a change, also where it is `null`.
#[expect(clippy::option_option, reason = "it is not there, null, or a value: three different things")]
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

impl From<registry::AccountKind> for AccountKind {
    fn from(kind: registry::AccountKind) -> Self {
        match kind {
            registry::AccountKind::Person => Self::Person,
            registry::AccountKind::Robot => Self::Robot,
        }
    }
}

impl From<AccountKind> for registry::AccountKind {
    fn from(kind: AccountKind) -> Self {
        match kind {
            AccountKind::Person => Self::Person,
            AccountKind::Robot => Self::Robot,
        }
    }
}

impl From<registry::State> for State {
    fn from(state: registry::State) -> Self {
        match state {
            registry::State::Enabled => Self::Enabled,
            registry::State::Disabled => Self::Disabled,
        }
    }
}

impl From<State> for registry::State {
    fn from(state: State) -> Self {
        match state {
            State::Enabled => Self::Enabled,
            State::Disabled => Self::Disabled,
        }
    }
}

impl From<registry::Role> for Role {
    fn from(role: registry::Role) -> Self {
        match role {
            registry::Role::Admin => Self::Admin,
            registry::Role::Viewer => Self::Viewer,
            registry::Role::Uploader => Self::Uploader,
        }
    }
}

impl From<Role> for registry::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => Self::Admin,
            Role::Viewer => Self::Viewer,
            Role::Uploader => Self::Uploader,
        }
    }
}

impl From<&registry::Grants> for Roles {
    fn from(grants: &registry::Grants) -> Self {
        let registries = grants.registries.iter().map(|(name, role)| (name.clone(), (*role).into()));
        Self { instance: grants.instance.map(Role::from), registries: registries.collect() }
    }
}

impl From<&registry::Account> for Account {
    fn from(account: &registry::Account) -> Self {
        Self {
            name: account.name.to_string(),
            kind: account.kind.into(),
            email: account.email.clone(),
            state: account.state.into(),
            created_at_millis: account.created_at.0,
            created_by: Some(account.created_by.clone()).filter(|by| !by.is_empty()),
            roles: Roles::from(&*account.roles),
            keys: account.keys.len(),
            revision: account.revision,
        }
    }
}

impl From<registry::AccountPage> for Accounts {
    fn from(page: registry::AccountPage) -> Self {
        Self {
            accounts: page.accounts.iter().map(|account| Account::from(&**account)).collect(),
            next: page.next,
        }
    }
}

impl From<&registry::Narrowing> for Narrowing {
    fn from(narrowing: &registry::Narrowing) -> Self {
        Self {
            repositories: narrowing.repositories.clone(),
            actions: narrowing.actions.words().map(str::to_owned).collect(),
        }
    }
}

impl NarrowingRequest {
    /// What the registry knows it as; the first word that is no action where there is one.
    ///
    /// # Errors
    /// That word.
    pub(crate) fn into_known(self) -> Result<registry::Narrowing, String> {
        let mut actions = registry::Actions::NONE;
        for word in self.actions {
            match registry::Actions::parse(&word) {
                Some(action) => actions = actions.and(action),
                None => return Err(word),
            }
        }
        Ok(registry::Narrowing { repositories: self.repositories, actions })
    }
}

impl From<registry::KeyStatus> for Key {
    fn from(status: registry::KeyStatus) -> Self {
        let registry::KeyStatus { key, last_used_at, age, is_old } = status;
        Self {
            id: key.id.to_string(),
            state: key.state.into(),
            description: key.description,
            created_at_millis: key.created_at.0,
            age_days: age.as_secs() / (24 * 60 * 60),
            is_old,
            expires_at_millis: key.expires_at.map(|at| at.0),
            used_at_millis: last_used_at.map(|at| at.0),
            narrowing: key.narrowing.as_deref().map(Narrowing::from),
        }
    }
}

impl From<registry::CreatedKey> for NewKey {
    fn from(created: registry::CreatedKey) -> Self {
        let registry::CreatedKey { key, secret, .. } = created;
        let status =
            registry::KeyStatus { key, last_used_at: None, age: std::time::Duration::ZERO, is_old: false };
        Self { key: status.into(), secret: secret.expose().to_owned() }
    }
}
