//! Addresses that floods came from lately: their next connections, HTTP/2 or TLS, wait, so that ending one is worth something.
//!
//! Whoever floods begins anew as soon as it is cut off, with a handshake, a preface and a first credit that all cost the server work. So after a flood
//! the connections of that address begin later, and the more so the more floods there are. Others behind the same address are made to wait as well and
//! are not turned away, unless very many wait already.

use crate::metrics::ListenerMetrics;
use std::collections::HashMap;
use std::error::Error as _;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// What one flood adds to the wait of its address.
const WAIT_FOR_ONE: Duration = Duration::from_secs(1);
/// The longest wait that floods add up to: within what clients allow a handshake to take.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Between two connections of one address that have waited: however many there are, their floods do not come at once.
const SPACING: Duration = Duration::from_millis(100);
/// Connections of one address that may wait at the same time.
const WAITING_MAX: usize = 256;
/// Addresses that are remembered.
const SOURCES_MAX: usize = 4096;
/// Bits of an IPv6 address that tell networks apart: whoever has one has all below it.
const V6_NETWORK_BITS: u32 = 64;

/// Where floods came from lately. One for all listeners of a server.
#[derive(Debug, Default)]
pub struct Floods {
    sources: Mutex<HashMap<IpAddr, Source>>,
}

/// An address that has sent a flood.
#[derive(Debug, Clone, Copy)]
struct Source {
    /// Until when its connections wait.
    until: Instant,
    /// When the next one that waits may begin.
    next: Instant,
    waiting: usize,
}

/// What a connection knows of the floods of its address.
#[derive(Debug, Clone)]
pub struct FloodGuard {
    floods: Arc<Floods>,
    network: IpAddr,
    metrics: Arc<ListenerMetrics>,
}

/// A connection that waits.
struct Waiting<'g>(&'g FloodGuard);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.floods.change(self.0.network, |source| source.waiting = source.waiting.saturating_sub(1));
    }
}

impl Floods {
    fn change(&self, network: IpAddr, change: impl FnOnce(&mut Source)) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources.get_mut(&network) {
            change(source);
        }
    }

    fn note(&self, network: IpAddr) {
        let now = Instant::now();
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() >= SOURCES_MAX && !sources.contains_key(&network) {
            sources.retain(|_, source| source.until > now || source.next > now || source.waiting > 0);
            if sources.len() >= SOURCES_MAX {
                return;
            }
        }
        let source = sources.entry(network).or_insert(Source { until: now, next: now, waiting: 0 });
        source.until = (source.until.max(now) + WAIT_FOR_ONE).min(now + WAIT_MAX);
    }

    /// Until when a connection of the network is to wait; it then counts as one that does. `Err` where too many wait already.
    fn enter(&self, network: IpAddr) -> Result<Option<Instant>, ()> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(source) = sources.get_mut(&network) else { return Ok(None) };
        let now = Instant::now();
        if source.until <= now && source.next <= now {
            if source.waiting == 0 {
                sources.remove(&network);
            }
            return Ok(None);
        }
        if source.waiting >= WAITING_MAX {
            return Err(());
        }
        source.waiting += 1;
        let turn = source.next.max(source.until);
        source.next = turn + SPACING;
        Ok(Some(turn))
    }
}

impl FloodGuard {
    /// The guard of a connection from `peer`.
    pub fn new(floods: &Arc<Floods>, peer: IpAddr, metrics: &Arc<ListenerMetrics>) -> Self {
        Self { floods: Arc::clone(floods), network: network(peer), metrics: Arc::clone(metrics) }
    }

    /// Notes that the connection was ended as a flood.
    pub fn note(&self) {
        self.metrics.floods.increment();
        self.floods.note(self.network);
    }

    /// Notes it if that is what hyper says of the connection's end: it counts resets itself ("rapid reset").
    pub fn note_end(&self, ended: &hyper::Result<()>) {
        let cause = ended.as_ref().err().and_then(|error| error.source()?.downcast_ref::<h2::Error>());
        if cause.is_some_and(|error| {
            error.is_library() && error.is_go_away() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
        }) {
            self.note();
        }
    }

    /// Waits until connections of this address may begin; at once where no flood came from it. `false`: so many wait that this one is to be dropped.
    #[must_use = "a connection beyond those that may wait is not to be served"]
    pub async fn admits(&self) -> bool {
        match self.floods.enter(self.network) {
            Ok(None) => true,
            Ok(Some(until)) => {
                let _waiting = Waiting(self);
                sleep_until(until).await;
                true
            }
            Err(()) => false,
        }
    }
}

/// What counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() & (u128::MAX << (128 - V6_NETWORK_BITS));
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::net::Ipv4Addr;
    use tokio::time::advance;

    fn guard(floods: &Arc<Floods>, peer: impl Into<IpAddr>) -> FloodGuard {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 5000));
        FloodGuard::new(floods, peer.into(), &Arc::new(ListenerMetrics::new(address, false)))
    }

    async fn waited(guard: &FloodGuard) -> Duration {
        let begun = Instant::now();
        assert!(guard.admits().await);
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_more_floods_the_longer_the_wait_up_to_a_bound() {
        let floods = Arc::default();
        let (source, other) = (guard(&floods, [192, 0, 2, 1]), guard(&floods, [192, 0, 2, 2]));
        assert_eq!(source.admits().now_or_never(), Some(true));
        source.note();
        assert_eq!(other.admits().now_or_never(), Some(true), "others are let alone");
        assert_eq!(waited(&source).await, WAIT_FOR_ONE);
        advance(SPACING).await;
        assert_eq!(source.admits().now_or_never(), Some(true), "and nothing is held against it afterwards");
        for _ in 0..3 {
            source.note();
        }
        assert_eq!(waited(&source).await, WAIT_FOR_ONE * 3);
        assert_eq!(waited(&source).await, SPACING, "one after the other");
        advance(SPACING).await;
        for _ in 0..100 {
            source.note();
        }
        assert_eq!(waited(&source).await, WAIT_MAX);
        assert_eq!(source.metrics.floods.get(), 104);
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_wait_and_who_leaves_makes_room() {
        let floods = Arc::default();
        let source = guard(&floods, [192, 0, 2, 1]);
        source.note();
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(source.admits())).collect();
        assert!(waiting.iter_mut().all(|one| one.as_mut().now_or_never().is_none()));
        assert_eq!(source.admits().now_or_never(), Some(false));
        waiting.pop();
        assert_eq!(source.admits().now_or_never(), None);
        let begun = Instant::now();
        for one in waiting {
            assert!(one.await);
        }
        assert_eq!(
            begun.elapsed(),
            WAIT_FOR_ONE + SPACING * (WAITING_MAX as u32 - 2),
            "they begin one after the other"
        );
        advance(SPACING * 3).await;
        assert_eq!(source.admits().now_or_never(), Some(true), "the wait is over for all");
        assert!(floods.sources.lock().unwrap().is_empty(), "nothing is remembered for longer than it counts");
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_ipv6_is_one_address_and_few_are_remembered() {
        let floods: Arc<Floods> = Arc::default();
        guard(&floods, Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, 6)).note();
        assert_eq!(
            guard(&floods, Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 9, 9, 9, 9)).admits().now_or_never(),
            None
        );
        assert_eq!(
            guard(&floods, Ipv6Addr::new(0x2001, 0xdb8, 1, 3, 3, 4, 5, 6)).admits().now_or_never(),
            Some(true)
        );
        guard(&floods, Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped()).note();
        assert_eq!(guard(&floods, [192, 0, 2, 1]).admits().now_or_never(), None);
        for number in 0..2 * SOURCES_MAX as u32 {
            guard(&floods, Ipv4Addr::from_bits(number)).note();
        }
        assert_eq!(floods.sources.lock().unwrap().len(), SOURCES_MAX);
        advance(WAIT_MAX).await;
        guard(&floods, [192, 0, 2, 7]).note();
        assert_eq!(floods.sources.lock().unwrap().len(), 1, "those that are over make room");
    }
}
