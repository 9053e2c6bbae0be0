//! The event log as a feed: what happened in the repositories that somebody may see, in order, from a cursor on, and a way to wait for more.
//! Mirrors follow it.
//!
//! The cursor is the number of the last event that a follower has dealt with. Only events that a power cut cannot take back are told, so a
//! number never comes to mean something else, and who follows misses nothing.

use crate::access::{Action, InstanceAction};
use crate::audit::AuditEntry;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use std::time::Duration;
use strata_engine::meta::Batch;
use strata_types::RepositoryName;

/// Most events of one page.
pub const FEED_EVENTS_MAX: usize = 1000;
/// Rows that one call looks at, whatever the filter leaves of them.
const ROWS_MAX: usize = 4096;
/// Rows of one read.
const ROWS_PER_READ: usize = 256;
/// How often a follower that waits looks for events that were noted without waiting for the disk.
const NOTED: Duration = Duration::from_secs(1);

/// Which events are wanted; an empty list is no condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// In these registries.
    pub registries: Vec<String>,
    /// In these repositories.
    pub repositories: Vec<RepositoryName>,
    /// These actions, `tag.set`, or any of these things, `tag`.
    pub actions: Vec<String>,
}

/// An event. Who did it, from where and by which request is told to those who may read the audit log.
pub type FeedEvent = AuditEntry;

/// A part of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventPage {
    /// The events, in order.
    pub events: Vec<FeedEvent>,
    /// The cursor to go on with: everything up to here was looked at.
    pub cursor: u64,
    /// Whether this is the end of the log at present.
    pub is_end: bool,
}

impl EventFilter {
    fn takes(&self, event: &FeedEvent) -> bool {
        let registry = || event.registry().is_some_and(|found| self.registries.iter().any(|of| of == found));
        let repository = || event.repository.as_ref().is_some_and(|found| self.repositories.contains(found));
        (self.registries.is_empty() || registry())
            && (self.repositories.is_empty() || repository())
            && (self.actions.is_empty() || self.actions.iter().any(|wanted| event.is(wanted)))
    }
}

impl Registry {
    /// The number of the last event, to follow from.
    ///
    /// # Errors
    /// As [`Registry::events`].
    pub fn last_event(&self, ctx: &Context) -> Result<u64> {
        self.authorize_instance(ctx, InstanceAction::Browse)?;
        Ok(self.engine().events().durable())
    }

    /// The events behind `after`, in order: those that the filter takes of what the one who asks may see, at most `limit` and
    /// [`FEED_EVENTS_MAX`]. A page can be empty and not the end.
    ///
    /// # Errors
    /// [`RegistryError::CursorGone`] where events behind `after` were removed because they were old;
    /// [`RegistryError::FieldInvalid`] where the log does not reach to `after`; [`RegistryError::Unauthorized`]; the store's condition.
    pub async fn events(
        &self,
        ctx: &Context,
        filter: &EventFilter,
        after: u64,
        limit: usize,
    ) -> Result<EventPage> {
        self.authorize_instance(ctx, InstanceAction::Browse)?;
        let (registry, ctx, filter) = (self.clone(), ctx.clone(), filter.clone());
        let limit = limit.clamp(1, FEED_EVENTS_MAX);
        away(move || registry.read_events(&ctx, &filter, after, limit)).await
    }

    fn read_events(
        &self,
        ctx: &Context,
        filter: &EventFilter,
        after: u64,
        limit: usize,
    ) -> Result<EventPage> {
        // Before the view, which then shows at least as much.
        let durable = self.engine().events().durable();
        let view = self.view()?;
        let begins = view.log_begins().map_err(RegistryError::store)?;
        if after.saturating_add(1) < begins {
            return Err(RegistryError::CursorGone { begins });
        }
        if after > durable {
            let why = format!("the event log ends at {durable}: this cursor is of another store");
            return Err(RegistryError::FieldInvalid { field: "cursor", why });
        }
        let tells_all = self.authorize_instance(ctx, InstanceAction::Watch).is_ok();
        let mut page = EventPage { cursor: after, ..EventPage::default() };
        for _ in 0..ROWS_MAX / ROWS_PER_READ {
            for (number, event) in view.events(page.cursor, ROWS_PER_READ).map_err(RegistryError::store)? {
                if number > durable {
                    break;
                }
                page.cursor = number;
                let event = AuditEntry::of(number, event);
                if filter.takes(&event)
                    && let Some(event) = self.share(ctx, event, tells_all)
                {
                    page.events.push(event);
                }
                if page.events.len() == limit {
                    break;
                }
            }
            page.is_end = page.cursor >= durable;
            if page.is_end || page.events.len() == limit {
                break;
            }
        }
        Ok(page)
    }

    /// What somebody is told of an event, if anything.
    fn share(&self, ctx: &Context, event: FeedEvent, tells_all: bool) -> Option<FeedEvent> {
        let is_seen = match (&event.repository, event.registry()) {
            (Some(repository), _) => self.allows(ctx, Action::See, repository),
            (None, Some(registry)) => tells_all && self.shows_registry(ctx, registry),
            (None, None) => tells_all,
        };
        is_seen.then(|| if tells_all { event } else { event.without_who() })
    }

    /// Waits until there are events behind `after` that a power cut cannot take back. May be dropped at any time.
    ///
    /// # Errors
    /// The store's condition.
    pub async fn events_beyond(&self, after: u64) -> Result<()> {
        let events = self.engine().events();
        loop {
            let is_noted = self.view()?.last_event().map_err(RegistryError::store)? > after;
            if events.durable() <= after && is_noted {
                // What is noted without waiting for the disk becomes durable with the next commit that does; nobody may make one for long.
                let mut batch = Batch::new(self.engine().now());
                batch.set_synced();
                self.engine().commit(batch).await.map_err(RegistryError::store)?;
            }
            if tokio::time::timeout(NOTED, events.beyond(after)).await.is_ok() {
                return Ok(());
            }
        }
    }
}
