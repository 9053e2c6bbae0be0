//! The same deeds over each protocol, one after another over one connection.

use crate::Outcome;
use crate::server::Server;
use bytes::Bytes;
use futures_util::stream;
use h2::client::SendRequest;
use std::future::poll_fn;
use std::sync::Arc;
use strata_benches::content::Blob;
use strata_benches::wire;
use strata_benches::wire::{Body, Connection, Take};
use strata_harness::grpc::v1::blobs_write_request::Part;
use strata_harness::grpc::{Grpc, GrpcAddress, v1};
use tokio::net::TcpStream;

/// Where everything is.
pub(crate) const REPOSITORY: &str = "bench/grpc";

/// What a server may send before it hears more, for a stream and for the connection: hyper's defaults, which the client of gRPC has.
const WINDOWS: (u32, u32) = (2 << 20, 5 << 20);

/// Bytes of a message, or of what is handed to HTTP/2 at once.
const PIECE: usize = 256 << 10;

/// A connection of one protocol.
pub(crate) enum Client {
    Http1(Box<Connection>, String),
    Http2(SendRequest<Bytes>, String),
    Grpc(Grpc),
}

impl Client {
    /// One of each: HTTP/1.1, HTTP/2, gRPC.
    pub(crate) async fn each(server: &Server) -> Outcome<[Client; 3]> {
        let host = server.http.to_string();
        let plain = Arc::new(wire::Server::plain(server.http));
        let socket = TcpStream::connect(server.http).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOWS.0)
            .initial_connection_window_size(WINDOWS.1)
            .handshake(socket)
            .await?;
        tokio::spawn(connection);
        Ok([
            Client::Http1(Box::new(Connection::open(&plain).await?), host.clone()),
            Client::Http2(sender, host),
            Client::Grpc(grpc(server)),
        ])
    }

    /// Reads a blob and throws it away; says how long it was.
    pub(crate) async fn read(&mut self, digest: &str) -> Outcome<u64> {
        let path = format!("/v2/{REPOSITORY}/blobs/{digest}");
        match self {
            Client::Http1(connection, host) => {
                let head = wire::Request::new("GET", &path).head(host, "strata-load", None);
                let reply = connection.ask(&head, Body::None, Take::Copy).await?;
                expect(reply.status, 200)?;
                Ok(reply.length.unwrap_or(0))
            }
            Client::Http2(sender, host) => {
                let request = http::Request::get(format!("http://{host}{path}")).body(())?;
                let (response, _) = sender.clone().ready().await?.send_request(request, true)?;
                let response = response.await?;
                expect(response.status().as_u16(), 200)?;
                let (mut body, mut bytes) = (response.into_body(), 0);
                while let Some(data) = poll_fn(|context| body.poll_data(context)).await {
                    let data = data?;
                    bytes += data.len() as u64;
                    body.flow_control().release_capacity(data.len())?;
                }
                Ok(bytes)
            }
            Client::Grpc(grpc) => {
                let asked = v1::BlobsReadRequest {
                    repository: REPOSITORY.to_owned(),
                    digest: digest.to_owned(),
                    ..Default::default()
                };
                let (mut pieces, mut bytes) = (grpc.blobs().read(asked).await?.into_inner(), 0);
                while let Some(piece) = pieces.message().await? {
                    bytes += piece.data.len() as u64;
                }
                Ok(bytes)
            }
        }
    }

    /// Writes a blob in one request or call.
    pub(crate) async fn write(&mut self, blob: &Blob) -> Outcome<()> {
        let path = format!("/v2/{REPOSITORY}/blobs/uploads/?digest={}", blob.digest);
        match self {
            Client::Http1(connection, host) => {
                let body = Body::Sized(blob);
                let request = wire::Request::new("POST", &path).body(Some("application/octet-stream"), body);
                let head = request.head(host, "strata-load", None);
                expect(connection.ask(&head, body, Take::Discard).await?.status, 201)
            }
            Client::Http2(sender, host) => {
                let request = http::Request::post(format!("http://{host}{path}"));
                let request = request.header("content-length", blob.length).body(())?;
                let (response, mut body) = sender.clone().ready().await?.send_request(request, false)?;
                for mut piece in pieces(blob) {
                    while !piece.is_empty() {
                        body.reserve_capacity(piece.len());
                        let room = poll_fn(|context| body.poll_capacity(context)).await;
                        let room = room.ok_or("the server wants no more")??.min(piece.len());
                        body.send_data(piece.split_to(room), false)?;
                    }
                }
                body.send_data(Bytes::new(), true)?;
                expect(response.await?.status().as_u16(), 201)
            }
            Client::Grpc(grpc) => write(grpc, blob).await,
        }
    }
}

/// A client of gRPC with a connection of its own.
pub(crate) fn grpc(server: &Server) -> Grpc {
    Grpc::new(&GrpcAddress::Tcp(server.grpc))
}

/// Writes a blob in one call.
pub(crate) async fn write(grpc: &Grpc, blob: &Blob) -> Outcome<()> {
    let start = v1::BlobsWriteStart {
        repository: REPOSITORY.to_owned(),
        digest: blob.digest.clone(),
        size: Some(blob.length as u64),
        ..Default::default()
    };
    let data: Vec<Part> = pieces(blob).map(Part::Data).collect();
    let parts = std::iter::once(Part::Start(start)).chain(data);
    let messages = parts.map(|part| v1::BlobsWriteRequest { part: Some(part) });
    let written = grpc.blobs().write(stream::iter(messages)).await?.into_inner();
    if written.digest == blob.digest { Ok(()) } else { Err("another digest".into()) }
}

/// The content of a blob as it is sent; no byte is copied.
fn pieces(blob: &Blob) -> impl Iterator<Item = Bytes> {
    blob.parts.iter().flat_map(|part| {
        let starts = (0..part.len()).step_by(PIECE);
        starts.map(|start| part.slice(start..part.len().min(start + PIECE)))
    })
}

fn expect(status: u16, expected: u16) -> Outcome<()> {
    if status == expected { Ok(()) } else { Err(format!("the server answers {status}").into()) }
}
