//! The one place that decides: pure functions of the directory, of who asks, on which listener, and for what.
//!
//! What one may not see does not exist for him: whether a registry is there makes no difference to the answer that somebody gets who may
//! not see it.

use super::action::{Action, InstanceAction, Rights};
use super::token::{Access, AccessKind, Actions, Challenge, TokenFault};
use crate::context::{Identity, Principal, Scope};
use crate::directory::{RegistryKind, Snapshot};
use std::fmt;
use strata_types::RepositoryName;

/// The verdict on an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed,
    /// Not like this, but perhaps with other credentials, or another token.
    Unauthorized(Challenge),
    /// It does not exist for this one.
    Hidden,
    Denied(Denial),
}

/// Why an action is refused to somebody who is known and sees what it is about. Displayed as a sentence for him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denial {
    /// There is no such registry, or he may not see it.
    NoRegistry(String),
    /// The registry is filled by pulls alone.
    Cache(String),
    /// He would need another role in the registry.
    Role { action: Action, registry: String },
    /// His role would do, but the key is narrowed.
    Narrowed,
    /// He would need a role on the instance.
    Instance(InstanceAction),
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRegistry(name) => write!(
                f,
                "there is no registry {name} that you may push to; an administrator makes registries with \
                 `strata registry create {name}`"
            ),
            Self::Cache(name) => {
                write!(f, "registry {name} is a cache: it is filled by pulls, nobody pushes to it")
            }
            Self::Role { action, registry } => {
                let (what, roles) = match action {
                    Action::See | Action::Pull => ("pulling", "viewer or admin"),
                    Action::Push => ("pushing", "uploader or admin"),
                    Action::Delete => ("deleting", "admin"),
                    Action::CreateTag => ("creating a tag without a push", "admin"),
                };
                write!(f, "{what} needs the role {roles} on registry {registry} or on the instance")
            }
            Self::Narrowed => f.write_str("this key is narrowed to other repositories or actions"),
            Self::Instance(InstanceAction::Watch) => f.write_str(
                "this needs the role admin or viewer on the instance, and a key that is not narrowed",
            ),
            Self::Instance(_) => {
                f.write_str("this needs the role admin on the instance, and a key that is not narrowed")
            }
        }
    }
}

/// Whether somebody may do something in a repository.
pub(crate) fn decide(
    snapshot: &Snapshot,
    who: &Principal,
    scope: Scope,
    action: Action,
    repository: &RepositoryName,
) -> Decision {
    let registry = repository.registry();
    let row = snapshot.registry(registry);
    let there = row.filter(|row| row.is_visible_in(scope));
    let absent = || {
        if action.adds() {
            Decision::Denied(Denial::NoRegistry(registry.to_owned()))
        } else {
            Decision::Hidden
        }
    };
    let identity = match who {
        // In open mode a push makes its registry.
        Principal::Everyone if row.is_some() && there.is_none() => return absent(),
        Principal::Everyone => {
            return match row {
                Some(row) if row.kind == RegistryKind::Cache && action.adds() => {
                    Decision::Denied(Denial::Cache(registry.to_owned()))
                }
                _ => Decision::Allowed,
            };
        }
        Principal::Anonymous { .. } => {
            let is_free = there.is_some_and(|row| row.free().has(action));
            return if is_free {
                Decision::Allowed
            } else {
                missing(Some(needs(action, Rights::ALL, repository)))
            };
        }
        Principal::Account(identity) => identity,
    };
    // Outside of what the key is narrowed to, a push is told so, whether there is such a registry or not.
    let is_outside = identity.narrowing.as_ref().is_some_and(|to| to.rights_in(repository) == Rights::NONE);
    if is_outside && action.adds() {
        return Decision::Denied(Denial::Narrowed);
    }
    let Some(row) = there else { return absent() };
    let roles = identity.grants.rights_in(registry);
    let rights = narrowed(identity, repository, roles) | row.free();
    if !rights.has(Action::See) {
        return absent();
    }
    if row.kind == RegistryKind::Cache && action.adds() {
        return Decision::Denied(Denial::Cache(registry.to_owned()));
    }
    if !rights.has(action) {
        let would_do = roles.has(action);
        let role = || Denial::Role { action, registry: registry.to_owned() };
        return Decision::Denied(if would_do { Denial::Narrowed } else { role() });
    }
    let is_carried = match &identity.access {
        Some(access) => (carried(access, repository) | row.free()).has(action),
        None => true,
    };
    if is_carried { Decision::Allowed } else { insufficient(Some(needs(action, rights, repository))) }
}

/// Whether a repository exists for somebody, whatever his token carries: for lists, which need a token of their own kind.
pub(crate) fn is_visible(
    snapshot: &Snapshot,
    who: &Principal,
    scope: Scope,
    repository: &RepositoryName,
) -> bool {
    match may_hold_visible(snapshot, who, scope, repository.registry()) {
        Some(rights) => match who {
            Principal::Account(identity) => {
                let free = snapshot.registry(repository.registry()).map_or(Rights::NONE, |row| row.free());
                (narrowed(identity, repository, rights) | free).has(Action::See)
            }
            Principal::Everyone | Principal::Anonymous { .. } => true,
        },
        None => false,
    }
}

/// Whether a registry exists for somebody.
pub(crate) fn is_registry_visible(
    snapshot: &Snapshot,
    who: &Principal,
    scope: Scope,
    registry: &str,
) -> bool {
    may_hold_visible(snapshot, who, scope, registry).is_some()
}

/// What the roles alone allow in a registry that somebody sees something of; `None` where nothing of it exists for him.
fn may_hold_visible(snapshot: &Snapshot, who: &Principal, scope: Scope, registry: &str) -> Option<Rights> {
    let row = snapshot.registry(registry);
    if row.is_some_and(|row| !row.is_visible_in(scope)) {
        return None;
    }
    let free = row.map_or(Rights::NONE, |row| row.free());
    let rights = match who {
        Principal::Everyone => Rights::ALL,
        Principal::Anonymous { .. } => free,
        Principal::Account(_) if row.is_none() => Rights::NONE,
        Principal::Account(identity) => identity.grants.rights_in(registry) | free,
    };
    rights.has(Action::See).then_some(rights)
}

/// What a token for somebody may carry of what was asked for: what he may do now. A token is never worth more than that, so this is what
/// clients are told and not what is decided by later.
pub(crate) fn grantable(snapshot: &Snapshot, who: &Principal, scope: Scope, asked: &Access) -> Actions {
    let every = match asked.kind {
        AccessKind::Registry if asked.is_catalog() => return Actions::ALL,
        AccessKind::Registry if asked.is_admin() => {
            // Whoever has an account may look after his own keys at least.
            let is_whole = match who {
                Principal::Everyone => true,
                Principal::Anonymous { .. } => false,
                Principal::Account(identity) => identity.narrowing.is_none(),
            };
            return if is_whole { Actions::ALL } else { Actions::NONE };
        }
        AccessKind::Registry => return Actions::NONE,
        AccessKind::Repository => {
            [(Actions::PULL, Action::Pull), (Actions::PUSH, Action::Push), (Actions::DELETE, Action::Delete)]
        }
    };
    let Ok(repository) = RepositoryName::parse(&asked.name) else { return Actions::NONE };
    every
        .into_iter()
        .filter(|(word, _)| asked.actions.has(*word) || asked.actions.has(Actions::ALL))
        .filter(|(_, action)| decide(snapshot, who, scope, *action, &repository) == Decision::Allowed)
        .fold(Actions::NONE, |granted, (word, _)| granted.and(word))
}

/// Whether somebody may do something with the instance. `is_here`: he is on the machine of the registry itself.
pub(crate) fn decide_instance(who: &Principal, is_here: bool, action: InstanceAction) -> Decision {
    let needed = match action {
        InstanceAction::Enter => None,
        InstanceAction::Browse => Some(Access::catalog()),
        InstanceAction::Watch | InstanceAction::Operate | InstanceAction::Manage => Some(Access::admin()),
    };
    let identity = match who {
        // Nobody has an account, and looking after a store is not for a whole network: whoever is on this machine may.
        Principal::Everyone => {
            return match action {
                InstanceAction::Operate | InstanceAction::Manage if !is_here => Decision::Hidden,
                _ => Decision::Allowed,
            };
        }
        Principal::Anonymous { token } => {
            return match action {
                InstanceAction::Enter | InstanceAction::Browse if *token => Decision::Allowed,
                _ => missing(needed),
            };
        }
        Principal::Account(identity) => identity,
    };
    let instance = identity.grants.instance.filter(|_| identity.narrowing.is_none());
    let instance = instance.map_or(Rights::NONE, super::Role::rights);
    let is_allowed = match action {
        InstanceAction::Enter | InstanceAction::Browse => true,
        InstanceAction::Watch => instance.has(Action::Pull),
        InstanceAction::Operate | InstanceAction::Manage => instance.has(Action::Delete),
    };
    if !is_allowed {
        return Decision::Denied(Denial::Instance(action));
    }
    let is_carried = match (&identity.access, action) {
        (None, _) | (_, InstanceAction::Enter) => true,
        (Some(access), InstanceAction::Browse) => {
            access.iter().any(|access| access.is_catalog() || access.is_admin())
        }
        (Some(access), _) => access.iter().any(Access::is_admin),
    };
    if is_carried { Decision::Allowed } else { insufficient(needed) }
}

/// What a key leaves of the roles of its account.
fn narrowed(identity: &Identity, repository: &RepositoryName, rights: Rights) -> Rights {
    match &identity.narrowing {
        Some(narrowing) => rights & narrowing.rights_in(repository),
        None => rights,
    }
}

/// What a token allows in a repository.
fn carried(access: &[Access], repository: &RepositoryName) -> Rights {
    let of = |access: &&Access| access.kind == AccessKind::Repository && access.name == repository.as_str();
    access.iter().filter(of).fold(Rights::NONE, |rights, access| rights | access.actions.rights())
}

/// What a token has to carry for an action, of one who has the rights.
fn needs(action: Action, rights: Rights, repository: &RepositoryName) -> Access {
    let actions = match action {
        Action::See if !rights.has(Action::Pull) => Actions::PULL.and(Actions::PUSH),
        Action::See | Action::Pull => Actions::PULL,
        Action::Push | Action::CreateTag => Actions::PULL.and(Actions::PUSH),
        Action::Delete => Actions::DELETE,
    };
    Access::repository(repository.as_str(), actions)
}

fn missing(needed: Option<Access>) -> Decision {
    Decision::Unauthorized(Challenge { scopes: needed.into_iter().collect(), why: None })
}

fn insufficient(needed: Option<Access>) -> Decision {
    let why = Some(TokenFault::InsufficientScope);
    Decision::Unauthorized(Challenge { scopes: needed.into_iter().collect(), why })
}

#[cfg(test)]
mod tests;
