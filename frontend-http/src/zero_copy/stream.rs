//! The socket of a plain connection: writes slices as they are and file ranges where their stand-ins come by.

use super::queue::Queue;
use super::range::{RangeSender, Turn};
use crate::socket::{Socket, send_slices};
use bytes::Bytes;
use rustix::net::SendFlags;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A plain TCP connection that knows the stand-ins of its [`Queue`].
#[derive(Debug)]
pub(crate) struct ZeroCopyStream {
    socket: Socket,
    queue: Option<Arc<Queue>>,
    /// Bytes that were read to find out which protocol is spoken, given back to whoever reads next.
    prefix: Bytes,
    turn: Turn,
    sender: RangeSender,
}

impl ZeroCopyStream {
    /// Wraps a socket that speaks plain HTTP. `prefix` was read from it already. Without a queue everything is written as it is.
    pub(crate) fn new(socket: Socket, prefix: Bytes, queue: Option<Arc<Queue>>) -> Self {
        Self { socket, queue, prefix, turn: Turn::default(), sender: RangeSender::default() }
    }

    /// The socket, and what of the prefix nobody has read.
    pub(crate) fn into_parts(self) -> (Socket, Bytes) {
        (self.socket, self.prefix)
    }

    /// As [`poll_slices`](Self::poll_slices), and now and then gives way to other tasks.
    fn poll_send(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.turn.poll(cx, &self.socket));
        let sent = self.poll_slices(cx, slices);
        self.turn.note(&sent);
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
        let mut range = queue.front(slice)?;
        let sent = self.sender.poll_send(cx, &mut self.socket, &mut range);
        queue.learn(&range);
        if let Poll::Ready(Ok(sent)) = &sent {
            queue.advance(*sent);
        }
        sent
    }
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
