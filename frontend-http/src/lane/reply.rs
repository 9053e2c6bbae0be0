//! An answer from memory on its way to the socket: three slices, one system call; or the head of one and the file behind it.

use crate::request_log::RequestLog;
use crate::socket::{Socket, send_slices};
use crate::transfer::TransferWatch;
use crate::zero_copy::{FileRange, RangeSender};
use bytes::Bytes;
use rustix::net::SendFlags;
use rustix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

/// Bytes of a date in a header field (RFC 9110 §5.6.7).
const DATE_BYTES: usize = 29;

/// What the line that ends the head may take: the longest request id, the date and the line ends.
const TAIL_BYTES: usize = 192;

/// What a handler answers with from memory.
#[derive(Debug)]
pub struct Reply {
    /// Status line and header fields, up to and with the name of the last, which is the request's id.
    pub(crate) head: Bytes,
    /// The request's id.
    pub(crate) id: Arc<str>,
    /// The body.
    pub(crate) content: Content,
    /// Where the answer is accounted for.
    pub(crate) log: RequestLog,
}

/// The body of a [`Reply`].
#[derive(Debug)]
pub(crate) enum Content {
    /// These bytes, perhaps none.
    Bytes(Bytes),
    /// A file, which the kernel sends.
    File(FileRange),
}

impl Content {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::File(_) => &[],
        }
    }
}

/// The end of a head: the request's id, the date, the empty line.
#[derive(Debug)]
pub(super) struct Tail {
    bytes: [u8; TAIL_BYTES],
    len: usize,
}

impl Tail {
    fn new(id: &str) -> Self {
        let mut tail = Self { bytes: [0; TAIL_BYTES], len: 0 };
        tail.put(id.as_bytes());
        tail.put(b"\r\ndate: ");
        with_date(|date| tail.put(date));
        tail.put(b"\r\n\r\n");
        tail
    }

    /// An id has at most 128 bytes, so everything fits.
    fn put(&mut self, more: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.len..self.len + more.len()) {
            room.copy_from_slice(more);
            self.len += more.len();
        }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// A reply of which `sent` bytes have left, those of a file apart.
#[derive(Debug)]
pub(super) struct Sending {
    reply: Reply,
    tail: Tail,
    sent: usize,
    sender: RangeSender,
}

impl Sending {
    pub(super) fn new(reply: Reply) -> Self {
        let tail = Tail::new(&reply.id);
        Self { reply, tail, sent: 0, sender: RangeSender::default() }
    }

    /// Whether the body is a file.
    pub(super) const fn is_file(&self) -> bool {
        matches!(self.reply.content, Content::File(_))
    }

    /// What is left to send from memory.
    pub(super) fn slices(&self) -> [IoSlice<'_>; 3] {
        let mut skip = self.sent;
        [&*self.reply.head, self.tail.as_slice(), self.reply.content.bytes()].map(|part| {
            let skipped = skip.min(part.len());
            skip -= skipped;
            IoSlice::new(part.get(skipped..).unwrap_or_default())
        })
    }

    /// `bytes` more have left from memory. Returns whether these were the last.
    pub(super) fn advance(&mut self, bytes: usize) -> bool {
        let head = self.head_len();
        let content = |sent: usize| sent.saturating_sub(head);
        self.reply.log.sent((content(self.sent + bytes) - content(self.sent)) as u64);
        self.sent += bytes;
        let is_over = !self.is_file() && self.sent >= head + self.reply.content.bytes().len();
        if is_over {
            self.reply.log.finished();
        }
        is_over
    }

    /// Sends the next part. [`is_over`](Self::is_over) says whether that was the last.
    ///
    /// # Errors
    /// What the socket or the file says.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Poll<io::Result<usize>> {
        let head = self.head_len();
        if let Content::File(range) = &mut self.reply.content
            && self.sent >= head
        {
            let sent = ready!(self.sender.poll_send(cx, socket, range))?;
            range.advance(sent);
            self.reply.log.sent(sent as u64);
            if range.is_over() {
                self.reply.log.finished();
            }
            return Poll::Ready(Ok(sent));
        }
        let more = if self.is_file() { SendFlags::MORE } else { SendFlags::empty() };
        let send = |stream: &_| send_slices(stream, &self.slices(), SendFlags::NOSIGNAL | more);
        let sent = ready!(socket.poll_send(cx, send))?;
        self.advance(sent);
        Poll::Ready(Ok(sent))
    }

    /// Whether all has left.
    pub(super) fn is_over(&self) -> bool {
        match &self.reply.content {
            Content::Bytes(bytes) => self.sent >= self.head_len() + bytes.len(),
            Content::File(range) => range.is_over(),
        }
    }

    const fn head_len(&self) -> usize {
        self.reply.head.len() + self.tail.len
    }
}

/// The date of this second, rendered once a second and thread.
fn with_date(give: impl FnOnce(&[u8])) {
    struct Rendered {
        second: u64,
        date: [u8; DATE_BYTES],
    }
    thread_local! {
        static RENDERED: RefCell<Rendered> = const { RefCell::new(Rendered { second: 0, date: [b' '; DATE_BYTES] }) };
    }
    let second = u64::try_from(clock_gettime(ClockId::RealtimeCoarse).tv_sec).unwrap_or_default();
    RENDERED.with_borrow_mut(|rendered| {
        if rendered.second != second {
            rendered.second = second;
            let text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
            for (place, byte) in rendered.date.iter_mut().zip(text.bytes()) {
                *place = byte;
            }
        }
        give(&rendered.date);
    });
}
