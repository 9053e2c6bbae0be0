//! The event log, read both ways and by time.

use super::View;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::format::LOG_BEGINS;
use crate::meta::key::{self, Key, table};
use crate::meta::record::{Event, LogBeginsRecord};

#[expect(clippy::missing_errors_doc, reason = "all return what MetaView::get documents")]
impl View {
    /// The number of the first event: 1, or a later one where the log was trimmed.
    pub fn log_begins(&self) -> Result<u64, EngineError> {
        let record = self.record::<LogBeginsRecord>(&key::meta(LOG_BEGINS))?;
        Ok(record.map_or(1, |record| record.number))
    }

    /// Events with numbers above `after`, in order, from where the log begins.
    pub fn events(&self, after: u64, limit: usize) -> Result<Vec<(u64, Event)>, EngineError> {
        // Not from further ahead: what was removed lately is slow to pass by.
        let after = key::event(after.max(self.log_begins()?.saturating_sub(1)));
        self.page(&key::whole(table::EVENT), Some(&after), limit, |key, event| match key {
            Key::Event { number } => Some((number, event)),
            _ => None,
        })
    }

    /// Events with numbers below `before`, or all, the last one first.
    pub fn events_before(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, Event)>, EngineError> {
        let end = self.last_event()?.saturating_add(1);
        let before = before.map_or(end, |before| before.min(end));
        // INVARIANT: numbers have no gaps, so these are as many as there are behind the one that is so much lower.
        let after = before.saturating_sub(1).saturating_sub(limit as u64);
        let mut page = self.events(after, limit)?;
        page.retain(|(number, _)| *number < before);
        page.reverse();
        Ok(page)
    }

    /// The number of the first event whose time is `at` or later, one above the last where there is none. Found by halving: times
    /// follow the numbers, but for batches that were made at about the same time and a clock that was set back.
    pub fn first_event_since(&self, at: UnixMillis) -> Result<u64, EngineError> {
        let (mut low, mut high) = (self.log_begins()?, self.last_event()?.saturating_add(1));
        while low < high {
            let middle = low.midpoint(high);
            let event = self.record::<Event>(&key::event(middle))?;
            if event.is_some_and(|event| event.at >= at) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }

    /// The number of the last event, 0 where there is none.
    pub fn last_event(&self) -> Result<u64, EngineError> {
        let row = self.last_row::<Event>(&key::whole(table::EVENT))?;
        Ok(row.map_or(0, |(key, _)| match key {
            Key::Event { number } => number,
            _ => 0,
        }))
    }
}
