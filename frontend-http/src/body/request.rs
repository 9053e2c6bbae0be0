//! The body of a request: chunks as they come, under a limit on how long none comes.
//!
//! Nothing is buffered here; what hyper holds ahead is bounded by `buffer-bytes-max` (HTTP/1) and the flow-control windows
//! (HTTP/2). A transfer that moves at all is never cut.

use crate::activity::{Activity, STREAM_PATIENCE};
use crate::connection_metrics::ListenerMetrics;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use strata_registry::Piece;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, timeout};

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestBodyError {
    /// The client went away, or said less than it had declared.
    #[error("the client ended the body after {received} bytes")]
    Cut {
        /// Bytes that had come.
        received: u64,
    },
    /// No byte came for the allowed time.
    #[error("no byte of the body came for {} s after {received} bytes", waited.as_secs_f64())]
    TooSlow {
        /// Bytes that had come.
        received: u64,
        /// The limit, `body-stall`.
        waited: Duration,
    },
    /// The framing of the body is not HTTP.
    #[error("the body is not framed as HTTP says: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
}

/// The body of one request. Yields chunks of any size, never empty ones; trailers are dropped.
pub struct RequestBody {
    source: Source,
    declared: Option<u64>,
    received: u64,
    ended: bool,
    stall: Option<Stall>,
    /// Whether the rest may be read past hyper.
    may_pass: bool,
    /// Whether that was asked for.
    asked: bool,
}

enum Source {
    Wire(Incoming),
    /// The rest of the body is read past hyper; its half is kept until the exchange is over.
    Socket(TcpStream, Incoming),
    Memory(Option<Bytes>),
}

/// Bodies are read past hyper if at least so much is left when hyper has delivered what it had read, bytes. Less would not pay for the
/// handle.
const PASS_BYTES_MIN: u64 = 256 * 1024;

/// What is left of a body that nobody wanted is read if it is at most so much, bytes. More than that is cheaper to lose with the
/// connection.
const REST_BYTES_MAX: u64 = 256 * 1024;

/// How long an answer waits for that rest. A client that sends without looking has it under way already.
const REST_PATIENCE: Duration = Duration::from_millis(500);

/// Bytes read at a time from the socket for a caller that has no memory of its own.
const CHUNK_BYTES: usize = 64 * 1024;

/// The limit of one body, and the timer that runs only while it is waited for.
struct Stall {
    allowed: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting_since: Option<Instant>,
    activity: Arc<Activity>,
    metrics: Arc<ListenerMetrics>,
}

impl Stall {
    /// Ready when nothing moved for the allowed time.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.allowed)));
        if self.waiting_since.is_none() {
            timer.as_mut().reset(Instant::now() + self.allowed);
        }
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        loop {
            ready!(timer.as_mut().poll(cx));
            // A record of TLS or a frame of HTTP/2 is passed on only when it is complete; its bytes count as they come.
            let moved = self.activity.received_at() + self.allowed;
            let last = since + self.allowed * STREAM_PATIENCE;
            let next = if self.activity.is_multiplexed() { moved.min(last) } else { moved };
            if next <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(next);
        }
    }
}

impl RequestBody {
    /// The body as hyper delivers it. `may_pass`: the connection is plain HTTP/1 and goes on after this exchange, so that large parts
    /// may be read past hyper.
    pub(crate) fn new(
        incoming: Incoming,
        allowed: Duration,
        activity: Arc<Activity>,
        metrics: Arc<ListenerMetrics>,
        may_pass: bool,
    ) -> Self {
        let ended = incoming.is_end_stream();
        let stall = Some(Stall { allowed, timer: None, waiting_since: None, activity, metrics });
        let declared = incoming.size_hint().exact();
        Self { source: Source::Wire(incoming), declared, received: 0, ended, stall, may_pass, asked: false }
    }

    /// A body that is in memory, for handlers called without a connection.
    pub fn from_bytes(bytes: Bytes) -> Self {
        let (ended, declared) = (bytes.is_empty(), Some(bytes.len() as u64));
        let source = Source::Memory(Some(bytes));
        Self { source, declared, received: 0, ended, stall: None, may_pass: false, asked: false }
    }

    /// The length that the client declared (`Content-Length`). `None` for a chunked body, 0 for a request without a body.
    pub fn declared_len(&self) -> Option<u64> {
        self.declared
    }

    /// Bytes that came so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The next chunk, or that bytes are there for [`read`](Self::read).
    pub(crate) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, RequestBodyError>>> {
        if !matches!(self.source, Source::Socket(..)) {
            if let Poll::Ready(chunk) = self.poll_chunk(cx) {
                return Poll::Ready(chunk.map(|chunk| chunk.map(Piece::Bytes)));
            }
            if !self.pass(cx) {
                return Poll::Pending;
            }
        }
        let readable = ready!(self.poll_readable(cx));
        Poll::Ready(readable.map(|readable| readable.map(|()| Piece::Readable)))
    }

    /// Once hyper has delivered all that it has read: asks for the socket, or takes it where it is offered.
    fn pass(&mut self, cx: &Context<'_>) -> bool {
        let Some(stall) = self.stall.as_mut().filter(|_| self.may_pass) else { return false };
        let intake = stall.activity.intake();
        if let Some(socket) = intake.take() {
            if let Source::Wire(incoming) = std::mem::replace(&mut self.source, Source::Memory(None)) {
                self.source = Source::Socket(socket, incoming);
            }
            return true;
        }
        if !intake.is_engaged() {
            let left = self.declared.unwrap_or(0).saturating_sub(self.received);
            // Asked once: what was refused is refused again, and less is not worth it.
            self.may_pass = left >= PASS_BYTES_MIN && !self.asked;
            if self.may_pass {
                self.asked = true;
                intake.want();
                cx.waker().wake_by_ref();
            }
        }
        false
    }

    /// Ready when the socket has bytes of the body, or at the end of it.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(), RequestBodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Source::Socket(socket, _) = &self.source else { return Poll::Ready(None) };
        match socket.poll_read_ready(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Some(Ok(()))),
            Poll::Ready(Err(_)) => self.fail(|received, _| RequestBodyError::Cut { received }),
            Poll::Pending => {
                ready!(self.poll_stalled(cx));
                self.fail(|received, waited| RequestBodyError::TooSlow { received, waited })
            }
        }
    }

    /// Reads what the socket has; 0 where that is nothing at the moment.
    pub(crate) fn read(&mut self, memory: &mut [u8]) -> Result<usize, RequestBodyError> {
        let left = self.declared.unwrap_or(0).saturating_sub(self.received);
        let Source::Socket(socket, _) = &self.source else { return Ok(0) };
        let len = memory.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if self.ended || len == 0 {
            return Ok(0);
        }
        let count = match socket.try_read(memory.get_mut(..len).unwrap_or_default()) {
            Ok(0) => 0,
            Ok(count) => count,
            Err(error) if is_transient(&error) => return Ok(0),
            Err(_) => 0,
        };
        if count == 0 {
            self.ended = true;
            self.leave_unread();
            return Err(RequestBodyError::Cut { received: self.received });
        }
        self.received += count as u64;
        if let Some(stall) = &mut self.stall {
            stall.waiting_since = None;
            stall.activity.read();
            stall.metrics.bytes_received.add(count as u64);
        }
        if self.declared == Some(self.received) {
            self.ended = true;
            self.passed();
        }
        Ok(count)
    }

    /// The last byte was read past hyper.
    fn passed(&mut self) {
        let Source::Socket(socket, incoming) = std::mem::replace(&mut self.source, Source::Memory(None))
        else {
            return;
        };
        drop(socket);
        if let Some(stall) = &self.stall {
            stall.activity.set_passed();
            stall.activity.intake().finish(Some(incoming));
        }
    }

    /// The next chunk of a body that is read past hyper, for a caller that has no memory of its own.
    fn poll_socket_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, RequestBodyError>>> {
        loop {
            if let Some(Err(error)) = ready!(self.poll_readable(cx)) {
                return Poll::Ready(Some(Err(error)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let mut chunk = vec![0; CHUNK_BYTES];
            match self.read(&mut chunk) {
                Ok(0) => {}
                Ok(count) => {
                    chunk.truncate(count);
                    return Poll::Ready(Some(Ok(chunk.into())));
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, RequestBodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            let polled = match &mut self.source {
                Source::Wire(incoming) => Pin::new(incoming).poll_frame(cx),
                Source::Socket(..) => return self.poll_socket_chunk(cx),
                Source::Memory(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            };
            let Poll::Ready(frame) = polled else {
                ready!(self.poll_stalled(cx));
                return self.fail(|received, waited| RequestBodyError::TooSlow { received, waited });
            };
            if let Some(stall) = &mut self.stall {
                stall.waiting_since = None;
            }
            match frame {
                None => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
                Some(Err(error)) => {
                    let malformed = malformed(&error);
                    return self.fail(|received, _| match malformed {
                        Some(reason) => RequestBodyError::Malformed { reason },
                        None => RequestBodyError::Cut { received },
                    });
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.received += data.len() as u64;
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }

    /// Ready when no byte came for the allowed time.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(stall) = &mut self.stall else { return Poll::Pending };
        ready!(stall.poll(cx));
        stall.metrics.body_stalls.increment();
        Poll::Ready(())
    }

    /// Ends the body with an error; the rest of it is left on the wire.
    fn fail<T>(
        &mut self,
        error: impl FnOnce(u64, Duration) -> RequestBodyError,
    ) -> Poll<Option<Result<T, RequestBodyError>>> {
        self.ended = true;
        let waited = self.stall.as_ref().map_or(Duration::ZERO, |stall| stall.allowed);
        self.leave_unread();
        Poll::Ready(Some(Err(error(self.received, waited))))
    }

    /// To be called when the answer is decided: reads what is left of the body if it is little and on its way, so that the
    /// connection can go on. Returns `false` where bytes of the body may still come: then the connection has to end with this
    /// answer, and the answer has to say so. `is_expected`: the client waits for a `100 Continue`, which reading would send.
    pub(crate) async fn settle(&mut self, is_expected: bool) -> bool {
        let Some(stall) = &self.stall else { return true };
        if stall.activity.is_multiplexed() {
            return true;
        }
        let activity = Arc::clone(&stall.activity);
        let left = self.declared.map(|declared| declared.saturating_sub(self.received));
        let may_come = left.is_some_and(|left| left <= REST_BYTES_MAX) && (self.received > 0 || !is_expected);
        if !self.is_complete() && may_come {
            if matches!(self.source, Source::Wire(_)) {
                // So little is not worth a handle on the socket.
                self.may_pass = false;
                activity.intake().abandon();
            }
            let rest = async { while let Some(Ok(_)) = self.next().await {} };
            // Whether it came is asked below.
            let _ = Box::pin(timeout(REST_PATIENCE, rest)).await;
        }
        if !self.is_complete() {
            self.leave_unread();
        }
        !activity.has_unread_body()
    }

    /// Whether nothing of the body is left to come; also one that has failed, which has said so.
    fn is_complete(&self) -> bool {
        match &self.source {
            Source::Wire(incoming) => self.ended || incoming.is_end_stream(),
            Source::Socket(..) => self.ended,
            Source::Memory(_) => true,
        }
    }

    fn leave_unread(&self) {
        if let Some(stall) = &self.stall {
            stall.activity.leave_body_unread();
        }
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// The reason if the client broke the framing, `None` if it merely went away.
fn malformed(error: &hyper::Error) -> Option<String> {
    let io = error.source()?.downcast_ref::<io::Error>()?;
    matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput).then(|| io.to_string())
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        self.get_mut().poll_chunk(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.map_or_else(SizeHint::default, |declared| {
            SizeHint::with_exact(declared.saturating_sub(self.received))
        })
    }
}

impl Stream for RequestBody {
    type Item = Result<Bytes, RequestBodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_chunk(cx)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.is_complete() {
            self.leave_unread();
        }
        if let (true, Some(stall)) = (self.may_pass, &self.stall) {
            stall.activity.intake().abandon();
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("declared", &self.declared)
            .field("received", &self.received)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
