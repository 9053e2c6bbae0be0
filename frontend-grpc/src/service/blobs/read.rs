//! `Read`: a blob, or a part of it, in pieces.

use crate::call::{Call, digest};
use crate::error::Refusal;
use crate::proto::registry as v1;
use crate::service::pieces::pieces;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use std::pin::Pin;
use std::sync::Arc;
use strata_types::Failure;
use tonic::Status;

pub(crate) type Pieces = Pin<Box<dyn Stream<Item = Result<v1::BlobsReadResponse, Status>> + Send>>;

/// Opens the blob, and begins to read.
pub(crate) async fn open(call: &Arc<Call>, asked: &v1::BlobsReadRequest) -> Result<Pieces, Refusal> {
    let repository = call.repository(&asked.repository)?;
    let digest = digest(&asked.digest)?;
    let read = call.registry().open_blob(&call.context, &repository, &digest).await?;
    let left = read.size.checked_sub(asked.offset).ok_or_else(|| {
        let message = format!("the blob has {} bytes", read.size);
        Refusal::field(Failure::RangeInvalid, "offset", message)
    })?;
    let len = if asked.size == 0 { left } else { left.min(asked.size) };
    let message = |piece: Result<Bytes, Status>| piece.map(|data| v1::BlobsReadResponse { data });
    if len == 0 {
        // That there is nothing is said, too.
        return Ok(Box::pin(stream::iter([message(Ok(Bytes::new()))])));
    }
    Ok(Box::pin(pieces(call, read.body, asked.offset, len).map(message)))
}
