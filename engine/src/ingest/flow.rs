//! What is under way for one upload: counts it, keeps its first failure, says when nothing is under way any more.
//!
//! Waiting for that moment blocks no thread: what is to follow is left here.

use crate::error::EngineError;
use crate::sync::lock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

type Then = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    under_way: usize,
    failure: Option<EngineError>,
    then: Vec<Then>,
}

/// The work under way for one upload.
#[derive(Default)]
pub(crate) struct Flow {
    state: Mutex<State>,
    failed: AtomicBool,
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flow").field("failed", &self.failed).finish_non_exhaustive()
    }
}

/// One piece of work under way, until it is dropped. A piece that is dropped without [`Passage::done`] counts as failed:
/// its thread panicked or its pool was stopped.
#[derive(Debug)]
pub(crate) struct Passage {
    flow: Arc<Flow>,
    done: AtomicBool,
}

impl Flow {
    /// Counts a piece of work in.
    pub(crate) fn enter(self: &Arc<Self>) -> Passage {
        lock(&self.state).under_way += 1;
        Passage { flow: Arc::clone(self), done: AtomicBool::new(false) }
    }

    /// Keeps `error` if it is the first failure.
    pub(crate) fn fail(&self, error: EngineError) {
        lock(&self.state).failure.get_or_insert(error);
        self.failed.store(true, Ordering::Release);
    }

    /// The first failure.
    ///
    /// # Errors
    /// That failure.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        lock(&self.state).failure.clone().map_or(Ok(()), Err)
    }

    /// Whether something failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Runs `then` once nothing is under way: now on this thread, or on the thread that ends the last piece.
    pub(crate) fn when_idle(&self, then: impl FnOnce() + Send + 'static) {
        let mut state = lock(&self.state);
        if state.under_way > 0 {
            state.then.push(Box::new(then));
            return;
        }
        drop(state);
        then();
    }
}

impl Passage {
    /// Says that the work came to its end; how it ended is in the flow.
    pub(crate) fn done(&self) {
        self.done.store(true, Ordering::Release);
    }

    /// The flow that the work belongs to.
    pub(crate) const fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if !self.done.load(Ordering::Acquire) {
            self.flow.fail(EngineError::io("upload", std::io::Error::other("a worker thread gave up")));
        }
        let mut state = lock(&self.flow.state);
        state.under_way -= 1;
        if state.under_way > 0 {
            return;
        }
        let then = std::mem::take(&mut state.then);
        drop(state);
        for then in then {
            then();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn idle_comes_after_the_last_piece() {
        let flow = Arc::new(Flow::default());
        let ran = Arc::new(AtomicUsize::new(0));
        let count = |ran: &Arc<AtomicUsize>| {
            let ran = Arc::clone(ran);
            move || {
                ran.fetch_add(1, Ordering::SeqCst);
            }
        };
        flow.when_idle(count(&ran));
        assert_eq!(ran.load(Ordering::SeqCst), 1, "idle from the start");
        let (first, second) = (flow.enter(), flow.enter());
        flow.when_idle(count(&ran));
        flow.when_idle(count(&ran));
        first.done();
        drop(first);
        assert_eq!(ran.load(Ordering::SeqCst), 1);
        second.done();
        drop(second);
        assert_eq!(ran.load(Ordering::SeqCst), 3);
        assert!(flow.check().is_ok());
    }

    #[test]
    fn the_first_failure_stays_and_lost_work_is_one() {
        let flow = Arc::new(Flow::default());
        drop(flow.enter());
        assert!(flow.check().unwrap_err().to_string().contains("gave up"));
        flow.fail(EngineError::NoSpace);
        assert!(flow.has_failed() && !matches!(flow.check(), Err(EngineError::NoSpace)));
    }
}
