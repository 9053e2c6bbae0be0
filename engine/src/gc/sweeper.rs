//! One run: what has expired.

use super::report::{GcKind, GcReport};
use crate::error::EngineError;
use crate::meta::{Batch, Lease};
use crate::store::Store;
use crate::sync::wait_for;
use crate::upload;
use std::sync::Arc;
use std::time::Instant;

/// Most leases that one batch removes.
const LEASES_PER_BATCH_MAX: usize = 256;

/// Decides how fast a run goes.
pub(crate) trait Pace {
    /// Called between two steps, with what the one before removed; waits as long as is right. `false`: the run is to end here.
    fn go_on(&mut self, removed: u64) -> bool;
}

/// Removes what is due. Blocks; every step leaves a whole store, and what a run that ended early has not done is done by the next.
///
/// # Errors
/// [`EngineError::Poisoned`], [`EngineError::Closed`], errors of the metadata.
pub(crate) fn run(store: &Arc<Store>, pace: &mut dyn Pace) -> Result<GcReport, EngineError> {
    store.gate.admit_reclaim()?;
    let begun = Instant::now();
    let mut report = GcReport { started_at: store.now(), ..GcReport::default() };
    report.stopped = !(uploads(store, &mut report, pace)? && leases(store, &mut report, pace)?);
    report.took = begun.elapsed();
    Ok(report)
}

fn uploads(store: &Arc<Store>, report: &mut GcReport, pace: &mut dyn Pace) -> Result<bool, EngineError> {
    let (count, bytes) = wait_for(upload::expire(store))?;
    report.removed.add_many(GcKind::Upload, super::report::GcTally { objects: count, bytes });
    Ok(pace.go_on(count))
}

fn leases(store: &Arc<Store>, report: &mut GcReport, pace: &mut dyn Pace) -> Result<bool, EngineError> {
    loop {
        let now = store.now();
        let expired: Vec<Lease> = store.view()?.expired_leases(now, LEASES_PER_BATCH_MAX)?;
        if expired.is_empty() {
            return Ok(true);
        }
        let mut removed = 0;
        for outcome in store.commit_all(expired.iter().map(|(digest, id, expires_at)| {
            let mut batch = Batch::new(now);
            batch.expire_lease(digest, *id, *expires_at);
            batch.set_unsynced();
            batch
        })) {
            match outcome {
                Ok(_) => removed += 1,
                // It was prolonged.
                Err(EngineError::Conflict) => report.postponed += 1,
                Err(error) => return Err(error),
            }
        }
        for _ in 0..removed {
            report.removed.add(GcKind::Lease, 0);
        }
        if !pace.go_on(removed) {
            return Ok(false);
        }
        if removed == 0 {
            return Ok(true);
        }
    }
}
