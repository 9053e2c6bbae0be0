//! Giving out tokens.

use super::{Holder, issue_refresh};
use crate::access::Access;
use crate::context::{Context, Principal};
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use crate::secret::Secret;
use std::time::Duration;
use strata_engine::UnixMillis;

/// A token that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// The token.
    pub token: Secret,
    /// How long it lives.
    pub life: Duration,
    /// When it was made.
    pub issued_at: UnixMillis,
    /// What it carries: what was asked for and is allowed. May be nothing.
    pub granted: Vec<Access>,
    /// What further tokens can be had for, where that was asked for and somebody is known to hold it.
    pub refresh: Option<Secret>,
}

impl Registry {
    /// The service that tokens are for, as challenges name it; `None` in open mode, where there are no tokens.
    pub fn service(&self) -> Option<&str> {
        self.gate().map(|gate| gate.tokens.audience())
    }

    /// Gives a token for what was asked for and is allowed, to somebody who showed an access key or a refresh token of one, or nothing.
    /// That nothing of it is allowed is no error: the token says who it is all the same.
    ///
    /// # Errors
    /// [`RegistryError::Denied`] for who shows a token, or where there are none; [`RegistryError::Internal`].
    pub fn issue_token(&self, ctx: &Context, asked: Vec<Access>, with_refresh: bool) -> Result<IssuedToken> {
        let gate = self.gate().ok_or_else(|| denied("this instance has no accounts and gives no tokens"))?;
        let now = self.engine().now();
        let holder = match &ctx.principal {
            Principal::Everyone => return Err(denied("this instance gives no tokens")),
            Principal::Anonymous { .. } => None,
            Principal::Account(identity) if identity.access.is_some() => {
                return Err(denied("a token is given for an access key, not for a token"));
            }
            Principal::Account(identity) => {
                Some(Holder { account: identity.account.to_string(), key: identity.key.to_string() })
            }
        };
        let granted: Vec<Access> = asked
            .into_iter()
            .map(|asked| Access { actions: self.grantable(&ctx.principal, ctx.scope, &asked), ..asked })
            .filter(|access| !access.actions.is_empty())
            .collect();
        let signed = gate.tokens.sign(holder.as_ref(), &granted, now);
        let signed = signed.map_err(|error| RegistryError::corrupt(error.to_string()))?;
        let refresh = holder.filter(|_| with_refresh).and_then(|holder| {
            let secret = self.snapshot().key(&holder.key)?.key.refresh_secret;
            Some(Secret::new(issue_refresh(&holder.key, &secret, now.0 / 1000)))
        });
        let life = Duration::from_secs(signed.life);
        Ok(IssuedToken { token: Secret::new(signed.text), life, issued_at: now, granted, refresh })
    }
}

fn denied(why: &str) -> RegistryError {
    RegistryError::Denied { why: why.to_owned() }
}
