//! Locks that outlive a panic: what they guard is kept whole by every critical section, so a poisoned one is taken as it is.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Takes the lock.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A count of work that runs in the background, which the end of the store waits for.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    count: Mutex<usize>,
    changed: Condvar,
}

/// One piece of such work, until it is dropped.
#[derive(Debug)]
pub(crate) struct PendingGuard(std::sync::Arc<Pending>);

impl Pending {
    /// Counts a piece of work in.
    pub(crate) fn enter(self: &std::sync::Arc<Self>) -> PendingGuard {
        *lock(&self.count) += 1;
        PendingGuard(std::sync::Arc::clone(self))
    }

    /// Blocks until there is none.
    pub(crate) fn wait_for_none(&self) {
        let mut count = lock(&self.count);
        while *count > 0 {
            count = self.changed.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for PendingGuard {
    fn drop(&mut self) {
        *lock(&self.0.count) -= 1;
        self.0.changed.notify_all();
    }
}
