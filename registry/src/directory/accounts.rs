//! Accounts: made, listed, changed and deleted by administrators; and what one is told about himself.

use super::account::{Account, AccountKind, State};
use super::change::{Change, check_revision};
use super::field;
use super::snapshot::{can_administrate, is_administrator};
use crate::access::InstanceAction;
use crate::audit::Attempt;
use crate::context::{Context, Principal};
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use std::sync::Arc;

/// Most entries of a page of accounts, registries or members.
pub const DIRECTORY_PAGE_MAX: usize = 1000;

/// An account to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Its name: a segment of a repository name, at most 64 bytes.
    pub name: String,
    /// Whose it is.
    pub kind: AccountKind,
    /// Where its owner can be reached.
    pub email: Option<String>,
}

/// What is to be changed of an account; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// Another e-mail address, or none.
    pub email: Option<Option<String>>,
    /// Whether it can be used.
    pub state: Option<State>,
}

/// A page of accounts, in the order of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPage {
    /// The accounts.
    pub accounts: Vec<Arc<Account>>,
    /// Where more follow: ask again behind this name.
    pub next: Option<String>,
}

/// What one is told about himself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhoAmI {
    /// There are no accounts: everybody may do everything.
    Everyone,
    /// Nobody in particular.
    Anonymous,
    /// Somebody with an account.
    Account {
        /// The account, as it is now.
        account: Arc<Account>,
        /// The id of the key that was shown, or that the token is of.
        key: Arc<str>,
    },
}

impl Registry {
    /// Who the one who asks is.
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`] where the account is gone meanwhile.
    pub async fn whoami(&self, ctx: &Context) -> Result<WhoAmI> {
        match &ctx.principal {
            Principal::Everyone => Ok(WhoAmI::Everyone),
            Principal::Anonymous { .. } => Ok(WhoAmI::Anonymous),
            Principal::Account(identity) => match self.snapshot().account(&identity.account) {
                Some(account) => {
                    Ok(WhoAmI::Account { account: self.seen(ctx, account), key: Arc::clone(&identity.key) })
                }
                None => Err(RegistryError::AccountUnknown { name: identity.account.to_string() }),
            },
        }
    }

    /// An account as it is seen through a listener: without roles in registries that do not exist there.
    pub(super) fn seen(&self, ctx: &Context, account: &Arc<Account>) -> Arc<Account> {
        let snapshot = self.snapshot();
        let is_hidden = |name: &str| snapshot.registry(name).is_some_and(|row| !row.is_visible_in(ctx.scope));
        if !account.roles.registries.keys().any(|name| is_hidden(name)) {
            return Arc::clone(account);
        }
        let mut seen = Account::clone(account);
        Arc::make_mut(&mut seen.roles).registries.retain(|name, _| !is_hidden(name));
        Arc::new(seen)
    }

    /// Refuses what is about a registry that does not exist for those who came in by this listener.
    pub(super) fn require_shown(&self, ctx: &Context, registry: &str) -> Result<()> {
        match self.snapshot().registry(registry) {
            Some(row) if !row.is_visible_in(ctx.scope) => {
                Err(RegistryError::RegistryUnknown { name: registry.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Makes an account, without keys and roles.
    ///
    /// # Errors
    /// [`RegistryError::AccountExists`]; [`RegistryError::FieldInvalid`]; [`RegistryError::Unauthorized`], [`RegistryError::Denied`];
    /// the store's condition.
    pub async fn create_account(&self, ctx: &Context, new: NewAccount) -> Result<Arc<Account>> {
        self.authorize_change(
            ctx,
            InstanceAction::Manage,
            Attempt::on_instance("account.create", &new.name),
        )?;
        field::name(&new.name)?;
        new.email.as_deref().map_or(Ok(()), field::email)?;
        let by = creator(ctx);
        let told = ctx.clone();
        let made = self.change(ctx, move |change| {
            let account = Account {
                name: new.name.as_str().into(),
                kind: new.kind,
                email: new.email.clone(),
                state: State::Enabled,
                created_at: change.batch.at(),
                created_by: by.clone(),
                revision: 1,
                roles: Arc::default(),
                keys: Vec::new(),
            };
            if !change.create_account(account.clone())? {
                return Err(RegistryError::AccountExists { name: new.name.clone() });
            }
            change.note(&told, "account.create", &new.name);
            Ok(account)
        });
        made.await.map(Arc::new)
    }

    /// Lists accounts in the order of names, at most `limit` (and [`DIRECTORY_PAGE_MAX`]): those behind the name `after`, and with `search`
    /// those whose name or e-mail address contains it.
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`], [`RegistryError::Denied`].
    pub async fn accounts(
        &self,
        ctx: &Context,
        after: Option<&str>,
        limit: usize,
        search: Option<&str>,
    ) -> Result<AccountPage> {
        self.authorize_instance(ctx, InstanceAction::Watch)?;
        let limit = limit.min(DIRECTORY_PAGE_MAX);
        let snapshot = self.directory();
        let is_wanted = |account: &&Arc<Account>| match search {
            Some(text) => {
                account.name.contains(text)
                    || account.email.as_ref().is_some_and(|email| email.contains(text))
            }
            None => true,
        };
        let mut accounts: Vec<_> =
            snapshot.accounts(after).filter(is_wanted).take(limit + 1).cloned().collect();
        let has_more = accounts.len() > limit;
        accounts.truncate(limit);
        let next = accounts.last().filter(|_| has_more).map(|account| account.name.to_string());
        let accounts = accounts.iter().map(|account| self.seen(ctx, account)).collect();
        Ok(AccountPage { accounts, next })
    }

    /// An account: one's own, or any for those who may look at them all.
    ///
    /// # Errors
    /// [`RegistryError::AccountUnknown`]; [`RegistryError::Unauthorized`], [`RegistryError::Denied`].
    pub async fn account(&self, ctx: &Context, name: &str) -> Result<Arc<Account>> {
        if !is_own(ctx, name) {
            self.authorize_instance(ctx, InstanceAction::Watch)?;
        }
        let account = self.snapshot().account(name).map(|account| self.seen(ctx, account));
        account.ok_or_else(|| RegistryError::AccountUnknown { name: name.to_owned() })
    }

    /// Changes an account. With `revision`, only if it is that one still. What it changes counts from the next request on.
    ///
    /// # Errors
    /// [`RegistryError::AccountUnknown`]; [`RegistryError::RevisionMismatch`]; [`RegistryError::LastAdministrator`];
    /// [`RegistryError::FieldInvalid`]; [`RegistryError::Unauthorized`], [`RegistryError::Denied`]; the store's condition.
    pub async fn change_account(
        &self,
        ctx: &Context,
        name: &str,
        wanted: AccountChange,
        revision: Option<u64>,
    ) -> Result<Arc<Account>> {
        self.authorize_change(ctx, InstanceAction::Manage, Attempt::on_instance("account.change", name))?;
        wanted.email.as_ref().and_then(Option::as_deref).map_or(Ok(()), field::email)?;
        let (told, name) = (ctx.clone(), name.to_owned());
        let changed = self.change(ctx, move |change| {
            let seen = change.account(&name)?;
            check_revision(revision, seen.value.revision)?;
            let mut account = seen.value.clone();
            account.email = wanted.email.clone().unwrap_or(account.email);
            account.state = wanted.state.unwrap_or(account.state);
            if account == seen.value {
                return Ok(account);
            }
            keep_an_administrator(change, &seen.value, Some(&account))?;
            let action = match wanted.state.filter(|state| *state != seen.value.state) {
                Some(State::Enabled) => "account.enable",
                Some(State::Disabled) => "account.disable",
                None => "account.change",
            };
            let account = change.put_account(&seen, account)?;
            change.note(&told, action, &name);
            Ok(account)
        });
        changed.await.map(Arc::new)
    }

    /// Deletes an account with its keys and roles. Its tokens are worth nothing from the next request on.
    ///
    /// # Errors
    /// As [`Registry::change_account`].
    pub async fn delete_account(&self, ctx: &Context, name: &str, revision: Option<u64>) -> Result<()> {
        self.authorize_change(ctx, InstanceAction::Manage, Attempt::on_instance("account.delete", name))?;
        let (told, name) = (ctx.clone(), name.to_owned());
        let deleted = self.change(ctx, move |change| {
            let seen = change.account(&name)?;
            check_revision(revision, seen.value.revision)?;
            keep_an_administrator(change, &seen.value, None)?;
            change.remove_account(&seen);
            change.note(&told, "account.delete", &name);
            Ok(())
        });
        deleted.await
    }
}

/// Whether the account is the one that asks, and with nothing that takes away from what it may do.
pub(super) fn is_own(ctx: &Context, name: &str) -> bool {
    ctx.identity().is_some_and(|identity| *identity.account == *name && identity.is_whole())
}

/// The account that asks; nothing where it is nobody's.
pub(super) fn creator(ctx: &Context) -> String {
    ctx.identity().map(|identity| identity.account.to_string()).unwrap_or_default()
}

/// Refuses what would leave nobody to look after the instance. `after`: what the account is to become.
pub(super) fn keep_an_administrator(
    change: &Change<'_>,
    before: &Account,
    after: Option<&Account>,
) -> Result<()> {
    let now = change.batch.at();
    let can = |account: &Account| can_administrate(account, now);
    // RACE: changes are made one at a time, and the snapshot has all that came before this one.
    let is_last = |is_so: &dyn Fn(&Account) -> bool| {
        is_so(before) && !after.is_some_and(is_so) && !change.snapshot.has_besides(&before.name, is_so)
    };
    if is_last(&is_administrator) || is_last(&can) {
        return Err(RegistryError::LastAdministrator { name: before.name.to_string() });
    }
    Ok(())
}
