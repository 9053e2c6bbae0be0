//! The gRPC server: made of the same settings, beside the one of HTTP.
use std::fmt::Write as _;
use std::io;

use strata_frontend_grpc::{GrpcConfig, GrpcListener, Server, default_limits};
use strata_frontend_http::App;
use strata_registry::{Registry, Scope};
use strata_transport::address::Address;
use strata_transport::drain::DrainReport;
use strata_transport::error::ListenError;
use strata_transport::limits::HttpLimits;
use strata_transport::tls::TlsConfig;
use tokio::sync::watch;

use crate::config::{Config, Listener, ListenerScope, Span};

/// Binds the listeners of gRPC, if there are to be any. The port of the default may be taken: nobody has asked for that one.
pub(super) fn bind(config: &Config, registry: &Registry, app: &App) -> Result<Option<Server>, ListenError> {
    if config.grpc_listeners.is_empty() {
        return Ok(None);
    }
    match Server::bind(&grpc_config(config), registry.clone()) {
        Ok(server) => {
            let handle = server.handle();
            app.show_also(move || handle.collector());
            Ok(Some(server))
        }
        Err(ListenError::Bind { address, source })
            if !config.is_grpc_written() && source.kind() == io::ErrorKind::AddrInUse =>
        {
            tracing::warn!(
                %address,
                "there is no gRPC, as another program listens there; choose another address with --grpc-listen, or off"
            );
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Serves until told to stop; where there is no server, does nothing.
pub(super) async fn run(server: Option<Server>, mut stopped: watch::Receiver<bool>) -> Option<DrainReport> {
    let server = server?;
    let told = async move {
        // An error means that nobody is left to tell.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    Some(server.run(told).await)
}

/// The lines that say where it listens.
pub(super) fn announcement(server: &Server) -> String {
    let mut text = String::new();
    for (address, tls) in server.addresses() {
        // Writing to a String cannot fail.
        let _ = match address {
            Address::Tcp(address) => {
                writeln!(text, "listening on {}://{address}", if tls { "grpcs" } else { "grpc" })
            }
            Address::Unix(path) => writeln!(text, "listening on unix://{}", path.display()),
        };
    }
    text
}

fn grpc_config(config: &Config) -> GrpcConfig {
    let (http, grpc) = (&config.settings.http, &config.settings.grpc);
    let limits = HttpLimits {
        connections_max: grpc.max_connections as usize,
        idle_timeout: grpc.idle_timeout.duration(),
        h2_streams_max: grpc.streams,
        header_bytes_max: http.header_size.to_usize(),
        header_timeout: http.header_timeout.duration(),
        tls_handshake_timeout: http.handshake_timeout.duration(),
        body_stall: http.body_stall.duration(),
        write_stall: http.write_stall.duration(),
        drain: http.drain.duration(),
        read_bytes_max: http.read_memory.to_usize(),
        certificate_check: http.certificate_check.map(Span::duration),
        ..default_limits()
    };
    GrpcConfig {
        listeners: config.grpc_listeners.iter().map(listener_config).collect(),
        limits,
        message_memory: grpc.message_memory.to_usize(),
        socket_mode: grpc.socket_mode.0,
        trusted_proxies: http.trusted_proxies.clone(),
    }
}

fn listener_config(listener: &Listener<Address>) -> GrpcListener {
    let tls = listener.tls.as_ref();
    GrpcListener {
        address: listener.address.clone(),
        tls: tls.map(|files| TlsConfig { certificate: files.certificate.clone(), key: files.key.clone() }),
        scope: match listener.scope {
            ListenerScope::Public => Scope::Public,
            ListenerScope::Private => Scope::Private,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    #[test]
    fn the_defaults_of_the_file_are_those_of_the_crate() {
        let config = Config::load(None, [], Flags::new()).expect("the defaults are right");
        assert_eq!(grpc_config(&config).limits, default_limits());
    }
}
