//! An address to send requests to, one connection a request like most clients.

use crate::http1::Connection;
use crate::message::{Request, Response};
use crate::repository::Repository;
use std::io;
use std::net::SocketAddr;

/// Where one listener of the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// The value of `Authorization` that every request gets which has none; not those of [`Endpoint::connect`].
    pub authorization: Option<&'static str>,
}

impl Endpoint {
    /// A listener, to be asked without credentials.
    pub const fn new(address: SocketAddr, tls: bool) -> Endpoint {
        Endpoint { address, tls, authorization: None }
    }

    /// The same, asked with an access key.
    #[must_use]
    pub fn with_key(self, id: &str, secret: &str) -> Endpoint {
        self.with_authorization(&basic(id, secret))
    }

    /// The same, asked with a token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Endpoint {
        self.with_authorization(&format!("Bearer {token}"))
    }

    /// The same, asked with this value of `Authorization`.
    #[must_use]
    pub fn with_authorization(self, value: &str) -> Endpoint {
        // A test has a handful of them, and an endpoint is to stay a plain value.
        Endpoint { authorization: Some(Box::leak(value.to_owned().into_boxed_str())), ..self }
    }

    /// A new connection.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(self.address).expect("the server accepts connections")
    }

    /// Sends one request on a connection of its own.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub fn try_send(&self, request: &Request) -> io::Result<Response> {
        let mut connection = Connection::open(self.address)?;
        let has_own = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        match self.authorization.filter(|_| !has_own) {
            Some(value) => connection.exchange(&request.clone().header("authorization", value)),
            None => connection.exchange(request),
        }
    }

    /// Sends one request on a connection of its own.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        match self.try_send(request) {
            Ok(response) => response,
            Err(error) => panic!("no answer to {} {}: {error}", request.method, request.target),
        }
    }

    /// `GET target`.
    #[track_caller]
    pub fn get(&self, target: impl Into<String>) -> Response {
        self.send(&Request::get(target))
    }

    /// `HEAD target`.
    #[track_caller]
    pub fn head(&self, target: impl Into<String>) -> Response {
        self.send(&Request::head(target))
    }

    /// `POST target`, no body.
    #[track_caller]
    pub fn post(&self, target: impl Into<String>) -> Response {
        self.send(&Request::post(target))
    }

    /// `PUT target`, no body.
    #[track_caller]
    pub fn put(&self, target: impl Into<String>) -> Response {
        self.send(&Request::put(target))
    }

    /// `DELETE target`.
    #[track_caller]
    pub fn delete(&self, target: impl Into<String>) -> Response {
        self.send(&Request::delete(target))
    }

    /// The repository `name` behind this address; nothing is asked or made.
    pub fn repository(&self, name: &str) -> Repository {
        Repository::new(*self, name)
    }
}

/// `Basic …` of a user name and a password.
pub fn basic(name: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("{name}:{password}");
    let digits = text.as_bytes().chunks(3).flat_map(|chunk| {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digit = move |at: usize| DIGITS[(bits >> (18 - 6 * at)) as usize & 63] as char;
        (0..4).map(move |at| if at <= chunk.len() { digit(at) } else { '=' })
    });
    format!("Basic {}", digits.collect::<String>())
}
