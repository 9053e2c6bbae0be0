//! Every limit of the HTTP frontend, with its unit and its default. No limit is on the length of a transfer as a whole: what
//! moves is never cut, what stalls is.

use std::time::Duration;

/// Limits of listeners and connections. The defaults suit a server on the open network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// Connections of all listeners together. At the limit idle connections are closed, then new ones wait in the kernel's
    /// queue until one ends. Default 10,000.
    pub connections_max: usize,
    /// Bytes of a request's line and header fields; more is answered with 431. On HTTP/2 the size of the decoded list.
    /// At least 8 KiB. Default 32 KiB.
    pub header_bytes_max: usize,
    /// Header fields of an HTTP/1 request; more is answered with 431. Default 100.
    pub header_count_max: usize,
    /// From the first byte of an HTTP/1 request to the end of its header fields. Default 10 s.
    pub header_timeout: Duration,
    /// How long a connection without a request may stay open. Default 75 s.
    pub idle_timeout: Duration,
    /// How long the handshake of TLS may take. Default 10 s.
    pub tls_handshake_timeout: Duration,
    /// How long a request's body may go without a byte while the server waits for one; the request then fails as too slow.
    /// On HTTP/2 five times as long while the connection as a whole moves. Default 60 s.
    pub body_stall: Duration,
    /// How long a peer may take no byte of an answer; the connection is then reset. Five times as long where it is HTTP/2's flow
    /// control that holds the answer back. Default 60 s.
    pub write_stall: Duration,
    /// How long requests in flight may take to finish when the server is told to stop. Default 30 s.
    pub drain: Duration,
    /// Bytes that an HTTP/1 connection buffers of a request's body, and of an answer that is not sent from a file.
    /// At least `header_bytes_max`. Default 64 KiB.
    pub buffer_bytes_max: usize,
    /// Bytes of file content that all connections together hold in memory at full speed; beyond it every answer is read in
    /// small pieces. Concerns TLS and HTTP/2 only. Default 256 MiB.
    pub read_bytes_max: usize,
    /// Requests at the same time on one HTTP/2 connection. Default 256.
    pub h2_streams_max: u32,
    /// Bytes of a request's body that an HTTP/2 client may send ahead on one stream. Default 1 MiB.
    pub h2_stream_window: u32,
    /// The same for a whole HTTP/2 connection. Default 4 MiB.
    pub h2_connection_window: u32,
    /// Requests on one HTTP/2 connection that the client reset before the server looked at them; more ends the connection
    /// ("rapid reset"). Default 64.
    pub h2_pending_resets_max: usize,
    /// Resets on one HTTP/2 connection that the server sent for a client's faults; more ends the connection. Default 256.
    pub h2_faults_max: usize,
    /// How often the files of certificates are looked at for a change; `None`: not. Default 10 s.
    pub certificate_check: Option<Duration>,
    /// Bytes of a send buffer of the socket (`SO_SNDBUF`), `None` for the kernel's own tuning, which is right except in tests.
    pub send_buffer: Option<usize>,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            header_bytes_max: 32 * 1024,
            header_count_max: 100,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            tls_handshake_timeout: Duration::from_secs(10),
            body_stall: Duration::from_mins(1),
            write_stall: Duration::from_mins(1),
            drain: Duration::from_secs(30),
            buffer_bytes_max: 64 * 1024,
            read_bytes_max: 256 * 1024 * 1024,
            h2_streams_max: 256,
            h2_stream_window: 1024 * 1024,
            h2_connection_window: 4 * 1024 * 1024,
            h2_pending_resets_max: 64,
            h2_faults_max: 256,
            certificate_check: Some(Duration::from_secs(10)),
            send_buffer: None,
        }
    }
}
