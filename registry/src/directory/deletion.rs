//! The end of a registry, with all that it holds or not at all.
//!
//! Its row is put aside first (`closing/NAME`). From then on no push gets in: one that was let in before has a batch that expects the row, or
//! makes it anew. So what is looked at next is all that there is, and goes in one batch with the row. A crash in between leaves the row
//! aside, and the next start puts it back.

use super::account::Account;
use super::change::{Change, Edits, check_revision};
use super::row::{self, CLOSING};
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use crate::removal::{Removed, repositories_of};
use crate::retry::Attempts;
use bytes::Bytes;
use std::sync::Arc;
use strata_engine::meta::Batch;

impl Registry {
    /// Deletes a registry, and with `force` all that it holds, together or not at all; the roles in it go too. With `revision`, only if it is
    /// that one still.
    ///
    /// # Errors
    /// [`RegistryError::RegistryUnknown`]; [`RegistryError::RegistryNotEmpty`]; [`RegistryError::RemovalTooLarge`];
    /// [`RegistryError::RevisionMismatch`]; [`RegistryError::Unauthorized`], [`RegistryError::Denied`],
    /// [`RegistryError::OperatorsOnly`]; [`RegistryError::Contended`] and the store's condition.
    pub async fn delete_registry(
        &self,
        ctx: &Context,
        name: &str,
        force: bool,
        revision: Option<u64>,
    ) -> Result<Removed> {
        self.authorize_managed(ctx, "registry.delete", name)?;
        let (registry, ctx, name) = (self.clone(), ctx.clone(), name.to_owned());
        // Not given up half-way when nobody waits for it any more.
        let deleted = tokio::spawn(async move {
            let _turn = registry.directory_state().changing.lock().await;
            registry.delete_registry_in_turn(&ctx, &name, force, revision).await
        });
        deleted.await.unwrap_or_else(|error| {
            Err(RegistryError::corrupt(format!("a registry was not deleted to the end: {error}")))
        })
    }

    async fn delete_registry_in_turn(
        &self,
        ctx: &Context,
        name: &str,
        force: bool,
        revision: Option<u64>,
    ) -> Result<Removed> {
        let refused = || RegistryError::RegistryNotEmpty { name: name.to_owned() };
        if !force && self.holds_content(name).await? {
            return Err(refused());
        }
        let row = self.close(ctx, name, revision).await?;
        let outcome = match self.holds_content(name).await {
            Ok(true) if !force => Err(refused()),
            Ok(_) => self.remove_closed(ctx, name).await,
            Err(error) => Err(error),
        };
        if outcome.is_err()
            && let Err(error) = self.open_again(ctx, name, &row).await
        {
            let error = &error as &dyn std::error::Error;
            tracing::error!(
                registry = name,
                error,
                "a registry that was not deleted is not there before a restart"
            );
        }
        outcome
    }

    /// Puts the row of a registry aside.
    async fn close(&self, ctx: &Context, name: &str, revision: Option<u64>) -> Result<Bytes> {
        let decide = |change: &mut Change<'_>| {
            let seen = change.registry(name)?;
            check_revision(revision, seen.value.revision)?;
            let row = change.remove_registry(&seen);
            change.batch.put_setting(&row::key(CLOSING, name), row.clone());
            Ok(row)
        };
        self.change_in_turn(ctx, decide).await
    }

    /// Puts the row of a registry back, where a push in open mode has not made another one.
    async fn open_again(&self, ctx: &Context, name: &str, row: &Bytes) -> Result<()> {
        let decide = |change: &mut Change<'_>| {
            change.batch.delete_setting(&row::key(CLOSING, name));
            change.create_registry(row::decode_registry(name, row)?).map(drop)
        };
        self.change_in_turn(ctx, decide).await
    }

    async fn holds_content(&self, name: &str) -> Result<bool> {
        let (registry, name) = (self.clone(), name.to_owned());
        away(move || Ok(!repositories_of(&registry.view()?, &name, 1)?.is_empty())).await
    }

    /// Removes a registry whose row was put aside.
    async fn remove_closed(&self, ctx: &Context, name: &str) -> Result<Removed> {
        let mut attempts = Attempts::new();
        loop {
            let (registry, told, of) = (self.clone(), ctx.clone(), name.to_owned());
            let (batch, removed, edits) = away(move || registry.decide_deletion(&told, &of)).await?;
            let at = batch.at();
            let outcome = self.engine().commit(batch).await;
            if attempts.judge(self, ctx, outcome).await?.is_some() {
                self.directory_state().edit(|snapshot| edits.apply(snapshot));
                return self.removed(removed, at).await;
            }
        }
    }

    fn decide_deletion(&self, ctx: &Context, name: &str) -> Result<(Batch, Removed, Edits)> {
        let (view, mut batch) = (self.view()?, self.batch(ctx));
        let removed =
            self.remove_repositories(&view, &mut batch, repositories_of(&view, name, usize::MAX)?)?;
        let snapshot = self.directory();
        let mut change = Change::new(&view, &mut batch, &snapshot);
        change.batch.delete_setting(&row::key(CLOSING, name));
        let has_role = |account: &&Arc<Account>| account.roles.registries.contains_key(name);
        for account in snapshot.accounts(None).filter(has_role) {
            let seen = change.account(&account.name)?;
            let mut account = seen.value.clone();
            Arc::make_mut(&mut account.roles).registries.remove(name);
            change.put_account(&seen, account)?;
        }
        change.note(ctx, "registry.delete", name);
        let edits = change.into_edits();
        Ok((batch, removed, edits))
    }
}
