//! The server: its configuration, its listeners and its end.

use crate::body::{RequestBody, ResponseBody};
use crate::connection::ConnectionInfo;
use crate::limits::HttpLimits;
use http::{Request, Response};
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. Every error is a response. Dropped when the client goes away.
    fn handle(
        self: &Arc<Self>,
        connection: &ConnectionInfo,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;
}

/// Where and under which limits to serve.
#[derive(Debug, Clone, Default)]
pub struct HttpConfig {
    /// The listeners; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// Limits of all of them together.
    pub limits: HttpLimits,
}

/// One address to listen at.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// With this the listener speaks TLS, and nothing else.
    pub tls: Option<TlsConfig>,
}

/// The files that a TLS listener proves its identity with.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// PEM file: the certificate, then the chain up to, without, the root.
    pub certificate: PathBuf,
    /// PEM file: the private key (PKCS#8, PKCS#1 or SEC1), not encrypted.
    pub key: PathBuf,
}
