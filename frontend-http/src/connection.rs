//! One connection: what a handler may know of it, and its life from accept to close.

mod bell;

use crate::activity::{Activity, Expiry};
use crate::body::{RequestBody, ResponseBody};
use crate::connection_metrics::{ListenerMetrics, ServerMetrics};
use crate::drain::Slot;
use crate::drive::{drive, h2_builder, log_end};
use crate::frame_meter::Metered;
use crate::lane::{Lane, Leave};
use crate::limits::HttpLimits;
use crate::overseer::{Overseer, Verdict};
use crate::read_budget::ReadBudget;
use crate::serve::{Handler, Shared};
use crate::socket::Socket;
use crate::tls::Tls;
use crate::zero_copy::{Queue, ZeroCopyStream};
use bell::Bell;
use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, UPGRADE};
use http::{HeaderValue, Request, Response, Version};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::TokioIo;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use strata_registry::Scope;
use strata_transport::flood::FloodGuard;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a handler knows of the connection a request came by, and what a response body needs to find its way out.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// Address of the peer.
    pub peer: SocketAddr,
    /// Address that the peer spoke to.
    pub local: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Who was expected to reach the listener.
    pub scope: Scope,
    zero_copy: Option<Arc<Queue>>,
    read_budget: ReadBudget,
    metrics: Arc<ServerMetrics>,
}

impl ConnectionInfo {
    /// A connection of no listener, for handlers called without one: file bodies are read, never sent.
    pub fn detached() -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            peer: nowhere,
            local: nowhere,
            tls: false,
            scope: Scope::Private,
            zero_copy: None,
            read_budget: ReadBudget::none(),
            metrics: Arc::default(),
        }
    }

    /// The counters of all listeners of the server.
    pub fn metrics(&self) -> &ServerMetrics {
        &self.metrics
    }

    pub(crate) fn zero_copy(&self) -> Option<&Arc<Queue>> {
        self.zero_copy.as_ref()
    }

    pub(crate) fn read_budget(&self) -> &ReadBudget {
        &self.read_budget
    }
}

/// A connection that a listener has accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    /// Who was expected to reach the listener.
    pub(crate) scope: Scope,
    /// The listener's identity, where it speaks TLS.
    pub(crate) tls: Option<Arc<Tls>>,
}

/// Serves one connection until it ends. `slot` is its place among the connections that may be open.
pub(crate) async fn serve<H: Handler>(
    shared: Arc<Shared<H>>,
    stream: TcpStream,
    accepted: Accepted,
    metrics: Arc<ListenerMetrics>,
    slot: Slot,
) {
    let Accepted { peer, scope, tls } = accepted;
    metrics.open.increment();
    let open = Open { metrics, _slot: slot };
    let Ok(local) = stream.local_addr() else { return };
    // Answers are written whole or with MSG_MORE; nothing is gained by the kernel waiting for more.
    let _ = stream.set_nodelay(true);
    let activity = Activity::new();
    let overseer =
        Overseer::new(Arc::clone(&activity), shared.limits.clone(), shared.connections.subscribe());
    let socket = Socket::new(stream, Arc::clone(&activity), Arc::clone(&open.metrics));
    if let Some(bytes) = shared.limits.send_buffer {
        socket.set_send_buffer(bytes);
    }
    let info = ConnectionInfo {
        peer,
        local,
        tls: tls.is_some(),
        scope,
        zero_copy: None,
        read_budget: shared.read_budget.clone(),
        metrics: Arc::clone(&shared.metrics),
    };
    let life = Life { shared, info, activity, metrics: Arc::clone(&open.metrics), overseer };
    let ended = match tls {
        None => life.plain(socket).await,
        // What TLS needs is kept out of every plain connection's task.
        Some(tls) => Box::pin(life.encrypted(socket, &tls)).await,
    };
    match ended {
        Some(Expiry::Idle) => open.metrics.idle_timeouts.increment(),
        Some(Expiry::Header) => open.metrics.header_timeouts.increment(),
        Some(Expiry::WriteStall) => open.metrics.write_stalls.increment(),
        Some(Expiry::Closing) | None => {}
    }
}

/// Counts the connection as open as long as it lives, whatever way it ends.
struct Open {
    metrics: Arc<ListenerMetrics>,
    _slot: Slot,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.open.decrement();
    }
}

/// A connection before and after its protocol is known.
struct Life<H> {
    shared: Arc<Shared<H>>,
    info: ConnectionInfo,
    activity: Arc<Activity>,
    metrics: Arc<ListenerMetrics>,
    overseer: Overseer,
}

impl<H: Handler> Life<H> {
    /// Plain TCP: the lane and, for what it cannot answer, hyper, in turn; HTTP/2 if the client begins with its preface.
    async fn plain(mut self, socket: Socket) -> Option<Expiry> {
        self.info.zero_copy = self.shared.fast_paths.zero_copy.then(Queue::new).flatten();
        let head_max = self.shared.limits.header_bytes_max;
        let mut lane = Lane::new(socket, Arc::clone(&self.activity), head_max);
        let (mut service, mut overseer) = self.into_service();
        loop {
            let (socket, begun) = match in_lane(lane, &service, &mut overseer).await {
                Left::Ended(expiry) => return expiry,
                Left::Http1(socket, begun) => (socket, begun),
                Left::Http2(socket, begun) => {
                    service.activity.set_multiplexed();
                    let guard = service.flood_guard();
                    if !may_begin(&guard, &mut overseer).await {
                        return None;
                    }
                    let stream = ZeroCopyStream::new(socket, begun, None);
                    return Box::pin(h2(stream, service, overseer, guard)).await;
                }
            };
            let stream = ZeroCopyStream::new(socket, begun, service.info.zero_copy.clone());
            match Box::pin(h1_until_rest(stream, service, &mut overseer)).await {
                Rested::Ended(expiry) => return expiry,
                Rested::AtRest { socket, ahead, service: same, is_last } => {
                    lane = Lane::resume(socket, Arc::clone(&same.activity), head_max, ahead);
                    if is_last {
                        lane.close();
                    }
                    service = same;
                }
            }
        }
    }

    /// TLS, then what was agreed on in its handshake.
    async fn encrypted(mut self, socket: Socket, tls: &Tls) -> Option<Expiry> {
        let guard = FloodGuard::new(&self.shared.floods, self.info.peer.ip(), &self.metrics);
        // Whether it is to be HTTP/2 shows only in the handshake, which is what costs most.
        if !may_begin(&guard, &mut self.overseer).await {
            return None;
        }
        let handshake = timeout(self.shared.limits.tls_handshake_timeout, tls.acceptor().accept(socket));
        let accepted = tokio::select! {
            biased;
            accepted = handshake => accepted,
            () = self.overseer.draining() => return None,
        };
        let stream = match accepted {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.metrics.handshake_errors.increment();
                tracing::debug!(peer = %self.info.peer, %error, "the TLS handshake failed");
                return None;
            }
            Err(_) => {
                self.metrics.handshake_errors.increment();
                tracing::debug!(peer = %self.info.peer, "the TLS handshake took too long");
                return None;
            }
        };
        self.activity.begin();
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let (service, overseer) = self.into_service();
        if is_h2 {
            service.activity.set_multiplexed();
            h2(stream, service, overseer, guard).await
        } else {
            h1(stream, service, overseer).await
        }
    }

    fn into_service(self) -> (Exchanges<H>, Overseer) {
        let Self { shared, info, activity, metrics, overseer } = self;
        (Exchanges { shared, info: Arc::new(info), activity, metrics }, overseer)
    }
}

/// Waits for as long as a connection is kept waiting after floods. `false`: it is to be dropped.
async fn may_begin(guard: &FloodGuard, overseer: &mut Overseer) -> bool {
    tokio::select! {
        biased;
        admitted = guard.admits() => admitted,
        () = overseer.draining() => false,
    }
}

/// HTTP/1 to the connection's end.
async fn h1<H: Handler>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: Exchanges<H>,
    overseer: Overseer,
) -> Option<Expiry> {
    let peer = service.info.peer;
    let connection = h1_builder(overseer.limits()).serve_connection(TokioIo::new(stream), service);
    drive(peer, connection, http1::Connection::graceful_shutdown, overseer, None).await
}

/// HTTP/2 to the connection's end.
async fn h2<H: Handler>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: Exchanges<H>,
    overseer: Overseer,
    guard: FloodGuard,
) -> Option<Expiry> {
    let peer = service.info.peer;
    let stream = Metered::new(stream, Arc::clone(&service.activity), Some(guard.clone()));
    let connection = h2_builder(overseer.limits()).serve_connection(TokioIo::new(stream), service);
    drive(peer, connection, http2::Connection::graceful_shutdown, overseer, Some(&guard)).await
}

/// How a connection left the lane.
enum Left {
    Ended(Option<Expiry>),
    Http1(Socket, Bytes),
    Http2(Socket, Bytes),
}

/// Answers what can be answered from memory, until something else comes.
async fn in_lane<H: Handler>(mut lane: Lane, service: &Exchanges<H>, overseer: &mut Overseer) -> Left {
    let mut expired = None;
    loop {
        let verdict = {
            let mut verdict = pin!(overseer.next());
            let mut bell = None;
            let step = poll_fn(|cx| {
                if let Poll::Ready(left) = lane.poll(cx, &service.shared.handler, &service.info) {
                    return Poll::Ready(Err(left));
                }
                let bell = bell.get_or_insert_with(|| Bell::new(cx.waker().clone()));
                // Answers only move deadlines back: after a step that was nothing else, the overseer is asked only if it calls.
                if lane.has_only_answered() && !bell.has_rung() {
                    return Poll::Pending;
                }
                bell.poll(verdict.as_mut()).map(Ok)
            });
            step.await
        };
        match verdict {
            Ok(Verdict::Finish(expiry)) => {
                expired = expired.or(expiry);
                lane.close();
            }
            Ok(Verdict::Abort(expiry)) => return Left::Ended(expired.or(expiry)),
            Err(Ok(Leave::Request(begun))) => return Left::Http1(lane.into_socket(), begun),
            Err(Ok(Leave::Http2(begun))) => return Left::Http2(lane.into_socket(), begun),
            Err(Ok(Leave::Closed)) => {
                // An error means that the peer was faster.
                let _ = lane.into_socket().shutdown().await;
                return Left::Ended(expired);
            }
            Err(Err(error)) => {
                tracing::debug!(peer = %service.info.peer, %error, "the connection broke");
                return Left::Ended(expired);
            }
        }
    }
}

/// How hyper's turn at a connection ended.
enum Rested<H> {
    Ended(Option<Expiry>),
    AtRest { socket: Socket, ahead: Bytes, service: Exchanges<H>, is_last: bool },
}

/// HTTP/1 as long as hyper is needed: until the connection is at rest between two requests, or ends.
async fn h1_until_rest<H: Handler>(
    stream: ZeroCopyStream,
    service: Exchanges<H>,
    overseer: &mut Overseer,
) -> Rested<H> {
    let (peer, activity) = (service.info.peer, Arc::clone(&service.activity));
    // Only an exchange that takes place from here on makes the connection rest.
    activity.set_last();
    let mut connection = h1_builder(overseer.limits()).serve_connection(TokioIo::new(stream), service);
    let mut expired = None;
    let mut is_finishing = false;
    loop {
        let step = {
            let mut verdict = pin!(overseer.next());
            let step = poll_fn(|cx| {
                if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
                    return Poll::Ready(Step::Ended(ended));
                }
                if activity.is_between_requests() {
                    return Poll::Ready(Step::AtRest);
                }
                verdict.as_mut().poll(cx).map(Step::Verdict)
            });
            step.await
        };
        match step {
            Step::Ended(ended) => {
                log_end(peer, ended);
                return Rested::Ended(expired);
            }
            Step::AtRest => break,
            Step::Verdict(Verdict::Finish(expiry)) => {
                expired = expired.or(expiry);
                is_finishing = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            Step::Verdict(Verdict::Abort(expiry)) => return Rested::Ended(expired.or(expiry)),
        }
    }
    let is_last = expired.is_some() || is_finishing || !activity.is_going_on();
    let http1::Parts { io, read_buf, service, .. } = connection.into_parts();
    activity.intake().reset();
    let (socket, unread) = io.into_inner().into_parts();
    // Copied, since even an empty part of hyper's buffer keeps all of it from being freed.
    let ahead = Bytes::from([read_buf, unread].concat());
    Rested::AtRest { socket, ahead, service, is_last }
}

/// What woke a connection that hyper has.
enum Step {
    Ended(hyper::Result<()>),
    AtRest,
    Verdict(Verdict),
}

/// hyper's service: one call, one exchange.
struct Exchanges<H> {
    shared: Arc<Shared<H>>,
    info: Arc<ConnectionInfo>,
    activity: Arc<Activity>,
    metrics: Arc<ListenerMetrics>,
}

impl<H> Exchanges<H> {
    fn flood_guard(&self) -> FloodGuard {
        FloodGuard::new(&self.shared.floods, self.info.peer.ip(), &self.metrics)
    }
}

impl<H: Handler> Service<Request<Incoming>> for Exchanges<H> {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let may_rest = may_rest(&request);
        let is_bodyless = request.body().is_end_stream();
        let in_flight = self.activity.request(may_rest && is_bodyless);
        let activity = may_rest.then(|| Arc::clone(&self.activity));
        let may_pass = may_rest && !is_bodyless && !self.info.tls && self.shared.fast_paths.direct_bodies;
        self.metrics.requests.increment();
        let stall = self.shared.limits.body_stall;
        let (parts, incoming) = request.into_parts();
        let is_expected = parts.headers.contains_key(EXPECT);
        let (noted, metrics) = (Arc::clone(&self.activity), Arc::clone(&self.metrics));
        let mut body = RequestBody::new(incoming, stall, noted, metrics, may_pass);
        let (handler, info) = (Arc::clone(&self.shared.handler), Arc::clone(&self.info));
        Box::pin(async move {
            let mut response = handler.handle(&info, Request::from_parts(parts, &mut body)).await;
            if !body.settle(is_expected).await {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response.body_mut().attach(in_flight);
            if let Some(activity) = activity.filter(|_| response.headers().contains_key(CONNECTION)) {
                activity.set_last();
            }
            Ok(response)
        })
    }
}

/// Whether the connection can be at rest after the answer to this request, its body apart: the client means to go on.
fn may_rest(request: &Request<Incoming>) -> bool {
    request.version() == Version::HTTP_11
        && !request.headers().contains_key(CONNECTION)
        && !request.headers().contains_key(UPGRADE)
}

/// HTTP/1. Time limits are the overseer's, not hyper's: its one header timeout also runs while a connection is idle.
fn h1_builder(limits: &HttpLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // A client that closes its end is gone: its handler is dropped instead of working for nobody.
        .half_close(false)
        .header_read_timeout(None)
        .max_header_size(limits.header_bytes_max)
        .max_buf_size(limits.buffer_bytes_max.max(limits.header_bytes_max).max(8192))
        // What stand-ins rely on: slices reach the socket as they are.
        .writev(true);
    if limits.header_count_max != HttpLimits::default().header_count_max {
        // Any explicit number makes hyper allocate per request, so its own 100 is left implicit.
        builder.max_headers(limits.header_count_max);
    }
    builder
}

#[cfg(test)]
mod tests;
