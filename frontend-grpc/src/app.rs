//! What all calls have in common.

use crate::config::GrpcConfig;
use crate::metrics::Metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use strata_registry::{Health, Registry};
use strata_transport::forwarded::Proxies;
use strata_transport::memory::Memory;
use strata_transport::read_budget::ReadBudget;
use strata_transport::request_id::RequestIds;

/// The registry behind the services, and what bounds and counts the calls of it.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) registry: Registry,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) request_ids: RequestIds,
    pub(crate) proxies: Proxies,
    /// For messages on their way in.
    pub(crate) memory: Memory,
    /// For content on its way out.
    pub(crate) read_budget: ReadBudget,
    draining: AtomicBool,
}

impl App {
    pub(crate) fn new(registry: Registry, config: &GrpcConfig) -> Self {
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        Self {
            registry,
            metrics: Arc::new(Metrics::new()),
            request_ids: RequestIds::new(low ^ high),
            proxies: Proxies::new(config.trusted_proxies.clone()),
            memory: Memory::new(config.message_memory),
            read_budget: ReadBudget::new(config.limits.read_bytes_max),
            draining: AtomicBool::new(false),
        }
    }

    /// The server is about to stop.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether requests should be sent here.
    pub(crate) fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::Relaxed) && !matches!(self.registry.health(), Health::ReadOnly { .. })
    }
}
