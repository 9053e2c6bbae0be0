//! Checks of the store's own facts and of the event log.

use super::{Checker, Problem};
use crate::error::EngineError;
use crate::meta::key;
use crate::meta::record::{Event, EventKind, Record, TrashRecord, Trashed};
use bytes::Bytes;

/// What is known of the event log while it is walked.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The number of its last event, read before the walk.
    pub(super) last: u64,
    /// The number of its first event, where the walk comes by it.
    begins: Option<u64>,
    /// The number of the event before.
    previous: Option<u64>,
}

impl Checker<'_> {
    /// The rows every store has, and where the log ends.
    pub(super) fn facts(&mut self) -> Result<(), EngineError> {
        if self.view.is_empty()? {
            return Ok(());
        }
        let all = Bytes::from_static(b"!");
        for (name, what) in [
            (crate::meta::format::FORMAT, "the format version"),
            (crate::meta::format::STORE_ID, "the store id"),
            (crate::meta::format::SETTLED, "the settled generation"),
        ] {
            self.needs(&all, &key::meta(name), what)?;
        }
        self.find_ends_of_log()
    }

    /// Goes on with a walk whose last row was `after`.
    pub(super) fn go_on_behind(&mut self, after: Option<&Bytes>) -> Result<(), EngineError> {
        self.find_ends_of_log()?;
        // A row that is gone was trimmed with all before it, so nothing is missing behind it.
        if let Some(after) = after.filter(|after| after.first() == Some(&key::table::EVENT)) {
            self.log.begins = None;
            if self.view.raw(after)?.is_some()
                && let Ok(key::Key::Event { number }) = key::Key::decode(after)
            {
                self.log.previous = Some(number);
            }
        }
        Ok(())
    }

    fn find_ends_of_log(&mut self) -> Result<(), EngineError> {
        // A fact that cannot be read is told on its turn.
        self.log.begins = self.view.log_begins().ok();
        let last = self.view.raw_last(&key::whole(key::table::EVENT))?;
        self.log.last = match last.map(|(key, _)| key::Key::decode(&key)) {
            Some(Ok(key::Key::Event { number })) => number,
            // An undecodable key is told on its turn.
            _ => 0,
        };
        Ok(())
    }

    pub(super) fn event(&mut self, row: &Bytes, number: u64) {
        self.summary.events += 1;
        let begins = self.log.begins.map(|begins| begins.saturating_sub(1));
        if let Some(after) = self.log.previous.or(begins).filter(|after| after.checked_add(1) != Some(number))
        {
            self.found(row, Problem::EventGap { after });
        }
        self.log.previous = Some(number);
    }

    /// A deletion is told by the event of its number, as long as the log reaches back.
    pub(super) fn trash(&mut self, row: &Bytes, number: u64, value: Bytes) -> Result<(), EngineError> {
        self.summary.deletions += 1;
        let record = TrashRecord::decode(value)?;
        if number > self.log.last {
            self.disagrees(row, "the event log, which ends before it");
        }
        let event = self.view.raw(&key::event(number))?.and_then(|value| Event::decode(value).ok());
        let kind = match record.what {
            Trashed::Manifest(_) => EventKind::ManifestDeleted,
            Trashed::Tag(_) => EventKind::TagDeleted,
        };
        let tells = |event: &Event| {
            event.kind == kind
                && event.digest == Some(record.digest)
                && event.repository.as_ref() == Some(&record.repository)
        };
        if event.is_some_and(|event| !tells(&event)) {
            self.disagrees(row, "the event that tells it");
        }
        Ok(())
    }

    /// A log is trimmed at its front, never at its end.
    pub(super) fn end_of_log(&mut self) {
        let reached = self.log.previous.unwrap_or(0);
        if reached != self.log.last {
            self.found(&key::event(self.log.last), Problem::EventGap { after: reached });
        }
    }
}
