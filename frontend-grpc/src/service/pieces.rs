//! Content on its way out, in pieces. One piece is read ahead of the one that is on its way.

use crate::call::Call;
use crate::error::Refusal;
use bytes::Bytes;
use futures_util::{Stream, stream};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use strata_registry::{BlobBody, BlobFile};
use strata_transport::read_budget::Grant;
use strata_types::Failure;
use tonic::Status;

/// Bytes of a piece.
const PIECE: usize = 256 * 1024;
/// The same where much is held for others already.
const PIECE_SMALL: usize = 16 * 1024;
/// What a reader holds: the piece on its way and the one behind it.
const HELD: usize = 2 * PIECE;

pub(super) type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// The `len` bytes of a body from `start` on, none of which is behind its end.
pub(super) fn pieces(call: &Arc<Call>, body: BlobBody, start: u64, len: u64) -> Pieces {
    match body {
        BlobBody::Bytes(bytes) => {
            let start = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
            let end = start.saturating_add(usize::try_from(len).unwrap_or(usize::MAX)).min(bytes.len());
            let piece = (start < end).then(|| Ok(bytes.slice(start..end)));
            Box::pin(stream::iter(piece))
        }
        BlobBody::File(file) => {
            let grant = call.app.read_budget.take(HELD);
            let piece = if grant.is_some() { PIECE } else { PIECE_SMALL };
            let reader = Reader {
                call: Arc::clone(call),
                ahead: None,
                next: start,
                left: len,
                piece,
                file,
                _grant: grant,
            };
            Box::pin(stream::unfold(reader, Reader::step))
        }
    }
}

type Reading = Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>;

/// Where the reading of a file stands.
struct Reader {
    call: Arc<Call>,
    file: BlobFile,
    /// The read that is under way, which begins at `next`.
    ahead: Option<Reading>,
    next: u64,
    left: u64,
    piece: usize,
    _grant: Option<Grant>,
}

impl Reader {
    async fn step(mut self) -> Option<(Result<Bytes, Status>, Self)> {
        let reading = match self.ahead.take() {
            Some(reading) => reading,
            None => self.begin()?,
        };
        match reading.await {
            Ok(data) => {
                self.next += data.len() as u64;
                self.left = self.left.saturating_sub(data.len() as u64);
                if let Some(mut ahead) = self.begin() {
                    // Once, so that it is under way.
                    let read = poll_fn(|cx| Poll::Ready(ahead.as_mut().poll(cx))).await;
                    self.ahead = Some(match read {
                        Poll::Ready(read) => Box::pin(std::future::ready(read)),
                        Poll::Pending => ahead,
                    });
                }
                Some((Ok(data), self))
            }
            Err(error) => {
                let refusal = Refusal::new(Failure::Internal, "internal error");
                let refusal = Refusal { cause: format!("a blob could not be read: {error}"), ..refusal };
                let status = self.call.refuse(refusal);
                self.left = 0;
                Some((Err(status), self))
            }
        }
    }

    /// Begins to read the next piece; `None` at the end.
    fn begin(&self) -> Option<Reading> {
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.piece);
        let (file, next) = (self.file.clone(), self.next);
        (len > 0).then(|| -> Reading { Box::pin(async move { file.read_at(next, len).await }) })
    }
}
