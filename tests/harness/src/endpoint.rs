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
}

impl Endpoint {
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
        Connection::open(self.address)?.exchange(request)
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
