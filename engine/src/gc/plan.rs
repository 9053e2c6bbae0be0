//! What a run would remove now, without removing it: the same run, on a copy of the state that nobody sees.

use super::ground::{Dry, Ground};
use super::judge::Judge;
use super::report::{GcCounts, GcKind, GcPlan, GcRemoval, GcReport};
use super::sweeper::{Listener, Pace, Sweep};
use crate::error::EngineError;
use crate::limits::UPLOADS_PER_PAGE;
use crate::meta::Placement;
use crate::store::{Store, closed};
use std::cell::Cell;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Makes a plan of at most `limit` removals, on a thread that may wait for the disk.
///
/// # Errors
/// Errors of the metadata; [`EngineError::Closed`].
pub(crate) async fn plan(store: &Arc<Store>, limit: usize) -> Result<GcPlan, EngineError> {
    let (answer, answered) = oneshot::channel();
    let same = Arc::clone(store);
    // Whoever asked may be gone.
    store.reader.threads.run(move || drop(answer.send(make(&same, limit))));
    answered.await.unwrap_or_else(|_| Err(closed()))
}

/// Makes a plan. Blocks.
///
/// # Errors
/// Errors of the metadata.
pub(crate) fn make(store: &Store, limit: usize) -> Result<GcPlan, EngineError> {
    let at = store.now();
    let full = Cell::new(false);
    let mut plan = Collector { removals: Vec::new(), counts: GcCounts::default(), limit, full: &full };
    uploads(store, &mut plan)?;
    for (digest, _, _) in store.view()?.expired_leases(at, limit.saturating_add(1))? {
        plan.add(GcRemoval { kind: GcKind::Lease, repository: None, digest: Some(digest), bytes: 0 });
    }
    let undo = at.before(store.config.gc.undo);
    for _ in store.view()?.expired_trash(undo, limit.saturating_add(1))? {
        plan.add(GcRemoval { kind: GcKind::Undo, repository: None, digest: None, bytes: 0 });
    }
    let ground = Dry::new(store.meta.view()?);
    if !full.get() {
        let judge = Judge { config: &store.config.gc, seen: &store.seen, claims: false, now: at };
        let (mut pace, mut report) = (UntilFull(&full), GcReport::default());
        let sweep =
            Sweep { ground: &ground, judge, pace: &mut pace, listener: &mut plan, report: &mut report };
        { sweep }.run()?;
    }
    let Collector { removals, counts, .. } = plan;
    Ok(GcPlan { at, removals, counts, cut: full.get(), rows_read: ground.rows_read() })
}

fn uploads(store: &Store, plan: &mut Collector<'_>) -> Result<(), EngineError> {
    let (view, now) = (store.view()?, store.now());
    let mut after = None;
    loop {
        let page = view.uploads(after.as_ref(), UPLOADS_PER_PAGE)?;
        after = page.last().map(|(id, _)| *id);
        let more = page.len() == UPLOADS_PER_PAGE;
        for (_, record) in page.into_iter().filter(|(_, record)| record.expires_at <= now) {
            let (repository, bytes) = (Some(record.repository), record.offset);
            plan.add(GcRemoval { kind: GcKind::Upload, repository, digest: None, bytes });
        }
        if !more || plan.full.get() {
            return Ok(());
        }
    }
}

/// Takes removals down, up to a number.
struct Collector<'a> {
    removals: Vec<GcRemoval>,
    counts: GcCounts,
    limit: usize,
    /// Whether there was one more.
    full: &'a Cell<bool>,
}

impl Collector<'_> {
    fn add(&mut self, removal: GcRemoval) {
        if self.removals.len() >= self.limit {
            self.full.set(true);
            return;
        }
        self.counts.add(removal.kind, removal.bytes);
        self.removals.push(removal);
    }
}

impl Listener for Collector<'_> {
    fn removed(&mut self, removal: &GcRemoval, _place: Option<Placement>) {
        self.add(removal.clone());
    }
}

struct UntilFull<'a>(&'a Cell<bool>);

impl Pace for UntilFull<'_> {
    fn go_on(&mut self, _removed: u64) -> bool {
        !self.0.get()
    }
}
