//! A TCP socket that counts what moves and notes when it moves. Under every kind of connection.

use crate::activity::Activity;
use crate::intake::Gate;
use crate::metrics::ListenerMetrics;
use rustix::net::sockopt::set_tcp_cork;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use socket2::SockRef;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// Bytes of a request's body that are read and thrown away so that the peer gets to see the answer before the socket closes.
const DISCARD_MAX: usize = 16 << 20;

/// The socket of one connection.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    activity: Arc<Activity>,
    metrics: Arc<ListenerMetrics>,
    shut: bool,
    discarded: usize,
    /// Bytes that the peer had not taken when that was last looked at.
    untaken: usize,
}

impl Socket {
    /// A connection that has just been accepted.
    pub fn new(stream: TcpStream, activity: Arc<Activity>, metrics: Arc<ListenerMetrics>) -> Self {
        Self { stream, activity, metrics, shut: false, discarded: 0, untaken: 0 }
    }

    /// The counters of its listener.
    pub fn metrics(&self) -> &ListenerMetrics {
        &self.metrics
    }

    /// Sets `SO_SNDBUF`, which the kernel otherwise tunes by itself.
    pub fn set_send_buffer(&self, bytes: usize) {
        let _ = SockRef::from(&self.stream).set_send_buffer_size(bytes);
    }

    /// Lets the kernel hold back what does not fill a segment (`TCP_CORK`), or send it after all. Returns whether it holds back from
    /// now on.
    pub fn set_corked(&self, corked: bool) -> bool {
        set_tcp_cork(&self.stream, corked).is_ok() && corked
    }

    /// Runs a system call that writes to the socket until it does not ask to wait.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let Poll::Ready(ready) = self.stream.poll_write_ready(cx) else {
                self.blocked();
                return Poll::Pending;
            };
            ready?;
            match self.stream.try_io(Interest::WRITABLE, || call(&self.stream)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(sent) => {
                    if sent > 0 {
                        self.activity.wrote();
                        self.activity.set_flushed(false);
                        self.metrics.bytes_sent.add(sent as u64);
                    }
                    return Poll::Ready(Ok(sent));
                }
            }
        }
    }

    /// Sends what the socket takes at once. Leaves it to the caller to note that something moved.
    ///
    /// # Errors
    /// `WouldBlock` where it takes nothing now; what the socket says.
    pub fn send_now(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let send = || send_slices(&self.stream, slices, SendFlags::NOSIGNAL);
        let sent = self.stream.try_io(Interest::WRITABLE, send)?;
        self.metrics.bytes_sent.add(sent as u64);
        Ok(sent)
    }

    /// Notes that whoever writes has more to write.
    pub fn set_unflushed(&self) {
        self.activity.set_flushed(false);
    }

    /// Reads what has come. Leaves it to the caller to note that something moved.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.metrics.bytes_received.add((buffer.filled().len() - before) as u64);
        Poll::Ready(Ok(()))
    }

    /// Notes that the socket takes nothing now. It is said to be writable again only when a third of its buffer is free, which
    /// may be a megabyte: for a slow peer that takes minutes. So at each look the kernel is asked whether the peer moved.
    fn blocked(&mut self) {
        // Something is left to write, whatever was flushed before it (a `100 Continue`).
        self.activity.set_flushed(false);
        let is_new = self.activity.write_blocked();
        let untaken = untaken_bytes(&self.stream).unwrap_or(self.untaken);
        if !is_new && untaken < self.untaken {
            self.activity.write_creeps();
        }
        self.untaken = untaken;
    }

    /// Reads what is still coming and throws it away. Closing a socket with unread bytes resets it, and the peer would lose
    /// the answer that says why its upload was not wanted.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0_u8; 16 * 1024];
        while self.discarded < DISCARD_MAX {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => self.discarded += buffer.filled().len(),
                // The end, or a peer that is gone: either way there is nobody left to wait for.
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Bytes in the send buffer that the peer has not acknowledged.
fn untaken_bytes(stream: &TcpStream) -> Option<usize> {
    let mut bytes: libc::c_int = 0;
    #[expect(unsafe_code, reason = "no crate wraps this request in a safe form")]
    // SAFETY: TIOCOUTQ writes one int to the address given, which lives until the call returns.
    let answer = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if answer == 0 { usize::try_from(bytes).ok() } else { None }
}

/// Writes the slices with one system call.
///
/// # Errors
/// What the socket says.
pub fn send_slices(stream: &TcpStream, slices: &[IoSlice<'_>], flags: SendFlags) -> io::Result<usize> {
    Ok(sendmsg(stream, slices, &mut SendAncillaryBuffer::default(), flags)?)
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.activity.intake().is_engaged() {
            match self.activity.intake().gate(cx, &self.stream) {
                Gate::Open => {}
                Gate::Shut => return Poll::Pending,
                Gate::End => return Poll::Ready(Ok(())),
            }
        }
        let before = buffer.filled().len();
        ready!(self.poll_receive(cx, buffer))?;
        if buffer.filled().len() > before {
            self.activity.read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |stream| Ok(rustix::net::send(stream, bytes, SendFlags::NOSIGNAL)?))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |stream| send_slices(stream, slices, SendFlags::NOSIGNAL))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever writes here flushes when he has nothing left to write.
        self.activity.set_flushed(true);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            self.shut = true;
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.activity.closing();
        }
        if self.activity.has_unread_body() { self.poll_discard(cx) } else { Poll::Ready(Ok(())) }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.activity.is_reset() {
            // Else the kernel keeps offering the bytes in its buffer to a peer that takes none, for a quarter of an hour.
            let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}
