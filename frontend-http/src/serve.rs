//! The server: its configuration, its listeners and its end.

use crate::body::{RequestBody, ResponseBody};
use crate::connection::{self, ConnectionInfo};
use crate::connection_metrics::ServerMetrics;
use crate::drain::{Connections, DrainReport};
use crate::fast_path::FastPaths;
use crate::lane::{Reply, SimpleRequest};
use crate::limits::HttpLimits;
use crate::listener::{Accepted, Listener, ListenerConfig};
use crate::read_budget::ReadBudget;
use crate::spawn::{spawn, spawn_scoped};
use crate::tls::Tls;
use http::{Request, Response};
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use strata_transport::error::ListenError;
use strata_transport::flood::Floods;
use strata_transport::tls::watch_certificates;
use strata_types::FastPath;

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. Every error is a response. Dropped when the client goes away.
    fn handle(
        self: &Arc<Self>,
        connection: &ConnectionInfo,
        request: Request<&mut RequestBody>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;

    /// Answers a simple request from memory: exactly as [`handle`](Self::handle) would now, and without waiting. `None` where that
    /// cannot be; `handle` is then asked.
    fn recall(&self, connection: &ConnectionInfo, request: &SimpleRequest<'_>) -> Option<Reply> {
        let _ = (connection, request);
        None
    }
}

/// What is spoken inside TLS, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where and under which limits to serve.
#[derive(Debug, Clone, Default)]
pub struct HttpConfig {
    /// The listeners; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// Limits of all of them together.
    pub limits: HttpLimits,
    /// Which fast paths may be taken.
    pub fast_paths: FastPaths,
}

/// A server that is bound and not yet serving.
pub struct Server<H> {
    listeners: Vec<Listener>,
    shared: Arc<Shared<H>>,
}

/// What all connections of a server have in common.
pub(crate) struct Shared<H> {
    pub(crate) handler: Arc<H>,
    pub(crate) limits: HttpLimits,
    pub(crate) fast_paths: FastPaths,
    pub(crate) connections: Connections,
    pub(crate) floods: Arc<Floods>,
    pub(crate) read_budget: ReadBudget,
    pub(crate) metrics: Arc<ServerMetrics>,
}

impl<H: Handler> Server<H> {
    /// Binds all listeners and reads all certificates. Connections queue up from here on and are served by
    /// [`run`](Self::run). Needs a tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`], naming the address or file.
    pub fn bind(config: &HttpConfig, handler: Arc<H>) -> Result<Self, ListenError> {
        if config.listeners.is_empty() {
            return Err(ListenError::NoListener);
        }
        let listeners = config
            .listeners
            .iter()
            .map(|listener| Listener::bind(listener, &PROTOCOLS, config.fast_paths.local_unpaced))
            .collect::<Result<Vec<_>, _>>()?;
        let metrics = ServerMetrics {
            listeners: listeners.iter().map(|listener| Arc::clone(&listener.metrics)).collect(),
        };
        let shared = Shared {
            handler,
            limits: config.limits.clone(),
            fast_paths: config.fast_paths,
            connections: Connections::new(config.limits.connections_max),
            floods: Arc::default(),
            read_budget: ReadBudget::new(config.limits.read_bytes_max),
            metrics: Arc::new(metrics),
        };
        Ok(Self { listeners, shared: Arc::new(shared) })
    }

    /// Where the server listens, in the order of the configuration, and whether with TLS.
    pub fn addresses(&self) -> Vec<(SocketAddr, bool)> {
        self.listeners.iter().map(|listener| (listener.address, listener.tls.is_some())).collect()
    }

    /// Which fast paths were chosen, and why.
    pub fn fast_paths(&self) -> Vec<FastPath> {
        self.shared.fast_paths.chosen()
    }

    /// What stays in hand while [`run`](Self::run) has the server.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle {
            tls: self.listeners.iter().filter_map(|listener| listener.tls.clone()).collect(),
            metrics: Arc::clone(&self.shared.metrics),
        }
    }

    /// Serves until `shutdown` is ready. Then stops accepting, ends idle connections at once and the others when their
    /// requests are done, but not later than the limit `drain`.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> DrainReport {
        let certificates = self.listeners.iter().filter_map(|listener| listener.tls.clone());
        let watch = watch_certificates(certificates.collect(), self.shared.limits.certificate_check);
        let Self { listeners, shared } = self;
        let watching = watch.map(spawn_scoped);
        let accepting: Vec<_> = listeners
            .into_iter()
            .map(|listener| spawn_scoped(accept(listener, Arc::clone(&shared))))
            .collect();
        shutdown.await;
        drop((accepting, watching));
        shared.connections.drain(shared.limits.drain).await
    }
}

/// Accepts and serves connections for ever.
async fn accept<H: Handler>(mut listener: Listener, shared: Arc<Shared<H>>) {
    loop {
        let Accepted { stream, peer, slot } = listener.accept(&shared.connections).await;
        let (tls, metrics) = (listener.tls.clone(), Arc::clone(&listener.metrics));
        let from = connection::Accepted { peer, scope: listener.scope, tls };
        spawn(connection::serve(Arc::clone(&shared), stream, from, metrics, slot));
    }
}

impl<H> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

/// A running server's counters and certificates.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    tls: Vec<Arc<Tls>>,
    metrics: Arc<ServerMetrics>,
}

impl ServerHandle {
    /// The counters of the listeners.
    pub fn metrics(&self) -> &ServerMetrics {
        &self.metrics
    }

    /// Reads the certificates of all TLS listeners again; returns how many listeners have new ones. Connections that are open
    /// stay as they are. Reads files: not for a hot path.
    ///
    /// # Errors
    /// The first [`ListenError::Tls`]; that listener keeps its old certificate, the others are re-read all the same.
    pub fn reload_tls(&self) -> Result<usize, ListenError> {
        let mut first_error = None;
        for tls in &self.tls {
            if let Err(error) = tls.reload() {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(self.tls.len()), Err)
    }
}
