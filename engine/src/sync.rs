//! Locks that outlive a panic: what they guard is kept whole by every critical section, so a poisoned one is taken as it is.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Takes the lock.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a future to its end on this thread, which must be one that may block.
pub(crate) fn wait_for<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unparker(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            // A wake that came before is remembered; one for nothing costs a poll.
            Poll::Pending => std::thread::park(),
        }
    }
}

struct Unparker(std::thread::Thread);

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A count of work that runs in the background, which the end of the store waits for.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    count: Mutex<usize>,
    changed: Condvar,
}

/// One piece of such work, until it is dropped.
#[derive(Debug)]
pub(crate) struct PendingGuard(Arc<Pending>);

impl Pending {
    /// Counts a piece of work in.
    pub(crate) fn enter(self: &Arc<Self>) -> PendingGuard {
        *lock(&self.count) += 1;
        PendingGuard(Arc::clone(self))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_is_waited_for() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || sender.send(7));
        assert_eq!(wait_for(receiver), Ok(7));
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
}
