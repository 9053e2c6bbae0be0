//! From a request's body into an upload.

use crate::error::{BodyError, RegistryError};
use bytes::Bytes;
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use strata_engine::{EngineError, UploadWriter};

/// How long a body may pause before its upload gives its buffers back.
const PARK_AFTER: Duration = Duration::from_secs(1);

/// Why a body did not get into the store as a whole.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// The client's doing; what came before is in the upload.
    Body(RegistryError),
    /// The store's doing; the upload stands where it last was durable.
    Store(EngineError),
}

/// Writes the body to the upload. Where a length is declared, not a byte beyond it is written.
pub(super) async fn receive(
    writer: &mut UploadWriter,
    body: impl Stream<Item = Result<Bytes, BodyError>> + Send,
    declared: Option<u64>,
) -> Result<(), Interrupted> {
    let mut body = pin!(body);
    let mut received = 0_u64;
    while let Some(chunk) = next(writer, body.as_mut()).await? {
        let mut chunk = chunk.map_err(|error| Interrupted::Body(error.into()))?;
        let room = declared.map_or(u64::MAX, |declared| declared - received);
        let beyond = chunk.len() as u64 > room;
        if beyond {
            chunk.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        }
        received += chunk.len() as u64;
        if !chunk.is_empty() {
            writer.write(chunk).await.map_err(Interrupted::Store)?;
        }
        if let (true, Some(declared)) = (beyond, declared) {
            return Err(Interrupted::Body(RegistryError::SizeMismatch { declared, received: declared + 1 }));
        }
    }
    match declared {
        Some(declared) if received < declared => {
            Err(Interrupted::Body(RegistryError::SizeMismatch { declared, received }))
        }
        _ => Ok(()),
    }
}

/// The next chunk. A body that pauses parks the upload, so that an idle client holds no memory.
async fn next<S>(
    writer: &mut UploadWriter,
    mut body: Pin<&mut S>,
) -> Result<Option<Result<Bytes, BodyError>>, Interrupted>
where
    S: Stream<Item = Result<Bytes, BodyError>> + Send,
{
    // The timer is made only for a body that pauses at all.
    let ready = poll_fn(|cx| match body.as_mut().poll_next(cx) {
        Poll::Ready(item) => Poll::Ready(Some(item)),
        Poll::Pending => Poll::Ready(None),
    });
    if let Some(item) = ready.await {
        return Ok(item);
    }
    let item = tokio::time::timeout(PARK_AFTER, poll_fn(|cx| body.as_mut().poll_next(cx))).await;
    if let Ok(item) = item {
        return Ok(item);
    }
    writer.park().await.map_err(Interrupted::Store)?;
    Ok(poll_fn(|cx| body.as_mut().poll_next(cx)).await)
}
