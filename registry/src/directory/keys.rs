//! Access keys: made by their owners and by administrators; the secret is shown once and kept as a hash only.

use super::account::{Account, AccountKind, Key, State};
use super::accounts::{is_own, keep_an_administrator};
use super::change::check_revision;
use super::{field, secrets};
use crate::access::{InstanceAction, Narrowing};
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use crate::secret::Secret;
use std::sync::Arc;
use std::time::Duration;
use strata_engine::UnixMillis;

/// Most keys of an account.
pub const KEYS_MAX: usize = 5;
/// Older keys are advised to be changed for new ones.
pub const KEY_AGE_ADVISED: Duration = Duration::from_hours(90 * 24);

/// A key to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewKey {
    /// What it is for; one line.
    pub description: String,
    /// From when on it cannot be used any more.
    pub expires_at: Option<UnixMillis>,
    /// What it is narrowed to; only keys of robots can be.
    pub narrowing: Option<Narrowing>,
}

/// What is to be changed of a key; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// Whether it can be used.
    pub state: Option<State>,
    /// Another description.
    pub description: Option<String>,
    /// Another end, or none.
    pub expires_at: Option<Option<UnixMillis>>,
}

/// A key with its secret, which nobody can be told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedKey {
    /// The account.
    pub account: Arc<Account>,
    /// The key.
    pub key: Key,
    /// Its secret.
    pub secret: Secret,
}

/// A key, and what its owner should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// The key.
    pub key: Key,
    /// When it was used last, to within some seconds; `None` for never.
    pub last_used_at: Option<UnixMillis>,
    /// How long ago it was made.
    pub age: Duration,
    /// Whether that is longer than [`KEY_AGE_ADVISED`].
    pub is_old: bool,
}

impl Registry {
    /// Makes a key of an account: one's own, or any for administrators. Its secret is told here and never again.
    ///
    /// # Errors
    /// [`RegistryError::AccountUnknown`]; [`RegistryError::KeysExhausted`]; [`RegistryError::FieldInvalid`];
    /// [`RegistryError::Unauthorized`], [`RegistryError::Denied`]; the store's condition.
    pub async fn create_key(&self, ctx: &Context, account: &str, new: NewKey) -> Result<CreatedKey> {
        self.authorize_keys(ctx, "key.create", account, "")?;
        field::description(&new.description)?;
        if let Some(why) = new.narrowing.as_ref().and_then(Narrowing::fault) {
            return Err(RegistryError::FieldInvalid { field: "narrowing", why });
        }
        check_end(new.expires_at, self.engine().now())?;
        // Looked at before the hash, which costs: it is looked at again with the change.
        match self.snapshot().account(account) {
            None => return Err(RegistryError::AccountUnknown { name: account.to_owned() }),
            Some(found) if found.keys.len() >= KEYS_MAX => {
                return Err(RegistryError::KeysExhausted { max: KEYS_MAX });
            }
            Some(_) => {}
        }
        let now = self.engine().now();
        let (key, secret) = away(move || secrets::generate(new, now)).await?;
        let (told, name, made) = (ctx.clone(), account.to_owned(), key.clone());
        let account = self.change(ctx, move |change| {
            let seen = change.account(&name)?;
            if seen.value.keys.len() >= KEYS_MAX {
                return Err(RegistryError::KeysExhausted { max: KEYS_MAX });
            }
            if made.narrowing.is_some() && seen.value.kind != AccountKind::Robot {
                let why = "only keys of robots can be narrowed".to_owned();
                return Err(RegistryError::FieldInvalid { field: "narrowing", why });
            }
            let mut account = seen.value.clone();
            account.keys.push(made.clone());
            let account = change.put_account(&seen, account)?;
            change.note(&told, "key.create", &target(&name, &made.id));
            Ok(account)
        });
        Ok(CreatedKey { account: Arc::new(account.await?), key, secret })
    }

    /// The keys of an account, oldest first.
    ///
    /// # Errors
    /// [`RegistryError::AccountUnknown`]; [`RegistryError::Unauthorized`], [`RegistryError::Denied`].
    pub async fn keys(&self, ctx: &Context, account: &str) -> Result<Vec<KeyStatus>> {
        if !is_own(ctx, account) {
            self.authorize_instance(ctx, InstanceAction::Watch)?;
        }
        let (snapshot, now) = (self.directory(), self.engine().now());
        let found = snapshot.account(account);
        let found = found.ok_or_else(|| RegistryError::AccountUnknown { name: account.to_owned() })?;
        let status = |key: &Key| {
            let age = Duration::from_millis(now.0.saturating_sub(key.created_at.0));
            KeyStatus {
                key: key.clone(),
                last_used_at: snapshot.key(&key.id).and_then(|entry| entry.uses.get()),
                age,
                is_old: age > KEY_AGE_ADVISED,
            }
        };
        Ok(found.keys.iter().map(status).collect())
    }

    /// One key of an account.
    ///
    /// # Errors
    /// [`RegistryError::KeyUnknown`], and as [`Registry::keys`].
    pub async fn key(&self, ctx: &Context, account: &str, id: &str) -> Result<KeyStatus> {
        let found = self.keys(ctx, account).await?.into_iter().find(|status| &*status.key.id == id);
        found.ok_or_else(|| RegistryError::KeyUnknown { id: id.to_owned() })
    }

    /// Changes a key. With `revision`, only if the account is that one still. What it changes counts from the next request on.
    ///
    /// # Errors
    /// [`RegistryError::KeyUnknown`], [`RegistryError::AccountUnknown`]; [`RegistryError::RevisionMismatch`];
    /// [`RegistryError::FieldInvalid`]; [`RegistryError::LastAdministrator`] where nobody else could look after the instance;
    /// [`RegistryError::Unauthorized`], [`RegistryError::Denied`]; the store's condition.
    pub async fn change_key(
        &self,
        ctx: &Context,
        account: &str,
        id: &str,
        wanted: KeyChange,
        revision: Option<u64>,
    ) -> Result<Arc<Account>> {
        self.authorize_keys(ctx, "key.change", account, id)?;
        wanted.description.as_deref().map_or(Ok(()), field::description)?;
        check_end(wanted.expires_at.flatten(), self.engine().now())?;
        let (told, name, id) = (ctx.clone(), account.to_owned(), id.to_owned());
        let changed = self.change(ctx, move |change| {
            let seen = change.account(&name)?;
            check_revision(revision, seen.value.revision)?;
            let mut account = seen.value.clone();
            let key = account.keys.iter_mut().find(|key| *key.id == *id);
            let key = key.ok_or_else(|| RegistryError::KeyUnknown { id: id.clone() })?;
            let action = match wanted.state.filter(|state| *state != key.state) {
                Some(State::Enabled) => "key.enable",
                Some(State::Disabled) => "key.disable",
                None => "key.change",
            };
            key.state = wanted.state.unwrap_or(key.state);
            key.expires_at = wanted.expires_at.unwrap_or(key.expires_at);
            if let Some(description) = &wanted.description {
                key.description.clone_from(description);
            }
            if account == seen.value {
                return Ok(account);
            }
            keep_an_administrator(change, &seen.value, Some(&account))?;
            let account = change.put_account(&seen, account)?;
            change.note(&told, action, &target(&name, &id));
            Ok(account)
        });
        changed.await.map(Arc::new)
    }

    /// Deletes a key. Its tokens are worth nothing from the next request on.
    ///
    /// # Errors
    /// As [`Registry::change_key`].
    pub async fn delete_key(
        &self,
        ctx: &Context,
        account: &str,
        id: &str,
        revision: Option<u64>,
    ) -> Result<()> {
        self.authorize_keys(ctx, "key.delete", account, id)?;
        let (told, name, id) = (ctx.clone(), account.to_owned(), id.to_owned());
        let deleted = self.change(ctx, move |change| {
            let seen = change.account(&name)?;
            check_revision(revision, seen.value.revision)?;
            let mut account = seen.value.clone();
            account.keys.retain(|key| *key.id != *id);
            if account.keys.len() == seen.value.keys.len() {
                return Err(RegistryError::KeyUnknown { id: id.clone() });
            }
            keep_an_administrator(change, &seen.value, Some(&account))?;
            change.put_account(&seen, account)?;
            change.forget_use(&id);
            change.note(&told, "key.delete", &target(&name, &id));
            Ok(())
        });
        deleted.await
    }

    /// Refuses those who may not manage the keys of an account: its owner may, and administrators.
    fn authorize_keys(&self, ctx: &Context, action: &'static str, account: &str, id: &str) -> Result<()> {
        if is_own(ctx, account) {
            return Ok(());
        }
        let target = if id.is_empty() { account.to_owned() } else { target(account, id) };
        self.authorize_change(ctx, InstanceAction::Manage, Attempt::on_instance(action, &target))
    }
}

fn target(account: &str, id: &str) -> String {
    format!("{account}/{id}")
}

/// The end of the last year that a moment can be written with (RFC 3339, section 5.6).
const LAST_MOMENT: UnixMillis = UnixMillis(253_402_300_799_999);

fn check_end(end: Option<UnixMillis>, now: UnixMillis) -> Result<()> {
    let why = match end {
        Some(end) if end <= now => "a key cannot end before it begins",
        Some(end) if end > LAST_MOMENT => {
            "a key cannot end after the year 9999; one that never ends has no such moment"
        }
        _ => return Ok(()),
    };
    Err(RegistryError::FieldInvalid { field: "expires_at", why: why.to_owned() })
}
