//! What the connection side counts, by listener.

use super::encode;
use crate::connection_metrics::{Counter, ListenerMetrics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Listeners(pub(super) Vec<Arc<ListenerMetrics>>);

/// Name, help and place of one counter.
type Row = (&'static str, &'static str, fn(&ListenerMetrics) -> &Counter);

const COUNTERS: [Row; 13] = [
    ("strata_http_connections", "Connections accepted", |l| &l.accepted),
    ("strata_http_exchanges", "Requests begun", |l| &l.requests),
    ("strata_http_received_bytes", "Bytes received from sockets", |l| &l.bytes_received),
    ("strata_http_sent_bytes", "Bytes sent to sockets", |l| &l.bytes_sent),
    ("strata_http_sent_zero_copy_bytes", "Bytes sent straight from the page cache", |l| &l.bytes_zero_copy),
    ("strata_http_cold_reads", "Times that content was read ahead because it was not in memory", |l| {
        &l.cold_reads
    }),
    ("strata_http_accept_errors", "Times that accepting a connection failed", |l| &l.accept_errors),
    ("strata_http_handshake_errors", "TLS handshakes that failed or took too long", |l| &l.handshake_errors),
    ("strata_http_header_timeouts", "Connections ended because a head took too long", |l| &l.header_timeouts),
    ("strata_http_idle_timeouts", "Connections ended because they were idle", |l| &l.idle_timeouts),
    ("strata_http_write_stalls", "Connections reset because the peer took no byte", |l| &l.write_stalls),
    (
        "strata_http_floods",
        "HTTP/2 connections ended because they sent empty frames or resets without end",
        |l| &l.floods,
    ),
    ("strata_http_body_stalls", "Request bodies given up because no byte came", |l| &l.body_stalls),
];

impl Collector for Listeners {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let addresses: Vec<String> = self.0.iter().map(|listener| listener.address.to_string()).collect();
        let rows = |pick: fn(&ListenerMetrics) -> &Counter| {
            addresses
                .iter()
                .zip(&self.0)
                .map(move |(address, listener)| (address.as_str(), pick(listener).get()))
        };
        for (name, help, pick) in COUNTERS {
            encode::counters(&mut encoder, name, help, "listener", rows(pick))?;
        }
        let name = "strata_http_connections_open";
        encode::gauges(&mut encoder, name, "Connections open now", "listener", rows(|l| &l.open))
    }
}
