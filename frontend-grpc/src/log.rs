//! One line in the log for each call, written when the last byte of its answer has left or never will. Feeds the metrics with the
//! same figures.
//!
//! Holds no text of the client's that was not checked or escaped, as the log of the HTTP frontend does.

use crate::error::{Refusal, code_name};
use crate::metrics::{Finished, MethodId, Metrics};
use std::net::IpAddr;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use strata_registry::RepositoryName;
use strata_transport::log_text::{escape, printable};
use tonic::Code;

/// Stands for a call without an answer.
const NONE: i32 = -1;

/// A call from its head to the last byte of its answer. Logged when dropped.
#[derive(Debug)]
pub(crate) struct CallLog {
    metrics: Arc<Metrics>,
    method: MethodId,
    start: Instant,
    id: Arc<str>,
    remote: Option<IpAddr>,
    user_agent: Option<Box<str>>,
    /// Only of calls of methods that are not there.
    path: Option<Box<str>>,
    repository: OnceLock<RepositoryName>,
    failure: OnceLock<(&'static str, String)>,
    code: AtomicI32,
    received: AtomicU64,
    sent: AtomicU64,
}

/// What is known about a call when it begins.
#[derive(Debug)]
pub(crate) struct Begun<'a> {
    pub(crate) method: MethodId,
    pub(crate) id: Arc<str>,
    pub(crate) remote: Option<IpAddr>,
    pub(crate) user_agent: Option<&'a [u8]>,
    pub(crate) path: &'a str,
}

impl CallLog {
    pub(crate) fn begin(metrics: Arc<Metrics>, begun: Begun<'_>) -> Arc<Self> {
        metrics.started();
        let is_unknown = begun.method == metrics.method("");
        Arc::new(Self {
            metrics,
            method: begun.method,
            start: Instant::now(),
            id: begun.id,
            remote: begun.remote,
            user_agent: begun.user_agent.map(printable),
            path: is_unknown.then(|| printable(begun.path.as_bytes())),
            repository: OnceLock::new(),
            failure: OnceLock::new(),
            code: AtomicI32::new(NONE),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        })
    }

    /// Which repository the call is about.
    pub(crate) fn about(&self, repository: &RepositoryName) {
        let _ = self.repository.set(repository.clone());
    }

    /// `bytes` more of the client's messages came.
    pub(crate) fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Relaxed);
    }

    /// `bytes` more of the answer are on their way.
    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Relaxed);
    }

    /// The call was refused; the reason goes into the line.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        // The first reason is the one that counts.
        let _ = self.failure.set((refusal.code, escape(&refusal.cause)));
    }

    /// What the client is told.
    pub(crate) fn answered(&self, code: Code) {
        self.code.store(code as i32, Relaxed);
    }

    fn write_line(&self, finished: &Finished) {
        let (service, method) = self.metrics.name(self.method);
        let (code, cause) = match (self.failure.get(), finished.code) {
            (Some((code, cause)), _) => (Some(*code), Some(cause.as_str())),
            (None, None) => (None, Some("the client went away before it was answered")),
            (None, Some(_)) => (None, None),
        };
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "strata::request",
                    service,
                    method,
                    code = finished.code.map(code_name),
                    bytes_in = finished.received,
                    bytes_out = finished.sent,
                    duration_us = u64::try_from(finished.duration.as_micros()).unwrap_or(u64::MAX),
                    repository = self.repository.get().map(RepositoryName::as_str),
                    path = self.path.as_deref(),
                    remote = self.remote.map(tracing::field::display),
                    user_agent = self.user_agent.as_deref(),
                    request_id = &*self.id,
                    error_code = code,
                    error = cause,
                    "call"
                )
            };
        }
        match finished.code {
            Some(Code::Internal | Code::Unknown | Code::DataLoss) => line!(error),
            Some(Code::Ok) if service.starts_with("grpc.") => line!(debug),
            _ => line!(info),
        }
    }
}

impl Drop for CallLog {
    fn drop(&mut self) {
        let code = *self.code.get_mut();
        let finished = Finished {
            method: self.method,
            code: (code != NONE).then(|| Code::from_i32(code)),
            duration: self.start.elapsed(),
            received: *self.received.get_mut(),
            sent: *self.sent.get_mut(),
        };
        self.metrics.finished(&finished);
        self.write_line(&finished);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_an_answer_that_never_came() {
        let metrics = Arc::new(Metrics::new());
        let method = metrics.method("/strata.registry.v1.Blobs/Stat");
        let begun = Begun { method, id: "id".into(), remote: None, user_agent: None, path: "" };
        let log = CallLog::begin(Arc::clone(&metrics), begun);
        assert_eq!(metrics.calls_in_flight(), 1);
        drop(log);
        assert_eq!(metrics.calls_in_flight(), 0);
    }
}
