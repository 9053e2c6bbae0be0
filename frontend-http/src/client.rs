//! The other end of the admin API: what the command line asks a running server with. One connection for each request.
//!
//! Knows documents and errors of this API, follows no redirect, and sends nothing to a server whose certificate it does not trust.

mod address;
mod resource;
mod trust;

pub use resource::Resource;

use crate::document::Problem;
use address::Address;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a server may take to accept a connection, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a server may take to answer what it does at once.
const ANSWER_MAX: Duration = Duration::from_mins(2);
/// How long it may take over what takes as long as there is to do.
const WAIT_MAX: Duration = Duration::from_hours(24);
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why a server did not do what it was asked for, as a sentence for the one who asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address is none.
    #[error("{url:?} is no address of a server: {why}; give it as http://HOST:PORT or https://HOST")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The certificates to trust cannot be read.
    #[error("the certificates in {} cannot be read: {why}", path.display())]
    Trust {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is no certificate to trust.
    #[error("this system has no list of trusted certificates where they usually are; name one with --ca")]
    NoTrust,
    /// Nobody answers there.
    #[error("there is no server at {url}: {source}")]
    Away {
        /// The server.
        url: String,
        /// Why.
        source: io::Error,
    },
    /// Somebody answers there, but TLS cannot be agreed on.
    #[error("no TLS with the server at {url}: {source}{}", tls_advice(source))]
    Tls {
        /// The server.
        url: String,
        /// Why.
        source: io::Error,
    },
    /// The connection broke before the answer was there.
    #[error("the server at {url} went away before it had answered: {why}")]
    Cut {
        /// The server.
        url: String,
        /// What the connection says.
        why: String,
    },
    /// Something answers, but not as a Strata does.
    #[error("what answers at {url} is no Strata, or an older one (status {status})")]
    Foreign {
        /// The server.
        url: String,
        /// What it answered.
        status: u16,
    },
    /// What was given is no access key.
    #[error("the id of an access key has no colon")]
    Key,
    /// The server refuses.
    #[error("the server at {url} refuses: {message} ({code}, status {status})")]
    Refused {
        /// The server.
        url: String,
        /// The status.
        status: u16,
        /// The code of the error.
        code: String,
        /// What it says.
        message: String,
    },
}

impl ClientError {
    /// Whether what was given on the command line is wrong, not the server.
    pub const fn is_wrong_use(&self) -> bool {
        matches!(self, Self::Address { .. } | Self::Trust { .. } | Self::NoTrust | Self::Key)
    }

    /// The status that a server refused with.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// A server to ask.
#[derive(Debug)]
pub struct AdminClient {
    address: Address,
    tls: Option<trust::Tls>,
    /// Marked as sensitive, so that `Debug` does not show it.
    authorization: Option<HeaderValue>,
}

impl AdminClient {
    /// A client of the server at `url`, `http://…` or `https://…`. `ca` is a file of certificates (PEM) to trust instead of the
    /// system's. Connects to nothing yet.
    ///
    /// # Errors
    /// [`ClientError::Address`], [`ClientError::Trust`], [`ClientError::NoTrust`].
    pub fn new(url: &str, ca: Option<&Path>) -> Result<Self, ClientError> {
        let address = Address::parse(url)?;
        let tls = address.tls.then(|| trust::Tls::new(&address, ca)).transpose()?;
        Ok(Self { address, tls, authorization: None })
    }

    /// The same, showing an access key with every request (HTTP Basic, RFC 7617).
    ///
    /// # Errors
    /// [`ClientError::Key`] where the id holds a colon, which would end it.
    pub fn with_key(self, id: &str, secret: &str) -> Result<Self, ClientError> {
        let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        let mut authorization = HeaderValue::try_from(basic).map_err(|_| ClientError::Key)?;
        authorization.set_sensitive(true);
        if id.contains(':') {
            return Err(ClientError::Key);
        }
        Ok(Self { authorization: Some(authorization), ..self })
    }

    /// Where it asks.
    pub fn url(&self) -> &str {
        &self.address.url
    }

    /// The same server always by the same name: `https://registry.example`, `http://localhost:5000`.
    pub fn origin(&self) -> &str {
        &self.address.origin
    }

    /// Whether what goes there can be read on its way: no TLS, and another machine.
    pub fn is_in_the_open(&self) -> bool {
        !self.address.tls && !self.address.is_loopback()
    }

    /// `GET`. What is asked for is a [`Resource`], or a path that begins with `/api/v1/`.
    ///
    /// # Errors
    /// [`ClientError`], but none of its cases of wrong use; so with all that follow.
    pub async fn get<T: DeserializeOwned>(&self, of: impl Into<Resource>) -> Result<T, ClientError> {
        self.ask(Method::GET, of.into(), None, ANSWER_MAX).await
    }

    /// `POST` of a document.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post<T: DeserializeOwned>(
        &self,
        to: impl Into<Resource>,
        document: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.ask(Method::POST, to.into(), Some(crate::response::json_bytes(document)), ANSWER_MAX).await
    }

    /// `POST` of a document, to be answered when the work is done, however long that takes.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post_and_wait<T: DeserializeOwned>(
        &self,
        to: impl Into<Resource>,
        document: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.ask(Method::POST, to.into(), Some(crate::response::json_bytes(document)), WAIT_MAX).await
    }

    /// `PUT` of a document.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn put<T: DeserializeOwned>(
        &self,
        to: impl Into<Resource>,
        document: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.ask(Method::PUT, to.into(), Some(crate::response::json_bytes(document)), ANSWER_MAX).await
    }

    /// `PUT` of a document. The answer's body, if there is one, is not looked at.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn set(&self, to: impl Into<Resource>, document: &impl Serialize) -> Result<(), ClientError> {
        self.put::<Option<IgnoredAny>>(to, document).await.map(drop)
    }

    /// `PATCH` with a document.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn patch<T: DeserializeOwned>(
        &self,
        to: impl Into<Resource>,
        document: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.ask(Method::PATCH, to.into(), Some(crate::response::json_bytes(document)), ANSWER_MAX).await
    }

    /// `DELETE`. The answer's body, if there is one, is not looked at.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn delete(&self, what: impl Into<Resource>) -> Result<(), ClientError> {
        self.ask::<Option<IgnoredAny>>(Method::DELETE, what.into(), None, ANSWER_MAX).await.map(drop)
    }

    /// `DELETE`, answered with a document when the work is done.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn remove<T: DeserializeOwned>(&self, what: impl Into<Resource>) -> Result<T, ClientError> {
        self.ask(Method::DELETE, what.into(), None, WAIT_MAX).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        resource: Resource,
        body: Option<Bytes>,
        patience: Duration,
    ) -> Result<T, ClientError> {
        let connecting = timeout(CONNECT_MAX, TcpStream::connect((&*self.address.host, self.address.port)));
        let stream = connecting.await.unwrap_or_else(|_| Err(late())).map_err(|error| self.away(error))?;
        notice_silence(&stream);
        let request = self.request(method, resource, body)?;
        let answer = async {
            match &self.tls {
                None => self.exchange(stream, request).await,
                Some(tls) => {
                    let secured = timeout(CONNECT_MAX, tls.connect(stream)).await;
                    let stream =
                        secured.unwrap_or_else(|_| Err(late())).map_err(|source| self.no_tls(source))?;
                    self.exchange(stream, request).await
                }
            }
        };
        let (status, text) = timeout(patience, answer).await.unwrap_or_else(|_| Err(self.cut(late())))?;
        self.read(status, &text)
    }

    fn request(
        &self,
        method: Method,
        resource: Resource,
        body: Option<Bytes>,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let (target, condition) = resource.into_parts();
        let builder = Request::builder().method(method).uri(target).header(HOST, &*self.address.authority);
        let builder =
            condition.into_iter().fold(builder, |builder, (name, value)| builder.header(name, value));
        let builder = builder.header(USER_AGENT, concat!("strata/", env!("CARGO_PKG_VERSION")));
        let builder = match &body {
            Some(_) => builder.header(CONTENT_TYPE, "application/json"),
            None => builder,
        };
        let builder = match &self.authorization {
            Some(authorization) => builder.header(AUTHORIZATION, authorization),
            None => builder,
        };
        builder.body(Full::new(body.unwrap_or_default())).map_err(|error| self.cut(error))
    }

    /// Sends one request and reads the whole answer.
    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let made = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = made.map_err(|error| self.cut(error))?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|error| self.cut(error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok((status, body.map_err(|error| self.cut(error))?.to_bytes()))
        };
        tokio::pin!(answer);
        tokio::pin!(connection);
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            // The connection may end with the answer read and not yet taken.
            _ = &mut connection => answer.await,
        }
    }

    fn read<T: DeserializeOwned>(&self, status: StatusCode, text: &[u8]) -> Result<T, ClientError> {
        let foreign = || ClientError::Foreign { url: self.url().to_owned(), status: status.as_u16() };
        if status.is_success() {
            let text = if text.is_empty() { b"null" } else { text };
            return serde_json::from_slice(text).map_err(|_| foreign());
        }
        // What its kind means, as a sentence, helps only where nothing else is said.
        let Problem { code, title, detail: message, .. } =
            serde_json::from_slice(text).map_err(|_| foreign())?;
        Err(ClientError::Refused {
            url: self.url().to_owned(),
            status: status.as_u16(),
            code,
            message: if message.is_empty() { title } else { message },
        })
    }

    fn away(&self, source: io::Error) -> ClientError {
        ClientError::Away { url: self.url().to_owned(), source }
    }

    fn no_tls(&self, source: io::Error) -> ClientError {
        ClientError::Tls { url: self.url().to_owned(), source }
    }

    fn cut(&self, why: impl std::fmt::Display) -> ClientError {
        ClientError::Cut { url: self.url().to_owned(), why: why.to_string() }
    }
}

/// What can be done about it, where that is known.
fn tls_advice(error: &io::Error) -> &'static str {
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
            ". If the certificate is one of your own, name its authority with --ca"
        }
        Some(rustls::Error::InvalidMessage(_)) => ". What answers there speaks no TLS: is it http://?",
        _ => "",
    }
}

/// Lets the system ask now and then whether the other end is still there, so that a long wait ends with it.
fn notice_silence(stream: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(6);
    // Without it the wait ends by its bound.
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it does not answer in time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Health;

    fn client() -> AdminClient {
        AdminClient::new("http://localhost:5000", None).unwrap()
    }

    #[test]
    fn answers_are_told_apart() {
        let read = |status: u16, text: &str| {
            client().read::<Health>(StatusCode::from_u16(status).unwrap(), text.as_bytes())
        };
        assert_eq!(read(200, r#"{"ready":true,"new":1}"#).unwrap(), Health { ready: true, why: None });
        for (detail, said) in [("no room", "no room"), ("", "Too full.")] {
            let problem = format!(
                r#"{{"type":"t","title":"Too full.","status":507,"code":"NO_SPACE","detail":"{detail}","request":"r"}}"#
            );
            let refused = read(507, &problem).unwrap_err();
            assert_eq!(refused.status(), Some(507));
            let expected =
                format!("the server at http://localhost:5000 refuses: {said} (NO_SPACE, status 507)");
            assert_eq!(refused.to_string(), expected);
        }
        for (status, text) in
            [(200, "<html>"), (200, ""), (404, "404 page not found"), (404, "{}"), (302, ""), (500, "[]")]
        {
            let error = read(status, text).unwrap_err();
            assert!(matches!(error, ClientError::Foreign { status: said, .. } if said == status), "{error}");
        }
    }
}
