//! What all calls have in common.

use crate::config::GrpcConfig;
use crate::metrics::Metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use strata_registry::{Health, Principal, Registry};
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
    /// The same for those of strangers, where there are accounts: a message takes its room as soon as it is announced, and whoever shows nothing
    /// could announce more than all others need.
    pub(crate) strangers_memory: Memory,
    /// For content on its way out.
    pub(crate) read_budget: ReadBudget,
    draining: AtomicBool,
}

impl App {
    pub(crate) fn new(registry: Registry, config: &GrpcConfig) -> Self {
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        let of_strangers = if is_stranger(&registry.stranger()) { config.message_memory / 4 } else { 0 };
        Self {
            registry,
            metrics: Arc::new(Metrics::new()),
            request_ids: RequestIds::new(low ^ high),
            proxies: Proxies::new(config.trusted_proxies.clone()),
            memory: Memory::new(config.message_memory - of_strangers),
            strangers_memory: Memory::new(of_strangers),
            read_budget: ReadBudget::new(config.limits.read_bytes_max),
            draining: AtomicBool::new(false),
        }
    }

    /// The room for messages of somebody.
    pub(crate) fn memory_for(&self, who: &Principal) -> &Memory {
        if is_stranger(who) { &self.strangers_memory } else { &self.memory }
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

/// Whether somebody shows nothing where there is something to be shown.
fn is_stranger(who: &Principal) -> bool {
    matches!(who, Principal::Anonymous { .. })
}
