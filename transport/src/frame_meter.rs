//! How patient an HTTP/2 connection is with frames that carry nothing: PING, SETTINGS, PRIORITY, resets and the like each cost the server work, and an
//! answer to some of them, at nine bytes a piece.
//!
//! A client begins with credit for a few of them, earns more with requests, content and what it takes of answers, and some with time. Whoever has used
//! it up is a flood and loses the connection, and gains little by another one ([`crate::flood`]). Before that a flood costs others little: a connection gives way
//! after so many frames, and one that has used up most of its credit is read in small pieces.

use crate::activity::Activity;
use crate::flood::FloodGuard;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Frames that carry nothing, at the beginning: a client's settings, windows and priorities are a dozen.
const CREDIT_FIRST: u32 = 256;
/// The same at most.
const CREDIT_MAX: u32 = 2000;
/// Whoever has less is suspect.
const CREDIT_LOW: u32 = CREDIT_FIRST / 2;
/// How many of them are earned by a request: its priority, its windows, its reset.
const EARNED_BY_REQUEST: u32 = 8;
/// Bytes of answers that earn one: a client that takes them says so, for the stream and for the connection.
const BYTES_FOR_ONE: usize = 2048;
/// Time that earns one.
const TIME_FOR_ONE: Duration = Duration::from_millis(10);
/// Content below which a DATA frame is one that carries nothing, bytes.
const CONTENT_MIN: usize = 32;
/// Frames of one turn.
const TURN_FRAMES: u32 = 16;
/// What is read at once of a connection that is suspect, bytes.
const SUSPECT_BYTES: usize = 1024;
/// The client's connection preface, which is no frame (RFC 9113 §3.4).
const PREFACE_BYTES: usize = 24;
/// Length (3 bytes), type, flags, stream (4 bytes).
const FRAME_HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;

/// Counts the frames of one connection.
#[derive(Debug)]
struct FrameMeter {
    credit: u32,
    /// Since when time has earned nothing.
    earned_until: Instant,
    /// Bytes of answers that have not earned one yet.
    written: usize,
    /// Bytes until the next head of a frame.
    skip: usize,
    head: [u8; FRAME_HEAD],
    filled: usize,
    /// Frames of this turn.
    turn: u32,
}

impl FrameMeter {
    fn new() -> Self {
        Self {
            credit: CREDIT_FIRST,
            earned_until: Instant::now(),
            written: 0,
            skip: PREFACE_BYTES,
            head: [0; FRAME_HEAD],
            filled: 0,
            turn: 0,
        }
    }

    /// Notes what was received. `false`: this is a flood.
    fn receive(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let missing = self.head.get_mut(self.filled..).unwrap_or_default();
            let count = missing.len().min(bytes.len());
            let (front, rest) = bytes.split_at(count);
            missing.iter_mut().zip(front).for_each(|(to, from)| *to = *from);
            self.filled += count;
            bytes = rest;
            if self.filled == FRAME_HEAD {
                self.filled = 0;
                let [high, middle, low, kind, ..] = self.head;
                self.skip = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.turn += 1;
                if !self.frame(kind, self.skip) {
                    return false;
                }
            }
        }
        true
    }

    /// Whether the credit covers the frame.
    fn frame(&mut self, kind: u8, len: usize) -> bool {
        match kind {
            DATA if len >= CONTENT_MIN => self.earn(1),
            HEADERS => self.earn(EARNED_BY_REQUEST),
            _ => {
                if self.credit == 0 {
                    let intervals = self.earned_until.elapsed().as_millis() / TIME_FOR_ONE.as_millis();
                    self.earned_until = Instant::now();
                    self.earn(u32::try_from(intervals).unwrap_or(u32::MAX));
                }
                let Some(left) = self.credit.checked_sub(1) else { return false };
                self.credit = left;
            }
        }
        true
    }

    fn earn(&mut self, frames: u32) {
        self.credit = self.credit.saturating_add(frames).min(CREDIT_MAX);
    }

    /// Notes what the client took.
    fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        self.earn(u32::try_from(self.written / BYTES_FOR_ONE).unwrap_or(u32::MAX));
        self.written %= BYTES_FOR_ONE;
    }

    const fn is_suspect(&self) -> bool {
        self.credit < CREDIT_LOW
    }
}

/// The stream of an HTTP/2 connection whose frames are counted.
#[derive(Debug)]
pub struct Metered<S> {
    stream: S,
    meter: FrameMeter,
    activity: Arc<Activity>,
    guard: Option<FloodGuard>,
}

impl<S> Metered<S> {
    /// Counts from the client's preface on. A flood is told to `guard`; a Unix socket has none.
    pub fn new(stream: S, activity: Arc<Activity>, guard: Option<FloodGuard>) -> Self {
        Self { stream, meter: FrameMeter::new(), activity, guard }
    }

    fn count(&mut self, received: &[u8]) -> io::Result<()> {
        if self.meter.receive(received) {
            return Ok(());
        }
        // What is on its way to such a client is not waited for.
        self.activity.set_reset();
        if let Some(guard) = &self.guard {
            guard.note();
        }
        Err(io::Error::other("a flood of frames that carry nothing"))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.meter.turn >= TURN_FRAMES {
            this.meter.turn = 0;
            // As in `zero_copy::range`: the runtime looks for what has come from others first.
            let _ = pin!(tokio::task::yield_now()).poll(cx);
            return Poll::Pending;
        }
        if this.meter.is_suspect() {
            let mut scratch = [0; SUSPECT_BYTES];
            let room = buffer.remaining().min(SUSPECT_BYTES);
            let mut part = ReadBuf::new(scratch.get_mut(..room).unwrap_or_default());
            let read = Pin::new(&mut this.stream).poll_read(cx, &mut part);
            if read.is_pending() {
                this.meter.turn = 0;
            }
            ready!(read)?;
            buffer.put_slice(part.filled());
            return Poll::Ready(this.count(part.filled()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if read.is_pending() {
            this.meter.turn = 0;
        }
        ready!(read)?;
        Poll::Ready(this.count(buffer.filled().get(before..).unwrap_or_default()))
    }
}

impl<S: AsyncWrite + Unpin> Metered<S> {
    fn wrote(&mut self, sent: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &sent {
            self.meter.wrote(*bytes);
        }
        sent
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(kind: u8, len: usize) -> Vec<u8> {
        let [_, high, middle, low] = (len as u32).to_be_bytes();
        let mut bytes = vec![high, middle, low, kind, 0, 0, 0, 0, 1];
        bytes.resize(FRAME_HEAD + len, b'x');
        bytes
    }

    fn begun() -> FrameMeter {
        let mut meter = FrameMeter::new();
        assert!(meter.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        meter
    }

    #[tokio::test(start_paused = true)]
    async fn pings_without_end_are_a_flood_however_they_are_cut() {
        for piece in [1, 7, 17, 4096] {
            let mut meter = begun();
            let pings = frame(PING, 8).repeat(CREDIT_FIRST as usize);
            assert!(pings.chunks(piece).all(|bytes| meter.receive(bytes)));
            advance(TIME_FOR_ONE * 3).await;
            assert!(meter.receive(&frame(PING, 8).repeat(3)), "time earns some");
            assert!(!meter.receive(&frame(PING, 8)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_sends_and_takes_can_go_on_for_ever() {
        let mut meter = begun();
        for _ in 0..CREDIT_MAX {
            let request = [frame(HEADERS, 40), frame(WINDOW_UPDATE, 4), frame(DATA, 0), frame(3, 4)].concat();
            assert!(meter.receive(&request));
            assert!(meter.receive(&[frame(DATA, 16_384), frame(PING, 8)].concat()));
            meter.wrote(16_384);
            assert!(meter.receive(&frame(WINDOW_UPDATE, 4).repeat(2)));
        }
        assert!(!meter.is_suspect());
        assert!(meter.credit > CREDIT_MAX - 10, "and has earned more than it began with");
        let mut meter = begun();
        let bytes = frame(DATA, 1).repeat(CREDIT_FIRST as usize);
        assert!(meter.receive(&bytes));
        assert!(!meter.receive(&frame(DATA, 1)), "content in single bytes costs as much as none");
    }
}
