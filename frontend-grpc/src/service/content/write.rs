//! `Write`: one answer for each message, in order. The ingest is the call's from the first message to its end.

use super::convert::{expected, offset, signed, time, total};
use crate::call::{Call, invalid};
use crate::error::Refusal;
use crate::proto::content::{self as v1, WriteAction};
use futures_util::{Stream, stream};
use std::pin::Pin;
use std::sync::Arc;
use strata_registry::{ContentSpace, ContentWriter, IngestStatus};
use tonic::{Code, Status, Streaming};

pub(crate) type Answers = Pin<Box<dyn Stream<Item = Result<v1::WriteContentResponse, Status>> + Send>>;

/// A call on its way.
struct Writing {
    call: Arc<Call>,
    space: ContentSpace,
    messages: Streaming<v1::WriteContentRequest>,
    stands: Stands,
}

/// Where a call stands.
enum Stands {
    AtItsBegin,
    With(Box<ContentWriter>),
    AtItsEnd,
}

/// Begins to answer.
pub(super) fn begin(
    call: &Arc<Call>,
    space: ContentSpace,
    messages: Streaming<v1::WriteContentRequest>,
) -> Answers {
    let writing = Writing { call: Arc::clone(call), space, messages, stands: Stands::AtItsBegin };
    Box::pin(stream::unfold(writing, Writing::step))
}

impl Writing {
    async fn step(mut self) -> Option<(Result<v1::WriteContentResponse, Status>, Self)> {
        match self.next().await {
            Ok(None) => None,
            Ok(Some(answer)) => Some((Ok(answer), self)),
            Err(refusal) => {
                // What came stays, and is durable before the client is told.
                if let Stands::With(writer) = std::mem::replace(&mut self.stands, Stands::AtItsEnd)
                    && let Err(error) = writer.suspend().await
                {
                    tracing::debug!(%error, "an ingest whose call failed was not kept");
                }
                let status = self.call.refuse(refusal);
                Some((Err(status), self))
            }
        }
    }

    /// The answer to the next message; `None` at the end.
    async fn next(&mut self) -> Result<Option<v1::WriteContentResponse>, Refusal> {
        let message = match &mut self.stands {
            Stands::AtItsEnd => return Ok(None),
            Stands::AtItsBegin => self.messages.message().await,
            Stands::With(writer) => writer.wait(self.messages.message()).await?,
        };
        let Some(message) = message.map_err(|status| cut(&status))? else {
            if let Stands::With(writer) = std::mem::replace(&mut self.stands, Stands::AtItsEnd) {
                // Whoever goes on finds all that came.
                writer.suspend().await?;
            }
            return Ok(None);
        };
        let said = expected(&message.expected)?;
        let action = WriteAction::try_from(message.action)
            .map_err(|_| invalid("action", "it is one of STAT, WRITE and COMMIT"))?;
        match &mut self.stands {
            Stands::AtItsBegin => {
                let (registry, ctx, total) = (self.call.registry(), &self.call.context, total(message.total));
                let opened = registry.open_ingest(ctx, &self.space, &message.r#ref, total, said.as_ref());
                self.stands = Stands::With(Box::new(opened.await?));
            }
            Stands::With(writer) => {
                if let Some(said) = &said {
                    writer.expect(said).await?;
                }
            }
            Stands::AtItsEnd => {}
        }
        self.take(action, message).await.map(Some)
    }

    async fn take(
        &mut self,
        action: WriteAction,
        message: v1::WriteContentRequest,
    ) -> Result<v1::WriteContentResponse, Refusal> {
        let Stands::With(writer) = &mut self.stands else {
            return Err(invalid("action", "nothing follows a commit"));
        };
        writer.set_total(total(message.total));
        let mut answer = v1::WriteContentResponse { action: action.into(), ..Default::default() };
        if action == WriteAction::Stat {
            let IngestStatus { offset, total, started_at, updated_at, .. } = writer.status();
            answer.offset = signed(offset);
            answer.total = signed(total);
            answer.started_at = Some(time(started_at));
            answer.updated_at = Some(time(updated_at));
            return Ok(answer);
        }
        let stands_at = writer.write(offset(message.offset)?, message.data).await?;
        answer.offset = signed(stands_at);
        if action == WriteAction::Commit
            && let Stands::With(writer) = std::mem::replace(&mut self.stands, Stands::AtItsEnd)
        {
            let committed = writer.commit(message.labels.into_iter().collect()).await?;
            answer.digest = committed.digest.to_string();
        }
        Ok(answer)
    }
}

/// What becomes of a call whose messages could not be read.
fn cut(status: &Status) -> Refusal {
    let refusal = invalid("message", status.message());
    match status.code() {
        // A message that is none. Answers may have begun, so nobody gives it its reason behind this.
        Code::Internal => refusal,
        _ => Refusal { status: status.clone(), ..refusal },
    }
}
