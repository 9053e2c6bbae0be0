//! The server's part of backups: checkpoints, the holds on them, and their end, whoever brings it about.
//!
//! One thread for each backup: it makes the checkpoint, waits for the end or the expiry of the hold, removes the checkpoint, and then
//! lets the hold go. Backups are few and short.

use super::hold::Hold;
use super::{BACKUPS, BACKUPS_MAX};
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::store::{Store, closed};
use crate::sync::lock;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A backup that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its name: 16 hexadecimal digits.
    pub id: String,
    /// The data directory that it is of.
    pub data_dir: PathBuf,
    /// When its checkpoint was made.
    pub made_at: UnixMillis,
    /// How long the hold lives on if it is not renewed.
    pub expires_in: Duration,
    /// Free space that is to be left alone where the data directory lies, bytes.
    pub reserve_bytes: u64,
}

/// The backups of a store that are under way.
#[derive(Debug, Default)]
pub(crate) struct Backups {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// `None` until the checkpoint is there.
    made_at: Option<UnixMillis>,
    expires_at: Instant,
    ended: bool,
}

impl Backups {
    /// Makes a checkpoint and holds what it names for `hold`.
    ///
    /// # Errors
    /// [`EngineError::BackupsUnderWay`], [`EngineError::NoSpace`], [`EngineError::Poisoned`], [`EngineError::Closed`],
    /// [`EngineError::Io`].
    pub(crate) async fn start(&self, store: &Arc<Store>, hold: Duration) -> Result<Backup, EngineError> {
        // A checkpoint writes what is in memory to a table, so it needs room as a push does.
        store.gate.admit()?;
        let id = new_id(store)?;
        self.enter(&id, hold)?;
        let (answer, made) = oneshot::channel();
        let work = Work { store: Arc::clone(store), shared: Arc::clone(&self.shared), id: id.clone() };
        let spawned =
            std::thread::Builder::new().name("strata-backup".into()).spawn(move || work.run(answer));
        match spawned {
            Ok(thread) => {
                let mut threads = lock(&self.threads);
                threads.retain(|thread| !thread.is_finished());
                threads.push(thread);
            }
            Err(error) => {
                lock(&self.shared.state).entries.remove(&id);
                return Err(EngineError::io("starting threads", error));
            }
        }
        made.await.unwrap_or_else(|_| Err(closed()))?;
        self.find(store, &id)
    }

    /// Lets a hold live for `hold` from now on.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where it has ended.
    pub(crate) fn renew(&self, store: &Store, id: &str, hold: Duration) -> Result<Backup, EngineError> {
        if let Some(entry) = lock(&self.shared.state).entries.get_mut(id).filter(|entry| entry.is_alive()) {
            entry.expires_at = later(hold);
        }
        self.shared.changed.notify_all();
        self.find(store, id)
    }

    /// Ends a backup: its checkpoint is gone when this returns, and what waited for it is being removed. Blocks.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where it has ended.
    pub(crate) fn end(&self, id: &str) -> Result<(), EngineError> {
        let mut state = lock(&self.shared.state);
        let entry = state.entries.get_mut(id).filter(|entry| entry.is_alive());
        entry.ok_or(EngineError::NotFound)?.ended = true;
        self.shared.changed.notify_all();
        while state.entries.contains_key(id) {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Those that are under way, by their names.
    pub(crate) fn list(&self, store: &Store) -> Vec<Backup> {
        let state = lock(&self.shared.state);
        state.entries.iter().filter_map(|(id, entry)| entry.tell(store, id)).collect()
    }

    /// Ends all of them, and refuses new ones. Blocks; idempotent.
    pub(crate) fn close(&self) {
        lock(&self.shared.state).closed = true;
        self.shared.changed.notify_all();
        let threads = std::mem::take(&mut *lock(&self.threads));
        let own = std::thread::current().id();
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != own) {
            drop(thread.join());
        }
    }

    fn enter(&self, id: &str, hold: Duration) -> Result<(), EngineError> {
        let mut state = lock(&self.shared.state);
        if state.closed {
            return Err(closed());
        }
        if state.entries.len() >= BACKUPS_MAX {
            return Err(EngineError::BackupsUnderWay { max: BACKUPS_MAX });
        }
        state.entries.insert(id.to_owned(), Entry { made_at: None, expires_at: later(hold), ended: false });
        Ok(())
    }

    fn find(&self, store: &Store, id: &str) -> Result<Backup, EngineError> {
        let state = lock(&self.shared.state);
        state.entries.get(id).and_then(|entry| entry.tell(store, id)).ok_or(EngineError::NotFound)
    }
}

impl Entry {
    fn is_alive(&self) -> bool {
        !self.ended && self.expires_at > Instant::now()
    }

    /// `None` where it is not made yet, or over.
    fn tell(&self, store: &Store, id: &str) -> Option<Backup> {
        let made_at = self.made_at.filter(|_| self.is_alive())?;
        let expires_in = self.expires_at.saturating_duration_since(Instant::now());
        // Whoever copies may stand in another directory.
        let data_dir = &store.config.data_dir;
        let data_dir = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.clone());
        let reserve_bytes = store.config.reserve_bytes;
        Some(Backup { id: id.to_owned(), data_dir, made_at, expires_in, reserve_bytes })
    }
}

/// What the thread of one backup does.
struct Work {
    store: Arc<Store>,
    shared: Arc<Shared>,
    id: String,
}

impl Work {
    fn run(self, answer: oneshot::Sender<Result<(), EngineError>>) {
        // Before the checkpoint: see `Holds::when_free`.
        let hold = self.store.holds.take();
        let directory = self.store.config.data_dir.join(BACKUPS).join(&self.id);
        let made = self.make(&directory);
        let failed = made.is_err();
        if !failed && let Some(entry) = lock(&self.shared.state).entries.get_mut(&self.id) {
            entry.made_at = Some(self.store.now());
        }
        // Whoever asked may be gone; the expiry sees to it then.
        drop(answer.send(made));
        if !failed {
            self.wait();
        }
        self.remove(&directory, hold);
    }

    fn make(&self, directory: &std::path::Path) -> Result<(), EngineError> {
        std::fs::create_dir_all(directory)
            .map_err(|error| EngineError::io(format!("creating {}", directory.display()), error))?;
        self.store.meta.checkpoint(directory)
    }

    /// Waits for the end of the hold.
    fn wait(&self) {
        let mut state = lock(&self.shared.state);
        loop {
            let now = Instant::now();
            let Some(entry) = state.entries.get(&self.id) else { return };
            if state.closed || entry.ended || entry.expires_at <= now {
                if !state.closed && !entry.ended {
                    tracing::warn!(backup = self.id, "a backup was not renewed in time; it is given up");
                }
                return;
            }
            let left = entry.expires_at.saturating_duration_since(now);
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn remove(&self, directory: &std::path::Path, hold: Hold) {
        if let Err(error) = std::fs::remove_dir_all(directory) {
            // The next start removes it.
            tracing::warn!(path = %directory.display(), %error, "the checkpoint of a backup was not removed");
        }
        drop(hold);
        lock(&self.shared.state).entries.remove(&self.id);
        self.shared.changed.notify_all();
    }
}

fn new_id(store: &Store) -> Result<String, EngineError> {
    let mut bytes = [0; 8];
    store.entropy.fill(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

fn later(hold: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(hold).unwrap_or(now)
}
