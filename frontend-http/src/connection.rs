//! One connection: what a handler may know of it, and its life from accept to close.

use crate::connection_metrics::ServerMetrics;
use crate::read_budget::ReadBudget;
use crate::zero_copy::Queue;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// What a handler knows of the connection a request came by, and what a response body needs to find its way out.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// Address of the peer.
    pub peer: SocketAddr,
    /// Address that the peer spoke to.
    pub local: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
    zero_copy: Option<Arc<Queue>>,
    read_budget: ReadBudget,
    metrics: Arc<ServerMetrics>,
}

impl ConnectionInfo {
    /// A connection of no listener, for handlers called without one: file bodies are read, never sent.
    pub fn detached() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            peer: nowhere,
            local: nowhere,
            tls: false,
            zero_copy: None,
            read_budget: ReadBudget::none(),
            metrics: Arc::default(),
        }
    }

    /// The counters of all listeners of the server.
    pub fn metrics(&self) -> &ServerMetrics {
        &self.metrics
    }

    pub(crate) fn zero_copy(&self) -> Option<&Arc<Queue>> {
        self.zero_copy.as_ref()
    }

    pub(crate) fn read_budget(&self) -> &ReadBudget {
        &self.read_budget
    }
}
