//! `strata.registry.v1.Events`

use crate::call::Call;
use crate::error::Refusal;
use crate::proto::registry as v1;
use futures_util::{Stream, stream};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use strata_registry::{Context, EventFilter, EventPage, FeedEvent};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

/// Events of one message.
const PAGE: usize = 256;
/// Most names in a filter.
const FILTER_MAX: usize = 1000;
/// How often somebody who waits is asked for anew where nothing happens.
const ASKED_AGAIN: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Events;

type Feed = Pin<Box<dyn Stream<Item = Result<v1::EventsWatchResponse, Status>> + Send>>;

fn text(text: Option<&(impl ToString + ?Sized)>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

fn event(event: FeedEvent) -> v1::Event {
    v1::Event {
        number: event.number,
        at_millis: event.at.0,
        action: event.action.to_string(),
        repository: text(event.repository.as_ref()),
        digest: text(event.digest.as_ref()),
        tag: text(event.tag.as_ref()),
        target: event.target,
        result: event.result.to_string(),
        account: text(event.account.as_deref()),
        key: text(event.key.as_deref()),
        remote: text(event.remote.as_ref()),
        request: text(event.request.as_deref()),
    }
}

fn page(page: EventPage) -> v1::EventsWatchResponse {
    let events = page.events.into_iter().map(event).collect();
    v1::EventsWatchResponse { events, cursor: page.cursor, is_end: page.is_end }
}

fn filter(asked: v1::EventsWatchRequest) -> Result<EventFilter, Refusal> {
    for (field, names) in [
        ("registries", &asked.registries),
        ("repositories", &asked.repositories),
        ("actions", &asked.actions),
    ] {
        if names.len() > FILTER_MAX {
            return Err(crate::call::invalid(field, "a filter names at most 1000"));
        }
    }
    let repositories = asked.repositories.iter().map(|name| strata_types::RepositoryName::parse(name));
    Ok(EventFilter {
        registries: asked.registries,
        repositories: repositories.collect::<Result<_, _>>()?,
        actions: asked.actions,
    })
}

/// Where a follower stands.
struct Follower {
    call: Arc<Call>,
    filter: EventFilter,
    cursor: u64,
    until_end: bool,
    step: Step,
}

/// What comes next for a follower.
#[derive(PartialEq, Eq)]
enum Step {
    /// The first answer, which comes at once.
    First,
    /// More of what is there.
    Read,
    /// Nothing, before something happens.
    Wait,
    /// Nothing any more.
    End,
}

impl Follower {
    async fn next(mut self) -> Option<(Result<v1::EventsWatchResponse, Status>, Self)> {
        if self.step == Step::End {
            return None;
        }
        match self.page().await {
            Ok(found) => {
                self.cursor = found.cursor;
                self.step = match (found.is_end, self.until_end) {
                    (true, true) => Step::End,
                    (true, false) => Step::Wait,
                    (false, _) => Step::Read,
                };
                Some((Ok(page(found)), self))
            }
            Err(refusal) => {
                self.step = Step::End;
                Some((Err(self.call.refuse(refusal)), self))
            }
        }
    }

    /// The next page that says anything.
    async fn page(&mut self) -> Result<EventPage, Refusal> {
        loop {
            let registry = self.call.registry();
            let is_woken = self.step != Step::Wait
                || match timeout(ASKED_AGAIN, registry.events_beyond(self.cursor)).await {
                    Ok(beyond) => beyond.map(|()| true)?,
                    Err(_) => false,
                };
            // Asked each time: what was taken away meanwhile is gone with the next page.
            // RACE: the event that tells of it may be there before it counts, and the end of a token is no event. So asked without an event too.
            let ctx: Context = self.call.ask_again().await?;
            if !is_woken {
                continue;
            }
            let found = registry.events(&ctx, &self.filter, self.cursor, PAGE).await?;
            if self.step == Step::First || !found.events.is_empty() || found.cursor > self.cursor {
                return Ok(found);
            }
            self.step = if found.is_end { Step::Wait } else { Step::Read };
        }
    }
}

#[tonic::async_trait]
impl v1::events_server::Events for Events {
    type WatchStream = Feed;

    async fn watch(&self, request: Request<v1::EventsWatchRequest>) -> Result<Response<Feed>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let last = call.registry().last_event(&call.context)?;
            let (cursor, until_end) = (asked.cursor.unwrap_or(last), asked.until_end);
            let filter = filter(asked)?;
            let call = Arc::clone(&call);
            let follower = Follower { call, filter, cursor, until_end, step: Step::First };
            Ok(Box::pin(stream::unfold(follower, Follower::next)) as Feed)
        })
        .await
    }
}
