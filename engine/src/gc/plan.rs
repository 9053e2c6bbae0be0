//! What a run would remove now, without removing it.

use super::report::{GcCounts, GcKind, GcPlan, GcRemoval};
use crate::error::EngineError;
use crate::limits::UPLOADS_PER_PAGE;
use crate::store::{Store, closed};
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

fn make(store: &Store, limit: usize) -> Result<GcPlan, EngineError> {
    let mut plan = GcPlan {
        at: store.now(),
        removals: Vec::new(),
        counts: GcCounts::default(),
        cut: false,
        rows_read: 0,
    };
    let view = store.view()?;
    let mut after = None;
    loop {
        let page = view.uploads(after.as_ref(), UPLOADS_PER_PAGE)?;
        plan.rows_read += page.len() as u64;
        after = page.last().map(|(id, _)| *id);
        let full = page.len() == UPLOADS_PER_PAGE;
        let now = plan.at;
        for (_, record) in page.into_iter().filter(|(_, record)| record.expires_at <= now) {
            let (repository, bytes) = (Some(record.repository), record.offset);
            plan.add(GcRemoval { kind: GcKind::Upload, repository, digest: None, bytes }, limit);
        }
        if !full {
            break;
        }
    }
    for (digest, _, _) in view.expired_leases(plan.at, limit.saturating_add(1))? {
        plan.add(GcRemoval { kind: GcKind::Lease, repository: None, digest: Some(digest), bytes: 0 }, limit);
    }
    Ok(plan)
}

impl GcPlan {
    fn add(&mut self, removal: GcRemoval, limit: usize) {
        if self.removals.len() == limit {
            self.cut = true;
            return;
        }
        self.counts.add(removal.kind, removal.bytes);
        self.removals.push(removal);
    }
}
