//! Tells those who follow the event log how far it is durable, and wakes them when that has moved on.
//!
//! A follower keeps the number of the last event that it has seen. It may only see what a power cut cannot take back: the numbers of events that
//! were lost are given again, to others, and whoever had seen the first would miss the second.

use std::fmt;
use tokio::sync::watch;

/// How far the event log is durable. One per store; the commit queue moves it on.
pub struct EventFeed {
    durable: watch::Sender<u64>,
}

impl EventFeed {
    /// Everything up to the event `last` is on the disk, as it is after an open.
    pub(crate) fn new(last: u64) -> Self {
        Self { durable: watch::Sender::new(last) }
    }

    /// Everything up to the event `last` survives a power cut now. Wakes followers where that is news.
    pub(crate) fn reached(&self, last: u64) {
        self.durable.send_if_modified(|durable| {
            let is_news = *durable < last;
            *durable = last.max(*durable);
            is_news
        });
    }

    /// The number of the last event that survives a power cut, 0 where there is none.
    pub fn durable(&self) -> u64 {
        *self.durable.borrow()
    }

    /// Waits until there is an event above `after` that survives a power cut, and answers the number of the last such. May be dropped
    /// at any time.
    pub async fn beyond(&self, after: u64) -> u64 {
        let mut follower = self.durable.subscribe();
        match follower.wait_for(|durable| *durable > after).await {
            Ok(last) => *last,
            // Only where the sender is gone, and that is our own.
            Err(_) => self.durable(),
        }
    }
}

impl fmt::Debug for EventFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventFeed").field("durable", &self.durable()).finish_non_exhaustive()
    }
}
