//! The messages of a call on their way in: counted, bounded, and not waited for without end.

use crate::app::App;
use crate::error::Refusal;
use crate::log::CallLog;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use strata_registry::Principal;
use strata_transport::memory::{Memory, Room};
use strata_types::Failure;
use strata_types::limits::MANIFEST_BYTES_MAX;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

/// Largest message: a manifest and what is said about it.
pub(crate) const MESSAGE_BYTES_MAX: usize = MANIFEST_BYTES_MAX + 256 * 1024;

/// Largest request to publish: all its manifests, and what is said about them.
pub(crate) const PUBLISH_BYTES_MAX: usize = strata_registry::PUBLISH_BYTES_MAX + 1024 * 1024;

/// The largest message of the calls of a path.
pub(crate) fn message_max(path: &str) -> usize {
    if path.starts_with("/strata.registry.v1.Publish/") { PUBLISH_BYTES_MAX } else { MESSAGE_BYTES_MAX }
}

/// Whether it is compressed (1 byte), length (4 bytes).
const PREFIX: usize = 5;

/// What a client sends: over a connection, unless it is said otherwise.
#[derive(Debug)]
pub(crate) struct RequestBody<B = Incoming> {
    incoming: B,
    app: Arc<App>,
    log: Arc<CallLog>,
    stall: Duration,
    message_max: usize,
    /// Who sends it, as far as that is known.
    who: Principal,
    /// Rings when nothing has come for too long; there only while something is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    messages: Messages,
    /// What the message takes that is being received.
    room: Room,
}

impl<B> RequestBody<B> {
    pub(crate) fn new(
        incoming: B,
        app: Arc<App>,
        log: Arc<CallLog>,
        stall: Duration,
        message_max: usize,
    ) -> Self {
        let (messages, room, who) = (Messages::default(), Memory::room(), app.registry.stranger());
        Self { incoming, app, log, stall, message_max, who, timer: None, messages, room }
    }

    /// Notes who sends it.
    pub(crate) fn is_of(&mut self, who: &Principal) {
        self.who = who.clone();
    }

    /// Notes bytes that came.
    fn receive(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.log.received(bytes.len() as u64);
        let (memory, room, max) = (self.app.memory_for(&self.who), &mut self.room, self.message_max);
        self.messages.receive(bytes, |len| {
            if len > max {
                let message = format!("a message has at most {max} bytes");
                return Err(Refusal::new(Failure::TooLarge, message));
            }
            // The one before is done with, or on its way into the store.
            *room = Memory::room();
            Ok(memory.grow(room, len)?)
        })
    }

    fn refuse(&self, refusal: Refusal) -> Status {
        self.log.refused(&refusal);
        refusal.status
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stall = self.stall;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + stall)));
        timer.as_mut().poll(cx)
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes, Error: Display> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.messages.is_between() {
            // Whoever asks for more has taken what came. A writer that waits for its client holds no room.
            this.room = Memory::room();
        }
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            ready!(this.poll_stalled(cx));
            let refusal = Refusal::new(Failure::Timeout, "the call made no progress for too long");
            return Poll::Ready(Some(Err(this.refuse(refusal))));
        };
        this.timer = None;
        Poll::Ready(match frame {
            None => None,
            Some(Ok(frame)) => {
                let received = frame.data_ref().map_or(Ok(()), |bytes| this.receive(bytes));
                Some(received.map(|()| frame).map_err(|refusal| this.refuse(refusal)))
            }
            Some(Err(error)) => Some(Err(Status::cancelled(format!("the call was cut off: {error}")))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Where messages begin and end in what comes.
#[derive(Debug, Default)]
struct Messages {
    prefix: [u8; PREFIX],
    filled: usize,
    /// Bytes of the message that are still to come.
    left: usize,
}

impl Messages {
    /// Whether all that came are whole messages.
    fn is_between(&self) -> bool {
        self.filled == 0 && self.left == 0
    }

    /// Notes bytes; `admit` is asked about the length of each message before any of it is passed on.
    fn receive<E>(
        &mut self,
        mut bytes: &[u8],
        mut admit: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let missing = self.prefix.get_mut(self.filled..).unwrap_or_default();
            let count = missing.len().min(bytes.len());
            let (front, rest) = bytes.split_at(count);
            missing.iter_mut().zip(front).for_each(|(to, from)| *to = *from);
            self.filled += count;
            bytes = rest;
            if self.filled == PREFIX {
                self.filled = 0;
                let [_, a, b, c, d] = self.prefix;
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                admit(self.left)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let mut stream = Vec::new();
        for len in [0_usize, 1, 5, 300, 70_000, 0] {
            stream.push(0);
            stream.extend_from_slice(&(len as u32).to_be_bytes());
            stream.extend(std::iter::repeat_n(7, len));
        }
        for piece in [1, 3, 5, 6, 1000, stream.len()] {
            let (mut messages, mut seen) = (Messages::default(), Vec::new());
            for bytes in stream.chunks(piece) {
                messages
                    .receive(bytes, |len| {
                        seen.push(len);
                        Ok::<_, ()>(())
                    })
                    .unwrap();
            }
            assert_eq!(seen, [0, 1, 5, 300, 70_000, 0], "in pieces of {piece}");
        }
    }

    #[test]
    fn a_length_is_refused_before_its_bytes_come() {
        let mut messages = Messages::default();
        assert_eq!(messages.receive(&[0, 255, 255, 255, 255], Err), Err(u32::MAX as usize));
    }
}
