//! Who asks, and under which request: what every use case is handed first.

use std::net::IpAddr;
use std::sync::Arc;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Principal {
    /// Nobody in particular. In open mode everything is allowed to everybody.
    Anonymous,
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
}
