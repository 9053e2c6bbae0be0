//! One HTTP/1.1 connection of the load generator: requests out, heads in, bodies thrown away.
//!
//! No pipelining, no chunked bodies, no TLS: replies must carry a `Content-Length`, as a registry's do.

use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use crate::content::MANIFEST_TYPE;

/// How much one receive may discard.
const DISCARD_BYTES: usize = 1 << 20;
/// How much of a reply is read together with its head: small bodies come in one call.
const HEAD_BYTES: usize = 16 << 10;

/// What the head of a reply said, as far as the load generator cares.
#[derive(Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The length of the body that follows, in bytes.
    pub length: u64,
    /// The path of the `Location` header, without scheme and host.
    pub location: Option<String>,
}

/// A kept-alive connection to one server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    input: BytesMut,
    /// Where discarded bytes would go if the kernel wrote them: it does not, so these pages are never touched.
    void: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// What the socket says.
    pub async fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            address,
            input: BytesMut::with_capacity(HEAD_BYTES),
            void: vec![0; DISCARD_BYTES],
        })
    }

    /// Sends a request that has no body and waits for the reply, whose body is thrown away.
    ///
    /// # Errors
    /// What the socket says, or that the reply was not understood.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<Head> {
        self.stream.write_all(request).await?;
        self.reply("HEAD".as_bytes() == request.get(..4).unwrap_or_default()).await
    }

    /// Sends a request whose body is `parts`, one after the other, and waits for the reply.
    ///
    /// # Errors
    /// What the socket says, or that the reply was not understood.
    pub async fn put<'a>(
        &mut self,
        method: &str,
        path: &str,
        media_type: &str,
        parts: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> io::Result<Head> {
        let length: usize = parts.clone().map(<[u8]>::len).sum();
        let mut head = self.request(
            method,
            path,
            &[("Content-Type", media_type), ("Content-Length", &length.to_string())],
        );
        let mut parts = parts.peekable();
        // A small body goes out with its head: two small segments would be two packets and two wake-ups of the server.
        if length <= 2 * HEAD_BYTES {
            for part in parts.by_ref() {
                head.extend_from_slice(part);
            }
        }
        self.stream.write_all(&head).await?;
        for part in parts {
            self.stream.write_all(part).await?;
        }
        self.reply(false).await
    }

    /// The bytes of a request without a body.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut text =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nAccept: {MANIFEST_TYPE}, */*\r\n", self.address);
        for (name, value) in headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    async fn reply(&mut self, bodyless: bool) -> io::Result<Head> {
        let head = self.head().await?;
        if !bodyless {
            self.skip(head.length).await?;
        }
        Ok(head)
    }

    async fn head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(end) = self.input.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.input.split_to(end + 4);
                return parse(&head).ok_or_else(|| bad("the reply's head was not understood"));
            }
            self.input.reserve(HEAD_BYTES);
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Throws the next `length` bytes away: those that are here already, the rest inside the kernel.
    async fn skip(&mut self, length: u64) -> io::Result<()> {
        let here = usize::try_from(length).unwrap_or(usize::MAX).min(self.input.len());
        drop(self.input.split_to(here));
        let mut left = length - here as u64;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(DISCARD_BYTES);
            let void = self.void.get_mut(..most).unwrap_or_default();
            // TCP with MSG_TRUNC counts the bytes off its queue without copying them.
            let received = self
                .stream
                .async_io(Interest::READABLE, || Ok(recv(&self.stream, &mut *void, RecvFlags::TRUNC)?))
                .await?;
            if received.1 == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= received.1 as u64;
        }
        Ok(())
    }
}

/// An error of this generator's own.
pub(crate) fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn parse(head: &[u8]) -> Option<Head> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut parsed = Head { status, length: 0, location: None };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            parsed.length = value.trim().parse().ok()?;
        } else if name.eq_ignore_ascii_case("location") {
            parsed.location = Some(path_of(value.trim()).to_owned());
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return None;
        }
    }
    Some(parsed)
}

fn path_of(location: &str) -> &str {
    match location.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => location,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_whatever_its_case() {
        let head = parse(b"HTTP/1.1 202 Accepted\r\nLOCATION: http://h:1/v2/a\r\ncontent-length: 7\r\n\r\n")
            .unwrap();
        assert_eq!((head.status, head.length, head.location.as_deref()), (202, 7, Some("/v2/a")));
    }

    #[test]
    fn a_chunked_reply_is_refused() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_none());
    }
}
