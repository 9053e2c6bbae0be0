//! The server: its listeners and its end.

use crate::app::App;
use crate::call::Calls;
use crate::config::{GrpcConfig, GrpcListener};
use crate::connection::{Accepted, ConnectionInfo, serve_tcp, serve_unix};
use crate::metrics::{Exposition, Metrics};
use crate::service::Services;
use crate::unix::UnixListener;
use prometheus_client::collector::Collector;
use std::future::Future;
use std::sync::Arc;
use strata_registry::Registry;
use strata_transport::address::Address;
use strata_transport::drain::DrainReport;
use strata_transport::error::ListenError;
use strata_transport::listener::{self, Listener, ListenerConfig};
use strata_transport::metrics::ListenerMetrics;
use strata_transport::spawn::{spawn, spawn_scoped};
use strata_transport::tls::{Tls, watch_certificates};

/// What is spoken inside TLS.
const PROTOCOLS: [&[u8]; 1] = [b"h2"];

/// A server that is bound and not yet serving.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Bound>,
    calls: Arc<Calls>,
}

#[derive(Debug)]
enum Bound {
    Tcp(Listener),
    Unix(UnixListener),
}

impl Bound {
    fn bind(config: &GrpcListener, socket_mode: u32) -> Result<Self, ListenError> {
        match &config.address {
            Address::Tcp(address) => {
                let config =
                    ListenerConfig { address: *address, tls: config.tls.clone(), scope: config.scope };
                Listener::bind(&config, &PROTOCOLS, false).map(Self::Tcp)
            }
            Address::Unix(path) => UnixListener::bind(path, socket_mode, config.scope).map(Self::Unix),
        }
    }

    fn address(&self) -> Address {
        match self {
            Self::Tcp(listener) => listener.address.into(),
            Self::Unix(listener) => listener.address().clone(),
        }
    }

    fn tls(&self) -> Option<&Arc<Tls>> {
        match self {
            Self::Tcp(listener) => listener.tls.as_ref(),
            Self::Unix(_) => None,
        }
    }

    fn metrics(&self) -> Arc<ListenerMetrics> {
        match self {
            Self::Tcp(listener) => Arc::clone(&listener.metrics),
            Self::Unix(listener) => Arc::clone(&listener.metrics),
        }
    }

    /// Accepts and serves connections for ever.
    async fn run(self, calls: Arc<Calls>) {
        match self {
            Self::Tcp(listener) => accept_tcp(listener, calls).await,
            Self::Unix(listener) => accept_unix(listener, calls).await,
        }
    }
}

async fn accept_tcp(mut listener: Listener, calls: Arc<Calls>) {
    loop {
        let listener::Accepted { stream, peer, slot } = listener.accept(&calls.connections).await;
        let (tls, metrics) = (listener.tls.clone(), Arc::clone(&listener.metrics));
        let info = ConnectionInfo { peer: Some(peer), tls: tls.is_some(), scope: listener.scope };
        spawn(serve_tcp(Arc::clone(&calls), stream, Accepted { info, tls, metrics, slot }));
    }
}

async fn accept_unix(mut listener: UnixListener, calls: Arc<Calls>) {
    loop {
        let (stream, slot) = listener.accept(&calls.connections).await;
        let metrics = Arc::clone(&listener.metrics);
        let info = ConnectionInfo { peer: None, tls: false, scope: listener.scope };
        spawn(serve_unix(Arc::clone(&calls), stream, Accepted { info, tls: None, metrics, slot }));
    }
}

impl Server {
    /// Binds all listeners and reads all certificates. Connections queue up from here on and are served by
    /// [`run`](Self::run). Needs a tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`], naming the address or file.
    pub fn bind(config: &GrpcConfig, registry: Registry) -> Result<Self, ListenError> {
        if config.listeners.is_empty() {
            return Err(ListenError::NoListener);
        }
        let bound = config.listeners.iter().map(|listener| Bound::bind(listener, config.socket_mode));
        let listeners = bound.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { listeners, calls: Arc::new(Calls::new(registry, config, Services::all)) })
    }

    /// Where the server listens, in the order of the configuration, and whether with TLS.
    pub fn addresses(&self) -> Vec<(Address, bool)> {
        self.listeners.iter().map(|bound| (bound.address(), bound.tls().is_some())).collect()
    }

    /// What stays in hand while [`run`](Self::run) has the server.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle {
            app: Arc::clone(&self.calls.app),
            tls: self.listeners.iter().filter_map(|bound| bound.tls().cloned()).collect(),
            listeners: self.listeners.iter().map(Bound::metrics).collect(),
        }
    }

    /// Serves until `shutdown` is ready. Then stops accepting, ends idle connections and calls that only wait at once, and the others
    /// when they are done, but not later than the limit `drain`.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> DrainReport {
        let certificates = self.listeners.iter().filter_map(|bound| bound.tls().cloned());
        let watch = watch_certificates(certificates.collect(), self.calls.limits.certificate_check);
        let Self { listeners, calls } = self;
        let watching = watch.map(spawn_scoped);
        let accepting: Vec<_> =
            listeners.into_iter().map(|bound| spawn_scoped(bound.run(Arc::clone(&calls)))).collect();
        shutdown.await;
        calls.app.start_draining();
        drop((accepting, watching));
        calls.connections.drain(calls.limits.drain).await
    }
}

/// A running server's counters and certificates.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    app: Arc<App>,
    tls: Vec<Arc<Tls>>,
    listeners: Vec<Arc<ListenerMetrics>>,
}

impl ServerHandle {
    /// The counters of the calls.
    pub fn metrics(&self) -> &Metrics {
        &self.app.metrics
    }

    /// What `/metrics` shows of this server.
    pub fn collector(&self) -> Box<dyn Collector> {
        let metrics = Arc::clone(&self.app.metrics);
        Box::new(Exposition { metrics, listeners: self.listeners.clone() })
    }

    /// Reads the certificates of all TLS listeners again; returns how many listeners have new ones. Reads files: not for a hot path.
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
