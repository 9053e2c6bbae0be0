//! The first step of every use case: what was decided, as the error that a client is told.

use super::action::{Action, InstanceAction, Reading};
use super::decide::{self, Decision, decide, decide_instance};
use super::token::{Access, Actions};
use crate::config::AuthMode;
use crate::context::{Context, Principal, Scope};
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use strata_types::RepositoryName;

impl Registry {
    /// Refuses an action in a repository, in the words that are right for the one who asks.
    pub(crate) fn authorize(&self, ctx: &Context, action: Action, repository: &RepositoryName) -> Result<()> {
        match decide(&self.snapshot(), &ctx.principal, ctx.scope, action, repository) {
            Decision::Allowed => Ok(()),
            Decision::Hidden => Err(RegistryError::NameUnknown(repository.clone())),
            Decision::Unauthorized(challenge) => Err(RegistryError::Unauthorized { challenge }),
            Decision::Denied(denial) => Err(RegistryError::Denied { why: denial.to_string() }),
        }
    }

    /// Refuses an action that is about the instance and not about one repository.
    #[expect(clippy::unused_self, reason = "every use case asks the registry, as for a repository")]
    pub(crate) fn authorize_instance(&self, ctx: &Context, action: InstanceAction) -> Result<()> {
        let is_here = ctx.remote.is_none_or(|remote| remote.to_canonical().is_loopback());
        match decide_instance(&ctx.principal, is_here, action) {
            Decision::Allowed => Ok(()),
            Decision::Hidden => Err(RegistryError::OperatorsOnly),
            Decision::Unauthorized(challenge) => Err(RegistryError::Unauthorized { challenge }),
            Decision::Denied(denial) => Err(RegistryError::Denied { why: denial.to_string() }),
        }
    }

    /// Whether an action would be allowed; for choices that refuse nobody.
    pub(crate) fn allows(&self, ctx: &Context, action: Action, repository: &RepositoryName) -> bool {
        decide(&self.snapshot(), &ctx.principal, ctx.scope, action, repository) == Decision::Allowed
    }

    /// Whether a repository exists for the one who asks; for lists, each of which asks [`InstanceAction::Browse`] or the like first.
    pub(crate) fn shows(&self, ctx: &Context, repository: &RepositoryName) -> bool {
        decide::is_visible(&self.snapshot(), &ctx.principal, ctx.scope, repository)
    }

    /// Whether anything of a registry exists for the one who asks.
    pub(crate) fn shows_registry(&self, ctx: &Context, registry: &str) -> bool {
        decide::is_registry_visible(&self.snapshot(), &ctx.principal, ctx.scope, registry)
    }

    /// Who asks without credentials.
    pub fn stranger(&self) -> Principal {
        match self.config().auth.mode {
            AuthMode::Open => Principal::Everyone,
            AuthMode::Accounts => Principal::Anonymous { token: false },
        }
    }

    /// Greets those who are known here, and strangers with a token (`GET /v2/`).
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`].
    pub fn enter(&self, ctx: &Context) -> Result<()> {
        self.authorize_instance(ctx, InstanceAction::Enter)
    }

    /// Refuses those who may not look at how the instance is, such as its metrics.
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`]; [`RegistryError::Denied`].
    pub fn watch(&self, ctx: &Context) -> Result<()> {
        self.authorize_instance(ctx, InstanceAction::Watch)
    }

    /// Whether somebody may be given an answer of a repository that is kept in memory. Costs a few loads from memory; never blocks.
    pub fn permits(&self, who: &Principal, scope: Scope, how: Reading, repository: &RepositoryName) -> bool {
        decide(&self.snapshot(), who, scope, how.action(), repository) == Decision::Allowed
    }

    /// What a token for somebody may carry of what was asked for.
    pub fn grantable(&self, who: &Principal, scope: Scope, asked: &Access) -> Actions {
        decide::grantable(&self.snapshot(), who, scope, asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_on_this_machine() {
        let (registry, _directory) = crate::registry::tests::empty();
        let may = |remote: Option<&str>| {
            let remote = remote.map(|text| text.parse().unwrap());
            let ctx = Context::everyone("id", remote);
            registry.authorize_instance(&ctx, InstanceAction::Operate).is_ok()
        };
        for here in [None, Some("127.0.0.1"), Some("127.8.8.8"), Some("::1"), Some("::ffff:127.0.0.1")] {
            assert!(may(here), "{here:?}");
        }
        for elsewhere in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1", "0.0.0.0"] {
            assert!(!may(Some(elsewhere)), "{elsewhere}");
        }
        registry.engine().close();
    }
}
