//! From a request's body into an upload.

use crate::error::{BodyError, RegistryError};
use crate::quota::Room;
use bytes::Bytes;
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{self, Poll};
use std::time::Duration;
use strata_engine::{EngineError, UploadWriter};
use tokio::time::Instant;

/// How long a body may pause before its upload gives its buffers back.
const PARK_AFTER: Duration = Duration::from_secs(1);
/// The same while others wait for a buffer: so that many who stall together keep those who do not waiting for a moment only.
const PARK_AFTER_IF_WANTED: Duration = Duration::from_millis(25);

/// Why a body did not get into the store as a whole.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// The client's doing; what came before is in the upload.
    Body(RegistryError),
    /// The store's doing; the upload stands where it last was durable.
    Store(EngineError),
}

/// What comes next of a body.
#[derive(Debug)]
pub enum Piece {
    /// Bytes, not none.
    Bytes(Bytes),
    /// Bytes that are to be had by [`UploadBody::read`].
    Readable,
}

/// The body of an upload: a stream of chunks or, better, one that can read large parts into memory of the store.
pub trait UploadBody: Send {
    /// The next piece, in order; `None` at the end.
    ///
    /// # Errors
    /// The body ends before its end.
    fn poll_piece(self: Pin<&mut Self>, cx: &mut task::Context<'_>)
    -> Poll<Option<Result<Piece, BodyError>>>;

    /// Reads what can be had at once, after [`Piece::Readable`]; 0 where that is nothing after all.
    ///
    /// # Errors
    /// As [`UploadBody::poll_piece`].
    fn read(self: Pin<&mut Self>, memory: &mut [u8]) -> Result<usize, BodyError>;
}

impl<S: Stream<Item = Result<Bytes, BodyError>> + Send> UploadBody for S {
    fn poll_piece(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Piece, BodyError>>> {
        self.poll_next(cx).map_ok(Piece::Bytes)
    }

    fn read(self: Pin<&mut Self>, _: &mut [u8]) -> Result<usize, BodyError> {
        Ok(0)
    }
}

/// Writes the body to the upload. Not a byte beyond the declared length is written, nor one for which there is no room.
pub(super) async fn receive(
    writer: &mut UploadWriter,
    body: impl UploadBody,
    declared: Option<u64>,
    room: &Room,
) -> Result<(), Interrupted> {
    let mut body = pin!(body);
    let mut received = 0_u64;
    let room_for = room.left(writer.offset());
    let most = declared.map_or(room_for, |declared| declared.min(room_for));
    let beyond = || match declared {
        Some(declared) if declared == most => longer(declared),
        _ => Interrupted::Body(room.exceeded()),
    };
    while let Some(piece) = next(writer, body.as_mut()).await? {
        let left = most - received;
        match piece.map_err(|error| Interrupted::Body(error.into()))? {
            Piece::Bytes(mut chunk) => {
                let is_beyond = chunk.len() as u64 > left;
                if is_beyond {
                    chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                }
                received += chunk.len() as u64;
                if !chunk.is_empty() {
                    writer.write(chunk).await.map_err(Interrupted::Store)?;
                }
                if is_beyond {
                    return Err(beyond());
                }
            }
            Piece::Readable if left == 0 => {
                let is_more = body.as_mut().read(&mut [0]);
                if is_more.map_err(|error| Interrupted::Body(error.into()))? > 0 {
                    return Err(beyond());
                }
            }
            Piece::Readable => {
                let memory = writer.space().await.map_err(Interrupted::Store)?;
                let len = memory.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let count = body.as_mut().read(memory.get_mut(..len).unwrap_or_default());
                let count = count.map_err(|error| Interrupted::Body(error.into()))?;
                received += count as u64;
                writer.advance(count).await.map_err(Interrupted::Store)?;
            }
        }
    }
    match declared {
        Some(declared) if received < declared => {
            Err(Interrupted::Body(RegistryError::SizeMismatch { declared, received }))
        }
        _ => Ok(()),
    }
}

/// A body that goes on behind its declared end.
fn longer(declared: u64) -> Interrupted {
    Interrupted::Body(RegistryError::SizeMismatch { declared, received: declared + 1 })
}

/// The next piece. A body that pauses parks the upload, so that an idle client holds no memory.
async fn next<B: UploadBody>(
    writer: &mut UploadWriter,
    mut body: Pin<&mut B>,
) -> Result<Option<Result<Piece, BodyError>>, Interrupted> {
    // The timer is made only for a body that pauses at all.
    let ready = poll_fn(|cx| match body.as_mut().poll_piece(cx) {
        Poll::Ready(item) => Poll::Ready(Some(item)),
        Poll::Pending => Poll::Ready(None),
    });
    if let Some(item) = ready.await {
        return Ok(item);
    }
    let since = Instant::now();
    loop {
        let next = poll_fn(|cx| body.as_mut().poll_piece(cx));
        if let Ok(item) = tokio::time::timeout(PARK_AFTER_IF_WANTED, next).await {
            return Ok(item);
        }
        if writer.is_wanted() || since.elapsed() >= PARK_AFTER {
            break;
        }
    }
    writer.park().await.map_err(Interrupted::Store)?;
    Ok(poll_fn(|cx| body.as_mut().poll_piece(cx)).await)
}
