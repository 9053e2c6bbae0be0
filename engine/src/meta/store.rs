//! The seam between the engine and whatever keeps its metadata: consistent views, and batches with expectations.
//!
//! Implementations: [`super::rocks`] (embedded) and `super::memory` (tests). Each passes `super::contract`.

use super::batch::Batch;
use super::feed::EventFeed;
use super::freshness::Freshness;
use crate::error::EngineError;
use bytes::Bytes;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Receives the outcome of a batch. Runs on the store's own thread: short, never blocking on a commit.
pub type CommitDone = Box<dyn FnOnce(Result<Committed, EngineError>) + Send>;

/// What an accepted batch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Committed {
    /// Sequence number of the batch's first event, `None` where it appended none.
    pub first_event: Option<u64>,
    /// How many events the batch appended; their numbers are consecutive.
    pub events: u64,
}

/// An ordered map of bytes to bytes that is changed by batches, all or nothing.
///
/// Contract: batches are judged one after another in the order of submission; an expectation sees every accepted batch
/// before it. A batch is visible to views made after its answer, and wholly or not at all to any view. A batch that asked
/// for [`super::Durability::Synced`] survives a power cut once it was answered, and so does all that was answered before it.
/// After a failed write every later batch is answered [`EngineError::Poisoned`]; views go on.
pub trait MetaStore: Send + Sync + fmt::Debug {
    /// The state at this moment; later batches do not change what the view shows.
    ///
    /// # Errors
    /// [`EngineError::ReadOnly`] never; [`EngineError::Io`] where the store was closed.
    fn view(&self) -> Result<Arc<dyn MetaView>, EngineError>;

    /// As [`MetaStore::view`], for who passes through all of the store: what it reads displaces nothing that is kept in memory for
    /// requests.
    ///
    /// # Errors
    /// As [`MetaStore::view`].
    fn passing_view(&self) -> Result<Arc<dyn MetaView>, EngineError> {
        self.view()
    }

    /// Hands a batch to the commit queue and returns at once. `done` is called exactly once, whatever happens.
    fn submit(&self, batch: Batch, done: CommitDone);

    /// What tells whether a row has changed since it was read.
    fn freshness(&self) -> &Arc<Freshness>;

    /// How far the event log is durable.
    fn events(&self) -> &Arc<EventFeed>;

    /// The first failure of a write, where there was one: the store takes no batches any more.
    fn poisoned(&self) -> Option<Arc<str>>;

    /// Makes a copy of the present state in `directory`, which exists and is empty, for [`RocksStore::open`](super::RocksStore::open) to
    /// open; everything that was committed before is in it, synced or not. Commits go on meanwhile. Blocks.
    ///
    /// # Errors
    /// [`EngineError::Io`]; where the store is not of files.
    fn checkpoint(&self, directory: &Path) -> Result<(), EngineError> {
        let what = format!("a copy of the metadata in {}", directory.display());
        Err(EngineError::io(what, std::io::ErrorKind::Unsupported.into()))
    }

    /// Says whether free space is short: then nothing is begun that takes more of it for a while, such as merging tables. May be called
    /// often.
    fn spare_space(&self, _is_short: bool) {}

    /// Commits what waits, then stops the store's threads. Later batches are refused. Idempotent.
    fn close(&self);
}

/// A consistent state of a [`MetaStore`]. Cheap to make; holds back the reclaiming of old values while it lives.
pub trait MetaView: Send + Sync + fmt::Debug {
    /// The value of `key`.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] where the stored bytes fail their checksum, [`EngineError::Io`] where they cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// Up to `limit` entries, in order, whose keys start with `prefix` and are greater than `after`.
    ///
    /// # Errors
    /// As [`MetaView::get`].
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError>;

    /// The entry with the greatest key that starts with `prefix`.
    ///
    /// # Errors
    /// As [`MetaView::get`].
    fn last(&self, prefix: &[u8]) -> Result<Option<(Bytes, Bytes)>, EngineError>;
}

/// The smallest key greater than every key that starts with `prefix`; `None` where there is no such key.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        assert_eq!(prefix_end(b"a"), Some(b"b".to_vec()));
        assert_eq!(prefix_end(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(prefix_end(b"\xff"), None);
        assert_eq!(prefix_end(b""), None);
    }
}
