//! A range of a file on its way to a socket: what is left of it, and how its next part leaves.
//!
//! Used by the stream under hyper, for the ranges that stand-ins stand for, and by the lane, for answers it knows.

use super::cold;
use crate::body::{FileSource, ReadFuture, too_short, unreadable};
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

/// The most that one sendfile call sends: a twentieth of a millisecond of a core.
pub(super) const SEND_MAX: usize = 1 << 20;

/// How much is looked for in the page cache at once.
const PROBE_MAX: usize = 8 << 20;

/// After this much the task lets others run, however fast the peer takes it.
pub(super) const TURN_BYTES: usize = 1 << 20;

/// Bytes read at a time from a file that cannot be sent from.
const READ_MAX: usize = 256 << 10;

/// The rest of a range of a file.
#[derive(Debug, Clone)]
pub(crate) struct FileRange {
    pub(super) file: Arc<dyn FileSource>,
    /// Offset in the file of the next byte to send.
    pub(super) offset: u64,
    /// Bytes still to send.
    pub(super) left: usize,
    /// The file is known to be in the page cache up to here.
    pub(super) warm_until: u64,
    /// The file cannot be sent from: it is read instead.
    pub(super) unsendable: bool,
}

impl FileRange {
    /// `len` bytes of `file` from `offset` on.
    pub(crate) fn new(file: Arc<dyn FileSource>, offset: u64, len: usize) -> Self {
        Self { file, offset, left: len, warm_until: offset, unsendable: false }
    }

    /// Whether all of it has left.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// `sent` bytes have left.
    pub(crate) fn advance(&mut self, sent: usize) {
        let sent = sent.min(self.left);
        self.left -= sent;
        self.offset += sent as u64;
    }
}

/// How much of a socket's time its task has had since others had theirs.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    bytes: usize,
}

impl Turn {
    /// A turn that is over.
    #[cfg(test)]
    pub(super) fn over() -> Self {
        Self { bytes: TURN_BYTES }
    }

    /// Ready as long as it is this task's turn. When it is over, once `Pending`; the task is woken after the others.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, socket: &Socket) -> Poll<()> {
        if self.bytes < TURN_BYTES {
            return Poll::Ready(());
        }
        self.bytes = 0;
        // Somebody has bytes to write, although none of them gets to the socket now.
        socket.set_unflushed();
        // The runtime looks for what has come from clients before it wakes those who gave way. One that wakes itself is put at the
        // end of a queue that is worked off first, and with some large downloads it never is empty.
        let _ = pin!(tokio::task::yield_now()).poll(cx);
        Poll::Pending
    }

    /// Notes what came of an attempt to send.
    pub(crate) fn note(&mut self, sent: &Poll<io::Result<usize>>) {
        match sent {
            Poll::Ready(Ok(sent)) => self.bytes += sent,
            Poll::Ready(Err(_)) => {}
            // Others have their turn now.
            Poll::Pending => self.bytes = 0,
        }
    }
}

/// Sends ranges to one socket, one after the other.
#[derive(Debug, Default)]
pub(crate) struct RangeSender {
    work: Work,
    /// The kernel holds back what does not fill a segment.
    is_corked: bool,
}

/// What the range waits for.
#[derive(Default)]
enum Work {
    #[default]
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

impl RangeSender {
    /// Sends the next part of `range` and returns its length, which is left to the caller to [advance](FileRange::advance) by. Until a
    /// range is over it must be the same with each call.
    ///
    /// # Errors
    /// What the socket or the file says. The connection cannot go on then.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Socket,
        range: &mut FileRange,
    ) -> Poll<io::Result<usize>> {
        if range.left > SEND_MAX && !self.is_corked {
            // Each call would end with a short segment of its own: half a megabyte is no whole number of segments.
            self.is_corked = socket.set_corked(true);
        }
        let sent = ready!(self.poll_part(cx, socket, range))?;
        if self.is_corked && sent >= range.left {
            self.is_corked = false;
            socket.set_corked(false);
        }
        Poll::Ready(Ok(sent))
    }

    fn poll_part(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Socket,
        range: &mut FileRange,
    ) -> Poll<io::Result<usize>> {
        if range.unsendable {
            return self.poll_send_read(cx, socket, range);
        }
        ready!(self.poll_warm(cx, socket, range));
        match ready!(poll_sendfile(cx, socket, range)) {
            Err(error) if cannot_send(&error) => {
                tracing::debug!(%error, "the file cannot be sent from, it is read instead");
                range.unsendable = true;
                self.poll_send_read(cx, socket, range)
            }
            Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => {
                Poll::Ready(Err(unreadable(&range.file, range.offset, error)))
            }
            other => Poll::Ready(other),
        }
    }

    /// Ready when the part to be sent next is in the page cache, as far as can be known.
    fn poll_warm(&mut self, cx: &mut Context<'_>, socket: &Socket, range: &mut FileRange) -> Poll<()> {
        let until = cold::window_end(range.offset, range.left as u64);
        if !matches!(self.work, Work::Warming(_)) {
            if range.offset < range.warm_until {
                return Poll::Ready(());
            }
            if let Some(warm) = warm_until(range) {
                range.warm_until = warm;
                return Poll::Ready(());
            }
            socket.metrics().cold_reads.increment();
            self.work = Work::Warming(Box::pin(cold::warm(Arc::clone(&range.file), range.offset, until)));
        }
        if let Work::Warming(warming) = &mut self.work {
            ready!(warming.as_mut().poll(cx));
            self.work = Work::None;
        }
        range.warm_until = until;
        Poll::Ready(())
    }

    /// The way without sendfile: reads a part, writes it.
    fn poll_send_read(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Socket,
        range: &FileRange,
    ) -> Poll<io::Result<usize>> {
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
                    let send = |stream: &_| send_slices(stream, &slices, SendFlags::NOSIGNAL);
                    let sent = ready!(socket.poll_send(cx, send))?;
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

fn poll_sendfile(cx: &mut Context<'_>, socket: &mut Socket, range: &FileRange) -> Poll<io::Result<usize>> {
    let Some(file) = range.file.as_fd() else { return Poll::Ready(Err(Errno::OPNOTSUPP.into())) };
    let known = usize::try_from(range.warm_until.saturating_sub(range.offset)).unwrap_or(SEND_MAX);
    let len = range.left.min(SEND_MAX).min(if known == 0 { SEND_MAX } else { known });
    let mut offset = range.offset;
    let sent = ready!(socket.poll_send(cx, |stream| Ok(sendfile(stream, file, Some(&mut offset), len)?)))?;
    if sent == 0 {
        return Poll::Ready(Err(too_short(&range.file, range.offset)));
    }
    socket.metrics().bytes_zero_copy.add(sent as u64);
    Poll::Ready(Ok(sent))
}

/// Up to where the next part of a range can be sent without waiting for the disk; `None` if that is not known of any of it.
fn warm_until(range: &FileRange) -> Option<u64> {
    // What is read from a hot file is hot for long: one look for many calls, before a closer one.
    let spans = [PROBE_MAX, SEND_MAX].map(|span| range.left.min(span) as u64);
    let Some(file) = range.file.as_fd() else { return Some(range.offset + spans[0]) };
    spans.into_iter().find(|span| cold::is_warm(file, range.offset, *span)).map(|span| range.offset + span)
}

/// Whether sendfile says that it does not work with this file, as opposed to that it failed.
fn cannot_send(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::SPIPE))
}
