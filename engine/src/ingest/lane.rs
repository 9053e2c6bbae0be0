//! Hashing on threads of its own: the buffers of one upload in order, different uploads side by side.

use super::extent::Extent;
use super::hasher::Hasher;
use crate::disk::Pool;
use crate::sync::lock;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

#[derive(Debug)]
struct State {
    /// `None` while a thread has it.
    hasher: Option<Box<Hasher>>,
    queue: VecDeque<Arc<Extent>>,
}

/// The hash of one upload and the buffers that wait for it.
#[derive(Debug)]
pub(crate) struct Lane {
    threads: Arc<Pool>,
    state: Mutex<State>,
}

impl Lane {
    /// A lane that continues `hasher` on `threads`.
    pub(crate) fn new(threads: Arc<Pool>, hasher: Hasher) -> Arc<Self> {
        let state = State { hasher: Some(Box::new(hasher)), queue: VecDeque::new() };
        Arc::new(Self { threads, state: Mutex::new(state) })
    }

    /// Queues the next buffer.
    pub(crate) fn push(self: &Arc<Self>, extent: Arc<Extent>) {
        let mut state = lock(&self.state);
        state.queue.push_back(extent);
        // While a thread has the hash, it takes this buffer too.
        if let Some(hasher) = state.hasher.take() {
            drop(state);
            let lane = Arc::clone(self);
            self.threads.run(move || lane.drain(hasher));
        }
    }

    fn drain(&self, mut hasher: Box<Hasher>) {
        loop {
            let mut state = lock(&self.state);
            let Some(extent) = state.queue.pop_front() else {
                state.hasher = Some(hasher);
                return;
            };
            drop(state);
            // After a failure the digest is of no use to anybody.
            if !extent.flow().has_failed() {
                hasher.update(extent.bytes());
                extent.snapshot(&hasher);
            }
            // The hash goes back before the last buffer is reported done: who waits for that finds it.
            let mut state = lock(&self.state);
            let last = state.queue.is_empty();
            if last {
                state.hasher = Some(hasher);
                drop(state);
                extent.hashed();
                return;
            }
            drop(state);
            extent.hashed();
        }
    }

    /// Looks at the hash. Only while nothing is under way for the upload; `None` after a panic of its thread.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Hasher) -> T) -> Option<T> {
        lock(&self.state).hasher.as_deref_mut().map(look)
    }
}
