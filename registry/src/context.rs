//! Who asks, under which request and from where: what every use case is handed and asks first.

use crate::access::{Access, Grants, Narrowing};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::sync::Arc;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Anybody, in open mode, and whoever works on the data directory itself: nothing is kept from them but what a listener does not show.
    Everyone,
    /// Somebody who showed no credentials, in accounts mode.
    Anonymous {
        /// Whether he came with a token for nobody in particular: then there is nothing more to ask him for before he may list.
        token: bool,
    },
    /// Somebody with an account.
    Account(Arc<Identity>),
}

/// An account as it was when the request was authenticated, and the key it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name of the account.
    pub account: Arc<str>,
    /// The id of the key.
    pub key: Arc<str>,
    /// The roles of the account.
    pub grants: Arc<Grants>,
    /// What the key is narrowed to.
    pub narrowing: Option<Arc<Narrowing>>,
    /// What the token carries, of somebody who came with one: he can do no more than this. `None`: he showed the key itself.
    pub access: Option<Arc<[Access]>>,
}

/// Which listener a request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scope {
    /// One for everybody: registries without a public address do not exist there.
    #[default]
    Public,
    /// One that shows everything.
    Private,
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
    /// The listener that it came in by.
    pub scope: Scope,
}

impl Identity {
    /// Whether nothing takes away from what the account may do: neither is the key narrowed, nor does a token carry less.
    pub(crate) fn is_whole(&self) -> bool {
        let is_carried = self.access.as_ref().is_none_or(|access| access.iter().any(Access::is_admin));
        self.narrowing.is_none() && is_carried
    }
}

impl Context {
    /// A request of anybody in open mode, or of one who works on the data directory itself.
    pub fn everyone(request_id: impl Into<Arc<str>>, remote: Option<IpAddr>) -> Self {
        Self { principal: Principal::Everyone, request_id: request_id.into(), remote, scope: Scope::Private }
    }

    /// The account that asks.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        match &self.principal {
            Principal::Account(identity) => Some(identity),
            Principal::Everyone | Principal::Anonymous { .. } => None,
        }
    }

    /// What the events of this request carry besides what happened: a JSON object with `request`, and `remote`, `account` and `key` where
    /// they are known.
    pub(crate) fn event_detail(&self) -> Bytes {
        Value::Object(self.detail()).to_string().into()
    }

    /// The same for something that events have no kind for: with what was done (`action`, such as `account.create`), to what (`target`)
    /// and what came of it (`result`).
    pub(crate) fn event_detail_of(&self, action: &str, target: &str, result: &str) -> Bytes {
        self.event_detail_of_many(action, target, result, 1)
    }

    /// The same for what was so `count` times.
    pub(crate) fn event_detail_of_many(&self, action: &str, target: &str, result: &str, count: u64) -> Bytes {
        let mut detail = self.detail();
        for (name, value) in [("action", action), ("target", target), ("result", result)] {
            detail.insert(name.to_owned(), value.into());
        }
        if count != 1 {
            detail.insert("count".to_owned(), count.into());
        }
        Value::Object(detail).to_string().into()
    }

    fn detail(&self) -> Map<String, Value> {
        let mut detail = Map::new();
        detail.insert("request".to_owned(), Value::from(&*self.request_id));
        if let Some(remote) = self.remote {
            detail.insert("remote".to_owned(), remote.to_string().into());
        }
        if let Some(identity) = self.identity() {
            detail.insert("account".to_owned(), Value::from(&*identity.account));
            detail.insert("key".to_owned(), Value::from(&*identity.key));
        }
        detail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_say_who_did_what() {
        let mut ctx = Context::everyone("id", Some([127, 0, 0, 1].into()));
        assert_eq!(&ctx.event_detail()[..], br#"{"remote":"127.0.0.1","request":"id"}"#);
        ctx.principal = Principal::Account(Arc::new(Identity {
            account: "anna".into(),
            key: "SKA".into(),
            grants: Arc::default(),
            narrowing: None,
            access: None,
        }));
        let detail: Value =
            serde_json::from_slice(&ctx.event_detail_of("account.create", "bob", "done")).unwrap();
        let expected = serde_json::json!({
            "request": "id", "remote": "127.0.0.1", "account": "anna", "key": "SKA",
            "action": "account.create", "target": "bob", "result": "done",
        });
        assert_eq!(detail, expected);
    }
}
