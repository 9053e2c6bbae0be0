//! Changes of the directory: one at a time, each in one batch, and in memory before anybody is told.

use super::account::Account;
use super::registry::RegistryEntry;
use super::row::{self, ACCOUNTS, REGISTRIES, USES};
use super::snapshot::Snapshot;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use bytes::Bytes;
use strata_engine::meta::{Batch, View};

/// What a change does, being decided: the batch, and the same for the directory in memory.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) view: &'a View,
    pub(super) batch: &'a mut Batch,
    pub(super) snapshot: &'a Snapshot,
    edits: Edits,
}

/// What a change does to the directory in memory, once it is committed.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<Edit>);

#[derive(Debug)]
enum Edit {
    Account(Account),
    NoAccount(String),
    Registry(RegistryEntry),
    NoRegistry(String),
}

/// A row as it was seen, which the change expects to find.
#[derive(Debug)]
pub(super) struct Seen<T> {
    pub(super) value: T,
    row: Bytes,
}

impl<'a> Change<'a> {
    pub(super) fn new(view: &'a View, batch: &'a mut Batch, snapshot: &'a Snapshot) -> Self {
        Self { view, batch, snapshot, edits: Edits::default() }
    }

    pub(super) fn into_edits(self) -> Edits {
        self.edits
    }

    /// The account of that name.
    pub(super) fn account(&self, name: &str) -> Result<Seen<Account>> {
        let stored = self.view.setting(&row::key(ACCOUNTS, name)).map_err(RegistryError::store)?;
        let row = stored.ok_or_else(|| RegistryError::AccountUnknown { name: name.to_owned() })?;
        Ok(Seen { value: row::decode_account(name, &row)?, row })
    }

    /// The registry of that name.
    pub(super) fn registry(&self, name: &str) -> Result<Seen<RegistryEntry>> {
        let stored = self.view.setting(&row::key(REGISTRIES, name)).map_err(RegistryError::store)?;
        let row = stored.ok_or_else(|| RegistryError::RegistryUnknown { name: name.to_owned() })?;
        Ok(Seen { value: row::decode_registry(name, &row)?, row })
    }

    /// Makes an account; `false` where there is one of that name.
    pub(super) fn create_account(&mut self, account: Account) -> Result<bool> {
        let key = row::key(ACCOUNTS, &account.name);
        if self.view.setting(&key).map_err(RegistryError::store)?.is_some() {
            return Ok(false);
        }
        self.batch.expect_setting(&key, None);
        self.batch.put_setting(&key, row::encode_account(&account)?);
        self.edits.0.push(Edit::Account(account));
        Ok(true)
    }

    /// Puts an account in the place of what was seen, as its next revision.
    pub(super) fn put_account(&mut self, seen: &Seen<Account>, account: Account) -> Result<Account> {
        let account = Account { revision: seen.value.revision + 1, ..account };
        let key = row::key(ACCOUNTS, &account.name);
        self.batch.expect_setting(&key, Some(seen.row.clone()));
        self.batch.put_setting(&key, row::encode_account(&account)?);
        self.edits.0.push(Edit::Account(account.clone()));
        Ok(account)
    }

    /// Removes an account with its keys.
    pub(super) fn remove_account(&mut self, seen: &Seen<Account>) {
        let key = row::key(ACCOUNTS, &seen.value.name);
        self.batch.expect_setting(&key, Some(seen.row.clone()));
        self.batch.delete_setting(&key);
        for key in &seen.value.keys {
            self.forget_use(&key.id);
        }
        self.edits.0.push(Edit::NoAccount(seen.value.name.to_string()));
    }

    /// Nothing is known any more of the use of a key.
    pub(super) fn forget_use(&mut self, id: &str) {
        self.batch.delete_setting(&row::key(USES, id));
    }

    /// Makes a registry; `false` where there is one of that name.
    pub(super) fn create_registry(&mut self, registry: RegistryEntry) -> Result<bool> {
        let key = row::key(REGISTRIES, &registry.name);
        if self.view.setting(&key).map_err(RegistryError::store)?.is_some() {
            return Ok(false);
        }
        self.batch.expect_setting(&key, None);
        self.batch.put_setting(&key, row::encode_registry(&registry)?);
        self.edits.0.push(Edit::Registry(registry));
        Ok(true)
    }

    /// Puts a registry in the place of what was seen, as its next revision.
    pub(super) fn put_registry(
        &mut self,
        seen: &Seen<RegistryEntry>,
        registry: RegistryEntry,
    ) -> Result<RegistryEntry> {
        let registry = RegistryEntry { revision: seen.value.revision + 1, ..registry };
        let key = row::key(REGISTRIES, &registry.name);
        self.batch.expect_setting(&key, Some(seen.row.clone()));
        self.batch.put_setting(&key, row::encode_registry(&registry)?);
        self.edits.0.push(Edit::Registry(registry.clone()));
        Ok(registry)
    }

    /// Takes the row of a registry away; the row itself is handed back.
    pub(super) fn remove_registry(&mut self, seen: &Seen<RegistryEntry>) -> Bytes {
        let key = row::key(REGISTRIES, &seen.value.name);
        self.batch.expect_setting(&key, Some(seen.row.clone()));
        self.batch.delete_setting(&key);
        self.edits.0.push(Edit::NoRegistry(seen.value.name.to_string()));
        seen.row.clone()
    }

    /// Notes what is done to what in the log of events.
    pub(super) fn note(&mut self, ctx: &Context, action: &str, target: &str) {
        self.batch.set_detail(ctx.event_detail_of(action, target, "done"));
        self.batch.note(None);
    }
}

impl Edits {
    pub(super) fn apply(self, snapshot: &mut Snapshot) {
        for edit in self.0 {
            match edit {
                Edit::Account(account) => snapshot.put_account(account),
                Edit::NoAccount(name) => snapshot.remove_account(&name),
                Edit::Registry(registry) => snapshot.put_registry(registry),
                Edit::NoRegistry(name) => snapshot.remove_registry(&name),
            }
        }
    }
}

impl Registry {
    /// Makes one change of the directory. Others wait for it, and it goes on to its end if nobody waits for it any more: what is
    /// committed must be in memory, too, by which requests are decided.
    ///
    /// # Errors
    /// What `decide` says; [`RegistryError::Contended`] and the store's condition.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        ctx: &Context,
        decide: impl Fn(&mut Change<'_>) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let (registry, ctx) = (self.clone(), ctx.clone());
        let changed = tokio::spawn(async move {
            let _turn = registry.directory_state().changing.lock().await;
            registry.change_in_turn(&ctx, decide).await
        });
        changed.await.unwrap_or_else(|error| {
            Err(RegistryError::corrupt(format!("a change of the directory was not done to its end: {error}")))
        })
    }

    /// The same for one whose turn it is.
    pub(super) async fn change_in_turn<T: Send>(
        &self,
        ctx: &Context,
        decide: impl Fn(&mut Change<'_>) -> Result<T> + Send + Sync,
    ) -> Result<T> {
        let (decided, edits) = self
            .transact(ctx, |view, batch| {
                let snapshot = self.snapshot();
                let mut change = Change::new(view, batch, &snapshot);
                let decided = decide(&mut change)?;
                Ok((decided, change.into_edits()))
            })
            .await?;
        self.directory_state().edit(|snapshot| edits.apply(snapshot));
        Ok(decided)
    }
}

/// Refuses a change of something that is not any more what the one who asks has seen.
pub(super) fn check_revision(expected: Option<u64>, actual: u64) -> Result<()> {
    match expected {
        Some(expected) if expected != actual => Err(RegistryError::RevisionMismatch { expected, actual }),
        _ => Ok(()),
    }
}
