//! A state with changes on top that nobody else sees: batches are judged and applied as in a store, and nothing is written.

use super::batch::Batch;
use super::queue::{Backend, Changes, Group};
use super::store::{Committed, MetaView};
use crate::error::EngineError;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows per read, where all of a prefix is looked through.
const PAGE: usize = 256;

/// The changes, and the state below them.
#[derive(Debug)]
pub(crate) struct Overlay {
    base: Arc<dyn MetaView>,
    changes: Mutex<Changes>,
}

impl Overlay {
    /// No changes yet.
    pub(crate) fn new(base: Arc<dyn MetaView>) -> Arc<Self> {
        Arc::new(Self { base, changes: Mutex::default() })
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges and applies a batch. Its events have numbers of their own.
    ///
    /// # Errors
    /// [`EngineError::Conflict`]; errors of the state below.
    pub(crate) fn apply(&self, batch: Batch) -> Result<Committed, EngineError> {
        // Numbers that no row below has, and each batch overwrites those of the one before: nobody reads them.
        let mut group = Group::new(self, u64::MAX / 2);
        let committed = group.judge(batch)?;
        let (changes, _, _) = group.finish();
        self.write(&changes, false)?;
        Ok(committed)
    }
}

impl Backend for Overlay {
    fn write(&self, changes: &Changes, _synced: bool) -> Result<(), EngineError> {
        let known = changes.iter().map(|(key, value)| (key.clone(), value.clone()));
        self.changes().extend(known);
        Ok(())
    }
}

impl MetaView for Overlay {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        if let Some(changed) = self.changes().get(key) {
            return Ok(changed.clone());
        }
        self.base.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        let from = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let changed: Vec<(Bytes, Option<Bytes>)> = {
            let changes = self.changes();
            let range = changes.range::<[u8], _>((from, Bound::Unbounded));
            let range = range.take_while(|(key, _)| key.starts_with(prefix));
            range.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        // Each removal hides at most one row below.
        let removed = changed.iter().filter(|(_, value)| value.is_none()).count();
        let stored = self.base.scan(prefix, after, limit.saturating_add(removed))?;
        let full = stored.len() == limit.saturating_add(removed);
        let end = stored.last().filter(|_| full).map(|(key, _)| key.clone());
        let mut rows: BTreeMap<Bytes, Bytes> = stored.into_iter().collect();
        for (key, value) in changed {
            match value {
                // Behind the end of the page below there may be others in between.
                Some(_) if end.as_ref().is_some_and(|end| key > *end) => {}
                Some(value) => drop(rows.insert(key, value)),
                None => drop(rows.remove(&key)),
            }
        }
        Ok(rows.into_iter().take(limit).collect())
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        let mut last: Option<(Bytes, Bytes)> = None;
        loop {
            let page = self.scan(prefix, last.as_ref().map(|(key, _)| key.as_ref()), PAGE)?;
            let full = page.len() == PAGE;
            last = page.into_iter().next_back().or(last);
            if !full {
                return Ok(last);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMillis;
    use crate::meta::batch::Expectation;
    use crate::meta::{MemoryStore, MetaStore, commit};

    fn bytes(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn put(keys: &[&str]) -> Batch {
        let mut batch = Batch::new(UnixMillis(1));
        for key in keys {
            batch.put(bytes(key), bytes("v"));
        }
        batch
    }

    #[test]
    fn shows_both_states_as_one_in_pages_of_any_size() {
        let store = MemoryStore::new().unwrap();
        commit(&store, put(&["a1", "a3", "a4", "a5", "b1"])).unwrap();
        let overlay = Overlay::new(store.view().unwrap());
        let mut batch = put(&["a2", "a6", "a0"]);
        batch.delete(bytes("a3"));
        batch.delete(bytes("a5"));
        batch.expect(Expectation::Present(bytes("a1")));
        overlay.apply(batch).unwrap();
        let mut refused = put(&["a9"]);
        refused.expect(Expectation::Absent(bytes("a2")));
        assert!(matches!(overlay.apply(refused), Err(EngineError::Conflict)));
        for limit in 1..8 {
            let (mut found, mut after) = (Vec::new(), None::<Bytes>);
            loop {
                let page = overlay.scan(b"a", after.as_deref(), limit).unwrap();
                after = page.last().map(|(key, _)| key.clone()).or(after);
                let full = page.len() == limit;
                found.extend(page.into_iter().map(|(key, _)| key));
                if !full {
                    break;
                }
            }
            assert_eq!(found, ["a0", "a1", "a2", "a4", "a6"], "in pages of {limit}");
        }
        assert_eq!(overlay.last(b"a").unwrap(), Some((bytes("a6"), bytes("v"))));
        assert_eq!((overlay.get(b"a3").unwrap(), overlay.get(b"b1").unwrap()), (None, Some(bytes("v"))));
        assert!(store.view().unwrap().get(b"a3").unwrap().is_some(), "the store is as it was");
    }
}
