//! Who asks, under which request, and what they may do: what every use case is handed and asks first.

use crate::error::RegistryError;
use bytes::Bytes;
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;
use strata_types::RepositoryName;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Principal {
    /// Nobody in particular. In open mode everything is allowed to everybody.
    Anonymous,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// See and read content of a repository.
    Pull,
    /// Add content and move tags.
    Push,
    /// Remove content and tags.
    Delete,
}

impl Principal {
    /// Whether the action is allowed in the repository.
    pub(crate) const fn may(&self, _action: Action, _repository: &RepositoryName) -> bool {
        match self {
            Self::Anonymous => true,
        }
    }

    /// Whether the principal may look after the whole store.
    const fn may_operate(&self) -> bool {
        match self {
            Self::Anonymous => true,
        }
    }
}

/// The circumstances of one request: they decide what is allowed, and are written into the events that it causes.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who asks.
    pub principal: Principal,
    /// The id that the frontend gave the request; ties an event to a line of the request log.
    pub request_id: Arc<str>,
    /// The address that the request came from, where there is one.
    pub remote: Option<IpAddr>,
}

impl Context {
    /// A request of nobody in particular.
    pub fn anonymous(request_id: impl Into<Arc<str>>, remote: Option<IpAddr>) -> Self {
        Self { principal: Principal::Anonymous, request_id: request_id.into(), remote }
    }

    /// The first step of every use case.
    pub(crate) fn authorize(&self, action: Action, repository: &RepositoryName) -> Result<(), RegistryError> {
        if self.principal.may(action, repository) {
            Ok(())
        } else {
            Err(RegistryError::Denied { repository: repository.clone() })
        }
    }

    /// The first step of every use case that is about the store and not about one repository.
    pub(crate) fn authorize_operator(&self) -> Result<(), RegistryError> {
        // Nobody has an account yet, and looking after a store is not for a whole network: whoever is on this machine may.
        let is_here = self.remote.is_none_or(|remote| remote.to_canonical().is_loopback());
        if is_here && self.principal.may_operate() { Ok(()) } else { Err(RegistryError::OperatorsOnly) }
    }

    /// What the events of this request carry besides what happened: a JSON object with `request`, and `remote` where it is known.
    pub(crate) fn event_detail(&self) -> Bytes {
        let detail = match self.remote {
            Some(remote) => json!({ "request": *self.request_id, "remote": remote.to_string() }),
            None => json!({ "request": *self.request_id }),
        };
        detail.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_on_this_machine() {
        let may = |remote: Option<&str>| {
            let remote = remote.map(|text| text.parse().unwrap());
            Context::anonymous("id", remote).authorize_operator().is_ok()
        };
        for here in [None, Some("127.0.0.1"), Some("127.8.8.8"), Some("::1"), Some("::ffff:127.0.0.1")] {
            assert!(may(here), "{here:?}");
        }
        for elsewhere in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1", "0.0.0.0"] {
            assert!(!may(Some(elsewhere)), "{elsewhere}");
        }
    }
}
