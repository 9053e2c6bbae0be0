//! The store of the tests: a map in memory that knows which of its writes a power cut would undo.

use super::batch::Batch;
use super::feed::EventFeed;
use super::freshness::Freshness;
use super::queue::{Backend, Changes, CommitQueue};
use super::store::{CommitDone, MetaStore, MetaView, prefix_end};
use crate::error::EngineError;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Map = BTreeMap<Bytes, Bytes>;

/// A [`MetaStore`] in memory, behind the real commit queue.
#[derive(Debug)]
pub struct MemoryStore {
    queue: CommitQueue,
    backend: Arc<MemoryBackend>,
}

impl MemoryStore {
    /// An empty store.
    ///
    /// # Errors
    /// [`EngineError::Io`] where the system gives no thread.
    pub fn new() -> Result<Self, EngineError> {
        Self::with(Map::new())
    }

    fn with(live: Map) -> Result<Self, EngineError> {
        let live = Arc::new(live);
        let state =
            MemoryState { durable: live.clone(), live, unsynced: Vec::new(), writes: 0, fail_write: None };
        let backend = Arc::new(MemoryBackend(Mutex::new(state)));
        Ok(Self { queue: CommitQueue::start(backend.clone())?, backend })
    }

    /// The store as it is found after the process was killed: all that was written. This one takes no batches any more.
    ///
    /// # Errors
    /// As [`MemoryStore::new`].
    pub fn kill(&self) -> Result<Self, EngineError> {
        self.queue.poison("the process was killed");
        Self::with(self.backend.state().live.as_ref().clone())
    }

    /// The store as it is found after a power cut: what was synced, and of the writes after that the first `survivors`.
    /// This one takes no batches any more.
    ///
    /// # Errors
    /// As [`MemoryStore::new`].
    pub fn power_cut(&self, survivors: usize) -> Result<Self, EngineError> {
        self.queue.poison("the power was cut");
        let mut found = self.backend.state().durable.as_ref().clone();
        let unsynced = self.backend.state().unsynced.clone();
        for changes in unsynced.iter().take(survivors) {
            apply(&mut found, changes);
        }
        Self::with(found)
    }

    /// How many writes a power cut would undo.
    pub fn unsynced_writes(&self) -> usize {
        self.backend.state().unsynced.len()
    }

    /// How many writes there were: many batches can share one.
    pub fn writes(&self) -> u64 {
        self.backend.state().writes
    }

    /// Lets the write that follows the next `after` ones fail with `error`, before anything is written.
    pub fn fail_write(&self, after: u64, error: EngineError) {
        let mut state = self.backend.state();
        state.fail_write = Some((state.writes + after, error));
    }

    /// Changes a row past the queue, or removes it: for tests of what must notice.
    pub fn corrupt(&self, key: Bytes, value: Option<Bytes>) {
        let mut state = self.backend.state();
        let changes = Changes::from([(key, value)]);
        apply(Arc::make_mut(&mut state.live), &changes);
        apply(Arc::make_mut(&mut state.durable), &changes);
    }
}

impl MetaStore for MemoryStore {
    fn view(&self) -> Result<Arc<dyn MetaView>, EngineError> {
        Ok(Arc::new(MemoryView(self.backend.state().live.clone())))
    }

    fn submit(&self, batch: Batch, done: CommitDone) {
        self.queue.submit(batch, done);
    }

    fn freshness(&self) -> &Arc<Freshness> {
        self.queue.freshness()
    }

    fn events(&self) -> &Arc<EventFeed> {
        self.queue.events()
    }

    fn poisoned(&self) -> Option<Arc<str>> {
        self.queue.poisoned()
    }

    fn close(&self) {
        self.queue.close();
    }
}

#[derive(Debug)]
struct MemoryState {
    live: Arc<Map>,
    durable: Arc<Map>,
    unsynced: Vec<Changes>,
    writes: u64,
    fail_write: Option<(u64, EngineError)>,
}

#[derive(Debug)]
struct MemoryBackend(Mutex<MemoryState>);

impl MemoryBackend {
    fn state(&self) -> MutexGuard<'_, MemoryState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> MemoryView {
        MemoryView(self.state().live.clone())
    }
}

impl Backend for MemoryBackend {
    fn write(&self, changes: &Changes, synced: bool) -> Result<(), EngineError> {
        let mut state = self.state();
        if let Some((at, error)) = &state.fail_write
            && state.writes >= *at
        {
            return Err(error.clone());
        }
        state.writes += 1;
        apply(Arc::make_mut(&mut state.live), changes);
        if synced {
            state.unsynced.clear();
            state.durable = state.live.clone();
        } else {
            state.unsynced.push(changes.clone());
        }
        Ok(())
    }
}

impl MetaView for MemoryBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.live().get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.live().scan(prefix, after, limit)
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        self.live().last(prefix)
    }
}

#[derive(Debug)]
struct MemoryView(Arc<Map>);

impl MetaView for MemoryView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.0.get(key).cloned())
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
        let range = self.0.range::<[u8], _>((from, Bound::Unbounded));
        let range = range.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(range.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        let end = prefix_end(prefix);
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut range = self.0.range::<[u8], _>((Bound::Included(prefix), to));
        Ok(range.next_back().map(|(key, value)| (key.clone(), value.clone())))
    }
}

fn apply(map: &mut Map, changes: &Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}
