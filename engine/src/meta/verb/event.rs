//! The front of the event log, which goes when it is old.

use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::batch::Batch;
use crate::meta::format::LOG_BEGINS;
use crate::meta::key::{self, Key};
use crate::meta::record::{LogBeginsRecord, Record};
use crate::meta::view::View;
use strata_types::{RepositoryName, Tag};

/// Moves of one tag that go with one event. There are no more than two, unless a trim was interrupted.
const MOVES_MAX: usize = 8;

impl Batch {
    /// Removes the oldest events, those from before a moment, at most `rows_max`, and says how many they are. The last event stays, so
    /// that numbers do not repeat. With the event that tells a move of a tag go the moves that were there by then, but for the last
    /// one of the tag. Expects that nobody else trims meanwhile. 0: nothing is added to the batch.
    ///
    /// # Errors
    /// Errors of the view.
    pub fn trim_events(
        &mut self,
        view: &View,
        before: UnixMillis,
        rows_max: usize,
    ) -> Result<u64, EngineError> {
        let (begins, last) = (view.log_begins()?, view.last_event()?);
        let mut removed = 0;
        let mut next = begins;
        for (number, event) in view.events(0, rows_max)? {
            if event.at >= before || number >= last {
                break;
            }
            self.delete(key::event(number));
            if let (Some(repository), Some(tag)) = (&event.repository, &event.tag) {
                self.trim_history(view, repository, tag, number)?;
            }
            removed += 1;
            next = number.saturating_add(1);
        }
        if removed > 0 {
            let row = key::meta(LOG_BEGINS);
            self.expect_value(row.clone(), view.raw(&row)?);
            self.put(row, LogBeginsRecord { number: next }.encode());
        }
        Ok(removed)
    }

    fn trim_history(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        tag: &Tag,
        number: u64,
    ) -> Result<(), EngineError> {
        let moves = key::tag_moves(repository, tag);
        // RACE: what is not the last move now will never be it again.
        let Some((last, _)) = view.raw_last(&moves)? else { return Ok(()) };
        for (row, _) in view.raw_page(&moves, None, MOVES_MAX)? {
            let is_old = matches!(Key::decode(&row)?, Key::TagMove { event, .. } if event <= number);
            if !is_old || row == last {
                break;
            }
            self.delete(row);
        }
        Ok(())
    }
}
