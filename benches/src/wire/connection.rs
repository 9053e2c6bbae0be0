//! One connection: requests out, replies in.

use std::io;

use bytes::{Bytes, BytesMut};
use rustix::net::{RecvFlags, recv};
use rustls_pki_types::ServerName;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Body, Head, Server, bad};
use crate::content::Blob;

/// How much one receive may discard or copy.
const RECEIVE_BYTES: usize = 256 << 10;
/// How much of a reply is read together with its head: small bodies come in one call.
const HEAD_BYTES: usize = 16 << 10;
/// The chunks that Go's clients send: what `io.Copy` reads at a time.
const CHUNK_BYTES: usize = 32 << 10;

/// What becomes of the body of a reply.
#[derive(Debug)]
pub enum Take<'a> {
    /// Thrown away, inside the kernel where it can be.
    Discard,
    /// Copied out of the kernel and thrown away.
    Copy,
    /// Kept.
    Keep(&'a mut Vec<u8>),
    /// Hashed.
    Hash(&'a mut Sha256),
}

impl Take<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        match self {
            Take::Discard | Take::Copy => {}
            Take::Keep(all) => all.extend_from_slice(bytes),
            Take::Hash(hasher) => hasher.update(bytes),
        }
    }
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.write_all(bytes).await,
            Stream::Tls(stream) => stream.write_all(bytes).await,
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(_) => Ok(()),
            Stream::Tls(stream) => stream.flush().await,
        }
    }

    /// Some bytes, at most what `into` has room for. An end is an error: nobody asks when nothing is expected.
    async fn read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        let read = match self {
            Stream::Plain(stream) => stream.read_buf(into).await?,
            Stream::Tls(stream) => stream.read_buf(into).await?,
        };
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
    }
}

/// A connection to one server.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    input: BytesMut,
    /// Where discarded bytes would go if the kernel wrote them: it does not, so these pages are never touched.
    void: Vec<u8>,
    /// A reply has been read to its end: whatever fails next may be the server having closed an idle connection.
    pub(super) used: bool,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// What the socket or TLS says.
    pub async fn open(server: &Server) -> io::Result<Connection> {
        let socket = TcpStream::connect(server.address).await?;
        socket.set_nodelay(true)?;
        let stream = match &server.tls {
            None => Stream::Plain(socket),
            Some(config) => {
                let name = ServerName::IpAddress(server.address.ip().into());
                Stream::Tls(Box::new(TlsConnector::from(config.clone()).connect(name, socket).await?))
            }
        };
        Ok(Connection { stream, input: BytesMut::with_capacity(HEAD_BYTES), void: Vec::new(), used: false })
    }

    /// Sends a head and the body that goes with it, and waits for the reply, whose body is taken as told.
    ///
    /// # Errors
    /// What the socket says, or that the reply was not understood.
    pub async fn ask(&mut self, head: &str, body: Body<'_>, take: Take<'_>) -> io::Result<Head> {
        match body {
            Body::None | Body::Empty => self.stream.write_all(head.as_bytes()).await?,
            Body::Sized(blob) => self.send_sized(head, blob).await?,
            Body::Chunked(blob) => self.send_chunks(head, blob).await?,
        }
        self.stream.flush().await?;
        let reply = self.head().await?;
        if !head.starts_with("HEAD ") && reply.status != 204 && reply.status != 304 {
            self.body(&reply, take).await?;
        }
        self.used = true;
        Ok(reply)
    }

    async fn send_sized(&mut self, head: &str, blob: &Blob) -> io::Result<()> {
        // A small body goes out with its head: two small segments would be two packets and two wake-ups of the server.
        if blob.length <= 2 * HEAD_BYTES {
            let parts = std::iter::once(head.as_bytes()).chain(blob.parts.iter().map(Bytes::as_ref));
            return self.stream.write_all(&parts.collect::<Vec<_>>().concat()).await;
        }
        self.stream.write_all(head.as_bytes()).await?;
        for part in &blob.parts {
            self.stream.write_all(part).await?;
        }
        Ok(())
    }

    async fn send_chunks(&mut self, head: &str, blob: &Blob) -> io::Result<()> {
        let mut out = head.as_bytes().to_vec();
        for chunk in blob.parts.iter().flat_map(|part| part.chunks(CHUNK_BYTES)) {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
            if out.len() >= CHUNK_BYTES {
                self.stream.write_all(&out).await?;
                out.clear();
            }
        }
        out.extend_from_slice(b"0\r\n\r\n");
        self.stream.write_all(&out).await
    }

    async fn head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(end) = self.input.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.input.split_to(end + 4);
                return Head::parse(&head).ok_or_else(|| bad("the reply's head was not understood"));
            }
            self.input.reserve(HEAD_BYTES);
            self.stream.read(&mut self.input).await?;
        }
    }

    async fn body(&mut self, head: &Head, mut take: Take<'_>) -> io::Result<()> {
        if head.chunked {
            return self.chunks(&mut take).await;
        }
        let length = head.length.ok_or_else(|| bad("a reply without a length"))?;
        let discard = matches!(take, Take::Discard);
        let mut left = length - self.here(length, &mut take);
        while left > 0 {
            if discard && let Stream::Plain(stream) = &self.stream {
                left -= discard_some(stream, &mut self.void, left).await?;
            } else {
                self.input.reserve(RECEIVE_BYTES);
                self.stream.read(&mut self.input).await?;
                left -= self.here(left, &mut take);
            }
        }
        Ok(())
    }

    /// Takes up to `most` bytes of those that are here already.
    fn here(&mut self, most: u64, take: &mut Take<'_>) -> u64 {
        let here = usize::try_from(most).unwrap_or(usize::MAX).min(self.input.len());
        take.bytes(&self.input.split_to(here));
        here as u64
    }

    async fn chunks(&mut self, take: &mut Take<'_>) -> io::Result<()> {
        loop {
            let line = self.line().await?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let mut left = u64::from_str_radix(digits, 16).map_err(|_| bad("a chunk without a size"))?;
            if left == 0 {
                // Trailers, if any, end with an empty line.
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            while left > 0 {
                if self.input.is_empty() {
                    self.input.reserve(RECEIVE_BYTES);
                    self.stream.read(&mut self.input).await?;
                }
                left -= self.here(left, take);
            }
            self.line().await?;
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.input.windows(2).position(|two| two == b"\r\n") {
                let line = self.input.split_to(end + 2);
                return String::from_utf8(line.get(..end).unwrap_or_default().to_vec())
                    .map_err(|_| bad("a chunk without a size"));
            }
            self.input.reserve(HEAD_BYTES);
            self.stream.read(&mut self.input).await?;
        }
    }
}

/// Throws some of the next `left` bytes away, inside the kernel.
async fn discard_some(stream: &TcpStream, void: &mut Vec<u8>, left: u64) -> io::Result<u64> {
    if void.is_empty() {
        *void = vec![0; RECEIVE_BYTES];
    }
    let most = usize::try_from(left).unwrap_or(usize::MAX).min(void.len());
    let void = void.get_mut(..most).unwrap_or_default();
    // TCP with MSG_TRUNC counts the bytes off its queue without copying them.
    let (_, received) =
        stream.async_io(Interest::READABLE, || Ok(recv(stream, &mut *void, RecvFlags::TRUNC)?)).await?;
    if received == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(received as u64) }
}
