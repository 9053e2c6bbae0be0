//! Calls without a connection: what a client would send is handed over as bytes, and goes from there the way that all calls go. For what tries every
//! input (the fuzzer, tests of the proofs).

use crate::call::Calls;
use crate::config::{GrpcConfig, default_limits};
use crate::connection::ConnectionInfo;
use crate::error::code_name;
use crate::service::Services;
use bytes::Bytes;
use futures_util::Stream;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use strata_registry::{Registry, Scope};
use strata_transport::activity::Activity;
use tonic::Status;
use tonic_types::StatusExt as _;

/// Bytes as they come over a connection: messages, each behind its prefix, cut anywhere.
pub type Messages = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// Bytes for messages of all calls together.
const MESSAGE_MEMORY: usize = 64 << 20;

/// A client that shares the process with the registry that it asks: for its own services, as nobody in particular, on a private listener.
#[derive(Debug)]
pub struct Caller {
    calls: Arc<Calls<Given>>,
    connection: Arc<ConnectionInfo>,
    activity: Arc<Activity>,
    methods: Vec<String>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The name of the status, such as `NOT_FOUND`; `None` where the caller has heard enough before the end.
    pub code: Option<&'static str>,
    /// Why, as `docs/errors.md` has it; `None` where no service was asked.
    pub reason: Option<String>,
    /// The same in words.
    pub message: String,
    /// Pieces of the answer that came before.
    pub frames: usize,
}

impl Caller {
    /// A client of this registry, with the limits that a server has by default.
    pub fn new(registry: Registry) -> Self {
        let config = GrpcConfig {
            listeners: Vec::new(),
            limits: default_limits(),
            message_memory: MESSAGE_MEMORY,
            socket_mode: 0,
            trusted_proxies: Vec::new(),
        };
        let calls = Arc::new(Calls::new(registry, &config, |_| Services::ours()));
        let mut methods: Vec<String> = calls.app.metrics.paths().map(str::to_owned).collect();
        methods.sort_unstable();
        let connection = Arc::new(ConnectionInfo { peer: None, tls: false, scope: Scope::Private });
        Self { calls, connection, activity: Activity::new(), methods }
    }

    /// The paths of all methods that a server has, in the order of their bytes.
    pub fn methods(&self) -> &[String] {
        &self.methods
    }

    /// Asks, and takes at most so many pieces of the answer. Whoever drops the call has gone away.
    pub async fn call(&self, path: &str, messages: Messages, frames_max: usize) -> Outcome {
        let mut request = Request::new(Given(messages));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path.parse().unwrap_or(Uri::from_static("/"));
        let fields = request.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        fields.insert(TE, HeaderValue::from_static("trailers"));
        let (calls, connection) = (Arc::clone(&self.calls), Arc::clone(&self.connection));
        let answer = calls.answer(connection, request, self.activity.request(false)).await;
        let (head, mut body) = answer.into_parts();
        let mut frames = 0;
        if let Some(outcome) = outcome(&head.headers, frames) {
            return outcome;
        }
        while frames < frames_max {
            match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                Some(Ok(frame)) => {
                    if let Some(outcome) = frame.trailers_ref().and_then(|fields| outcome(fields, frames)) {
                        return outcome;
                    }
                    frames += 1;
                }
                Some(Err(status)) => return of_status(&status, frames),
                None => break,
            }
        }
        Outcome { code: None, reason: None, message: String::new(), frames }
    }

    /// Calls that are being answered now.
    pub fn calls_in_flight(&self) -> u64 {
        self.calls.app.metrics.calls_in_flight()
    }

    /// Bytes that messages on their way in hold.
    pub fn message_bytes_held(&self) -> usize {
        self.calls.app.memory.held() + self.calls.app.strangers_memory.held()
    }
}

/// What the fields at the beginning or the end of an answer say.
fn outcome(fields: &HeaderMap, frames: usize) -> Option<Outcome> {
    Status::from_header_map(fields).map(|status| of_status(&status, frames))
}

fn of_status(status: &Status, frames: usize) -> Outcome {
    Outcome {
        code: Some(code_name(status.code())),
        reason: status.get_details_error_info().map(|info| info.reason),
        message: status.message().to_owned(),
        frames,
    }
}

/// Bytes that are given, as a body.
struct Given(Messages);

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given")
    }
}

impl Body for Given {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.as_mut().poll_next(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
