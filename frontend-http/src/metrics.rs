//! What `/metrics` shows of the HTTP side: counted in plain atomics, one addition each, rendered only when asked.
//!
//! The request log feeds them. [`listener`] adds what the connection side counts, [`store`] the figures of the store, [`process`]
//! those of the process.

mod encode;
mod listener;
mod process;
mod store;

use crate::app::App;
use crate::connection_metrics::ServerMetrics;
use crate::route::Endpoint;
use http::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the duration buckets, seconds.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];
/// The last one: the client went away before there was an answer.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "aborted"];

/// One request that is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: &'a Method,
    /// `None`: the client went away before there was an answer.
    pub(crate) status: Option<StatusCode>,
    pub(crate) duration: Duration,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// The answer's body did not leave in full.
    pub(crate) cut: bool,
}

/// The counters of the HTTP side. One per process.
#[derive(Debug)]
pub struct Metrics {
    endpoints: [PerEndpoint; Endpoint::ALL.len()],
    in_flight: AtomicU64,
    transfers_cut: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            endpoints: std::array::from_fn(|_| PerEndpoint::default()),
            in_flight: AtomicU64::new(0),
            transfers_cut: AtomicU64::new(0),
        }
    }
}

/// Counters of one endpoint.
#[derive(Debug, Default)]
struct PerEndpoint {
    requests: [[AtomicU64; CLASSES.len()]; METHODS.len()],
    buckets: [AtomicU64; BUCKETS.len() + 1],
    duration_nanos: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Metrics {
    /// Requests that are being answered now.
    pub fn requests_in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn request_started(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request_finished(&self, request: &Finished<'_>) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        if request.cut {
            self.transfers_cut.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(counters) = self.endpoints.get(request.endpoint as usize) {
            counters.count(request);
        }
    }
}

impl PerEndpoint {
    fn count(&self, request: &Finished<'_>) {
        let cell = self
            .requests
            .get(method_index(request.method))
            .and_then(|row| row.get(class_index(request.status)));
        if let Some(cell) = cell {
            cell.fetch_add(1, Ordering::Relaxed);
        }
        let seconds = request.duration.as_secs_f64();
        let bucket = BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len());
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let nanos = u64::try_from(request.duration.as_nanos()).unwrap_or(u64::MAX);
        self.duration_nanos.fetch_add(nanos, Ordering::Relaxed);
        self.received.fetch_add(request.received, Ordering::Relaxed);
        self.sent.fetch_add(request.sent, Ordering::Relaxed);
    }
}

fn method_index(method: &Method) -> usize {
    let name = method.as_str();
    METHODS.iter().position(|known| *known == name).unwrap_or(METHODS.len() - 1)
}

fn class_index(status: Option<StatusCode>) -> usize {
    let aborted = CLASSES.len() - 1;
    status.map_or(aborted, |status| usize::from(status.as_u16() / 100).saturating_sub(1).min(aborted - 1))
}

/// The text of `/metrics` in the OpenMetrics format.
pub(crate) fn render(app: &App, server: &ServerMetrics) -> Result<String, fmt::Error> {
    let mut exposition = prometheus_client::registry::Registry::default();
    let (metrics, body_memory) = (Arc::clone(app.metrics()), app.memory().held());
    let (hot_bytes, hot_answers) = (app.hot().held(), app.hot().given());
    exposition.register_collector(Box::new(Http { metrics, body_memory, hot_bytes, hot_answers }));
    exposition.register_collector(Box::new(listener::Listeners(server.listeners.clone())));
    exposition.register_collector(Box::new(store::Store::new(app.registry())));
    exposition.register_collector(Box::new(process::Process));
    if let Some(other) = app.other_collector() {
        exposition.register_collector(other);
    }
    let mut text = String::with_capacity(32 * 1024);
    prometheus_client::encoding::text::encode(&mut text, &exposition)?;
    Ok(text)
}

/// Renders the counters of the HTTP side.
#[derive(Debug)]
struct Http {
    metrics: Arc<Metrics>,
    body_memory: usize,
    hot_bytes: u64,
    hot_answers: u64,
}

impl Collector for Http {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = &self.metrics;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        encode_requests(metrics, &mut encoder)?;
        encode_durations(metrics, &mut encoder)?;
        let bytes = |pick: fn(&PerEndpoint) -> &AtomicU64| {
            let all = Endpoint::ALL.iter().zip(&metrics.endpoints);
            all.map(move |(endpoint, counters)| (endpoint.template(), load(pick(counters))))
        };
        let name = "strata_http_request_body_bytes";
        encode::counters(
            &mut encoder,
            name,
            "Bytes of request bodies received",
            "route",
            bytes(|c| &c.received),
        )?;
        let name = "strata_http_response_body_bytes";
        encode::counters(&mut encoder, name, "Bytes of response bodies sent", "route", bytes(|c| &c.sent))?;
        let name = "strata_http_requests_in_flight";
        encode::gauge(&mut encoder, name, "Requests being answered", load(&metrics.in_flight))?;
        let held = u64::try_from(self.body_memory).unwrap_or(u64::MAX);
        let name = "strata_http_body_memory_bytes";
        encode::gauge(
            &mut encoder,
            name,
            "Bytes of manifests, small blobs and lists held for requests",
            held,
        )?;
        let name = "strata_http_hot_bytes";
        encode::gauge(&mut encoder, name, "Bytes of answers kept in memory", self.hot_bytes)?;
        let name = "strata_http_hot_answers";
        encode::counter(&mut encoder, name, "Requests answered from memory", self.hot_answers)?;
        let name = "strata_http_transfers_cut";
        encode::counter(
            &mut encoder,
            name,
            "Responses whose body did not leave in full",
            load(&metrics.transfers_cut),
        )
    }
}

/// Only series that were counted once: most combinations never happen.
fn encode_requests(metrics: &Metrics, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let cells = Endpoint::ALL.iter().zip(&metrics.endpoints).flat_map(|(endpoint, counters)| {
        METHODS.iter().zip(&counters.requests).flat_map(move |(method, row)| {
            CLASSES.iter().zip(row).map(move |(class, count)| {
                (
                    [("route", endpoint.template()), ("method", *method), ("status", *class)],
                    count.load(Ordering::Relaxed),
                )
            })
        })
    });
    let help = "Requests answered, by route, method and class of status";
    encode::labelled_counters(encoder, "strata_http_requests", help, cells.filter(|(_, count)| *count > 0))
}

fn encode_durations(metrics: &Metrics, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let rows = Endpoint::ALL.iter().zip(&metrics.endpoints).map(|(endpoint, counters)| {
        let buckets: Vec<(f64, u64)> = BUCKETS
            .iter()
            .copied()
            .chain([f64::INFINITY])
            .zip(counters.buckets.iter().map(|count| count.load(Ordering::Relaxed)))
            .collect();
        let sum = Duration::from_nanos(counters.duration_nanos.load(Ordering::Relaxed)).as_secs_f64();
        (endpoint.template(), sum, buckets)
    });
    let help = "Time from the head of a request to the last byte of its answer";
    encode::histograms(encoder, "strata_http_request_duration_seconds", help, "route", rows)
}

#[cfg(test)]
mod tests;
