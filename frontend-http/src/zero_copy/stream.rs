//! The socket of a plain connection: writes slices as they are and file ranges where their stand-ins come by.

use super::cold;
use super::queue::{Pending, Queue};
use crate::body::{ReadFuture, too_short, unreadable};
use crate::socket::{Socket, send_slices};
use bytes::{Buf, Bytes};
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that one sendfile call sends: some hundredths of a millisecond of a core.
const SEND_MAX: usize = 512 << 10;

/// How much is looked for in the page cache at once.
const PROBE_MAX: usize = 8 << 20;

/// After this much the task lets others run, however fast the peer takes it.
const TURN_BYTES: usize = 512 << 10;

/// Bytes read at a time from a file that cannot be sent from.
const READ_MAX: usize = 256 << 10;

/// A plain TCP connection that knows the stand-ins of its [`Queue`].
#[derive(Debug)]
pub(crate) struct ZeroCopyStream {
    socket: Socket,
    queue: Option<Arc<Queue>>,
    /// Bytes that were read to find out which protocol is spoken, given back to whoever reads next.
    prefix: Bytes,
    /// Bytes written since other tasks had their turn.
    turn: usize,
    work: Work,
}

/// What the oldest range waits for.
enum Work {
    None,
    /// The blocking pool brings the next part of the range into the page cache.
    Warming(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// The next part of the range is being read, because it cannot be sent.
    Reading(ReadFuture),
    /// What was read and not yet written.
    Unsent(Bytes),
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Warming(_) => "Warming",
            Self::Reading(_) => "Reading",
            Self::Unsent(_) => "Unsent",
        })
    }
}

impl ZeroCopyStream {
    /// Wraps a socket that speaks plain HTTP. `prefix` was read from it already. Without a queue everything is written as it is.
    pub(crate) fn new(socket: Socket, prefix: Bytes, queue: Option<Arc<Queue>>) -> Self {
        Self { socket, queue, prefix, turn: 0, work: Work::None }
    }

    /// The socket, and what of the prefix nobody has read.
    pub(crate) fn into_parts(self) -> (Socket, Bytes) {
        (self.socket, self.prefix)
    }

    /// As [`poll_slices`](Self::poll_slices), and now and then gives way to other tasks.
    fn poll_send(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.turn >= TURN_BYTES {
            self.turn = 0;
            // Somebody has bytes to write, although none of them gets to the socket now.
            self.socket.set_unflushed();
            // The runtime looks for what has come from clients before it wakes those who gave way. One that wakes itself is put at the
            // end of a queue that is worked off first, and with some large downloads it never is empty.
            let _ = pin!(tokio::task::yield_now()).poll(cx);
            return Poll::Pending;
        }
        let sent = self.poll_slices(cx, slices);
        self.turn = match &sent {
            Poll::Ready(Ok(sent)) => self.turn + sent,
            Poll::Ready(Err(_)) => self.turn,
            // Others have their turn now.
            Poll::Pending => 0,
        };
        sent
    }

    /// Writes the slices up to the first stand-in, or part of the file range of a stand-in that comes first.
    fn poll_slices(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let stand_in = self
            .queue
            .as_ref()
            .and_then(|queue| slices.iter().position(|slice| queue.is_stand_in(slice)))
            .map(|at| slices.split_at(at));
        match stand_in {
            None => self.socket.poll_send(cx, |stream| send_slices(stream, slices, SendFlags::NOSIGNAL)),
            Some((before, [slice, ..])) if before.iter().all(|slice| slice.is_empty()) => {
                self.poll_send_range(cx, slice)
            }
            Some((before, _)) => {
                let flags = SendFlags::NOSIGNAL | SendFlags::MORE;
                self.socket.poll_send(cx, |stream| send_slices(stream, before, flags))
            }
        }
    }

    /// Sends the next part of the range that `slice` stands for.
    fn poll_send_range(&mut self, cx: &mut Context<'_>, slice: &[u8]) -> Poll<io::Result<usize>> {
        let Some(queue) = self.queue.clone() else {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        };
        let range = queue.front(slice)?;
        let sent = if range.unsendable {
            ready!(self.poll_send_read(cx, &range))?
        } else {
            ready!(self.poll_warm(cx, &queue, &range));
            match ready!(self.poll_sendfile(cx, &range)) {
                Err(error) if cannot_send(&error) => {
                    tracing::debug!(%error, "the file cannot be sent from, it is read instead");
                    queue.set_unsendable();
                    ready!(self.poll_send_read(cx, &range))?
                }
                Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => {
                    return Poll::Ready(Err(unreadable(&range.file, range.offset, error)));
                }
                other => other?,
            }
        };
        queue.advance(sent);
        Poll::Ready(Ok(sent))
    }

    /// Ready when the part to be sent next is in the page cache, as far as can be known.
    fn poll_warm(&mut self, cx: &mut Context<'_>, queue: &Queue, range: &Pending) -> Poll<()> {
        let until = cold::window_end(range.offset, range.left as u64);
        if !matches!(self.work, Work::Warming(_)) {
            if range.offset < range.warm_until {
                return Poll::Ready(());
            }
            if let Some(warm) = warm_until(range) {
                queue.set_warm(warm);
                return Poll::Ready(());
            }
            self.socket.metrics().cold_reads.increment();
            self.work = Work::Warming(Box::pin(cold::warm(Arc::clone(&range.file), range.offset, until)));
        }
        if let Work::Warming(warming) = &mut self.work {
            ready!(warming.as_mut().poll(cx));
            self.work = Work::None;
        }
        queue.set_warm(until);
        Poll::Ready(())
    }

    fn poll_sendfile(&mut self, cx: &mut Context<'_>, range: &Pending) -> Poll<io::Result<usize>> {
        let Some(file) = range.file.as_fd() else { return Poll::Ready(Err(Errno::OPNOTSUPP.into())) };
        let known = usize::try_from(range.warm_until.saturating_sub(range.offset)).unwrap_or(SEND_MAX);
        let len = range.left.min(SEND_MAX).min(if known == 0 { SEND_MAX } else { known });
        let mut offset = range.offset;
        let sent =
            ready!(self.socket.poll_send(cx, |stream| Ok(sendfile(stream, file, Some(&mut offset), len)?)))?;
        if sent == 0 {
            return Poll::Ready(Err(too_short(&range.file, range.offset)));
        }
        self.socket.metrics().bytes_zero_copy.add(sent as u64);
        Poll::Ready(Ok(sent))
    }

    /// The way without sendfile: reads a part, writes it.
    fn poll_send_read(&mut self, cx: &mut Context<'_>, range: &Pending) -> Poll<io::Result<usize>> {
        loop {
            match &mut self.work {
                Work::None | Work::Warming(_) => {
                    let len = range.left.min(READ_MAX);
                    self.work = Work::Reading(Arc::clone(&range.file).read_at(range.offset, len));
                }
                Work::Reading(read) => {
                    let bytes = ready!(read.as_mut().poll(cx))
                        .map(|bytes| bytes.slice(..bytes.len().min(range.left)));
                    self.work = Work::None;
                    let bytes = bytes.map_err(|error| unreadable(&range.file, range.offset, error))?;
                    if bytes.is_empty() {
                        return Poll::Ready(Err(too_short(&range.file, range.offset)));
                    }
                    self.work = Work::Unsent(bytes);
                }
                Work::Unsent(bytes) => {
                    let slices = [IoSlice::new(bytes)];
                    let sent = ready!(self.socket.poll_send(cx, |stream| send_slices(
                        stream,
                        &slices,
                        SendFlags::NOSIGNAL
                    )))?;
                    bytes.advance(sent);
                    if bytes.is_empty() {
                        self.work = Work::None;
                    }
                    return Poll::Ready(Ok(sent));
                }
            }
        }
    }
}

/// Up to where the next part of a range can be sent without waiting for the disk; `None` if that is not known of any of it.
fn warm_until(range: &Pending) -> Option<u64> {
    // What is read from a hot file is hot for long: one look for many calls, before a closer one.
    let spans = [PROBE_MAX, SEND_MAX].map(|span| range.left.min(span) as u64);
    let Some(file) = range.file.as_fd() else { return Some(range.offset + spans[0]) };
    spans.into_iter().find(|span| cold::is_warm(file, range.offset, *span)).map(|span| range.offset + span)
}

/// Whether sendfile says that it does not work with this file, as opposed to that it failed.
fn cannot_send(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::SPIPE))
}

impl AsyncRead for ZeroCopyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let take = self.prefix.len().min(buffer.remaining());
            buffer.put_slice(&self.prefix.split_to(take));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ZeroCopyStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
