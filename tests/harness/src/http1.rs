//! A raw HTTP/1.1 connection: the test decides every byte and every moment.

use crate::message::{Body, Request, Response};
use bytes::Bytes;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Longest silence of the server that a test accepts.
const PATIENCE: Duration = Duration::from_mins(1);

/// One connection. Dropping it closes it.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    host: String,
    received: Vec<u8>,
}

/// Status line and headers of a response whose body is still to be read.
#[derive(Clone, Debug)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// In order, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    fn value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The declared length of the body.
    pub fn content_length(&self) -> Option<u64> {
        self.value("content-length").and_then(|text| text.parse().ok())
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, host: address.to_string(), received: Vec::new() })
    }

    /// The socket, for tests that shrink buffers or shut one direction.
    pub fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends `bytes` as they are.
    ///
    /// # Errors
    /// When the server closed the connection.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends one chunk of a chunked body.
    ///
    /// # Errors
    /// When the server closed the connection.
    pub fn send_chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
        self.stream.write_all(bytes)?;
        self.stream.write_all(b"\r\n")
    }

    /// Sends the head of `request` only.
    ///
    /// # Errors
    /// When the server closed the connection.
    pub fn send_head(&mut self, request: &Request) -> io::Result<()> {
        let head = request.head_bytes(&self.host);
        self.stream.write_all(&head)
    }

    /// Sends head and body.
    ///
    /// # Errors
    /// When the server closed the connection.
    pub fn send(&mut self, request: &Request) -> io::Result<()> {
        let mut head = request.head_bytes(&self.host);
        match &request.body {
            Body::Empty => self.stream.write_all(&head),
            Body::Sized(bytes) if bytes.len() <= 64 * 1024 => {
                head.extend_from_slice(bytes);
                self.stream.write_all(&head)
            }
            Body::Sized(bytes) => {
                self.stream.write_all(&head)?;
                self.stream.write_all(bytes)
            }
            Body::Chunked(chunks) => {
                self.stream.write_all(&head)?;
                for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
                    self.send_chunk(chunk)?;
                }
                self.stream.write_all(b"0\r\n\r\n")
            }
        }
    }

    /// Sends and reads the answer; one that comes before the body is sent is read all the same.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        let sent = self.send(request);
        match self.read_response(&request.method, &request.target) {
            Ok(response) => Ok(response),
            Err(error) => Err(sent.err().unwrap_or(error)),
        }
    }

    /// Reads the answer to a request of `method`; informational ones are passed over.
    ///
    /// # Errors
    /// When the connection ends before the answer does, or the answer is not HTTP/1.1.
    pub fn read_response(&mut self, method: &str, target: &str) -> io::Result<Response> {
        let head = loop {
            let head = self.read_head()?;
            if !(100..200).contains(&head.status) {
                break head;
            }
        };
        let body = self.read_body(method, &head)?;
        let request = format!("{method} {target}");
        Ok(Response { status: head.status, headers: head.headers, body, request })
    }

    /// Reads up to the empty line.
    ///
    /// # Errors
    /// When the connection ends before it, or the lines are not HTTP/1.1.
    pub fn read_head(&mut self) -> io::Result<Head> {
        let end = loop {
            if let Some(at) = find(&self.received, b"\r\n\r\n") {
                break at;
            }
            self.fill()?;
        };
        let text = String::from_utf8_lossy(&self.received[..end]).into_owned();
        self.received.drain(..end + 4);
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(status_of).ok_or_else(|| malformed(&text))?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(line))?;
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Ok(Head { status, headers: lines.map(header).collect::<io::Result<_>>()? })
    }

    fn read_body(&mut self, method: &str, head: &Head) -> io::Result<Bytes> {
        if method == "HEAD" || matches!(head.status, 204 | 304) {
            return Ok(Bytes::new());
        }
        if head.value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return self.read_chunked();
        }
        match head.content_length() {
            Some(length) => self.read_exact(length as usize),
            None => self.read_to_end(),
        }
    }

    fn read_chunked(&mut self) -> io::Result<Bytes> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line()?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16).map_err(|_| malformed(&line))?;
            if size == 0 {
                while !self.read_line()?.is_empty() {}
                return Ok(body.into());
            }
            body.extend_from_slice(&self.read_exact(size)?);
            if !self.read_line()?.is_empty() {
                return Err(malformed("a chunk longer than it says"));
            }
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let end = loop {
            if let Some(at) = find(&self.received, b"\r\n") {
                break at;
            }
            self.fill()?;
        };
        let line = String::from_utf8_lossy(&self.received[..end]).into_owned();
        self.received.drain(..end + 2);
        Ok(line)
    }

    /// Reads exactly `length` bytes of a body.
    ///
    /// # Errors
    /// When the connection ends before.
    pub fn read_exact(&mut self, length: usize) -> io::Result<Bytes> {
        let mut out = Vec::with_capacity(length);
        let buffered = self.received.len().min(length);
        out.extend(self.received.drain(..buffered));
        let missing = length - out.len();
        out.resize(length, 0);
        self.stream.read_exact(&mut out[length - missing..])?;
        Ok(out.into())
    }

    /// Reads until the server closes, cleanly or not; what came is what counts.
    ///
    /// # Errors
    /// When the server goes on holding the connection in silence.
    pub fn read_to_end(&mut self) -> io::Result<Bytes> {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(error) if is_end(&error) => return Ok(std::mem::take(&mut self.received).into()),
                Err(error) => return Err(error),
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut piece = vec![0u8; 64 * 1024];
        match self.stream.read(&mut piece)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            read => {
                self.received.extend_from_slice(&piece[..read]);
                Ok(())
            }
        }
    }

    /// Says that nothing more will be sent, and goes on reading.
    ///
    /// # Errors
    /// When the connection is gone already.
    pub fn finish_sending(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Asserts that the server closes this connection without sending anything more.
    #[track_caller]
    pub fn expect_closed(mut self) {
        let rest = self.read_to_end().expect("the server closes the connection");
        assert!(
            rest.is_empty(),
            "{} more bytes: {}",
            rest.len(),
            String::from_utf8_lossy(&rest[..rest.len().min(400)])
        );
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
    )
}

fn status_of(line: &str) -> Option<u16> {
    let mut words = line.split(' ');
    let version = words.next()?;
    version.starts_with("HTTP/1.").then_some(())?;
    words.next()?.parse().ok()
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP/1.1: {text}"))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
