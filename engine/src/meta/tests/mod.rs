//! The verbs against an oracle: random sequences, stale views, many threads, restarts.

mod model;
mod oracle;
mod race;
mod repository;
mod setting;
mod trash;
mod usage;
mod verbs;

use super::{Batch, MemoryStore, MetaStore, View, commit};
use crate::clock::UnixMillis;
use crate::entropy::SeededEntropy;
use crate::error::EngineError;
use std::sync::Arc;

/// A store in memory that has been prepared.
fn memory() -> Arc<MemoryStore> {
    let store = MemoryStore::new().unwrap();
    super::prepare(&store, &SeededEntropy::new(1), UnixMillis(1)).unwrap();
    Arc::new(store)
}

fn view(store: &dyn MetaStore) -> View {
    View::new(store.view().unwrap())
}

/// Fills a batch on a fresh view and commits it.
fn apply<T>(
    store: &dyn MetaStore,
    fill: impl FnOnce(&mut Batch, &View) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    let mut batch = Batch::new(UnixMillis(7));
    let filled = fill(&mut batch, &view(store))?;
    commit(store, batch).map(|_| filled)
}

/// The findings that break a promise.
fn errors(view: &View) -> Vec<String> {
    let mut found = Vec::new();
    let summary = super::check::check(view, &mut |finding| {
        if finding.severity() == super::check::Severity::Error {
            found.push(finding.to_string());
        }
    });
    assert_eq!(summary.unwrap().errors, found.len() as u64);
    found
}
