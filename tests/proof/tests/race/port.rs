//! A metadata store that gives way to the scheduler before each view and each commit, and a `block_on` that does it in between.
//!
//! Everything of the product runs as it is. The scheduler's tasks are coroutines of one thread of the system; the engine's own threads
//! are real ones. What those commit waits here until the scheduler has had its say, so that a commit lands between any two steps of the others.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::ThreadId;
use strata_engine::EngineError;
use strata_engine::meta::{Batch, CommitDone, EventFeed, Freshness, MetaStore, MetaView};

/// A batch that a thread of the engine wants committed.
struct Submitted(Batch, CommitDone);

impl std::fmt::Debug for Submitted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The store under the scheduler.
#[derive(Debug)]
pub(crate) struct Yielding {
    inner: Arc<dyn MetaStore>,
    engine_waits: bool,
    /// The thread of the scheduler; others are the engine's.
    scheduler: ThreadId,
    waiting: Mutex<VecDeque<Submitted>>,
    changed: Condvar,
    /// Off while a scene is set, and again when it is looked at.
    on: AtomicBool,
}

impl Yielding {
    /// `engine_waits`: whether commits of the engine's threads wait for the scheduler. Which of those threads is first is not the
    /// scheduler's choice, so orders can be repeated only without.
    pub(crate) fn new(inner: Arc<dyn MetaStore>, engine_waits: bool) -> Arc<Self> {
        Arc::new(Self {
            inner,
            engine_waits,
            scheduler: std::thread::current().id(),
            waiting: Mutex::default(),
            changed: Condvar::new(),
            on: false.into(),
        })
    }

    /// From now on the scheduler is asked, or no more.
    pub(crate) fn set(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }

    fn is_on(&self) -> bool {
        self.on.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Submitted>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_way(&self) {
        if self.is_on() && std::thread::current().id() == self.scheduler {
            shuttle::thread::yield_now();
        }
    }

    /// Commits what a thread of the engine wants committed. Whether there was something.
    fn release(&self) -> bool {
        let Some(Submitted(batch, done)) = self.lock().pop_front() else { return false };
        self.inner.submit(batch, done);
        true
    }

    /// Runs a future on a task of the scheduler.
    pub(crate) fn block_on<F: Future>(self: &Arc<Self>, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        let woken = Arc::new(Woken { store: Arc::clone(self), woken: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        loop {
            woken.woken.store(false, Ordering::SeqCst);
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            while !woken.wait() {
                self.give_way();
                // Another task may have released it meanwhile; it is committed all the same.
                self.release();
            }
        }
    }
}

struct Woken {
    store: Arc<Yielding>,
    woken: AtomicBool,
}

impl Woken {
    /// Waits until the future is to be polled again, or something is to be committed; tells whether it is the former.
    fn wait(&self) -> bool {
        let mut commits = self.store.lock();
        loop {
            if self.woken.load(Ordering::SeqCst) {
                return true;
            }
            if !commits.is_empty() {
                return false;
            }
            commits = self.store.changed.wait(commits).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        let commits = self.store.lock();
        self.woken.store(true, Ordering::SeqCst);
        drop(commits);
        self.store.changed.notify_all();
    }
}

impl MetaStore for Yielding {
    fn view(&self) -> Result<Arc<dyn MetaView>, EngineError> {
        self.give_way();
        self.inner.view()
    }

    fn submit(&self, batch: Batch, done: CommitDone) {
        if self.engine_waits && self.is_on() && std::thread::current().id() != self.scheduler {
            self.lock().push_back(Submitted(batch, done));
            self.changed.notify_all();
            return;
        }
        self.give_way();
        if self.engine_waits || !self.is_on() {
            return self.inner.submit(batch, done);
        }
        // What others see must not depend on how fast the queue's thread is, or the same order would go another way the next time.
        let (told, answered) = std::sync::mpsc::sync_channel(1);
        let then = move |outcome| {
            done(outcome);
            // Whoever submitted waits.
            let _ = told.send(());
        };
        self.inner.submit(batch, Box::new(then));
        // An error means that the store is gone.
        let _ = answered.recv();
    }

    fn freshness(&self) -> &Arc<Freshness> {
        self.inner.freshness()
    }

    fn events(&self) -> &Arc<EventFeed> {
        self.inner.events()
    }

    fn poisoned(&self) -> Option<Arc<str>> {
        self.inner.poisoned()
    }

    fn close(&self) {
        self.set(false);
        while self.release() {}
        self.inner.close();
    }
}
