//! Roles: given and taken by administrators of the instance.

use super::account::Account;
use super::accounts::{DIRECTORY_PAGE_MAX, keep_an_administrator};
use super::change::check_revision;
use crate::access::{InstanceAction, Role};
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use std::sync::Arc;

/// Where a role counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleOn {
    /// On the whole instance.
    Instance,
    /// In one registry.
    Registry(String),
}

/// A page of the accounts that have a role in a registry, in the order of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPage {
    /// The accounts, with their role there.
    pub members: Vec<(Arc<Account>, Role)>,
    /// Where more follow: ask again behind this name.
    pub next: Option<String>,
}

impl Registry {
    /// Gives an account a role, or takes it. With `revision`, only if the account is that one still. It counts from the next request on.
    ///
    /// # Errors
    /// [`RegistryError::AccountUnknown`], [`RegistryError::RegistryUnknown`]; [`RegistryError::RevisionMismatch`];
    /// [`RegistryError::LastAdministrator`]; [`RegistryError::FieldInvalid`] where the account has too many;
    /// [`RegistryError::Unauthorized`], [`RegistryError::Denied`]; the store's condition.
    pub async fn set_role(
        &self,
        ctx: &Context,
        account: &str,
        on: RoleOn,
        role: Option<Role>,
        revision: Option<u64>,
    ) -> Result<Arc<Account>> {
        let action = if role.is_some() { "role.set" } else { "role.remove" };
        let target = match &on {
            RoleOn::Instance => account.to_owned(),
            RoleOn::Registry(registry) => format!("{account}@{registry}"),
        };
        self.authorize_change(ctx, InstanceAction::Manage, Attempt::on_instance(action, &target))?;
        if let RoleOn::Registry(registry) = &on {
            self.require_shown(ctx, registry)?;
        }
        let (told, name) = (ctx.clone(), account.to_owned());
        let changed = self.change(ctx, move |change| {
            let seen = change.account(&name)?;
            check_revision(revision, seen.value.revision)?;
            let mut account = seen.value.clone();
            let roles = Arc::make_mut(&mut account.roles);
            let target = match &on {
                RoleOn::Instance => {
                    roles.instance = role;
                    name.clone()
                }
                RoleOn::Registry(registry) => {
                    match role {
                        Some(role) => {
                            change.registry(registry)?;
                            roles.registries.insert(registry.clone(), role);
                        }
                        None => {
                            if roles.registries.remove(registry).is_none() {
                                change.registry(registry)?;
                            }
                        }
                    }
                    format!("{name}@{registry}")
                }
            };
            if account == seen.value {
                return Ok(account);
            }
            keep_an_administrator(change, &seen.value, Some(&account))?;
            let account = change.put_account(&seen, account)?;
            let action = match role {
                Some(role) => format!("role.set.{role}"),
                None => "role.remove".to_owned(),
            };
            change.note(&told, &action, &target);
            Ok(account)
        });
        changed.await.map(|account| self.seen(ctx, &Arc::new(account)))
    }

    /// Lists who has a role in a registry, at most `limit` (and [`DIRECTORY_PAGE_MAX`]), behind the name `after`.
    ///
    /// # Errors
    /// [`RegistryError::RegistryUnknown`]; [`RegistryError::Unauthorized`], [`RegistryError::Denied`].
    pub async fn members(
        &self,
        ctx: &Context,
        registry: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<MemberPage> {
        self.authorize_instance(ctx, InstanceAction::Watch)?;
        self.require_shown(ctx, registry)?;
        let limit = limit.min(DIRECTORY_PAGE_MAX);
        let snapshot = self.directory();
        if snapshot.registry(registry).is_none() {
            return Err(RegistryError::RegistryUnknown { name: registry.to_owned() });
        }
        let role = |account: &Arc<Account>| {
            account.roles.registries.get(registry).map(|role| (self.seen(ctx, account), *role))
        };
        let mut members: Vec<_> = snapshot.accounts(after).filter_map(role).take(limit + 1).collect();
        let has_more = members.len() > limit;
        members.truncate(limit);
        let next = members.last().filter(|_| has_more).map(|(account, _)| account.name.to_string());
        Ok(MemberPage { members, next })
    }
}
