//! One line in the log for each request, written when the last byte of its answer has left or never will.
//!
//! Holds no text of the client's that was not checked or escaped: names are of their grammar, ids are sane, everything else is
//! reduced to printable ASCII. Feeds the metrics with the same figures.

use crate::error::Refusal;
use crate::metrics::{Finished, Metrics};
use crate::route::Endpoint;
use crate::transfer::TransferWatch;
use http::{Method, StatusCode};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use strata_transport::log_text::{escape, printable};

/// A request from its head to the last byte of its answer. Logged when dropped.
#[derive(Debug)]
pub(crate) struct RequestLog {
    metrics: Arc<Metrics>,
    start: Instant,
    endpoint: Endpoint,
    method: Method,
    id: Arc<str>,
    remote: IpAddr,
    repository: Option<Box<str>>,
    user_agent: Option<Box<str>>,
    /// Only of requests that name nothing: everything else stands in the route.
    path: Option<Box<str>>,
    failure: OnceLock<Failure>,
    /// 0 as long as there is no answer.
    status: AtomicU16,
    received: AtomicU64,
    sent: AtomicU64,
    finished: AtomicBool,
}

/// What is known about a request when it begins.
#[derive(Debug)]
pub(crate) struct Begun<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: &'a Method,
    pub(crate) id: Arc<str>,
    pub(crate) remote: IpAddr,
    /// As it stands in the path.
    pub(crate) repository: &'a str,
    pub(crate) path: &'a str,
    pub(crate) user_agent: Option<&'a [u8]>,
}

#[derive(Debug)]
struct Failure {
    code: &'static str,
    cause: String,
}

impl RequestLog {
    /// A request whose answer is at hand, with status 200. Texts that nobody will see are not copied.
    pub(crate) fn recalled(metrics: Arc<Metrics>, mut begun: Begun<'_>) -> Self {
        if !tracing::enabled!(target: "strata::request", tracing::Level::INFO) {
            (begun.repository, begun.user_agent) = ("", None);
        }
        let log = Self::new(metrics, &begun);
        log.answered(StatusCode::OK);
        log
    }

    pub(crate) fn begin(metrics: Arc<Metrics>, begun: &Begun<'_>) -> Arc<Self> {
        Arc::new(Self::new(metrics, begun))
    }

    fn new(metrics: Arc<Metrics>, begun: &Begun<'_>) -> Self {
        metrics.request_started();
        let is_unknown = begun.endpoint == Endpoint::Unknown;
        Self {
            metrics,
            start: Instant::now(),
            endpoint: begun.endpoint,
            method: begun.method.clone(),
            id: Arc::clone(&begun.id),
            remote: begun.remote,
            repository: (!begun.repository.is_empty()).then(|| printable(begun.repository.as_bytes())),
            user_agent: begun.user_agent.map(printable),
            path: is_unknown.then(|| printable(begun.path.as_bytes())),
            failure: OnceLock::new(),
            status: AtomicU16::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            finished: AtomicBool::new(false),
        }
    }

    /// `bytes` more of the request's body came.
    pub(crate) fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The request was refused; the reason goes into the line.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        let failure = Failure { code: refusal.code(), cause: escape(&refusal.cause()) };
        // The first reason is the one that counts.
        let _ = self.failure.set(failure);
    }

    /// The answer is on its way.
    pub(crate) fn answered(&self, status: StatusCode) {
        self.status.store(status.as_u16(), Ordering::Relaxed);
    }

    fn write_line(&self, finished: &Finished<'_>) {
        let status = finished.status.map_or(0, |status| status.as_u16());
        let (code, cause) = match (self.failure.get(), finished.status) {
            (Some(failure), _) => (Some(failure.code), Some(failure.cause.as_str())),
            (None, None) => (None, Some("the client went away before it was answered")),
            (None, Some(_)) => (None, None),
        };
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "strata::request",
                    method = self.method.as_str(),
                    route = self.endpoint.template(),
                    status,
                    bytes_in = finished.received,
                    bytes_out = finished.sent,
                    duration_us = u64::try_from(finished.duration.as_micros()).unwrap_or(u64::MAX),
                    repository = self.repository.as_deref(),
                    path = self.path.as_deref(),
                    remote = %self.remote,
                    user_agent = self.user_agent.as_deref(),
                    request_id = &*self.id,
                    error_code = code,
                    error = cause,
                    cut = finished.cut.then_some(true),
                    "request"
                )
            };
        }
        match (status, self.endpoint) {
            (500.., _) => line!(error),
            (..400, Endpoint::Health | Endpoint::Readiness | Endpoint::Metrics) => line!(debug),
            _ => line!(info),
        }
    }
}

impl TransferWatch for RequestLog {
    fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    fn finished(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        let status = StatusCode::from_u16(*self.status.get_mut()).ok();
        let finished = Finished {
            endpoint: self.endpoint,
            method: &self.method,
            status,
            duration: self.start.elapsed(),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            cut: !self.finished.load(Ordering::Relaxed),
        };
        self.metrics.request_finished(&finished);
        self.write_line(&finished);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_an_answer_that_never_came() {
        let metrics = Arc::new(Metrics::default());
        let begun = Begun {
            endpoint: Endpoint::Blob,
            method: &Method::GET,
            id: "id".into(),
            remote: IpAddr::from([127, 0, 0, 1]),
            repository: "a",
            path: "/v2/a/blobs/x",
            user_agent: None,
        };
        let log = RequestLog::begin(Arc::clone(&metrics), &begun);
        assert_eq!(metrics.requests_in_flight(), 1);
        drop(log);
        assert_eq!(metrics.requests_in_flight(), 0);
    }
}
