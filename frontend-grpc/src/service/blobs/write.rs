//! `Write`: messages become the body of an upload.

use crate::call::{Call, cut, digest, invalid, session};
use crate::error::Refusal;
use crate::proto::registry as v1;
use bytes::Bytes;
use futures_util::{Stream, stream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use strata_registry::{BodyError, ChunkRange};
use strata_types::{Digest, ErrorCode, RepositoryName, UploadId};
use tonic::Streaming;
use v1::blobs_write_request::Part;

/// Takes all messages of a call, in the order of the protocol.
pub(crate) async fn write(
    call: &Call,
    messages: &mut Streaming<v1::BlobsWriteRequest>,
) -> Result<v1::BlobsWriteResponse, Refusal> {
    let first = messages.message().await.map_err(|status| cut(&status))?;
    let Some(Part::Start(start)) = first.and_then(|message| message.part) else {
        return Err(invalid("start", "the first message says what is written"));
    };
    let repository = call.repository(&start.repository)?;
    let expected = Some(start.digest.as_str()).filter(|digest| !digest.is_empty());
    let expected = expected.map(digest).transpose()?;
    let mut body =
        Messages { incoming: messages, may_finish: expected.is_none(), ended: Ended::No, bytes: 0 };
    let written = if start.session.is_empty() {
        whole(call, &repository, &start, expected, &mut body).await
    } else {
        let id = session(&start.session)?;
        part(call, &repository, &id, &start, expected, &mut body).await
    };
    match body.ended {
        // What is wrong with the messages explains what became of the body.
        Ended::Wrong(refusal) => Err(refusal),
        Ended::No | Ended::With(_) => written,
    }
}

/// A blob in one call, without a session.
async fn whole(
    call: &Call,
    repository: &RepositoryName,
    start: &v1::BlobsWriteStart,
    expected: Option<Digest>,
    body: &mut Messages<'_>,
) -> Result<v1::BlobsWriteResponse, Refusal> {
    let Some(expected) = expected else {
        return Err(Refusal::field(
            ErrorCode::DigestInvalid,
            "start.digest",
            "a blob that is written without a session has to be named first",
        ));
    };
    if start.offset != 0 {
        return Err(invalid("start.offset", "a blob that is written without a session begins at 0"));
    }
    let registry = call.registry();
    let done = registry.put_blob(&call.context, repository, &expected, start.size, &mut *body).await?;
    Ok(v1::BlobsWriteResponse { digest: done.to_string(), offset: body.bytes })
}

/// A part of a session, which may be its last.
async fn part(
    call: &Call,
    repository: &RepositoryName,
    id: &UploadId,
    start: &v1::BlobsWriteStart,
    expected: Option<Digest>,
    body: &mut Messages<'_>,
) -> Result<v1::BlobsWriteResponse, Refusal> {
    let (registry, ctx) = (call.registry(), &call.context);
    let range = Some(ChunkRange { start: Some(start.offset), len: start.size });
    if let Some(expected) = expected {
        let done = registry.finish_upload(ctx, repository, id, range, &mut *body, &expected).await?;
        let offset = start.offset.saturating_add(body.bytes);
        return Ok(v1::BlobsWriteResponse { digest: done.to_string(), offset });
    }
    let status = registry.append_upload(ctx, repository, id, range, &mut *body).await?;
    let finish = match &body.ended {
        Ended::With(finish) => Some(*finish),
        Ended::No | Ended::Wrong(_) => None,
    };
    let Some(finish) = finish else {
        return Ok(v1::BlobsWriteResponse { digest: String::new(), offset: status.offset });
    };
    let rest = Some(ChunkRange { start: Some(status.offset), len: Some(0) });
    let nothing = stream::empty::<Result<Bytes, BodyError>>();
    let done = registry.finish_upload(ctx, repository, id, rest, nothing, &finish).await?;
    Ok(v1::BlobsWriteResponse { digest: done.to_string(), offset: status.offset })
}

/// How the messages of a call came to their end.
#[derive(Debug)]
enum Ended {
    /// Not yet, or without a word.
    No,
    /// With the digest of the blob.
    With(Digest),
    /// By what the protocol does not have.
    Wrong(Refusal),
}

/// The bytes of the messages.
#[derive(Debug)]
struct Messages<'m> {
    incoming: &'m mut Streaming<v1::BlobsWriteRequest>,
    /// Whether a finish is expected.
    may_finish: bool,
    ended: Ended,
    bytes: u64,
}

impl Messages<'_> {
    fn wrong(&mut self, refusal: Refusal) -> Result<Bytes, BodyError> {
        self.ended = Ended::Wrong(refusal);
        Err(BodyError::Cut)
    }

    /// What a message is to the body; `Ok(None)`: nothing.
    fn take(&mut self, message: v1::BlobsWriteRequest) -> Option<Result<Bytes, BodyError>> {
        if matches!(self.ended, Ended::With(_)) {
            return Some(self.wrong(invalid("finish", "nothing follows the finish")));
        }
        match message.part {
            Some(Part::Data(data)) => {
                self.bytes = self.bytes.saturating_add(data.len() as u64);
                (!data.is_empty()).then_some(Ok(data))
            }
            Some(Part::Finish(finish)) if self.may_finish => match digest(&finish.digest) {
                Ok(digest) => {
                    self.ended = Ended::With(digest);
                    None
                }
                Err(refusal) => Some(self.wrong(refusal)),
            },
            Some(Part::Finish(_)) => Some(self.wrong(invalid("finish", "the start has named the digest"))),
            Some(Part::Start(_)) => Some(self.wrong(invalid("start", "only the first message is a start"))),
            None => Some(self.wrong(invalid("part", "a message without content"))),
        }
    }
}

impl Stream for Messages<'_> {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let Some(message) = ready!(Pin::new(&mut *self.incoming).poll_next(cx)) else {
                return Poll::Ready(None);
            };
            let item = match message {
                Ok(message) => self.take(message),
                Err(status) => {
                    let refusal = cut(&status);
                    Some(self.wrong(refusal))
                }
            };
            if item.is_some() {
                return Poll::Ready(item);
            }
        }
    }
}
