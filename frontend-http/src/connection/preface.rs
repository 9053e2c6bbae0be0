//! Tells HTTP/2 by prior knowledge from HTTP/1 by the first bytes of a plain connection.

use crate::socket::Socket;
use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::AsyncReadExt;

/// What an HTTP/2 client begins with (RFC 9113 §3.4). No HTTP/1 request does.
const H2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes read at most: a whole request head, as a rule, so that an HTTP/1 connection costs no extra system call.
const READ_BYTES: usize = 4096;

/// The beginning of a connection.
#[derive(Debug)]
pub(super) struct Preface {
    pub(super) is_h2: bool,
    /// All that was read.
    pub(super) bytes: Bytes,
}

/// Reads until the protocol is clear, which for HTTP/1 is after the first read.
///
/// # Errors
/// What the socket says; `UnexpectedEof` if it ends before anything was said.
pub(super) async fn read(socket: &mut Socket) -> io::Result<Preface> {
    let mut bytes = BytesMut::with_capacity(READ_BYTES);
    loop {
        if socket.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let begun = H2.len().min(bytes.len());
        let is_h2 = bytes.get(..begun) == H2.get(..begun);
        if !is_h2 || begun == H2.len() {
            return Ok(Preface { is_h2, bytes: bytes.freeze() });
        }
    }
}
