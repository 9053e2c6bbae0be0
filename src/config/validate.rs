//! What settings must be together: a certificate has its key, no address is taken twice, mode open stays on loopback.
use std::fmt::Display;
use std::net::SocketAddr;

use super::layers::Layers;
use super::listener::{Listener, TlsFiles};
use super::problem::Problems;
use super::settings::{AuthMode, Settings};
use super::size::ByteSize;
use super::span::Span;

/// Checks the settings against each other and gives the listeners that follow from them.
pub(crate) fn check(settings: &Settings, layers: &Layers, problems: &mut Problems) -> Vec<Listener> {
    let listeners = listeners(settings, layers, problems);
    if listeners.is_empty() {
        problems
            .push_general("no address to listen on: write `http.listen`, for example [\"127.0.0.1:5000\"]");
    }
    for (at, listener) in listeners.iter().enumerate() {
        let address = listener.address;
        if address.port() != 0 && listeners.iter().take(at).any(|other| other.address == address) {
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
    check_reach(settings, &listeners, problems);
    check_bounds(settings, problems);
    listeners
}

/// The addresses of `http.listen`, then the tables of `http.listener`; where only tables are written, only those.
fn listeners(settings: &Settings, layers: &Layers, problems: &mut Problems) -> Vec<Listener> {
    let http = &settings.http;
    let tls = match (&http.certificate, &http.key) {
        (Some(certificate), Some(key)) => {
            Some(TlsFiles { certificate: certificate.clone(), key: key.clone() })
        }
        (None, None) => None,
        (Some(_), None) => {
            problems.push_general(
                "`http.certificate` is set and `http.key` is not: a certificate needs its private key",
            );
            None
        }
        (None, Some(_)) => {
            problems.push_general(
                "`http.key` is set and `http.certificate` is not: a private key needs its certificate",
            );
            None
        }
    };
    let only_tables = !http.listener.is_empty() && !layers.is_written("http", "listen");
    let addresses: &[SocketAddr] = if only_tables { &[] } else { &http.listen };
    let plain =
        addresses.iter().map(|address| Listener { address: *address, tls: tls.clone(), scope: http.scope });
    plain.chain(http.listener.iter().cloned()).collect()
}

fn check_reach(settings: &Settings, listeners: &[Listener], problems: &mut Problems) {
    match settings.auth.mode {
        AuthMode::Accounts => {}
        AuthMode::Open if settings.auth.open_to_network => {}
        AuthMode::Open => {
            for listener in listeners.iter().filter(|listener| !listener.address.ip().is_loopback()) {
                problems.push_general(format!(
                    "{} can be reached from other machines, and there are no accounts: everyone who reaches it could push, \
                     pull and delete. Say --auth-mode accounts (auth.mode = \"accounts\") to have accounts, --open \
                     (auth.open-to-network = true) if everyone is what you want, or listen on a loopback address such as \
                     127.0.0.1:5000",
                    listener.address
                ));
            }
        }
    }
}

/// The least that each value may be. What is below would not work, or would not be what its writer wanted.
fn check_bounds(settings: &Settings, problems: &mut Problems) {
    let (http, storage) = (&settings.http, &settings.storage);
    let mib = |count: u64| ByteSize::new(count << 20);
    let mut least = |name: &str, given: &dyn Display, least: &dyn Display, enough: bool| {
        if !enough {
            problems.push_general(format!("`{name}` is {given}; at least {least} is needed"));
        }
    };
    for (name, size, needed) in [
        ("http.header-size", http.header_size, ByteSize::new(8 << 10)),
        ("http.read-memory", http.read_memory, mib(1)),
        ("storage.buffer-memory", storage.buffer_memory, mib(8)),
        ("storage.metadata-memory", storage.metadata_memory, mib(8)),
    ] {
        least(name, &size, &needed, size >= needed);
    }
    for (name, span, needed) in [
        ("http.header-timeout", http.header_timeout, Span::seconds(1)),
        ("http.idle-timeout", http.idle_timeout, Span::seconds(1)),
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
