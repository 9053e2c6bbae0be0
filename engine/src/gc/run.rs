//! All that one run does, in its order: what has expired, what nothing needs, then the bytes.

use super::ground::{Ground, Live};
use super::judge::Judge;
use super::report::{GcKind, GcRemoval, GcReport, GcTally};
use super::sweeper::{Listener, Pace, Sweep};
use super::{bytes, compact};
use crate::error::EngineError;
use crate::limits::PAGE_ROWS;
use crate::meta::{Batch, Placement, TombstoneItem};
use crate::store::Store;
use crate::sync::wait_for;
use crate::upload;
use std::sync::Arc;
use std::time::Instant;

/// Most leases that one group of commits removes.
const LEASES_PER_STEP: usize = 256;
/// Most deletions that one commit forgets.
const DELETIONS_PER_STEP: usize = 256;
/// Rows of the queue that are counted at most at the end of a run.
const COUNTED_MAX: u64 = 100_000;

/// What a run did and what it left.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) report: GcReport,
    /// Entries in the queue.
    pub(crate) queued: u64,
    /// Bytes of tombstones.
    pub(crate) reclaimable_bytes: u64,
}

/// Removes what is due. Blocks; every step leaves a whole store, and what a run that ended early has not done is done by the next.
///
/// # Errors
/// [`EngineError::Poisoned`], [`EngineError::Closed`], [`EngineError::NoSpace`] where even removing would fill the disk; errors of the
/// metadata.
pub(crate) fn run(store: &Arc<Store>, pace: &mut dyn Pace) -> Result<Outcome, EngineError> {
    store.gate.admit_reclaim()?;
    let begun = Instant::now();
    let mut report = GcReport { started_at: store.now(), ..GcReport::default() };
    report.stopped = !steps(store, &mut report, pace)?;
    report.took = begun.elapsed();
    let (queued, reclaimable_bytes) = survey(store)?;
    Ok(Outcome { report, queued, reclaimable_bytes })
}

fn steps(store: &Arc<Store>, report: &mut GcReport, pace: &mut dyn Pace) -> Result<bool, EngineError> {
    Ok(uploads(store, report, pace)?
        && leases(store, report, pace)?
        && undo(store, report, pace)?
        && sweep(store, report, pace)?
        && bytes::bury(store, report, pace)?
        && compact::compact(store, report, pace)?)
}

fn uploads(store: &Arc<Store>, report: &mut GcReport, pace: &mut dyn Pace) -> Result<bool, EngineError> {
    let (objects, bytes) = wait_for(upload::expire(store))?;
    report.removed.add_many(GcKind::Upload, GcTally { objects, bytes });
    Ok(pace.go_on(objects))
}

fn leases(store: &Arc<Store>, report: &mut GcReport, pace: &mut dyn Pace) -> Result<bool, EngineError> {
    loop {
        let now = store.now();
        let expired = store.view()?.expired_leases(now, LEASES_PER_STEP)?;
        let batches = expired.iter().map(|(digest, id, expires_at)| {
            let mut batch = Batch::new(now);
            batch.expire_lease(digest, *id, *expires_at);
            batch.set_unsynced();
            batch
        });
        let mut removed = 0;
        for outcome in store.commit_all(batches) {
            match outcome {
                Ok(_) => removed += 1,
                // It was prolonged.
                Err(EngineError::Conflict) => report.postponed += 1,
                Err(error) => return Err(error),
            }
        }
        report.removed.add_many(GcKind::Lease, GcTally { objects: removed, bytes: 0 });
        if !pace.go_on(removed) {
            return Ok(false);
        }
        if removed == 0 {
            return Ok(true);
        }
    }
}

/// Forgets deletions that can no longer be undone.
fn undo(store: &Arc<Store>, report: &mut GcReport, pace: &mut dyn Pace) -> Result<bool, EngineError> {
    loop {
        let now = store.now();
        let expired = store.view()?.expired_trash(now.before(store.config.gc.undo), DELETIONS_PER_STEP)?;
        if expired.is_empty() {
            return Ok(true);
        }
        let mut batch = Batch::new(now);
        for number in &expired {
            batch.delete_trash(*number);
        }
        batch.set_unsynced();
        for outcome in store.commit_all([batch]) {
            outcome?;
        }
        let objects = expired.len() as u64;
        report.removed.add_many(GcKind::Undo, GcTally { objects, bytes: 0 });
        report.rows_written += objects;
        if !pace.go_on(objects) {
            return Ok(false);
        }
    }
}

fn sweep(store: &Arc<Store>, report: &mut GcReport, pace: &mut dyn Pace) -> Result<bool, EngineError> {
    store.dead.load(&store.view()?)?;
    let (ground, now) = (Live::new(store), store.now());
    let config = &store.config.gc;
    store.seen.forget(now, config.grace);
    let judge = Judge { config, seen: &store.seen, claims: true, now };
    let mut undertaker = Undertaker(store);
    let outcome = Sweep { ground: &ground, judge, pace, listener: &mut undertaker, report }.run();
    report.rows_read += ground.rows_read();
    outcome
}

/// Counts the frames that died.
struct Undertaker<'a>(&'a Store);

impl Listener for Undertaker<'_> {
    fn removed(&mut self, _removal: &GcRemoval, place: Option<Placement>) {
        if let Some(place) = place {
            self.0.dead.add(&place);
        }
    }
}

/// Entries in the queue, and bytes that tombstones name; those of segments as far as they are known.
fn survey(store: &Store) -> Result<(u64, u64), EngineError> {
    let view = store.view()?;
    let (mut queued, mut after) = (0, None);
    loop {
        let page = view.gc_queue(after.as_ref(), PAGE_ROWS)?;
        queued += page.len() as u64;
        if page.len() < PAGE_ROWS || queued >= COUNTED_MAX {
            break;
        }
        after = page.into_iter().next_back();
    }
    let (mut bytes, mut after) = (store.dead.total(), None);
    loop {
        let page = view.tombstones(after, PAGE_ROWS)?;
        let files = page.iter().filter(|(item, _)| matches!(item, TombstoneItem::File { .. }));
        bytes += files.map(|(_, record)| record.length).sum::<u64>();
        let more = page.last().filter(|(item, _)| matches!(item, TombstoneItem::File { .. }));
        match more {
            Some((item, _)) if page.len() == PAGE_ROWS => after = Some(*item),
            _ => return Ok((queued, bytes)),
        }
    }
}
