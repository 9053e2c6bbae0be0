//! The directory at one moment: what all requests are decided by, without a lock and without the store.

use super::account::{Account, Key, State};
use super::registry::RegistryEntry;
use super::usage::LastUse;
use crate::access::Role;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use strata_engine::UnixMillis;

/// Everything in the directory at one moment. A change makes a new one.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    accounts: BTreeMap<Arc<str>, Arc<Account>>,
    /// By the key's id.
    owners: HashMap<Arc<str>, Owner>,
    registries: BTreeMap<Arc<str>, Arc<RegistryEntry>>,
}

/// Who has a key, and when it was used.
#[derive(Debug, Clone)]
struct Owner {
    account: Arc<str>,
    /// The same one in all snapshots.
    uses: Arc<LastUse>,
}

/// A key with its account.
#[derive(Debug, Clone, Copy)]
pub struct KeyEntry<'a> {
    /// The account.
    pub account: &'a Arc<Account>,
    /// One of its keys.
    pub key: &'a Key,
    pub(crate) uses: &'a Arc<LastUse>,
}

impl KeyEntry<'_> {
    /// Remembers that it is used now. Costs next to nothing.
    pub fn touch(&self, now: UnixMillis) {
        self.uses.touch(now);
    }
}

impl Snapshot {
    /// The account of that name.
    pub fn account(&self, name: &str) -> Option<&Arc<Account>> {
        self.accounts.get(name)
    }

    /// The key of that id, with its account.
    pub fn key(&self, id: &str) -> Option<KeyEntry<'_>> {
        let owner = self.owners.get(id)?;
        let account = self.account(&owner.account)?;
        let key = account.keys.iter().find(|key| *key.id == *id)?;
        Some(KeyEntry { account, key, uses: &owner.uses })
    }

    /// The registry of that name.
    pub fn registry(&self, name: &str) -> Option<&Arc<RegistryEntry>> {
        self.registries.get(name)
    }

    /// The names of all registries.
    pub(crate) fn registry_names(&self) -> impl Iterator<Item = &str> {
        self.registries.keys().map(|name| &**name)
    }

    /// The accounts behind a name, in the order of names.
    pub(crate) fn accounts(&self, after: Option<&str>) -> impl Iterator<Item = &Arc<Account>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.accounts.range::<str, _>((from, Bound::Unbounded)).map(|(_, account)| account)
    }

    /// The keys with their last use.
    pub(crate) fn uses(&self) -> impl Iterator<Item = (&Arc<str>, &LastUse)> {
        self.owners.iter().map(|(id, owner)| (id, &*owner.uses))
    }

    /// Whether an account besides the one of that name is like this.
    pub(crate) fn has_besides(&self, name: &str, is_so: impl Fn(&Account) -> bool) -> bool {
        self.accounts.values().any(|account| *account.name != *name && is_so(account))
    }

    /// Puts an account in the place of the one of its name.
    pub(crate) fn put_account(&mut self, account: Account) {
        let mut old = HashMap::new();
        if let Some(before) = self.accounts.remove(&account.name) {
            for key in &before.keys {
                old.extend(self.owners.remove(&key.id).map(|owner| (Arc::clone(&key.id), owner)));
            }
        }
        for key in &account.keys {
            let owner = old.remove(&key.id);
            let uses = owner.map_or_else(Arc::default, |owner| owner.uses);
            self.owners.insert(Arc::clone(&key.id), Owner { account: Arc::clone(&account.name), uses });
        }
        self.accounts.insert(Arc::clone(&account.name), Arc::new(account));
    }

    pub(crate) fn remove_account(&mut self, name: &str) {
        if let Some(account) = self.accounts.remove(name) {
            for key in &account.keys {
                self.owners.remove(&key.id);
            }
        }
    }

    /// Puts a registry in the place of the one of its name.
    pub(crate) fn put_registry(&mut self, registry: RegistryEntry) {
        self.registries.insert(Arc::clone(&registry.name), Arc::new(registry));
    }

    pub(crate) fn remove_registry(&mut self, name: &str) {
        self.registries.remove(name);
    }
}

/// Whether an account may look after the instance.
pub(crate) fn is_administrator(account: &Account) -> bool {
    account.state == State::Enabled && account.roles.instance == Some(Role::Admin)
}

/// Whether it also has a key to do it with.
pub(crate) fn can_administrate(account: &Account, now: UnixMillis) -> bool {
    is_administrator(account) && account.keys.iter().any(|key| key.is_usable(now) && key.narrowing.is_none())
}
