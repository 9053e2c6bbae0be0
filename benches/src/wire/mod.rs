//! HTTP/1.1 as registry clients speak it, on plain sockets or TLS: requests with sized or chunked bodies, replies of both kinds, bearer tokens.
//!
//! It serves the loads in which clients do several things in turn. Plain reads at full speed are `swarm`'s.

mod challenge;
mod client;
mod connection;
mod head;
mod server;

pub use client::Client;
pub(crate) use client::refused;
pub use connection::{Connection, Take};
pub use head::Head;
pub use server::{Server, make_certificate};

use std::io;

use crate::content::Blob;

/// The manifests that clients say they take.
pub const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, */*";

/// What a request carries.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// Nothing, and no word about it.
    None,
    /// `Content-Length: 0`.
    Empty,
    /// The content, its length told before.
    Sized(&'a Blob),
    /// The content in chunks, its length not told, as by those who compress while they send.
    Chunked(&'a Blob),
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// The media type of the body, if it is told.
    pub media_type: Option<&'a str>,
    /// What it carries.
    pub body: Body<'a>,
}

impl<'a> Request<'a> {
    /// One without a body.
    pub fn new(method: &'a str, path: &'a str) -> Request<'a> {
        Request { method, path, media_type: None, body: Body::None }
    }

    /// The same with this body.
    #[must_use]
    pub fn body(self, media_type: Option<&'a str>, body: Body<'a>) -> Request<'a> {
        Request { media_type, body, ..self }
    }

    /// Its first line and header fields.
    pub fn head(&self, host: &str, agent: &str, token: Option<&str>) -> String {
        let Request { method, path, .. } = self;
        let accept = if path.contains("/manifests/") { ACCEPT } else { "*/*" };
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: {accept}\r\n"
        );
        if let Some(media_type) = self.media_type {
            text.extend(["Content-Type: ", media_type, "\r\n"]);
        }
        if let Some(token) = token {
            text.extend(["Authorization: Bearer ", token, "\r\n"]);
        }
        match self.body {
            Body::None => {}
            Body::Empty => text.push_str("Content-Length: 0\r\n"),
            Body::Sized(blob) => text.extend(["Content-Length: ", &blob.length.to_string(), "\r\n"]),
            Body::Chunked(_) => text.push_str("Transfer-Encoding: chunked\r\n"),
        }
        text.push_str("\r\n");
        text
    }
}

/// An error of this generator's own.
pub(crate) fn bad(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}
