//! The directory at one moment: what all requests are decided by, without a lock and without the store.

use super::account::{Account, Key};
use super::registry::RegistryEntry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Everything in the directory at one moment. A change makes a new one.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    accounts: BTreeMap<Arc<str>, Arc<Account>>,
    /// Key ids to the accounts that have them.
    owners: HashMap<Arc<str>, Arc<str>>,
    registries: BTreeMap<Arc<str>, Arc<RegistryEntry>>,
}

/// A key with its account.
#[derive(Debug, Clone)]
pub struct KeyEntry<'a> {
    /// The account.
    pub account: &'a Arc<Account>,
    /// One of its keys.
    pub key: &'a Key,
}

impl Snapshot {
    /// The account of that name.
    pub fn account(&self, name: &str) -> Option<&Arc<Account>> {
        self.accounts.get(name)
    }

    /// The key of that id, with its account.
    pub fn key(&self, id: &str) -> Option<KeyEntry<'_>> {
        let account = self.account(self.owners.get(id)?)?;
        let key = account.keys.iter().find(|key| *key.id == *id)?;
        Some(KeyEntry { account, key })
    }

    /// The registry of that name.
    pub fn registry(&self, name: &str) -> Option<&Arc<RegistryEntry>> {
        self.registries.get(name)
    }

    /// Puts an account in the place of the one of its name.
    pub(crate) fn put_account(&mut self, account: Account) {
        self.remove_account(&account.name);
        for key in &account.keys {
            self.owners.insert(Arc::clone(&key.id), Arc::clone(&account.name));
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
}
