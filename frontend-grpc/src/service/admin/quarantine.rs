//! Blobs in quarantine.

use super::{limit, some};
use crate::call::{Call, cut, digest, invalid};
use crate::error::Refusal;
use crate::proto::registry as v1;
use bytes::Bytes;
use futures_util::Stream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use strata_registry as registry;
use strata_registry::{BodyError, Rechecked};
use tonic::Streaming;
use v1::admin_repair_blob_request::Part;

pub(super) async fn list_quarantine(
    call: &Call,
    asked: v1::AdminListQuarantineRequest,
) -> Result<v1::AdminListQuarantineResponse, Refusal> {
    let after = some(&asked.page_token).map(digest).transpose()?;
    let limit = limit(asked.page_size).min(registry::DELETIONS_MAX);
    // One more than asked for tells whether there are more.
    let registry = call.registry();
    let mut found = registry.quarantined(&call.context, after.as_ref(), limit.saturating_add(1)).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|blob| blob.digest.to_string());
    let blob = |blob: registry::QuarantinedBlob| {
        let quarantine = blob.stored.quarantine?;
        Some(v1::QuarantinedBlob {
            digest: blob.digest.to_string(),
            size: blob.stored.record.size,
            since_millis: quarantine.at.0,
            damage: quarantine.damage.as_str().to_owned(),
            repositories: blob.repositories.iter().map(ToString::to_string).collect(),
            repositories_total: blob.total as u64,
        })
    };
    Ok(v1::AdminListQuarantineResponse {
        blobs: found.into_iter().filter_map(blob).collect(),
        next_page_token: next.unwrap_or_default(),
    })
}

pub(super) async fn recheck_quarantine(
    call: &Call,
    asked: v1::AdminRecheckQuarantineRequest,
) -> Result<v1::AdminRecheckQuarantineResponse, Refusal> {
    let mut answer = v1::AdminRecheckQuarantineResponse::default();
    let Some(text) = some(&asked.digest) else {
        let tally = call.registry().recheck_quarantine(&call.context).await?;
        let registry::RecheckTally { released, damaged, unreadable } = tally;
        return Ok(v1::AdminRecheckQuarantineResponse { released, damaged, unreadable });
    };
    match call.registry().recheck_blob(&call.context, &digest(text)?).await? {
        Rechecked::Released => answer.released = 1,
        Rechecked::Damaged { .. } => answer.damaged = 1,
        Rechecked::Unreadable { .. } => answer.unreadable = 1,
        // Sound, and not in quarantine any more.
        _ => {}
    }
    Ok(answer)
}

pub(super) async fn discard_blob(
    call: &Call,
    asked: v1::AdminDiscardBlobRequest,
) -> Result<v1::AdminDiscardBlobResponse, Refusal> {
    call.registry().discard_blob(&call.context, &digest(&asked.digest)?).await?;
    Ok(v1::AdminDiscardBlobResponse {})
}

pub(super) async fn repair_blob(
    call: &Call,
    messages: &mut Streaming<v1::AdminRepairBlobRequest>,
) -> Result<v1::AdminRepairBlobResponse, Refusal> {
    let first = messages.message().await.map_err(|status| cut(&status))?;
    let Some(Part::Start(start)) = first.and_then(|message| message.part) else {
        return Err(invalid("start", "the first message says which blob"));
    };
    let digest = digest(&start.digest)?;
    let mut body = Data { incoming: messages, wrong: None };
    let healed = call.registry().repair_blob(&call.context, &digest, start.size, &mut body).await;
    match body.wrong {
        // What is wrong with the messages explains what became of the body.
        Some(refusal) => Err(refusal),
        None => Ok(v1::AdminRepairBlobResponse { healed: healed? }),
    }
}

/// The bytes of the messages behind the first.
#[derive(Debug)]
struct Data<'m> {
    incoming: &'m mut Streaming<v1::AdminRepairBlobRequest>,
    wrong: Option<Refusal>,
}

impl Stream for Data<'_> {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let refusal = match ready!(Pin::new(&mut *self.incoming).poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(v1::AdminRepairBlobRequest { part: Some(Part::Data(data)) })) => {
                    if data.is_empty() {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Some(Ok(_)) => invalid("part", "bytes follow the start, and nothing else"),
                Some(Err(status)) => cut(&status),
            };
            self.wrong = Some(refusal);
            return Poll::Ready(Some(Err(BodyError::Cut)));
        }
    }
}
