//! Where and under which limits to serve. Plain values: the file they are read from is the binary's.

use ipnet::IpNet;
use std::time::Duration;
use strata_registry::Scope;
use strata_transport::address::Address;
use strata_transport::limits::HttpLimits;
use strata_transport::tls::TlsConfig;

/// Where and under which limits to serve.
#[derive(Debug, Clone)]
pub struct GrpcConfig {
    /// The listeners; at least one.
    pub listeners: Vec<GrpcListener>,
    /// Limits of all of them together.
    pub limits: HttpLimits,
    /// Bytes that messages of all calls together may hold in memory while they are received; a call beyond it is answered with
    /// `UNAVAILABLE`.
    pub message_memory: usize,
    /// Permissions of Unix sockets.
    pub socket_mode: u32,
    /// Networks of proxies whose `X-Forwarded-*` fields are believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// One address to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcListener {
    /// Address and port, or the path of a Unix socket.
    pub address: Address,
    /// With this the listener speaks TLS, and nothing else. Not for Unix sockets.
    pub tls: Option<TlsConfig>,
    /// Who is expected to reach it.
    pub scope: Scope,
}

/// The limits of HTTP, but for channels that programs keep open for long, with many calls on each.
pub fn default_limits() -> HttpLimits {
    HttpLimits { connections_max: 1000, idle_timeout: Duration::from_mins(5), ..HttpLimits::default() }
}
