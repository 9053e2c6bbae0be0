//! When manifests were last pulled: noted in memory by whoever answers a pull, also from memory, and written now and then in one batch.
//!
//! No pull waits for a write, and the batch is not synced: after a power cut some times are a little older than they were. A time is a row of
//! the settings, `pulled/REPOSITORY\0DIGEST`. Rows of manifests that are gone are found by going round all rows, a stretch after
//! each batch; nothing else needs to know of them.

use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use strata_engine::UnixMillis;
use strata_engine::meta::{Batch, View};
use strata_types::{Digest, RepositoryName};

/// How long a pull waits in memory before it is written.
const PAUSE: Duration = Duration::from_mins(1);
/// Most rows of one batch.
const ROWS_MAX: usize = 512;
/// Most manifests that are remembered at a time; pulls of others beyond it leave no time until some are written.
const MARKS_MAX: usize = 100_000;
/// What the keys of the rows begin with.
const PREFIX: &[u8] = b"pulled/";

/// A manifest of a repository.
type Place = (RepositoryName, Digest);

/// The times that are in memory.
#[derive(Debug, Default)]
pub(crate) struct Pulls {
    marks: Mutex<HashMap<Place, Arc<Mark>>>,
    /// Whether a task waits to write them.
    scheduled: AtomicBool,
    /// The last row that was looked at on the way round.
    seen: Mutex<Option<Bytes>>,
}

/// When one manifest was last pulled; milliseconds since 1970, 0 for not yet.
#[derive(Debug, Default)]
pub(crate) struct Mark {
    at: AtomicU64,
    written: AtomicU64,
}

impl Mark {
    fn unwritten(&self) -> Option<u64> {
        let at = self.at.load(Ordering::Relaxed);
        (at > self.written.load(Ordering::Relaxed)).then_some(at)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pulls {
    /// The mark of a manifest, to be kept beside an answer that may be given again; `None` where too many are remembered.
    fn mark(&self, place: Place) -> Option<Arc<Mark>> {
        let mut marks = lock(&self.marks);
        if let Some(mark) = marks.get(&place) {
            return Some(Arc::clone(mark));
        }
        let has_room = marks.len() < MARKS_MAX;
        has_room.then(|| Arc::clone(marks.entry(place).or_default()))
    }

    /// What is not written yet.
    fn unwritten(&self) -> Vec<(Place, Arc<Mark>, u64)> {
        let marks = lock(&self.marks);
        let found = marks.iter().filter_map(|(place, mark)| Some((place, mark, mark.unwritten()?)));
        found.map(|(place, mark, at)| (place.clone(), Arc::clone(mark), at)).collect()
    }

    /// Forgets what is written and of no answer that may be given again.
    fn forget(&self) {
        lock(&self.marks).retain(|_, mark| Arc::strong_count(mark) > 1 || mark.unwritten().is_some());
    }
}

impl Registry {
    /// The mark of a manifest that is being pulled.
    pub(crate) fn pull_mark(&self, repository: &RepositoryName, digest: &Digest) -> Option<Arc<Mark>> {
        self.pulls().mark((repository.clone(), *digest))
    }

    /// Notes a pull. Costs two loads and a store; now and then it starts the task that writes.
    pub(crate) fn note_pull(&self, mark: &Mark) {
        mark.at.store(self.engine().now().0, Ordering::Relaxed);
        let pulls = self.pulls();
        if pulls.scheduled.load(Ordering::Relaxed) || pulls.scheduled.swap(true, Ordering::Relaxed) {
            return;
        }
        let registry = self.clone();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                tokio::time::sleep(PAUSE).await;
                // Before the marks are read: a pull that comes later is seen by this round or starts another.
                registry.pulls().scheduled.store(false, Ordering::SeqCst);
                registry.flush_pulled().await;
            })),
            Err(_) => pulls.scheduled.store(false, Ordering::Relaxed),
        }
    }

    /// Writes the times of pulls that are only in memory. To be called once more before the store is closed.
    pub async fn flush_pulled(&self) {
        let unwritten = self.pulls().unwritten();
        for chunk in unwritten.chunks(ROWS_MAX) {
            if let Err(error) = self.write_pulled(chunk).await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the times of pulls wait for a next try"
                );
                return;
            }
        }
        self.pulls().forget();
        if let Err(error) = self.sweep_pulled().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "old times of pulls stay for now");
        }
    }

    async fn write_pulled(&self, chunk: &[(Place, Arc<Mark>, u64)]) -> Result<()> {
        let (registry, places) =
            (self.clone(), chunk.iter().map(|(place, _, at)| (place.clone(), *at)).collect());
        let batch = away(move || registry.rows_of(places)).await?;
        if !batch.is_empty() {
            self.engine().commit(batch).await.map_err(RegistryError::store)?;
        }
        for (_, mark, at) in chunk {
            mark.written.fetch_max(*at, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The rows of those that are still there.
    fn rows_of(&self, places: Vec<(Place, u64)>) -> Result<Batch> {
        let (view, mut batch) = (self.view()?, self.unsynced_batch());
        for ((repository, digest), at) in places {
            if view.has_manifest(&repository, &digest).map_err(RegistryError::store)? {
                batch.put_setting(&key(&repository, &digest), Bytes::copy_from_slice(&at.to_be_bytes()));
            }
        }
        Ok(batch)
    }

    /// Removes, of the next stretch of rows, those whose manifest is gone.
    async fn sweep_pulled(&self) -> Result<()> {
        let registry = self.clone();
        let batch = away(move || {
            let (view, mut batch) = (registry.view()?, registry.unsynced_batch());
            let mut seen = lock(&registry.pulls().seen);
            let rows = view.settings(PREFIX, seen.as_deref(), ROWS_MAX).map_err(RegistryError::store)?;
            *seen = rows.last().filter(|_| rows.len() == ROWS_MAX).map(|(key, _)| key.clone());
            for (key, _) in rows {
                let is_there = match place(&key) {
                    Some((repository, digest)) => view.has_manifest(&repository, &digest),
                    None => Ok(false),
                };
                if !is_there.map_err(RegistryError::store)? {
                    batch.delete_setting(&key);
                }
            }
            Ok(batch)
        });
        let batch = batch.await?;
        if !batch.is_empty() {
            self.engine().commit(batch).await.map_err(RegistryError::store)?;
        }
        Ok(())
    }

    /// A batch that nobody waits for.
    fn unsynced_batch(&self) -> Batch {
        let mut batch = self.batch(&Context::everyone("pulled", None));
        batch.set_unsynced();
        batch
    }

    /// When a manifest was last pulled, if it ever was.
    pub(crate) fn pulled_at(
        &self,
        view: &View,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<UnixMillis>> {
        let row = view.setting(&key(repository, digest)).map_err(RegistryError::store)?;
        let row = row.and_then(|row| Some(u64::from_be_bytes(row.as_ref().try_into().ok()?)));
        let marks = lock(&self.pulls().marks);
        let mark = marks.get(&(repository.clone(), *digest)).map(|mark| mark.at.load(Ordering::Relaxed));
        Ok(row.max(mark.filter(|at| *at > 0)).map(UnixMillis))
    }
}

fn key(repository: &RepositoryName, digest: &Digest) -> Vec<u8> {
    [PREFIX, repository.as_str().as_bytes(), b"\0", digest.to_string().as_bytes()].concat()
}

/// What a key is about; `None` where it is none of these.
fn place(key: &[u8]) -> Option<Place> {
    let text = std::str::from_utf8(key.strip_prefix(PREFIX)?).ok()?;
    let (repository, digest) = text.split_once('\0')?;
    Some((RepositoryName::parse(repository).ok()?, Digest::parse(digest).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(name: &str) -> Place {
        (RepositoryName::parse(name).unwrap(), Digest::Sha256([3; 32]))
    }

    #[test]
    fn keys_are_read_back() {
        let (repository, digest) = place_of("a/b");
        assert_eq!(place(&key(&repository, &digest)), Some((repository, digest)));
        for other in [&b"pulled/"[..], b"pulled/a", b"pulled/a\0x", b"other/a\0x", b"pulled/A\0sha256:0"] {
            assert_eq!(place(other), None);
        }
    }

    #[test]
    fn marks_are_forgotten_when_written_and_of_no_use() {
        let pulls = Pulls::default();
        let (kept, other) = (pulls.mark(place_of("kept")).unwrap(), pulls.mark(place_of("other")).unwrap());
        assert!(Arc::ptr_eq(&kept, &pulls.mark(place_of("kept")).unwrap()));
        other.at.store(7, Ordering::Relaxed);
        drop(other);
        pulls.forget();
        assert_eq!(lock(&pulls.marks).len(), 2, "one is in use, one is not written");
        let unwritten = pulls.unwritten();
        assert_eq!(unwritten.len(), 1);
        for (_, mark, at) in unwritten {
            mark.written.store(at, Ordering::Relaxed);
        }
        pulls.forget();
        assert_eq!(lock(&pulls.marks).len(), 1);
        drop(kept);
        pulls.forget();
        assert!(lock(&pulls.marks).is_empty());
    }
}
