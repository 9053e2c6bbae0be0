//! `Read`: content, or a part of it.

use super::convert::signed;
use crate::call::Call;
use crate::error::Refusal;
use crate::proto::content as v1;
use crate::service::pieces::pieces;
use futures_util::{Stream, StreamExt as _};
use std::pin::Pin;
use std::sync::Arc;
use strata_registry::ContentSpace;
use strata_types::Failure;
use tonic::Status;

pub(crate) type Pieces = Pin<Box<dyn Stream<Item = Result<v1::ReadContentResponse, Status>> + Send>>;

/// Opens the content.
pub(super) async fn open(
    call: &Arc<Call>,
    space: &ContentSpace,
    asked: &v1::ReadContentRequest,
) -> Result<Pieces, Refusal> {
    let digest = crate::call::digest(&asked.digest)?;
    let read = call.registry().open_content(&call.context, space, &digest).await?;
    let start = u64::try_from(asked.offset).unwrap_or(0);
    let left = read.size.checked_sub(start).ok_or_else(|| {
        let message = format!("read past object length {} bytes", read.size);
        Refusal::field(Failure::RangeInvalid, "offset", message)
    })?;
    let len = u64::try_from(asked.size).ok().filter(|size| *size > 0).map_or(left, |size| size.min(left));
    let mut offset = start;
    let message = move |piece: Result<bytes::Bytes, Status>| {
        piece.map(|data| {
            let at = offset;
            offset += data.len() as u64;
            v1::ReadContentResponse { offset: signed(at), data }
        })
    };
    Ok(Box::pin(pieces(call, read.body, start, len).map(message)))
}
