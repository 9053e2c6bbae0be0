//! One connection: what a handler may know of it, and its life from accept to close.

mod overseer;
mod preface;

use crate::activity::{Activity, Expiry};
use crate::body::{RequestBody, ResponseBody};
use crate::connection_metrics::{ListenerMetrics, ServerMetrics};
use crate::drain::Slot;
use crate::limits::HttpLimits;
use crate::read_budget::ReadBudget;
use crate::serve::{Handler, Shared};
use crate::socket::Socket;
use crate::spawn::StreamExecutor;
use crate::tls::Tls;
use crate::zero_copy::{Queue, ZeroCopyStream};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use overseer::{Overseer, Verdict};
use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The most that an HTTP/2 stream buffers of an answer beyond the piece that is being sent.
const H2_SEND_BUFFER: usize = 128 * 1024;

/// What a handler knows of the connection a request came by, and what a response body needs to find its way out.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// Address of the peer.
    pub peer: SocketAddr,
    /// Address that the peer spoke to.
    pub local: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
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

/// Serves one connection until it ends. `slot` is its place among the connections that may be open.
pub(crate) async fn serve<H: Handler>(
    shared: Arc<Shared<H>>,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<Tls>>,
    metrics: Arc<ListenerMetrics>,
    slot: Slot,
) {
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
        zero_copy: None,
        read_budget: shared.read_budget.clone(),
        metrics: Arc::clone(&shared.metrics),
    };
    let life = Life { shared, info, activity, metrics: Arc::clone(&open.metrics), overseer };
    let ended = match tls {
        None => life.plain(socket).await,
        Some(tls) => life.encrypted(socket, &tls).await,
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
    /// Plain TCP: HTTP/1, or HTTP/2 if the client begins with its preface.
    async fn plain(mut self, mut socket: Socket) -> Option<Expiry> {
        let preface = tokio::select! {
            biased;
            preface = preface::read(&mut socket) => preface.ok()?,
            verdict = self.overseer.next() => return verdict.expiry(),
        };
        let zero_copy = self.shared.fast_paths.zero_copy && !preface.is_h2;
        let queue = zero_copy.then(Queue::new).flatten();
        let stream = ZeroCopyStream::new(socket, preface.bytes, queue);
        if preface.is_h2 {
            return self.h2(stream).await;
        }
        self.info.zero_copy = stream.queue().cloned();
        self.h1(stream).await
    }

    /// TLS, then what was agreed on in its handshake.
    async fn encrypted(mut self, socket: Socket, tls: &Tls) -> Option<Expiry> {
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
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.h2(stream).await
        } else {
            self.h1(stream).await
        }
    }

    async fn h1(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Option<Expiry> {
        let peer = self.info.peer;
        let (service, overseer) = self.into_service();
        let connection = h1_builder(overseer.limits()).serve_connection(TokioIo::new(stream), service);
        drive(peer, connection, http1::Connection::graceful_shutdown, overseer).await
    }

    async fn h2(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Option<Expiry> {
        self.activity.set_multiplexed();
        let peer = self.info.peer;
        let (service, overseer) = self.into_service();
        let connection = h2_builder(overseer.limits()).serve_connection(TokioIo::new(stream), service);
        drive(peer, connection, http2::Connection::graceful_shutdown, overseer).await
    }

    fn into_service(self) -> (Exchanges<H>, Overseer) {
        let Self { shared, info, activity, metrics, overseer } = self;
        (Exchanges { shared, info: Arc::new(info), activity, metrics }, overseer)
    }
}

/// Polls hyper's connection and, after each step of it, asks the overseer whether it may go on.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    peer: SocketAddr,
    connection: C,
    finish: impl Fn(Pin<&mut C>),
    mut overseer: Overseer,
) -> Option<Expiry> {
    let mut connection = pin!(connection);
    let mut expired = None;
    loop {
        let verdict = tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    let what = if error.is_parse() { "malformed request" } else { "the connection broke" };
                    tracing::debug!(%peer, %error, cause = error.source(), "{what}");
                }
                return expired;
            }
            verdict = overseer.next() => verdict,
        };
        match verdict {
            Verdict::Finish(expiry) => {
                expired = expired.or(expiry);
                finish(connection.as_mut());
            }
            Verdict::Abort(expiry) => return expired.or(expiry),
        }
    }
}

/// hyper's service: one call, one exchange.
struct Exchanges<H> {
    shared: Arc<Shared<H>>,
    info: Arc<ConnectionInfo>,
    activity: Arc<Activity>,
    metrics: Arc<ListenerMetrics>,
}

impl<H: Handler> Service<Request<Incoming>> for Exchanges<H> {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = self.activity.request();
        self.metrics.requests.increment();
        let stall = self.shared.limits.body_stall;
        let request = request.map(|incoming| {
            RequestBody::new(incoming, stall, Arc::clone(&self.activity), Arc::clone(&self.metrics))
        });
        let (handler, info) = (Arc::clone(&self.shared.handler), Arc::clone(&self.info));
        Box::pin(async move {
            let mut response = handler.handle(&info, request).await;
            response.body_mut().attach(in_flight);
            Ok(response)
        })
    }
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

/// HTTP/2, with bounded windows and bounded patience for clients that only open and reset.
fn h2_builder(limits: &HttpLimits) -> http2::Builder<StreamExecutor> {
    let mut builder = http2::Builder::new(StreamExecutor);
    builder
        .adaptive_window(false)
        .initial_stream_window_size(limits.h2_stream_window)
        .initial_connection_window_size(limits.h2_connection_window)
        .max_concurrent_streams(limits.h2_streams_max)
        .max_pending_accept_reset_streams(limits.h2_pending_resets_max)
        .max_local_error_reset_streams(limits.h2_faults_max)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .max_send_buf_size(H2_SEND_BUFFER);
    builder
}

#[cfg(test)]
mod tests;
