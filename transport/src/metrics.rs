//! Counters of listeners and connections: plain atomics, written by the connection side, rendered by `/metrics`.

use crate::address::Address;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of one listener. All count from the start of the process except `open`.
#[derive(Debug)]
pub struct ListenerMetrics {
    /// Where it listens.
    pub address: Address,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections open now.
    pub open: Counter,
    /// Times that accepting failed (out of descriptors or memory).
    pub accept_errors: Counter,
    /// TLS handshakes that failed or took too long.
    pub handshake_errors: Counter,
    /// Connections ended because a request's head took too long.
    pub header_timeouts: Counter,
    /// Connections ended because they were idle.
    pub idle_timeouts: Counter,
    /// Connections reset because the peer took no byte of an answer.
    pub write_stalls: Counter,
    /// Connections ended because they sent frames without end that carry nothing, or opened and reset streams without end.
    pub floods: Counter,
    /// Request bodies given up because no byte came.
    pub body_stalls: Counter,
    /// Bytes received, as they came from the socket.
    pub bytes_received: Counter,
    /// Bytes sent, as they went to the socket.
    pub bytes_sent: Counter,
    /// Of these, bytes sent straight from the page cache.
    pub bytes_zero_copy: Counter,
    /// Times that file content was not in the page cache and was read ahead before sending.
    pub cold_reads: Counter,
    /// Exchanges begun.
    pub requests: Counter,
}

impl ListenerMetrics {
    /// All zero.
    pub fn new(address: impl Into<Address>, tls: bool) -> Self {
        Self {
            address: address.into(),
            tls,
            accepted: Counter::default(),
            open: Counter::default(),
            accept_errors: Counter::default(),
            handshake_errors: Counter::default(),
            header_timeouts: Counter::default(),
            idle_timeouts: Counter::default(),
            write_stalls: Counter::default(),
            floods: Counter::default(),
            body_stalls: Counter::default(),
            bytes_received: Counter::default(),
            bytes_sent: Counter::default(),
            bytes_zero_copy: Counter::default(),
            cold_reads: Counter::default(),
            requests: Counter::default(),
        }
    }
}

/// The counters of a server, one entry a listener, in the order of the configuration.
#[derive(Debug, Default)]
pub struct ServerMetrics {
    /// See [`ListenerMetrics`].
    pub listeners: Vec<std::sync::Arc<ListenerMetrics>>,
}

/// A number that many tasks count up and one renders. Exact, but not in step with any other.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Adds to it.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Relaxed);
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Takes one away.
    pub fn decrement(&self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
