//! Reads over TLS 1.3, by HTTP/1.1 or HTTP/2. The client has to decrypt what it reads, so it costs about what the server costs.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use h2::client::SendRequest;
use http::Method;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::record::Record;
use crate::wire::{Body, Connection, Request, Server, Take, bad};

/// What Go's HTTP/2 clients let a server send before they say more: for a stream and for the connection.
const WINDOWS: (u32, u32) = (4 << 20, 1 << 30);

/// How paths are read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Connections.
    pub connections: usize,
    /// Requests at the same time on each: above one it takes HTTP/2.
    pub streams: usize,
    /// By HTTP/2.
    pub http2: bool,
    /// How long to go on.
    pub span: Duration,
}

/// Reads `paths` in turn.
///
/// # Errors
/// When a connection breaks or a reply is not `200`.
pub async fn paths(server: &Arc<Server>, paths: Vec<String>, how: Reading) -> io::Result<Record> {
    if paths.is_empty() {
        return Err(bad("no paths to read"));
    }
    let (paths, end): (Arc<[String]>, _) = (paths.into(), Instant::now() + how.span);
    let started = Instant::now();
    let mut readers = Vec::new();
    for number in 0..how.connections {
        if how.http2 {
            let sender = connect_h2(server).await?;
            for stream in 0..how.streams {
                let (sender, paths) = (sender.clone(), Arc::clone(&paths));
                let first = number * how.streams + stream;
                readers.push(tokio::spawn(read_h2(sender, Arc::clone(server), paths, first, end)));
            }
        } else {
            readers.push(tokio::spawn(read_h1(Arc::clone(server), Arc::clone(&paths), number, end)));
        }
    }
    let mut record = Record::default();
    for reader in readers {
        record.join(&reader.await??);
    }
    record.elapsed = started.elapsed();
    let protocol = if how.http2 { "HTTP/2" } else { "HTTP/1.1" };
    Ok(record.with("bodies", "decrypted").with("protocol", protocol).with("connections", how.connections))
}

async fn read_h1(
    server: Arc<Server>,
    paths: Arc<[String]>,
    first: usize,
    end: Instant,
) -> io::Result<Record> {
    let mut connection = Connection::open(&server).await?;
    let host = server.address.to_string();
    let mut record = Record::default();
    for path in paths.iter().cycle().skip(first % paths.len()) {
        let asked = Instant::now();
        if asked >= end {
            break;
        }
        let request = Request::new("GET", path).head(&host, "strata-load", None);
        let head = connection.ask(&request, Body::None, Take::Copy).await?;
        if head.status != 200 {
            return Err(bad(format!("the server answers {}", head.status)));
        }
        record.count(asked.elapsed(), head.length.unwrap_or(0));
    }
    Ok(record)
}

async fn connect_h2(server: &Server) -> io::Result<SendRequest<bytes::Bytes>> {
    let config = server.tls.clone().ok_or_else(|| bad("HTTP/2 is spoken over TLS"))?;
    let socket = TcpStream::connect(server.address).await?;
    socket.set_nodelay(true)?;
    let name = ServerName::IpAddress(server.address.ip().into());
    let stream = TlsConnector::from(config).connect(name, socket).await?;
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(bad("the server does not speak HTTP/2"));
    }
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn read_h2(
    sender: SendRequest<bytes::Bytes>,
    server: Arc<Server>,
    paths: Arc<[String]>,
    first: usize,
    end: Instant,
) -> io::Result<Record> {
    let mut record = Record::default();
    for path in paths.iter().cycle().skip(first % paths.len()) {
        let asked = Instant::now();
        if asked >= end {
            break;
        }
        let request = http::Request::builder()
            .method(Method::GET)
            .uri(format!("https://{}{path}", server.address))
            .body(())
            .map_err(io::Error::other)?;
        let mut sender = sender.clone().ready().await.map_err(io::Error::other)?;
        let (response, _) = sender.send_request(request, true).map_err(io::Error::other)?;
        let response = response.await.map_err(io::Error::other)?;
        if response.status() != 200 {
            return Err(bad(format!("the server answers {}", response.status())));
        }
        let (mut body, mut bytes) = (response.into_body(), 0);
        while let Some(data) = poll_fn(|context| body.poll_data(context)).await {
            let data = data.map_err(io::Error::other)?;
            bytes += data.len() as u64;
            body.flow_control().release_capacity(data.len()).map_err(io::Error::other)?;
        }
        record.count(asked.elapsed(), bytes);
    }
    Ok(record)
}
