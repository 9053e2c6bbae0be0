//! Which upload sessions are open for writing in this process: one writer each.
//!
//! A session stays taken until its last state is written, also when its client is gone; whoever comes back for it then waits
//! for that moment instead of being refused. The durable side of a session is its row.

use crate::error::EngineError;
use crate::sync::lock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use strata_types::UploadId;
use tokio::sync::Notify;

/// The sessions that are taken.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<UploadId, Arc<Entry>>>);

#[derive(Debug, Default)]
struct Entry {
    offset: AtomicU64,
    settling: AtomicBool,
    cancelled: AtomicBool,
    released: Arc<Notify>,
}

/// The right to write to a session, until it is released or dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    id: UploadId,
    entry: Arc<Entry>,
    sessions: Arc<Sessions>,
}

/// Who has a session.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Nobody: it is the caller's now.
    Free(Hold),
    /// A writer that has received so many bytes.
    Busy(u64),
    /// A writer that has not noticed yet that the session was cancelled.
    Cancelled,
}

impl Sessions {
    /// Takes a session, or says who has it. Waits while its last writer's state is being written.
    pub(crate) async fn take(self: &Arc<Self>, id: &UploadId) -> Taken {
        loop {
            let released = {
                let mut taken = lock(&self.0);
                let Some(entry) = taken.get(id) else {
                    let entry = Arc::new(Entry::default());
                    taken.insert(*id, Arc::clone(&entry));
                    return Taken::Free(Hold { id: *id, entry, sessions: Arc::clone(self) });
                };
                if !entry.settling.load(Ordering::Acquire) {
                    if entry.cancelled.load(Ordering::Acquire) {
                        return Taken::Cancelled;
                    }
                    return Taken::Busy(entry.offset.load(Ordering::Acquire));
                }
                // Listens from before the lock is given back: the release cannot slip through.
                Arc::clone(&entry.released).notified_owned()
            };
            released.await;
        }
    }

    /// Bytes that the present writer has received; `None` where the session's row tells. Waits as [`Sessions::take`] does.
    pub(crate) async fn offset(&self, id: &UploadId) -> Result<Option<u64>, EngineError> {
        loop {
            let released = {
                let taken = lock(&self.0);
                let Some(entry) = taken.get(id) else { return Ok(None) };
                if !entry.settling.load(Ordering::Acquire) {
                    let cancelled = entry.cancelled.load(Ordering::Acquire);
                    let offset = Some(entry.offset.load(Ordering::Acquire));
                    return if cancelled { Err(EngineError::UploadUnknown) } else { Ok(offset) };
                }
                Arc::clone(&entry.released).notified_owned()
            };
            released.await;
        }
    }

    /// Tells the writer that its session is to be dropped. `false` where there is none.
    pub(crate) fn cancel(&self, id: &UploadId) -> bool {
        let taken = lock(&self.0);
        taken.get(id).is_some_and(|entry| {
            entry.cancelled.store(true, Ordering::Release);
            true
        })
    }

    /// Sessions taken.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn count(&self) -> usize {
        lock(&self.0).len()
    }
}

impl Hold {
    pub(crate) const fn id(&self) -> &UploadId {
        &self.id
    }

    /// Says how many bytes the writer has received.
    pub(crate) fn set_offset(&self, offset: u64) {
        self.entry.offset.store(offset, Ordering::Release);
    }

    /// Says that the writer takes no more bytes and its state is being written: others wait from now on.
    pub(crate) fn settle(&self) {
        self.entry.settling.store(true, Ordering::Release);
    }

    /// Cancels the session, as the one who has it.
    pub(crate) fn cancel(&self) {
        self.entry.cancelled.store(true, Ordering::Release);
    }

    /// Whether somebody cancelled the session.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.entry.cancelled.load(Ordering::Acquire)
    }
}

impl Hold {
    /// Gives the session back now, before whoever waits is told: others may share this value for a moment longer. Idempotent.
    pub(crate) fn release(&self) {
        let mut taken = lock(&self.sessions.0);
        // Somebody else may have it by now.
        if taken.get(&self.id).is_some_and(|entry| Arc::ptr_eq(entry, &self.entry)) {
            taken.remove(&self.id);
        }
        drop(taken);
        self.entry.released.notify_waiters();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_writer_at_a_time() {
        let sessions = Arc::new(Sessions::default());
        let id = UploadId::from_random([1; 16]);
        let Some(Taken::Free(hold)) = now(sessions.take(&id)) else { panic!("free") };
        hold.set_offset(42);
        assert!(matches!(now(sessions.take(&id)), Some(Taken::Busy(42))));
        assert!(matches!(now(sessions.offset(&id)), Some(Ok(Some(42)))));
        assert!(sessions.cancel(&id) && hold.is_cancelled());
        assert!(matches!(now(sessions.offset(&id)), Some(Err(EngineError::UploadUnknown))));
        assert!(matches!(now(sessions.take(&id)), Some(Taken::Cancelled)));
        drop(hold);
        assert!(matches!(now(sessions.offset(&id)), Some(Ok(None))));
        assert!(!sessions.cancel(&id));
    }

    #[test]
    fn a_late_drop_takes_nothing_from_the_next_writer() {
        let sessions = Arc::new(Sessions::default());
        let id = UploadId::from_random([1; 16]);
        let Some(Taken::Free(first)) = now(sessions.take(&id)) else { panic!("free") };
        first.release();
        let Some(Taken::Free(second)) = now(sessions.take(&id)) else { panic!("released") };
        drop(first);
        assert!(matches!(now(sessions.take(&id)), Some(Taken::Busy(0))));
        drop(second);
        assert_eq!(sessions.count(), 0);
    }

    #[test]
    fn who_comes_while_it_settles_waits_for_the_end() {
        let sessions = Arc::new(Sessions::default());
        let id = UploadId::from_random([1; 16]);
        let Some(Taken::Free(hold)) = now(sessions.take(&id)) else { panic!("free") };
        hold.settle();
        let mut context = Context::from_waker(Waker::noop());
        let (mut first, mut second) = (pin!(sessions.take(&id)), pin!(sessions.offset(&id)));
        assert!(
            first.as_mut().poll(&mut context).is_pending() && second.as_mut().poll(&mut context).is_pending()
        );
        drop(hold);
        assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Ok(None))));
        assert!(matches!(first.as_mut().poll(&mut context), Poll::Ready(Taken::Free(_))));
        assert_eq!(sessions.count(), 0);
    }
}
