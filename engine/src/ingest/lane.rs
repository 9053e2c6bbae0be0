//! The hash of one upload: its buffers in order.

use super::extent::Extent;
use super::hasher::Hasher;
use super::hashing::{Hashing, Turn};
use crate::sync::lock;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

#[derive(Debug)]
struct State {
    /// `None` while a turn has it.
    hasher: Option<Box<Hasher>>,
    queue: VecDeque<Arc<Extent>>,
}

/// The hash of one upload and the buffers that wait for it.
#[derive(Debug)]
pub(crate) struct Lane {
    hashing: Arc<Hashing>,
    state: Mutex<State>,
}

impl Lane {
    /// A lane that continues `hasher`.
    pub(crate) fn new(hashing: Arc<Hashing>, hasher: Hasher) -> Arc<Self> {
        let state = State { hasher: Some(Box::new(hasher)), queue: VecDeque::new() };
        Arc::new(Self { hashing, state: Mutex::new(state) })
    }

    /// Queues the next buffer.
    pub(crate) fn push(self: &Arc<Self>, extent: Arc<Extent>) {
        let mut state = lock(&self.state);
        // While a turn has the hash, this buffer comes after it.
        let Some(hasher) = state.hasher.take() else { return state.queue.push_back(extent) };
        drop(state);
        self.hashing.queue(Turn { lane: Arc::clone(self), hasher, extent });
    }

    /// The turn after one that is over; without a buffer the hash is put back.
    pub(super) fn next(self: Arc<Self>, hasher: Box<Hasher>) -> Option<Turn> {
        let mut state = lock(&self.state);
        let Some(extent) = state.queue.pop_front() else {
            state.hasher = Some(hasher);
            return None;
        };
        drop(state);
        Some(Turn { lane: self, hasher, extent })
    }

    /// Looks at the hash. Only while nothing is under way for the upload; `None` after a panic of its thread.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Hasher) -> T) -> Option<T> {
        lock(&self.state).hasher.as_deref_mut().map(look)
    }
}
