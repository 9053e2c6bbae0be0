//! The short way: requests on a plain HTTP/1 connection that can be answered from memory are answered before hyper hears of
//! them, with one read and one write, or a write and a sendfile for the blob that is a file.
//!
//! A connection begins here. At the first request that is not simple or not known (see [`request`]), what was read goes to hyper
//! and hyper has the connection, until it is at rest again (`connection`). Between requests a connection so costs no buffer: what
//! is read lands in one that all connections of a thread share.

mod reply;
mod request;

pub(crate) use reply::Content;
pub use reply::Reply;
pub use request::{Asked, SimpleRequest, parse};

use crate::activity::{Activity, InFlight};
use crate::connection::ConnectionInfo;
use crate::serve::Handler;
use crate::socket::Socket;
use crate::zero_copy::Turn;
use bytes::{Buf as _, Bytes};
use reply::Sending;
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// Bytes read at a time: some pipelined heads.
const READ_BYTES: usize = 16 * 1024;

/// After so many answers the task lets others run.
const TURN_ANSWERS: u32 = 64;

/// What an HTTP/2 client begins with (RFC 9113 §3.4). No HTTP/1 request does.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Why a connection leaves the lane.
#[derive(Debug)]
pub(crate) enum Leave {
    /// The peer has closed it, or it was to be closed and all is sent.
    Closed,
    /// A request for hyper, or the beginning of one.
    Request(Bytes),
    /// A connection that begins as HTTP/2, with all that was read of it.
    Http2(Bytes),
}

/// A connection in the lane.
#[derive(Debug)]
pub(crate) struct Lane {
    socket: Socket,
    activity: Arc<Activity>,
    /// Read and not looked at.
    ahead: Bytes,
    sending: Option<(Box<Sending>, InFlight)>,
    /// Longest head that is taken, bytes.
    head_max: usize,
    /// Nothing was read yet that shows the protocol.
    is_new: bool,
    /// To be left when all is sent.
    is_closing: bool,
    /// Answers since other tasks had their turn.
    answers: u32,
    turn: Turn,
    has_answered: bool,
}

impl Lane {
    /// A connection that has just begun.
    pub(crate) fn new(socket: Socket, activity: Arc<Activity>, head_max: usize) -> Self {
        Self { is_new: true, ..Self::resume(socket, activity, head_max, Bytes::new()) }
    }

    /// A connection that comes back; `ahead` was read from it already.
    pub(crate) fn resume(socket: Socket, activity: Arc<Activity>, head_max: usize, ahead: Bytes) -> Self {
        Self {
            socket,
            activity,
            head_max,
            ahead,
            sending: None,
            is_new: false,
            is_closing: false,
            answers: 0,
            turn: Turn::default(),
            has_answered: false,
        }
    }

    /// The socket, for whoever has the connection next.
    pub(crate) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Leave as soon as nothing is left to send.
    pub(crate) fn close(&mut self) {
        self.is_closing = true;
    }

    /// Whether since the last call requests were answered, in full, and nothing else took place.
    pub(crate) fn has_only_answered(&mut self) -> bool {
        let is_at_rest = self.sending.is_none() && self.ahead.is_empty();
        std::mem::take(&mut self.has_answered) && is_at_rest
    }

    /// Answers what can be answered. Ready when the connection leaves the lane.
    ///
    /// # Errors
    /// What the socket says.
    pub(crate) fn poll<H: Handler>(
        &mut self,
        cx: &mut Context<'_>,
        handler: &Arc<H>,
        info: &ConnectionInfo,
    ) -> Poll<io::Result<Leave>> {
        loop {
            ready!(self.poll_send(cx))?;
            if self.is_closing {
                return Poll::Ready(Ok(Leave::Closed));
            }
            if self.answers >= TURN_ANSWERS {
                self.answers = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let leave = BUFFER.with_borrow_mut(|buffer| {
                let filled = ready!(self.poll_read(cx, buffer))?;
                Poll::Ready(io::Result::Ok(self.answer(filled, handler, info)))
            });
            if let Some(leave) = ready!(leave)? {
                return Poll::Ready(Ok(leave));
            }
        }
    }

    /// Sends what an earlier call could not, or left to this one because it is a file.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((sending, _)) = &mut self.sending {
            ready!(self.turn.poll(cx, &self.socket));
            let sent = sending.poll_send(cx, &mut self.socket);
            self.turn.note(&sent);
            ready!(sent)?;
            if sending.is_over() {
                self.sending = None;
                self.activity.exchanged();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Fills the buffer with what was left over and what has come; an empty slice at the end of the stream.
    fn poll_read<'a>(&mut self, cx: &mut Context<'_>, buffer: &'a mut [u8]) -> Poll<io::Result<&'a [u8]>> {
        let mut unfilled = ReadBuf::new(buffer);
        let take = self.ahead.len().min(unfilled.remaining());
        unfilled.put_slice(self.ahead.get(..take).unwrap_or_default());
        // A connection that is still new has looked at what it has: it waits for more.
        if take == 0 || self.is_new {
            ready!(self.socket.poll_receive(cx, &mut unfilled))?;
            if unfilled.filled().len() == take {
                return Poll::Ready(Ok(&[]));
            }
        }
        self.ahead.advance(take);
        let filled = unfilled.filled().len();
        Poll::Ready(Ok(buffer.get(..filled).unwrap_or_default()))
    }

    /// Answers the requests in `bytes` one after the other. `Some` when the connection leaves the lane.
    fn answer<H: Handler>(&mut self, bytes: &[u8], handler: &Arc<H>, info: &ConnectionInfo) -> Option<Leave> {
        if bytes.is_empty() {
            return Some(Leave::Closed);
        }
        if self.is_new {
            self.is_new = false;
            let begun = H2_PREFACE.len().min(bytes.len());
            if bytes.get(..begun) == H2_PREFACE.get(..begun) {
                let bytes = Bytes::copy_from_slice(bytes);
                if begun == H2_PREFACE.len() {
                    return Some(Leave::Http2(bytes));
                }
                // It may still become a PUT.
                self.activity.read();
                (self.is_new, self.ahead) = (true, bytes);
                return None;
            }
        }
        let mut rest = bytes;
        while !rest.is_empty() && self.sending.is_none() {
            // A head that is longer than allowed is hyper's to refuse.
            let known = parse(rest)
                .filter(|(_, len)| *len <= self.head_max)
                .and_then(|(request, len)| Some((handler.recall(info, &request)?, rest.get(len..)?)));
            let Some((reply, next)) = known else {
                self.activity.read();
                return Some(Leave::Request(self.joined(rest)));
            };
            rest = next;
            self.answers += 1;
            self.has_answered = true;
            self.socket.metrics().requests.increment();
            self.send(reply);
        }
        if !rest.is_empty() {
            self.ahead = self.joined(rest);
        }
        None
    }

    /// What was read and not looked at, in the order it came.
    fn joined(&mut self, rest: &[u8]) -> Bytes {
        let ahead = std::mem::take(&mut self.ahead);
        if ahead.is_empty() { Bytes::copy_from_slice(rest) } else { [rest, &ahead].concat().into() }
    }

    /// Sends a reply; files, and what the socket does not take now, are left to [`poll_send`](Self::poll_send).
    fn send(&mut self, reply: Reply) {
        let mut sending = Sending::new(reply);
        if !sending.is_file() {
            // An error shows again at the next call, which can report it.
            let sent = self.socket.send_now(&sending.slices()).unwrap_or(0);
            if sending.advance(sent) {
                self.activity.exchanged();
                return;
            }
        }
        let mut in_flight = self.activity.request(false);
        in_flight.respond();
        self.sending = Some((Box::new(sending), in_flight));
    }
}
