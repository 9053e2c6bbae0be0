//! What settings must be together: a certificate has its key, no address is taken twice, mode open stays on loopback.
use std::fmt::Display;
use std::path::PathBuf;

use strata_transport::address::Address;

use super::layers::Layers;
use super::listener::{Listener, TlsFiles};
use super::problem::Problems;
use super::settings::{AuthMode, ListenerScope, Settings};
use super::size::ByteSize;
use super::span::Span;

/// Where to listen for HTTP and for gRPC.
type Listeners = (Vec<Listener>, Vec<Listener<Address>>);

/// Checks the settings against each other and gives the listeners that follow from them.
pub(crate) fn check(settings: &Settings, layers: &Layers, problems: &mut Problems) -> Listeners {
    let listeners = listeners(settings, layers, problems);
    if listeners.is_empty() {
        problems
            .push_general("no address to listen on: write `http.listen`, for example [\"127.0.0.1:5000\"]");
    }
    let grpc = grpc_listeners(settings, layers, problems);
    let http = listeners.iter().map(|listener| Address::Tcp(listener.address));
    let all: Vec<Address> = http.chain(grpc.iter().map(|listener| listener.address.clone())).collect();
    for (at, address) in all.iter().enumerate() {
        let is_any = matches!(address, Address::Tcp(address) if address.port() == 0);
        if !is_any && all.iter().take(at).any(|other| other == address) {
            problems.push_general(format!("{address} is listed twice among the addresses to listen on"));
        }
    }
    if let Some(url) = &settings.http.external_url {
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let plain = url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains(['?', '#']);
        if !plain || host.is_none_or(|host| host.trim_end_matches('/').is_empty()) {
            problems.push_general(format!(
                "`http.external-url` is {url:?}; write scheme and host, for example \"https://registry.example\""
            ));
        }
    }
    check_reach(settings, &all, problems);
    check_bounds(settings, problems);
    (listeners, grpc)
}

/// The addresses of `http.listen`, then the tables of `http.listener`; where only tables are written, only those.
fn listeners(settings: &Settings, layers: &Layers, problems: &mut Problems) -> Vec<Listener> {
    let http = &settings.http;
    let tls = tls_files("http", http.certificate.as_ref(), http.key.as_ref(), problems);
    let only_tables = !http.listener.is_empty() && !layers.is_written("http", "listen");
    let addresses = if only_tables { &[] } else { http.listen.as_slice() };
    let plain =
        addresses.iter().map(|address| Listener { address: *address, tls: tls.clone(), scope: http.scope });
    plain.chain(http.listener.iter().cloned()).collect()
}

/// The same for gRPC. A Unix socket needs no TLS, and whoever reaches it is on this machine.
fn grpc_listeners(settings: &Settings, layers: &Layers, problems: &mut Problems) -> Vec<Listener<Address>> {
    let grpc = &settings.grpc;
    let tls = tls_files("grpc", grpc.certificate.as_ref(), grpc.key.as_ref(), problems);
    let only_tables = !grpc.listener.is_empty() && !layers.is_written("grpc", "listen");
    let addresses = if only_tables { &[] } else { grpc.listen.as_slice() };
    let plain = addresses.iter().map(|address| match address {
        Address::Tcp(_) => Listener { address: address.clone(), tls: tls.clone(), scope: grpc.scope },
        Address::Unix(_) => Listener { address: address.clone(), tls: None, scope: ListenerScope::Private },
    });
    for listener in &grpc.listener {
        if matches!(listener.address, Address::Unix(_)) && listener.tls.is_some() {
            problems.push_general(format!("{} speaks no TLS; leave its certificate out", listener.address));
        }
    }
    plain.chain(grpc.listener.iter().cloned()).collect()
}

/// Certificate and key of a table of settings: both or none.
fn tls_files(
    table: &str,
    certificate: Option<&PathBuf>,
    key: Option<&PathBuf>,
    problems: &mut Problems,
) -> Option<TlsFiles> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            return Some(TlsFiles { certificate: certificate.clone(), key: key.clone() });
        }
        (None, None) => {}
        (Some(_), None) => problems.push_general(format!(
            "`{table}.certificate` is set and `{table}.key` is not: a certificate needs its private key"
        )),
        (None, Some(_)) => problems.push_general(format!(
            "`{table}.key` is set and `{table}.certificate` is not: a private key needs its certificate"
        )),
    }
    None
}

fn check_reach(settings: &Settings, addresses: &[Address], problems: &mut Problems) {
    match settings.auth.mode {
        AuthMode::Accounts => {}
        AuthMode::Open if settings.auth.open_to_network => {}
        AuthMode::Open => {
            let is_far =
                |address: &&Address| matches!(address, Address::Tcp(address) if !address.ip().is_loopback());
            for address in addresses.iter().filter(is_far) {
                problems.push_general(format!(
                    "{address} can be reached from other machines, and there are no accounts: everyone who reaches it could push, \
                     pull and delete. Say --auth-mode accounts (auth.mode = \"accounts\") to have accounts, --open \
                     (auth.open-to-network = true) if everyone is what you want, or listen on a loopback address such as \
                     127.0.0.1:5000"
                ));
            }
        }
    }
}

/// The least that each value may be. What is below would not work, or would not be what its writer wanted.
fn check_bounds(settings: &Settings, problems: &mut Problems) {
    let (http, grpc, storage) = (&settings.http, &settings.grpc, &settings.storage);
    let mib = |count: u64| ByteSize::new(count << 20);
    let mut least = |name: &str, given: &dyn Display, least: &dyn Display, enough: bool| {
        if !enough {
            problems.push_general(format!("`{name}` is {given}; at least {least} is needed"));
        }
    };
    for (name, size, needed) in [
        ("http.header-size", http.header_size, ByteSize::new(8 << 10)),
        ("http.read-memory", http.read_memory, mib(1)),
        ("grpc.message-memory", grpc.message_memory, mib(8)),
        ("storage.buffer-memory", storage.buffer_memory, mib(8)),
        ("storage.metadata-memory", storage.metadata_memory, mib(8)),
    ] {
        least(name, &size, &needed, size >= needed);
    }
    for (name, span, needed) in [
        ("http.header-timeout", http.header_timeout, Span::seconds(1)),
        ("http.idle-timeout", http.idle_timeout, Span::seconds(1)),
        ("grpc.idle-timeout", grpc.idle_timeout, Span::seconds(1)),
        ("http.handshake-timeout", http.handshake_timeout, Span::seconds(1)),
        ("http.body-stall", http.body_stall, Span::seconds(1)),
        ("http.write-stall", http.write_stall, Span::seconds(1)),
        ("storage.upload-expiry", storage.upload_expiry, Span::seconds(1)),
    ] {
        least(name, &span, &needed, span >= needed);
    }
    for (name, count) in [
        ("http.max-connections", http.max_connections),
        ("http.http2-streams", http.http2_streams),
        ("grpc.max-connections", grpc.max_connections),
        ("grpc.streams", grpc.streams),
        ("storage.open-files", storage.open_files),
    ] {
        least(name, &count, &1, count >= 1);
    }
    if !(1..=100).contains(&settings.gc.segment_dead) {
        problems.push_general(format!(
            "`gc.segment-dead` is {}; write a percentage from 1 to 100",
            settings.gc.segment_dead
        ));
    }
    check_tokens(settings, problems);
    let header_size_max = ByteSize::new(256 << 10);
    if http.header_size > header_size_max {
        problems.push_general(format!(
            "`http.header-size` is {}; at most {header_size_max} is possible",
            http.header_size
        ));
    }
    for (name, threads) in [("hash", storage.hash_threads), ("io", storage.io_threads)] {
        if threads > 1024 {
            problems.push_general(format!("`storage.{name}-threads` is {threads}; at most 1024 is possible"));
        }
    }
}

/// What tokens may be: short-lived, and for a service whose name fits between quotes in a header and into the query of clients.
fn check_tokens(settings: &Settings, problems: &mut Problems) {
    const SERVICE_BYTES_MAX: usize = 255;
    let auth = &settings.auth;
    for (name, span, longest) in [
        ("auth.token-life", auth.token_life, Span::seconds(12 * 3600)),
        ("auth.refresh-life", auth.refresh_life, Span::seconds(366 * 24 * 3600)),
    ] {
        let shortest = Span::seconds(60);
        if span < shortest || span > longest {
            problems.push_general(format!("`{name}` is {span}; write {shortest} to {longest}"));
        }
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    let service = auth.service.as_deref().unwrap_or_default();
    if service.is_empty() || service.len() > SERVICE_BYTES_MAX || !service.bytes().all(fits) {
        problems.push_general(format!(
            "`auth.service` is {service:?}; write letters, digits, and `-._:`, at most {SERVICE_BYTES_MAX}"
        ));
    }
}
