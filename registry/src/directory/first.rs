//! The first administrator of a store that has no accounts yet.

use super::account::{Account, AccountKind, Key, State};
use super::keys::{CreatedKey, NewKey};
use super::row::{self, ACCOUNTS};
use super::secrets;
use super::state::wait;
use crate::access::{Grants, Role};
use crate::config::AuthMode;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use crate::secret::Secret;
use std::io;
use std::sync::Arc;
use strata_engine::UnixMillis;

/// The name of the first account.
pub const FIRST_ACCOUNT: &str = "admin";

/// The first administrator could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FirstAdministratorError {
    /// The secret could not be kept for the operator; nothing was made.
    #[error("the key of the first administrator could not be kept")]
    NotKept(#[from] io::Error),
    /// The key that the configuration gives cannot be one.
    #[error("the key that is given for the first administrator cannot be taken")]
    Given(#[source] RegistryError),
    /// The store has trouble.
    #[error("the first administrator could not be made")]
    NotMade(#[from] RegistryError),
}

impl Registry {
    /// Makes the account `admin` with one key, if there are to be accounts and there is none yet; else `None`. The key is the one of the configuration, or a random
    /// one, which `keep` is handed before anything is stored: what cannot be kept is not made. A start that ended between the two has kept a
    /// key that no account has yet: `left` finds it, and it is taken, since somebody may have read it already. Blocks; to be called while
    /// the store is opened, before requests are served.
    ///
    /// # Errors
    /// [`FirstAdministratorError`]
    pub fn make_first_administrator(
        &self,
        left: impl FnOnce() -> io::Result<Option<(String, Secret)>>,
        keep: impl FnOnce(&CreatedKey) -> io::Result<()>,
    ) -> std::result::Result<Option<CreatedKey>, FirstAdministratorError> {
        let is_open = self.config().auth.mode == AuthMode::Open;
        if is_open || self.snapshot().accounts(None).next().is_some() {
            return Ok(None);
        }
        let now = self.engine().now();
        let new = NewKey { description: "made at the first start".to_owned(), ..NewKey::default() };
        let chosen = match self.config().auth.admin_key.clone() {
            Some(given) => Some(given),
            None => left()?,
        };
        let (key, secret) = match &chosen {
            Some((id, secret)) => (chosen_key(id, secret, new, now)?, secret.clone()),
            None => secrets::generate(new, now)?,
        };
        let account = administrator(now, key.clone());
        let created = CreatedKey { account: Arc::new(account.clone()), key, secret };
        if chosen.is_none() {
            keep(&created)?;
        }
        self.store_first(account)?;
        Ok(Some(created))
    }

    fn store_first(&self, account: Account) -> Result<()> {
        let ctx = Context::everyone("first-start", None);
        let mut batch = self.batch(&ctx);
        let key = row::key(ACCOUNTS, &account.name);
        batch.expect_setting(&key, None);
        batch.put_setting(&key, row::encode_account(&account)?);
        batch.set_detail(ctx.event_detail_of("account.create", &account.name, "done"));
        batch.note(None);
        wait(self.engine().commit(batch)).map_err(RegistryError::store)?;
        self.directory_state().edit(|snapshot| snapshot.put_account(account));
        Ok(())
    }
}

fn chosen_key(
    id: &str,
    secret: &Secret,
    new: NewKey,
    now: UnixMillis,
) -> std::result::Result<Key, FirstAdministratorError> {
    secrets::chosen(id, secret, new, now).map_err(FirstAdministratorError::Given)
}

fn administrator(now: UnixMillis, key: Key) -> Account {
    Account {
        name: FIRST_ACCOUNT.into(),
        kind: AccountKind::Person,
        email: None,
        state: State::Enabled,
        created_at: now,
        created_by: String::new(),
        revision: 1,
        roles: Arc::new(Grants { instance: Some(Role::Admin), ..Grants::default() }),
        keys: vec![key],
    }
}
