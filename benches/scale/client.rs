//! One kept-alive connection that asks one thing after the other and says how long each took. Blocking, so that nothing but the
//! server and the kernel is measured.

use crate::Outcome;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How much is read at once: every answer here fits into a few of these.
const READ_BYTES: usize = 256 << 10;

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    filled: usize,
}

/// An answer as far as it matters.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body_bytes: usize,
    pub(crate) took: Duration,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Outcome<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Client { stream, input: vec![0; READ_BYTES], filled: 0 })
    }

    /// Sends one request and waits for the whole answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Outcome<Answer> {
        let started = Instant::now();
        self.stream.write_all(request)?;
        self.filled = 0;
        let head_end = loop {
            let seen = self.input.get(..self.filled).unwrap_or_default();
            if let Some(at) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more()?;
        };
        let head = String::from_utf8_lossy(self.input.get(..head_end).unwrap_or_default()).into_owned();
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).ok_or("no status")?;
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:").map(|text| text.trim().parse::<usize>())
        });
        let bodyless = request.starts_with(b"HEAD");
        let body_bytes = if bodyless { 0 } else { length.ok_or("no content-length")?? };
        let mut here = self.filled - head_end;
        while here < body_bytes {
            self.filled = 0;
            self.more()?;
            here += self.filled;
        }
        Ok(Answer { status, body_bytes, took: started.elapsed() })
    }

    fn more(&mut self) -> Outcome<()> {
        let room = self.input.get_mut(self.filled..).unwrap_or_default();
        match self.stream.read(room)? {
            0 => Err("the server closed the connection".into()),
            count => {
                self.filled += count;
                Ok(())
            }
        }
    }
}

/// A request as bytes.
pub(crate) fn request(method: &str, path: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: scale\r\nAccept: */*\r\n");
    if !media_type.is_empty() {
        bytes.extend(["Content-Type: ", media_type, "\r\nContent-Length: ", &body.len().to_string(), "\r\n"]);
    }
    bytes += "\r\n";
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
