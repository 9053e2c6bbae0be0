//! Reads a range of a file in pieces, for connections that cannot be sent from a file directly (TLS, HTTP/2).
//!
//! One piece is read ahead while the last one is being sent. Pieces are accounted for in the store-wide read budget until
//! the connection has let go of them; when the budget is spent they become small.

use super::{FileSource, Progress, ReadFuture, too_short, unreadable};
use crate::read_budget::{Grant, ReadBudget};
use bytes::Bytes;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Size of a piece when the budget is spent.
const PIECE_MIN: usize = 16 * 1024;

pub(super) struct FileReader {
    file: Arc<dyn FileSource>,
    /// Bytes not asked for yet.
    rest: Range<u64>,
    piece: usize,
    budget: ReadBudget,
    ahead: Option<Ahead>,
    progress: Arc<Progress>,
}

/// A read under way or done.
struct Ahead {
    read: ReadState,
    offset: u64,
    asked: usize,
    grant: Option<Grant>,
}

enum ReadState {
    Running(ReadFuture),
    Done(io::Result<Bytes>),
}

impl FileReader {
    pub(super) fn new(
        file: Arc<dyn FileSource>,
        range: Range<u64>,
        piece: usize,
        budget: ReadBudget,
        progress: Arc<Progress>,
    ) -> Self {
        Self { file, rest: range, piece, budget, ahead: None, progress }
    }

    /// The next piece, never empty; `None` at the end of the range.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(mut ahead) = self.ahead.take().or_else(|| self.start()) else { return Poll::Ready(None) };
        if !ahead.poll(cx) {
            self.ahead = Some(ahead);
            return Poll::Pending;
        }
        let ReadState::Done(result) = ahead.read else { return Poll::Pending };
        let bytes = match result {
            Err(error) => return Poll::Ready(Some(Err(unreadable(&self.file, ahead.offset, error)))),
            Ok(bytes) if bytes.is_empty() => {
                return Poll::Ready(Some(Err(too_short(&self.file, ahead.offset))));
            }
            Ok(bytes) => bytes.slice(..bytes.len().min(ahead.asked)),
        };
        // A source may give less than was asked for; no other read is under way yet.
        self.rest.start = ahead.offset + bytes.len() as u64;
        self.progress.sent(bytes.len() as u64);
        // Only a read that is polled runs: the next one goes on while this piece is sent.
        self.ahead = self.start();
        if let Some(next) = &mut self.ahead {
            next.poll(cx);
        }
        Poll::Ready(Some(Ok(match ahead.grant {
            Some(grant) if grant.is_counted() => held(bytes, grant, &self.progress),
            _ => bytes,
        })))
    }

    /// Begins the next read, if there is something left to read.
    fn start(&mut self) -> Option<Ahead> {
        let left = self.rest.end.saturating_sub(self.rest.start);
        if left == 0 {
            return None;
        }
        let whole = usize::try_from(left).unwrap_or(usize::MAX).min(self.piece);
        let grant = self.budget.take(whole);
        let asked = if grant.is_some() { whole } else { whole.min(PIECE_MIN) };
        let offset = self.rest.start;
        let read = Arc::clone(&self.file).read_at(offset, asked);
        self.rest.start += asked as u64;
        Some(Ahead { read: ReadState::Running(read), offset, asked, grant })
    }
}

impl Ahead {
    /// Whether the read is done.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if let ReadState::Running(future) = &mut self.read {
            let Poll::Ready(result) = future.as_mut().poll(cx) else { return false };
            self.read = ReadState::Done(result);
        }
        true
    }
}

/// Ties the budget and the exchange to the bytes: both are given back when the connection has let go of them.
fn held(bytes: Bytes, grant: Grant, progress: &Arc<Progress>) -> Bytes {
    struct Held {
        bytes: Bytes,
        _grant: Grant,
        _progress: Arc<Progress>,
    }
    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }
    Bytes::from_owner(Held { bytes, _grant: grant, _progress: Arc::clone(progress) })
}
