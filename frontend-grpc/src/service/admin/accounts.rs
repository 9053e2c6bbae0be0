//! Accounts, their keys and roles, and the keys of tokens.

use super::{limit, some};
use crate::call::{Call, invalid};
use crate::error::Refusal;
use crate::proto::registry as v1;
use std::time::Duration;
use strata_registry as registry;
use strata_registry::{RoleOn, UnixMillis};

const DAY: u64 = 24 * 60 * 60;

pub(super) const fn role(role: registry::Role) -> v1::Role {
    match role {
        registry::Role::Admin => v1::Role::Admin,
        registry::Role::Viewer => v1::Role::Viewer,
        registry::Role::Uploader => v1::Role::Uploader,
    }
}

fn asked_role(role: i32) -> Result<Option<registry::Role>, Refusal> {
    match v1::Role::try_from(role) {
        Ok(v1::Role::Unspecified) => Ok(None),
        Ok(v1::Role::Admin) => Ok(Some(registry::Role::Admin)),
        Ok(v1::Role::Viewer) => Ok(Some(registry::Role::Viewer)),
        Ok(v1::Role::Uploader) => Ok(Some(registry::Role::Uploader)),
        Err(_) => Err(invalid("role", "there is no such role")),
    }
}

const fn state(state: registry::State) -> v1::UseState {
    match state {
        registry::State::Enabled => v1::UseState::Enabled,
        registry::State::Disabled => v1::UseState::Disabled,
    }
}

fn asked_state(state: i32) -> Result<Option<registry::State>, Refusal> {
    match v1::UseState::try_from(state) {
        Ok(v1::UseState::Unspecified) => Ok(None),
        Ok(v1::UseState::Enabled) => Ok(Some(registry::State::Enabled)),
        Ok(v1::UseState::Disabled) => Ok(Some(registry::State::Disabled)),
        Err(_) => Err(invalid("state", "there is no such state")),
    }
}

fn account(account: &registry::Account) -> v1::Account {
    let kind = match account.kind {
        registry::AccountKind::Person => v1::AccountKind::Person,
        registry::AccountKind::Robot => v1::AccountKind::Robot,
    };
    let grants = &account.roles;
    let roles = grants.registries.iter().map(|(name, of)| (name.clone(), role(*of).into()));
    v1::Account {
        name: account.name.to_string(),
        kind: kind.into(),
        email: account.email.clone().unwrap_or_default(),
        state: state(account.state).into(),
        created_at_millis: account.created_at.0,
        created_by: account.created_by.clone(),
        instance_role: grants.instance.map_or(v1::Role::Unspecified, role).into(),
        registry_roles: roles.collect(),
        keys: u32::try_from(account.keys.len()).unwrap_or(u32::MAX),
        revision: account.revision,
    }
}

fn access_key(status: registry::KeyStatus) -> v1::AccessKey {
    let registry::KeyStatus { key, last_used_at, age, is_old } = status;
    let narrowing = key.narrowing.as_deref().map(|narrowing| v1::Narrowing {
        repositories: narrowing.repositories.clone(),
        actions: narrowing.actions.words().map(str::to_owned).collect(),
    });
    v1::AccessKey {
        id: key.id.to_string(),
        state: state(key.state).into(),
        description: key.description,
        created_at_millis: key.created_at.0,
        age_days: age.as_secs() / DAY,
        is_old,
        expires_at_millis: key.expires_at.map(|at| at.0),
        used_at_millis: last_used_at.map(|at| at.0),
        narrowing,
    }
}

fn signing_key(key: registry::SigningKeyDocument) -> v1::SigningKey {
    v1::SigningKey {
        id: key.id,
        created_at_millis: key.created_at.0,
        retired_at_millis: key.retired_at.map(|at| at.0),
    }
}

fn narrowing(asked: v1::Narrowing) -> Result<registry::Narrowing, Refusal> {
    let mut actions = registry::Actions::NONE;
    for word in &asked.actions {
        let action = registry::Actions::parse(word);
        actions = actions.and(action.ok_or_else(|| invalid("narrowing.actions", "there is no such action"))?);
    }
    Ok(registry::Narrowing { repositories: asked.repositories, actions })
}

pub(super) async fn who_am_i(
    call: &Call,
    _: v1::AdminWhoAmIRequest,
) -> Result<v1::AdminWhoAmIResponse, Refusal> {
    Ok(match call.registry().whoami(&call.context).await? {
        registry::WhoAmI::Everyone => v1::AdminWhoAmIResponse::default(),
        registry::WhoAmI::Anonymous => v1::AdminWhoAmIResponse { has_accounts: true, ..Default::default() },
        registry::WhoAmI::Account { account: found, key } => v1::AdminWhoAmIResponse {
            has_accounts: true,
            account: Some(account(&found)),
            key: key.to_string(),
        },
    })
}

pub(super) async fn list_accounts(
    call: &Call,
    asked: v1::AdminListAccountsRequest,
) -> Result<v1::AdminListAccountsResponse, Refusal> {
    let (after, search) = (some(&asked.page_token), some(&asked.search));
    let page = call.registry().accounts(&call.context, after, limit(asked.page_size), search).await?;
    Ok(v1::AdminListAccountsResponse {
        accounts: page.accounts.iter().map(|found| account(found)).collect(),
        next_page_token: page.next.unwrap_or_default(),
    })
}

pub(super) async fn create_account(
    call: &Call,
    asked: v1::AdminCreateAccountRequest,
) -> Result<v1::AdminCreateAccountResponse, Refusal> {
    let kind = match v1::AccountKind::try_from(asked.kind) {
        Ok(v1::AccountKind::Unspecified | v1::AccountKind::Person) => registry::AccountKind::Person,
        Ok(v1::AccountKind::Robot) => registry::AccountKind::Robot,
        Err(_) => return Err(invalid("kind", "there is no such kind")),
    };
    let email = some(&asked.email).map(str::to_owned);
    let new = registry::NewAccount { name: asked.name, kind, email };
    let made = call.registry().create_account(&call.context, new).await?;
    Ok(v1::AdminCreateAccountResponse { account: Some(account(&made)) })
}

pub(super) async fn get_account(
    call: &Call,
    asked: v1::AdminGetAccountRequest,
) -> Result<v1::AdminGetAccountResponse, Refusal> {
    let found = call.registry().account(&call.context, &asked.name).await?;
    Ok(v1::AdminGetAccountResponse { account: Some(account(&found)) })
}

pub(super) async fn change_account(
    call: &Call,
    asked: v1::AdminChangeAccountRequest,
) -> Result<v1::AdminChangeAccountResponse, Refusal> {
    let email = asked.email.map(|email| some(&email).map(str::to_owned));
    let wanted = registry::AccountChange { email, state: asked_state(asked.state)? };
    let registry = call.registry();
    let changed = registry.change_account(&call.context, &asked.name, wanted, asked.revision).await?;
    Ok(v1::AdminChangeAccountResponse { account: Some(account(&changed)) })
}

pub(super) async fn delete_account(
    call: &Call,
    asked: v1::AdminDeleteAccountRequest,
) -> Result<v1::AdminDeleteAccountResponse, Refusal> {
    call.registry().delete_account(&call.context, &asked.name, asked.revision).await?;
    Ok(v1::AdminDeleteAccountResponse {})
}

pub(super) async fn set_role(
    call: &Call,
    asked: v1::AdminSetRoleRequest,
) -> Result<v1::AdminSetRoleResponse, Refusal> {
    let on = some(&asked.registry).map_or(RoleOn::Instance, |name| RoleOn::Registry(name.to_owned()));
    let role = asked_role(asked.role)?;
    let registry = call.registry();
    let changed = registry.set_role(&call.context, &asked.account, on, role, asked.revision).await?;
    Ok(v1::AdminSetRoleResponse { account: Some(account(&changed)) })
}

pub(super) async fn list_keys(
    call: &Call,
    asked: v1::AdminListKeysRequest,
) -> Result<v1::AdminListKeysResponse, Refusal> {
    let keys = call.registry().keys(&call.context, &asked.account).await?;
    Ok(v1::AdminListKeysResponse { keys: keys.into_iter().map(access_key).collect() })
}

pub(super) async fn get_key(
    call: &Call,
    asked: v1::AdminGetKeyRequest,
) -> Result<v1::AdminGetKeyResponse, Refusal> {
    let found = call.registry().key(&call.context, &asked.account, &asked.key).await?;
    Ok(v1::AdminGetKeyResponse { key: Some(access_key(found)) })
}

pub(super) async fn create_key(
    call: &Call,
    asked: v1::AdminCreateKeyRequest,
) -> Result<v1::AdminCreateKeyResponse, Refusal> {
    let new = registry::NewKey {
        description: asked.description,
        expires_at: asked.expires_at_millis.map(UnixMillis),
        narrowing: asked.narrowing.map(narrowing).transpose()?,
    };
    let made = call.registry().create_key(&call.context, &asked.account, new).await?;
    let status =
        registry::KeyStatus { key: made.key, last_used_at: None, age: Duration::ZERO, is_old: false };
    Ok(v1::AdminCreateKeyResponse { key: Some(access_key(status)), secret: made.secret.expose().to_owned() })
}

pub(super) async fn change_key(
    call: &Call,
    asked: v1::AdminChangeKeyRequest,
) -> Result<v1::AdminChangeKeyResponse, Refusal> {
    let wanted = registry::KeyChange {
        state: asked_state(asked.state)?,
        description: asked.description,
        expires_at: asked.expires_at_millis.map(|at| (at != 0).then_some(UnixMillis(at))),
    };
    let (registry, ctx) = (call.registry(), &call.context);
    let changed = registry.change_key(ctx, &asked.account, &asked.key, wanted, asked.revision).await?;
    Ok(v1::AdminChangeKeyResponse { account: Some(account(&changed)) })
}

pub(super) async fn delete_key(
    call: &Call,
    asked: v1::AdminDeleteKeyRequest,
) -> Result<v1::AdminDeleteKeyResponse, Refusal> {
    call.registry().delete_key(&call.context, &asked.account, &asked.key, asked.revision).await?;
    Ok(v1::AdminDeleteKeyResponse {})
}

pub(super) async fn list_signing_keys(
    call: &Call,
    _: v1::AdminListSigningKeysRequest,
) -> Result<v1::AdminListSigningKeysResponse, Refusal> {
    let keys = call.registry().signing_keys(&call.context).await?;
    Ok(v1::AdminListSigningKeysResponse { keys: keys.into_iter().map(signing_key).collect() })
}

pub(super) async fn rotate_signing_key(
    call: &Call,
    _: v1::AdminRotateSigningKeyRequest,
) -> Result<v1::AdminRotateSigningKeyResponse, Refusal> {
    let key = call.registry().rotate_signing_key(&call.context).await?;
    Ok(v1::AdminRotateSigningKeyResponse { key: Some(signing_key(key)) })
}
