//! An HTTP/1 client that sees every byte.

use super::server::hex;
use sha2::{Digest, Sha256};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

pub(super) struct Client<S = TcpStream> {
    pub(super) stream: BufReader<S>,
}

/// A response without its body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
}

impl Head {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn len(&self) -> u64 {
        self.field("content-length").map_or(0, |value| value.parse().unwrap())
    }
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// A client whose kernel takes few bytes that it does not read.
    pub(super) async fn connect_narrow(address: SocketAddr) -> Self {
        Self::over(connect_narrow(address, 4096).await)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) fn over(stream: S) -> Self {
        Self { stream: BufReader::with_capacity(256 * 1024, stream) }
    }

    pub(super) async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(super) async fn head(&mut self) -> io::Result<Head> {
        within(self.read_head()).await
    }

    async fn read_head(&mut self) -> io::Result<Head> {
        let mut line = String::new();
        let mut fields = Vec::new();
        let mut status = 0;
        loop {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let text = line.trim_end();
            if text.is_empty() {
                return Ok(Head { status, fields });
            }
            if status == 0 {
                status = text.split(' ').nth(1).unwrap().parse().unwrap();
            } else {
                let (name, value) = text.split_once(": ").unwrap();
                fields.push((name.to_lowercase(), value.to_owned()));
            }
        }
    }

    /// Length and digest of the next `len` bytes, or of what comes before the connection ends.
    pub(super) async fn digest(&mut self, len: u64) -> (u64, String) {
        within(self.read_digest(len)).await
    }

    async fn read_digest(&mut self, len: u64) -> (u64, String) {
        let mut hash = Sha256::new();
        let mut read = 0;
        while read < len {
            let Ok(bytes) = self.stream.fill_buf().await else { break };
            let take = bytes.len().min(usize::try_from(len - read).unwrap());
            if take == 0 {
                break;
            }
            hash.update(&bytes[..take]);
            self.stream.consume(take);
            read += take as u64;
        }
        (read, hex(&hash.finalize()))
    }

    pub(super) async fn text(&mut self, len: u64) -> String {
        let mut bytes = vec![0; usize::try_from(len).unwrap()];
        self.stream.read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// One GET: status, length and digest of the body.
    pub(super) async fn get(&mut self, path: &str) -> (u16, u64, String) {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: t\r\n\r\n")).await;
        let head = self.head().await.unwrap();
        let (len, digest) = self.digest(head.len()).await;
        assert_eq!(len, head.len(), "{path} was cut");
        (head.status, len, digest)
    }

    /// Whether the server has ended the connection, after `rest` bytes that do not matter.
    pub(super) async fn ended(&mut self) -> bool {
        let mut rest = Vec::new();
        match within(self.stream.read_to_end(&mut rest)).await {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

/// Waits for what has to happen soon on any machine.
async fn within<T>(soon: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), soon).await.expect("within half a minute")
}

/// A connection whose kernel takes no more than some bytes that are not read.
pub(super) async fn connect_narrow(address: SocketAddr, receive_buffer: u32) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(receive_buffer).unwrap();
    socket.connect(address).await.unwrap()
}
