//! What `/metrics` shows of this side: counted in plain atomics, one addition each, rendered only when asked.

use crate::error::code_name;
use crate::proto::DESCRIPTORS;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prost::Message as _;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use strata_transport::metrics::{Counter, ListenerMetrics};
use tonic::Code;

/// Codes of gRPC, and one for calls whose client went away before there was one.
const CODES: usize = 18;
/// What stands for methods that are not there.
const UNKNOWN: &str = "unknown";

/// The counters of the gRPC side. One per process.
#[derive(Debug)]
pub struct Metrics {
    by_path: HashMap<String, usize>,
    methods: Vec<PerMethod>,
    in_flight: AtomicU64,
}

/// Counters of one method.
#[derive(Debug)]
pub(crate) struct PerMethod {
    /// Its service, with its package.
    pub(crate) service: String,
    /// Its name in the service.
    pub(crate) method: String,
    /// Whether clients send more than one message.
    takes_stream: bool,
    calls: [AtomicU64; CODES],
    nanos: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

/// Which method a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MethodId(usize);

/// One call that is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    pub(crate) method: MethodId,
    /// `None`: the client went away before there was an answer.
    pub(crate) code: Option<Code>,
    pub(crate) duration: Duration,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl PerMethod {
    fn new(service: &str, method: &str, takes_stream: bool) -> Self {
        Self {
            service: service.to_owned(),
            method: method.to_owned(),
            takes_stream,
            calls: std::array::from_fn(|_| AtomicU64::new(0)),
            nanos: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// All zero, with every method that is served.
    pub(crate) fn new() -> Self {
        let sets = [
            DESCRIPTORS,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let sets = sets.iter().filter_map(|set| prost_types::FileDescriptorSet::decode(*set).ok());
        let (mut by_path, mut methods) = (HashMap::new(), vec![PerMethod::new(UNKNOWN, UNKNOWN, false)]);
        for file in sets.flat_map(|set| set.file) {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                for method in &service.method {
                    by_path.insert(format!("/{name}/{}", method.name()), methods.len());
                    methods.push(PerMethod::new(&name, method.name(), method.client_streaming()));
                }
            }
        }
        Self { by_path, methods, in_flight: AtomicU64::new(0) }
    }

    /// Calls that are being answered now.
    pub fn calls_in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// What is asked for by that path.
    pub(crate) fn method(&self, path: &str) -> MethodId {
        MethodId(self.by_path.get(path).copied().unwrap_or_default())
    }

    /// The paths of all methods that are served.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_path.keys().map(String::as_str)
    }

    /// Its service and name.
    pub(crate) fn name(&self, method: MethodId) -> (&str, &str) {
        let found = self.methods.get(method.0);
        found.map_or((UNKNOWN, UNKNOWN), |found| (&found.service, &found.method))
    }

    /// Whether clients send more than one message in a call of it.
    pub(crate) fn takes_stream(&self, method: MethodId) -> bool {
        self.methods.get(method.0).is_some_and(|found| found.takes_stream)
    }

    pub(crate) fn started(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn finished(&self, call: &Finished) {
        self.in_flight.fetch_sub(1, Relaxed);
        let Some(counters) = self.methods.get(call.method.0) else { return };
        let code = call.code.map_or(CODES - 1, |code| usize::try_from(code as i32).unwrap_or(CODES - 1));
        if let Some(count) = counters.calls.get(code) {
            count.fetch_add(1, Relaxed);
        }
        let nanos = u64::try_from(call.duration.as_nanos()).unwrap_or(u64::MAX);
        counters.nanos.fetch_add(nanos, Relaxed);
        counters.received.fetch_add(call.received, Relaxed);
        counters.sent.fetch_add(call.sent, Relaxed);
    }
}

/// Renders the counters of this side.
#[derive(Debug)]
pub(crate) struct Exposition {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) listeners: Vec<Arc<ListenerMetrics>>,
}

type OfMethod = (&'static str, &'static str, fn(&PerMethod) -> u64);
type OfListener = (&'static str, &'static str, fn(&ListenerMetrics) -> &Counter);

const OF_METHOD: [OfMethod; 2] = [
    ("strata_grpc_received_message_bytes", "Bytes of messages received", |m| m.received.load(Relaxed)),
    ("strata_grpc_sent_message_bytes", "Bytes of messages sent", |m| m.sent.load(Relaxed)),
];

const OF_LISTENER: [OfListener; 9] = [
    ("strata_grpc_connections", "Connections accepted", |l| &l.accepted),
    ("strata_grpc_exchanges", "Calls begun", |l| &l.requests),
    ("strata_grpc_received_bytes", "Bytes received from sockets", |l| &l.bytes_received),
    ("strata_grpc_sent_bytes", "Bytes sent to sockets", |l| &l.bytes_sent),
    ("strata_grpc_accept_errors", "Times that accepting a connection failed", |l| &l.accept_errors),
    ("strata_grpc_handshake_errors", "TLS handshakes that failed or took too long", |l| &l.handshake_errors),
    ("strata_grpc_idle_timeouts", "Connections ended because they were idle", |l| &l.idle_timeouts),
    ("strata_grpc_write_stalls", "Connections reset because the peer took no byte", |l| &l.write_stalls),
    ("strata_grpc_floods", "Connections ended because they sent empty frames or resets without end", |l| {
        &l.floods
    }),
];

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_calls(&mut encoder)?;
        self.encode_durations(&mut encoder)?;
        for (name, help, pick) in OF_METHOD {
            let counter = ConstCounter::new(0_u64);
            let mut family = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            for method in &self.metrics.methods {
                let labels = [("service", method.service.as_str()), ("method", method.method.as_str())];
                let count = pick(method);
                if count > 0 {
                    ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        for (name, help, pick) in OF_LISTENER {
            let counter = ConstCounter::new(0_u64);
            let mut family = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            for listener in &self.listeners {
                let labels = [("listener", listener.address.to_string())];
                ConstCounter::new(pick(listener).get()).encode(family.encode_family(&labels)?)?;
            }
        }
        let gauge = ConstGauge::new(0_i64);
        let help = "Connections open now";
        let mut family =
            encoder.encode_descriptor("strata_grpc_connections_open", help, None, gauge.metric_type())?;
        for listener in &self.listeners {
            let labels = [("listener", listener.address.to_string())];
            let open = i64::try_from(listener.open.get()).unwrap_or(i64::MAX);
            ConstGauge::new(open).encode(family.encode_family(&labels)?)?;
        }
        let in_flight = ConstGauge::new(i64::try_from(self.metrics.calls_in_flight()).unwrap_or(i64::MAX));
        let help = "Calls being answered";
        let name = "strata_grpc_requests_in_flight";
        in_flight.encode(encoder.encode_descriptor(name, help, None, in_flight.metric_type())?)
    }
}

impl Exposition {
    /// Only series that were counted once: most combinations never happen.
    fn encode_calls(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counter = ConstCounter::new(0_u64);
        let help = "Calls answered, by service, method and code";
        let mut family =
            encoder.encode_descriptor("strata_grpc_requests", help, None, counter.metric_type())?;
        for method in &self.metrics.methods {
            for (code, count) in method.calls.iter().enumerate() {
                let count = count.load(Relaxed);
                if count == 0 {
                    continue;
                }
                let code = i32::try_from(code).unwrap_or_default();
                let is_aborted = code == i32::try_from(CODES - 1).unwrap_or_default();
                let code = if is_aborted { "aborted" } else { code_name(Code::from_i32(code)) };
                let labels = [("service", &*method.service), ("method", &*method.method), ("code", code)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn encode_durations(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counter = ConstCounter::new(0.0_f64);
        let help = "Time that calls took, from their head to the last byte of the answer, all together";
        let name = "strata_grpc_requests_duration_seconds";
        let mut family = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
        for method in &self.metrics.methods {
            let nanos = method.nanos.load(Relaxed);
            if nanos > 0 {
                let labels = [("service", &*method.service), ("method", &*method.method)];
                let seconds = Duration::from_nanos(nanos).as_secs_f64();
                ConstCounter::new(seconds).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_method_and_code() {
        let metrics = Arc::new(Metrics::new());
        let stat = metrics.method("/strata.registry.v1.Blobs/Stat");
        assert_eq!(metrics.name(stat), ("strata.registry.v1.Blobs", "Stat"));
        assert_eq!(metrics.name(metrics.method("/grpc.health.v1.Health/Check")).1, "Check");
        assert_eq!(metrics.name(metrics.method("/no/such")), (UNKNOWN, UNKNOWN));
        for code in [Some(Code::Ok), Some(Code::NotFound), None] {
            metrics.started();
            let duration = Duration::from_millis(5);
            metrics.finished(&Finished { method: stat, code, duration, received: 3, sent: 4 });
        }
        assert_eq!(metrics.calls_in_flight(), 0);
        let mut exposition = prometheus_client::registry::Registry::default();
        exposition.register_collector(Box::new(Exposition { metrics, listeners: Vec::new() }));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &exposition).unwrap();
        let of = |code| {
            format!(
                "strata_grpc_requests_total{{service=\"strata.registry.v1.Blobs\",method=\"Stat\",code=\"{code}\"}} 1\n"
            )
        };
        for code in ["OK", "NOT_FOUND", "aborted"] {
            assert!(text.contains(&of(code)), "{code}: {text}");
        }
        assert!(text.contains("strata_grpc_requests_in_flight 0"), "{text}");
    }
}
