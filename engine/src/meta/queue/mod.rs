//! The one commit queue: a thread takes all batches that wait, judges them in order, writes the accepted ones as one
//! write, and answers all. Group commit, gap-free event numbers and serializable batches fall out of it.
//!
//! What it writes to is a [`Backend`]. Nobody who submitted is ever left without an answer: a waiter that is dropped,
//! for whatever reason, answers by itself.

mod judge;
mod tally;
#[cfg(test)]
mod tests;

pub(crate) use judge::Group;
pub(crate) use tally::UsageLimit;

use super::batch::Batch;
use super::feed::EventFeed;
use super::freshness::Freshness;
use super::key;
use super::store::{CommitDone, Committed, MetaView};
use crate::error::EngineError;
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

/// Most batches in one write.
const GROUP_BATCHES_MAX: usize = 1024;
/// Bytes of keys and values after which a group takes no further batch.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most batches that may wait; later ones are answered [`EngineError::Overloaded`] at once.
const WAITING_BATCHES_MAX: usize = 65_536;

/// What a group leaves behind: the last word on every key that it touched, `None` where it was deleted.
pub(crate) type Changes = BTreeMap<Bytes, Option<Bytes>>;

/// Where groups are written. Reading it shows the state after the last write.
pub(crate) trait Backend: MetaView + 'static {
    /// Applies the changes, all or nothing. `synced`: returns when they, and all before them, survive a power cut.
    /// No changes and `synced` syncs what was written before.
    fn write(&self, changes: &Changes, synced: bool) -> Result<(), EngineError>;
}

enum Message {
    Commit(Batch, Waiter),
    Stop,
}

/// A running queue.
#[derive(Debug)]
pub(crate) struct CommitQueue {
    sender: Sender<Message>,
    state: Arc<State>,
    freshness: Arc<Freshness>,
    events: Arc<EventFeed>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    poison: OnceLock<Arc<str>>,
    waiting: AtomicUsize,
}

impl State {
    fn refusal(&self) -> Option<EngineError> {
        self.poison.get().map(|why| EngineError::Poisoned { why: why.clone() })
    }

    /// Keeps the first failure.
    fn set_poison(&self, why: &str) -> EngineError {
        let why = self.poison.get_or_init(|| {
            tracing::error!(why, "a commit failed: the store refuses writes until it is opened again");
            why.into()
        });
        EngineError::Poisoned { why: why.clone() }
    }
}

impl CommitQueue {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`EngineError::Io`] where the system gives no thread, errors of reading the last event.
    pub(crate) fn start(backend: Arc<dyn Backend>) -> Result<Self, EngineError> {
        let next_event = next_event(backend.as_ref())?;
        let (sender, receiver) = crossbeam_channel::unbounded();
        let state = Arc::new(State::default());
        let freshness = Freshness::new();
        // What an open finds was read from the disk, or written to it by the recovery.
        let events = Arc::new(EventFeed::new(next_event.saturating_sub(1)));
        let worker = Worker {
            backend,
            receiver,
            state: state.clone(),
            freshness: freshness.clone(),
            events: events.clone(),
            next_event,
            unsynced: false,
        };
        let thread = std::thread::Builder::new()
            .name("strata-commit".into())
            .spawn(move || worker.run())
            .map_err(|error| EngineError::io("starting the commit thread", error))?;
        Ok(Self { sender, state, freshness, events, thread: Mutex::new(Some(thread)) })
    }

    /// As [`super::MetaStore::submit`].
    pub(crate) fn submit(&self, batch: Batch, done: CommitDone) {
        let waiting = self.state.waiting.fetch_add(1, Ordering::Relaxed);
        let waiter = Waiter { done: Some(done), state: self.state.clone() };
        if let Some(refusal) = self.state.refusal() {
            waiter.answer(Err(refusal));
        } else if waiting >= WAITING_BATCHES_MAX {
            waiter.answer(Err(EngineError::Overloaded));
        } else if let Err(unsent) = self.sender.send(Message::Commit(batch, waiter)) {
            // The thread is gone; the waiter inside answers as it is dropped.
            drop(unsent);
        }
    }

    /// As [`super::MetaStore::freshness`].
    pub(crate) fn freshness(&self) -> &Arc<Freshness> {
        &self.freshness
    }

    /// As [`super::MetaStore::events`].
    pub(crate) fn events(&self) -> &Arc<EventFeed> {
        &self.events
    }

    /// As [`super::MetaStore::poisoned`].
    pub(crate) fn poisoned(&self) -> Option<Arc<str>> {
        self.state.poison.get().cloned()
    }

    /// Makes every later batch fail, as a failed write does.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn poison(&self, why: &str) {
        self.state.set_poison(why);
    }

    /// Commits what waits and stops the thread. Idempotent.
    pub(crate) fn close(&self) {
        // An error means that the thread is gone already.
        let _ = self.sender.send(Message::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The last owner may be dropped by a commit's continuation, on the thread itself: that one cannot wait for itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // The thread catches its panics; should one escape, its waiters were answered as they were dropped.
            let _ = thread.join();
        }
    }
}

impl Drop for CommitQueue {
    fn drop(&mut self) {
        self.close();
    }
}

/// The number of the next event: one above the last. Whoever trims the log keeps its last row, or numbers would repeat.
fn next_event(view: &dyn MetaView) -> Result<u64, EngineError> {
    let Some((last, _)) = view.last(&key::whole(key::table::EVENT))? else { return Ok(1) };
    match key::Key::decode(&last)? {
        key::Key::Event { number } => Ok(number.saturating_add(1)),
        _ => Err(EngineError::corrupt("the last event's key")),
    }
}

/// One who waits for an answer. Answers exactly once: by [`Waiter::answer`], or when it is dropped without.
struct Waiter {
    done: Option<CommitDone>,
    state: Arc<State>,
}

impl Waiter {
    fn answer(mut self, outcome: Result<Committed, EngineError>) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Result<Committed, EngineError>) {
        let Some(done) = self.done.take() else { return };
        self.state.waiting.fetch_sub(1, Ordering::Relaxed);
        // A caller's continuation that panics must not take the others' answers with it.
        if catch_unwind(AssertUnwindSafe(|| done(outcome))).is_err() {
            tracing::error!("the continuation of a commit panicked");
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.done.is_none() {
            return;
        }
        let outcome = match self.state.refusal() {
            Some(refusal) => refusal,
            None if std::thread::panicking() => self.state.set_poison("the commit thread panicked"),
            None => EngineError::Closed,
        };
        self.finish(Err(outcome));
    }
}

struct Worker {
    backend: Arc<dyn Backend>,
    receiver: Receiver<Message>,
    state: Arc<State>,
    freshness: Arc<Freshness>,
    events: Arc<EventFeed>,
    next_event: u64,
    /// Whether something was written that a power cut can still undo.
    unsynced: bool,
}

impl Worker {
    fn run(mut self) {
        while let Ok(Message::Commit(batch, waiter)) = self.receiver.recv() {
            let mut stop = false;
            let done = catch_unwind(AssertUnwindSafe(|| stop = self.commit_group(batch, waiter)));
            if done.is_err() {
                self.state.set_poison("the commit thread panicked");
            }
            if stop {
                break;
            }
        }
        // What still waits in the channel is dropped with the receiver, and so answered.
    }

    /// Commits one group, which begins with this batch. Returns whether the stop message was met.
    fn commit_group(&mut self, batch: Batch, waiter: Waiter) -> bool {
        if let Some(refusal) = self.state.refusal() {
            waiter.answer(Err(refusal));
            return false;
        }
        let mut stop = false;
        let mut group = Group::new(self.backend.as_ref(), self.next_event);
        let mut outcomes = vec![(waiter, group.judge(batch))];
        while outcomes.len() < GROUP_BATCHES_MAX && group.weight_bytes() < GROUP_BYTES_MAX {
            match self.receiver.try_recv() {
                Ok(Message::Commit(batch, waiter)) => outcomes.push((waiter, group.judge(batch))),
                Ok(Message::Stop) => {
                    stop = true;
                    break;
                }
                Err(_) => break,
            }
        }
        let (changes, next_event, synced) = group.finish();
        if !changes.is_empty() || (synced && self.unsynced) {
            self.freshness.changing(changes.keys());
            let written = self.backend.write(&changes, synced);
            // Also of a write that failed nobody knows what it left.
            self.freshness.changed();
            if let Err(error) = written {
                let poisoned = self.state.set_poison(&error.to_string());
                for (waiter, _) in outcomes {
                    waiter.answer(Err(poisoned.clone()));
                }
                return stop;
            }
            self.unsynced = !synced;
            self.next_event = next_event;
            if synced {
                self.events.reached(next_event.saturating_sub(1));
            }
        }
        // A refused batch is answered after the write as well: its retry then sees what it lost to.
        for (waiter, outcome) in outcomes {
            waiter.answer(outcome);
        }
        stop
    }
}
