//! One connection, from accept to close: HTTP/2 and nothing else.

use crate::call::Calls;
use crate::response::ResponseBody;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use strata_registry::Scope;
use strata_transport::activity::{Activity, Expiry};
use strata_transport::address::Address;
use strata_transport::drain::Slot;
use strata_transport::drive::{drive, h2_builder};
use strata_transport::flood::FloodGuard;
use strata_transport::frame_meter::Metered;
use strata_transport::metrics::ListenerMetrics;
use strata_transport::overseer::Overseer;
use strata_transport::socket::Socket;
use strata_transport::tls::Tls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// A peer of which nothing is heard for so long is asked by the kernel whether it is still there: a client may wait for events for days.
const KEEPALIVE_TIME: Duration = Duration::from_mins(1);
/// Between two such questions, of which the kernel asks nine by default.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// What a call may know of its connection.
#[derive(Debug)]
pub(crate) struct ConnectionInfo {
    /// Address of the peer; `None` on a Unix socket.
    pub(crate) peer: Option<SocketAddr>,
    /// Whether the connection is encrypted.
    pub(crate) tls: bool,
    /// Who was expected to reach the listener.
    pub(crate) scope: Scope,
}

/// A connection that a listener has accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) info: ConnectionInfo,
    /// The listener's identity, where it speaks TLS.
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) metrics: Arc<ListenerMetrics>,
    pub(crate) slot: Slot,
}

/// Serves a connection of the network until it ends.
pub(crate) async fn serve_tcp(calls: Arc<Calls>, stream: TcpStream, accepted: Accepted) {
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    let Accepted { info, tls, metrics, slot } = accepted;
    let life = Life::new(calls, info, metrics, slot);
    let socket = Socket::new(stream, Arc::clone(&life.activity), Arc::clone(&life.open.metrics));
    match tls {
        None => life.plain(socket).await,
        Some(tls) => life.encrypted(socket, &tls).await,
    }
}

/// Serves a connection of a Unix socket until it ends.
pub(crate) async fn serve_unix(calls: Arc<Calls>, stream: UnixStream, accepted: Accepted) {
    let Accepted { info, metrics, slot, .. } = accepted;
    let life = Life::new(calls, info, metrics, slot);
    let activity = Arc::clone(&life.activity);
    let stream = crate::unix::Noted::new(stream, activity, Arc::clone(&life.open.metrics));
    life.multiplexed(stream).await;
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

/// A connection before its protocol begins.
struct Life {
    calls: Arc<Calls>,
    info: ConnectionInfo,
    activity: Arc<Activity>,
    overseer: Overseer,
    open: Open,
}

impl Life {
    fn new(calls: Arc<Calls>, info: ConnectionInfo, metrics: Arc<ListenerMetrics>, slot: Slot) -> Self {
        metrics.open.increment();
        let open = Open { metrics, _slot: slot };
        let activity = Activity::new();
        let signal = calls.connections.subscribe();
        let overseer = Overseer::new(Arc::clone(&activity), calls.limits.clone(), signal);
        Self { calls, info, activity, overseer, open }
    }

    fn flood_guard(&self) -> Option<FloodGuard> {
        let peer = self.info.peer?.ip();
        Some(FloodGuard::new(&self.calls.floods, peer, &self.open.metrics))
    }

    /// Waits for as long as a connection is kept waiting after floods. `false`: it is to be dropped.
    async fn may_begin(&mut self) -> bool {
        let Some(guard) = self.flood_guard() else { return true };
        tokio::select! {
            biased;
            admitted = guard.admits() => admitted,
            () = self.overseer.draining() => false,
        }
    }

    async fn plain(mut self, socket: Socket) {
        if self.may_begin().await {
            self.multiplexed(socket).await;
        }
    }

    async fn encrypted(mut self, socket: Socket, tls: &Tls) {
        if !self.may_begin().await {
            return;
        }
        let handshake = timeout(self.calls.limits.tls_handshake_timeout, tls.acceptor().accept(socket));
        let accepted = tokio::select! {
            biased;
            accepted = handshake => accepted,
            () = self.overseer.draining() => return,
        };
        let why = match accepted {
            Ok(Ok(stream)) => {
                self.activity.begin();
                return self.multiplexed(stream).await;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        self.open.metrics.handshake_errors.increment();
        tracing::debug!(peer = %self.open.metrics.address, %why, "the TLS handshake failed");
    }

    async fn multiplexed(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let guard = self.flood_guard();
        let Self { calls, info, activity, overseer, open } = self;
        activity.set_multiplexed();
        let stream = Metered::new(stream, Arc::clone(&activity), guard.clone());
        let builder = h2_builder(overseer.limits());
        let peer = info.peer.map_or_else(|| open.metrics.address.clone(), Address::from);
        let service = Exchanges { calls, info: Arc::new(info), activity, metrics: Arc::clone(&open.metrics) };
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        match drive(peer, connection, http2::Connection::graceful_shutdown, overseer, guard.as_ref()).await {
            Some(Expiry::Idle) => open.metrics.idle_timeouts.increment(),
            Some(Expiry::WriteStall) => open.metrics.write_stalls.increment(),
            Some(Expiry::Header | Expiry::Closing) | None => {}
        }
    }
}

/// hyper's service: one request, one call.
struct Exchanges {
    calls: Arc<Calls>,
    info: Arc<ConnectionInfo>,
    activity: Arc<Activity>,
    metrics: Arc<ListenerMetrics>,
}

impl Service<Request<Incoming>> for Exchanges {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = self.activity.request(false);
        self.metrics.requests.increment();
        let (calls, info) = (Arc::clone(&self.calls), Arc::clone(&self.info));
        Box::pin(async move { Ok(calls.answer(info, request, in_flight).await) })
    }
}
