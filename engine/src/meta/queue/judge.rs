//! Judges the batches of one group in order, each against the store and the accepted batches before it.

use super::{Backend, Changes, tally};
use crate::error::EngineError;
use crate::meta::batch::{Batch, Durability, Expectation, Step};
use crate::meta::key;
use crate::meta::store::Committed;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::ops::Bound;

/// The group in the making.
pub(crate) struct Group<'a> {
    base: &'a dyn Backend,
    changes: Changes,
    next_event: u64,
    synced: bool,
    weight_bytes: usize,
}

impl<'a> Group<'a> {
    pub(crate) fn new(base: &'a dyn Backend, next_event: u64) -> Self {
        Self { base, changes: Changes::new(), next_event, synced: false, weight_bytes: 0 }
    }

    pub(crate) const fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    /// What to write, the next event's number, and whether to sync.
    pub(crate) fn finish(self) -> (Changes, u64, bool) {
        (self.changes, self.next_event, self.synced)
    }

    /// Takes the batch into the group where all it expects holds. An error leaves the group as it was.
    pub(crate) fn judge(&mut self, batch: Batch) -> Result<Committed, EngineError> {
        if let Some(limit_bytes) = batch.exceeds {
            return Err(EngineError::TooLarge { limit_bytes });
        }
        for expectation in &batch.expectations {
            if !self.holds(expectation, &batch)? {
                return Err(EngineError::Conflict);
            }
        }
        let weight_bytes = batch.weight_bytes();
        let synced = batch.durability == Durability::Synced;
        let committed = self.apply(batch)?;
        self.weight_bytes += weight_bytes;
        self.synced |= synced;
        Ok(committed)
    }

    fn holds(&self, expectation: &Expectation, batch: &Batch) -> Result<bool, EngineError> {
        Ok(match expectation {
            Expectation::Equals(key, value) => self.get(key)?.as_ref() == Some(value),
            // The store first: looking through the batch's own steps takes as long as there are steps, and a manifest can
            // expect thousands of blobs. The first key that neither has ends the judgement.
            Expectation::Present(key) => self.get(key)?.is_some() || batch.puts(key),
            Expectation::Absent(key) => self.get(key)?.is_none(),
            Expectation::PrefixEmpty(prefix) => self.has_exactly(prefix, &[])?,
            Expectation::PrefixKeys(prefix, keys) => self.has_exactly(prefix, keys)?,
        })
    }

    /// A row as the accepted batches leave it.
    pub(super) fn get(&self, key: &Bytes) -> Result<Option<Bytes>, EngineError> {
        match self.changes.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.base.get(key),
        }
    }

    /// Whether exactly these keys, sorted, start with the prefix.
    fn has_exactly(&self, prefix: &Bytes, keys: &[Bytes]) -> Result<bool, EngineError> {
        let from = Bound::Included(prefix.clone());
        let changed = || {
            let range = self.changes.range((from.clone(), Bound::Unbounded));
            range.take_while(|(key, _)| key.starts_with(prefix))
        };
        // One more than expected shows a surplus; each change can hide at most one stored key.
        let limit = keys.len() + 1 + changed().count();
        let stored = self.base.scan(prefix, None, limit)?;
        let mut present: BTreeSet<Bytes> = stored.into_iter().map(|(key, _)| key).collect();
        for (key, value) in changed() {
            if value.is_some() {
                present.insert(key.clone());
            } else {
                present.remove(key);
            }
        }
        Ok(present.iter().eq(keys))
    }

    fn apply(&mut self, batch: Batch) -> Result<Committed, EngineError> {
        let mut own = Changes::new();
        let mut next_event = self.next_event;
        let mut append = |own: &mut Changes, event: Bytes| {
            let number = next_event;
            next_event = next_event.saturating_add(1);
            own.insert(key::event(number), Some(event));
            number
        };
        for step in batch.steps {
            match step {
                Step::Put(key, value) => {
                    own.insert(key, Some(value));
                }
                Step::Delete(key) => {
                    own.insert(key, None);
                }
                Step::PutIfAbsent { key, value, event } => {
                    let there = match own.get(&key) {
                        Some(changed) => changed.is_some(),
                        None => self.get(&key)?.is_some(),
                    };
                    if !there {
                        own.insert(key, Some(value));
                        if let Some(event) = event {
                            append(&mut own, event);
                        }
                    }
                }
                Step::Event { event, numbered } => {
                    let number = append(&mut own, event);
                    for (prefix, value) in numbered {
                        let mut key = Vec::from(prefix);
                        key.extend_from_slice(&number.to_be_bytes());
                        own.insert(key.into(), Some(value));
                    }
                }
            }
        }
        tally::count(self, &mut own, &batch.limits)?;
        let events = next_event - self.next_event;
        let first_event = (events > 0).then_some(self.next_event);
        // Not `append`: that builds the whole group anew for every batch in it.
        self.changes.extend(own);
        self.next_event = next_event;
        Ok(Committed { first_event, events })
    }
}
