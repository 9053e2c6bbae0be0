//! One run over the queue: page by page, each entry judged, the batches of a page committed together.
//!
//! Synchronous and deterministic: the same state and the same moment give the same steps. Holds nothing between two steps but how far
//! it has come, and what it has removed is off the queue; so a run can end anywhere, and the next one goes on.

use super::ground::Ground;
use super::judge::{Judge, Verdict};
use super::report::{GcKind, GcRemoval, GcReport};
use crate::error::EngineError;
use crate::meta::{Batch, Placement, Queued, View, key};

/// Entries that are judged on one view and committed together. Few, for a push that comes meanwhile waits for them.
const STEP_ENTRIES: usize = 16;

/// Decides how fast a run goes.
pub(crate) trait Pace {
    /// Called between two entries of a step: whoever waits for the processor has it first.
    fn give_way(&mut self) {}

    /// Called between two steps, with what the one before removed; waits as long as is right. `false`: the run is to end here.
    fn go_on(&mut self, removed: u64) -> bool;
}

/// Is told of each removal once it is committed.
pub(crate) trait Listener {
    /// `place` is that of a blob's bytes, which are dead now.
    fn removed(&mut self, removal: &GcRemoval, place: Option<Placement>);
}

/// A run.
pub(crate) struct Sweep<'a> {
    pub(crate) ground: &'a dyn Ground,
    pub(crate) judge: Judge<'a>,
    pub(crate) pace: &'a mut dyn Pace,
    pub(crate) listener: &'a mut dyn Listener,
    pub(crate) report: &'a mut GcReport,
}

impl Sweep<'_> {
    /// Removes what is due, kind by kind: what a removal lets go of is of a kind whose turn comes later, or is looked at again.
    /// `false`: the run is to end.
    ///
    /// # Errors
    /// Errors of the metadata; what was removed before stays removed.
    pub(crate) fn run(&mut self) -> Result<bool, EngineError> {
        if !self.take_over_format_1()? {
            return Ok(false);
        }
        loop {
            let before = self.report.removed.of(GcKind::Manifest).objects;
            if !self.kind(key::GC_MANIFEST)? {
                return Ok(false);
            }
            // The children of an index that went were queued with it.
            if self.report.removed.of(GcKind::Manifest).objects == before {
                break;
            }
        }
        for kind in [key::GC_LINK, key::GC_BLOB, key::GC_MANIFEST_BYTES] {
            if !self.kind(kind)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives the entries of a store of format 1 their place.
    fn take_over_format_1(&mut self) -> Result<bool, EngineError> {
        loop {
            let page = self.ground.view()?.gc_queue_format_1(STEP_ENTRIES)?;
            if page.is_empty() {
                return Ok(true);
            }
            let mut batch = Batch::new(self.judge.now);
            for (at, item) in &page {
                batch.renew_gc(*at, item);
            }
            batch.set_unsynced();
            for outcome in self.ground.commit(vec![batch]) {
                outcome?;
            }
            if !self.pace.go_on(0) {
                return Ok(false);
            }
        }
    }

    fn kind(&mut self, kind: u8) -> Result<bool, EngineError> {
        let mut after: Option<Queued> = None;
        loop {
            let Some(due) = self.judge.due_at(kind) else { return Ok(true) };
            let view = self.ground.view()?;
            let mut page = view.gc_queue_of(kind, after.as_ref(), STEP_ENTRIES)?;
            page.truncate(page.iter().take_while(|(at, _)| *at <= due).count());
            let more = page.len() == STEP_ENTRIES;
            after = page.last().cloned().or(after);
            let removed = self.step(&view, &page)?;
            if !self.pace.go_on(removed) {
                return Ok(false);
            }
            if !more {
                return Ok(true);
            }
        }
    }

    /// Judges and commits a page; returns how much was removed.
    fn step(&mut self, view: &View, page: &[Queued]) -> Result<u64, EngineError> {
        let (mut batches, mut removals) = (Vec::new(), Vec::new());
        let judged = page.iter().try_for_each(|(at, item)| {
            self.pace.give_way();
            match self.judge.judge(view, *at, item)? {
                Verdict::Postpone => self.report.postponed += 1,
                Verdict::Settle(batch) => {
                    batches.push(batch);
                    removals.push(None);
                }
                Verdict::Remove(batch, removal, place) => {
                    batches.push(batch);
                    removals.push(Some((removal, place)));
                }
            }
            Ok(())
        });
        let written: Vec<u64> = batches.iter().map(Batch::step_count).collect();
        let outcomes = if judged.is_ok() { self.ground.commit(batches) } else { Vec::new() };
        for (removal, _) in removals.iter().flatten() {
            self.judge.release(removal);
        }
        judged?;
        let mut removed = 0;
        for ((outcome, decided), steps) in outcomes.into_iter().zip(removals).zip(written) {
            match (outcome, decided) {
                (Ok(_), Some((removal, place))) => {
                    self.report.removed.add(removal.kind, removal.bytes);
                    self.report.rows_written += steps;
                    self.listener.removed(&removal, place);
                    removed += 1;
                }
                (Ok(_), None) => {
                    self.report.needed += 1;
                    self.report.rows_written += steps;
                }
                // Somebody came first; it stays on the queue.
                (Err(EngineError::Conflict | EngineError::Overloaded), _) => self.report.postponed += 1,
                (Err(error), _) => return Err(error),
            }
        }
        Ok(removed)
    }
}
