//! HTTP/2 and TLS, by hyper's client on a runtime of its own; calls block.

use crate::endpoint::Endpoint;
use crate::message::{Body, Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

type Sending = BoxBody<Bytes, io::Error>;

enum Sender {
    One(http1::SendRequest<Sending>),
    Two(http2::SendRequest<Sending>),
}

/// One connection that hyper drives.
pub struct Client {
    runtime: Runtime,
    sender: Sender,
    host: String,
    scheme: &'static str,
    /// The protocol that ALPN agreed on.
    pub protocol: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("host", &self.host)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// HTTP/2 in clear text with prior knowledge.
    #[track_caller]
    pub fn h2c(endpoint: Endpoint) -> Client {
        let runtime = runtime();
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(endpoint.address).await.expect("the server accepts connections");
            Sender::Two(handshake_two(stream).await)
        });
        Client { runtime, sender, host: endpoint.address.to_string(), scheme: "http", protocol: None }
    }

    /// TLS; HTTP/2 if ALPN agrees on it, else HTTP/1.1.
    ///
    /// # Errors
    /// When the TLS handshake fails.
    #[track_caller]
    pub fn tls(endpoint: Endpoint, config: Arc<ClientConfig>) -> io::Result<Client> {
        let runtime = runtime();
        let (sender, protocol) = runtime.block_on(async {
            let stream = TcpStream::connect(endpoint.address).await?;
            let name = ServerName::try_from("localhost").expect("a valid name");
            let stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await?;
            let protocol =
                stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
            let sender = if protocol.as_deref() == Some("h2") {
                Sender::Two(handshake_two(stream).await)
            } else {
                Sender::One(handshake_one(stream).await)
            };
            Ok::<_, io::Error>((sender, protocol))
        })?;
        let host = format!("localhost:{}", endpoint.address.port());
        Ok(Client { runtime, sender, host, scheme: "https", protocol })
    }

    /// Sends one request.
    #[track_caller]
    pub fn send(&mut self, request: &Request) -> Response {
        match self.try_send(request) {
            Ok(response) => response,
            Err(error) => panic!("no answer to {} {}: {error}", request.method, request.target),
        }
    }

    /// Sends one request.
    ///
    /// # Errors
    /// When the stream or the connection ends before the answer does.
    pub fn try_send(&mut self, request: &Request) -> io::Result<Response> {
        let built = self.build(request);
        let sender = &mut self.sender;
        self.runtime.block_on(async {
            let answer = match sender {
                Sender::One(sender) => {
                    sender.ready().await.map_err(io::Error::other)?;
                    sender.send_request(built).await
                }
                Sender::Two(sender) => sender.send_request(built).await,
            };
            gather(answer.map_err(io::Error::other)?, request).await
        })
    }

    /// Sends all at once, each on a stream of its own; HTTP/2 only. Answers are in the order of the requests.
    #[track_caller]
    pub fn send_all(&self, requests: &[Request]) -> Vec<Response> {
        let Sender::Two(sender) = &self.sender else { panic!("HTTP/1.1 has no streams") };
        let built: Vec<_> = requests.iter().map(|request| (self.build(request), request.clone())).collect();
        self.runtime.block_on(async {
            let started: Vec<_> = built
                .into_iter()
                .map(|(built, request)| {
                    let mut sender = sender.clone();
                    tokio::spawn(async move {
                        let answer = sender.send_request(built).await.map_err(io::Error::other)?;
                        gather(answer, &request).await
                    })
                })
                .collect();
            let mut answers = Vec::new();
            for task in started {
                answers.push(task.await.expect("no task panics").expect("every stream is answered"));
            }
            answers
        })
    }

    /// Sends the head and `sent` of the body, then resets the stream; HTTP/2 only.
    #[track_caller]
    pub fn send_and_reset(&self, request: &Request, sent: Bytes) {
        let Sender::Two(sender) = &self.sender else { panic!("HTTP/1.1 has no streams") };
        let mut sender = sender.clone();
        let torn = io::Error::other("the client gives up");
        let frames = vec![Ok(Frame::data(sent)), Err(torn)];
        let body = BodyExt::boxed(StreamBody::new(iterate(frames)));
        let built = self.head(request).body(body).expect("a valid request");
        let answer = self.runtime.block_on(sender.send_request(built));
        assert!(
            answer.is_err() || answer.is_ok_and(|answer| answer.status().is_client_error()),
            "a torn request"
        );
    }

    /// Sends the head, and of the body whatever the test feeds, until it drops the [`Feeder`]; HTTP/2 only.
    #[track_caller]
    pub fn feed(&self, request: &Request) -> (Feeder, Answer) {
        let Sender::Two(sender) = &self.sender else { panic!("HTTP/1.1 has no streams") };
        let mut sender = sender.clone();
        let (feeder, fed) = tokio::sync::mpsc::unbounded_channel();
        let frames = futures_util::stream::unfold(fed, |mut fed| async {
            let bytes = fed.recv().await?;
            Some((Ok(Frame::data(bytes)), fed))
        });
        let built =
            self.head(request).body(BodyExt::boxed(StreamBody::new(frames))).expect("a valid request");
        let request = request.clone();
        let task = self.runtime.spawn(async move {
            let answer = sender.send_request(built).await.map_err(io::Error::other)?;
            gather(answer, &request).await
        });
        (Feeder { feeder }, Answer { task })
    }

    /// Waits for the answer to a request that was fed.
    ///
    /// # Errors
    /// When the stream or the connection ends before the answer does.
    #[track_caller]
    pub fn answer(&self, answer: Answer) -> io::Result<Response> {
        self.runtime.block_on(answer.task).expect("no task panics")
    }

    fn head(&self, request: &Request) -> http::request::Builder {
        let target = match &self.sender {
            Sender::One(_) => request.target.clone(),
            Sender::Two(_) => format!("{}://{}{}", self.scheme, self.host, request.target),
        };
        let mut builder = http::Request::builder().method(request.method.as_str()).uri(target);
        if matches!(self.sender, Sender::One(_)) {
            builder = builder.header("host", &self.host);
        }
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        builder
    }

    fn build(&self, request: &Request) -> http::Request<Sending> {
        let body = match &request.body {
            Body::Empty => http_body_util::Empty::new().map_err(|never| match never {}).boxed(),
            Body::Sized(bytes) => {
                http_body_util::Full::new(bytes.clone()).map_err(|never| match never {}).boxed()
            }
            Body::Chunked(chunks) => {
                let frames = chunks.iter().cloned().map(Frame::data).map(Ok).collect();
                BodyExt::boxed(StreamBody::new(iterate(frames)))
            }
        };
        self.head(request).body(body).expect("a valid request")
    }
}

/// The body of a request on its way. Dropping it ends the body.
#[derive(Debug)]
pub struct Feeder {
    feeder: tokio::sync::mpsc::UnboundedSender<Bytes>,
}

impl Feeder {
    /// Sends `bytes`.
    #[track_caller]
    pub fn send(&self, bytes: Bytes) {
        self.feeder.send(bytes).expect("the request is still on its way");
    }
}

/// An answer that is still to come.
#[derive(Debug)]
pub struct Answer {
    task: tokio::task::JoinHandle<io::Result<Response>>,
}

/// A stream of what is there already.
fn iterate(
    frames: Vec<io::Result<Frame<Bytes>>>,
) -> impl futures_core::Stream<Item = io::Result<Frame<Bytes>>> + Send + Sync {
    futures_util::stream::iter(frames)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts")
}

async fn handshake_one(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> http1::SendRequest<Sending> {
    let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.expect("an HTTP/1.1 connection");
    tokio::spawn(driver);
    sender
}

async fn handshake_two(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> http2::SendRequest<Sending> {
    let builder = http2::Builder::new(TokioExecutor::new());
    let (sender, driver) = builder.handshake(TokioIo::new(stream)).await.expect("an HTTP/2 connection");
    tokio::spawn(driver);
    sender
}

async fn gather(answer: http::Response<hyper::body::Incoming>, request: &Request) -> io::Result<Response> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Ok(Response {
        status: head.status.as_u16(),
        headers: head.headers.iter().map(line).collect(),
        body,
        request: format!("{} {}", request.method, request.target),
    })
}
