//! Threads that wait for the disk, so that nobody else has to.
//!
//! A job is a closure that owns all it needs and reports by itself; a caller that goes away changes nothing for it.

use crate::sync::lock;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Work for a thread of the pool.
type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads that take jobs in order.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the threads wait at. Not a channel: those of crossbeam spin before they sleep, and on a machine whose processors are
/// busy that takes time from who has work.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads that sleep and that nobody has woken yet.
    idle: usize,
    stopped: bool,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("jobs", &self.jobs.len())
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// Starts `count` threads named `name`.
    ///
    /// # Errors
    /// As the operating system.
    pub fn start(name: &str, count: usize) -> std::io::Result<Self> {
        let pool = Self { shared: Arc::default(), threads: Mutex::default() };
        for number in 0..count.max(1) {
            let shared = Arc::clone(&pool.shared);
            let thread = std::thread::Builder::new().name(format!("{name}-{number}"));
            lock(&pool.threads).push(thread.spawn(move || work(&shared))?);
        }
        Ok(pool)
    }

    /// Queues a job. After [`Pool::stop`] the job is dropped, which its owner notices as it would notice a panic in it.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = lock(&self.shared.state);
        if state.stopped {
            drop(state);
            return drop(job);
        }
        state.jobs.push_back(Box::new(job));
        let wake = state.idle > 0;
        state.idle -= usize::from(wake);
        drop(state);
        if wake {
            self.shared.changed.notify_one();
        }
    }

    /// Runs what is queued, then ends the threads. Not to be called on one of them. Idempotent.
    pub fn stop(&self) {
        self.leave();
        for thread in lock(&self.threads).drain(..) {
            // A job's panic was caught; the thread itself has none to report.
            drop(thread.join());
        }
    }

    fn leave(&self) {
        lock(&self.shared.state).stopped = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.leave();
    }
}

fn work(shared: &Shared) {
    while let Some(job) = shared.next() {
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a job of the disk pool panicked; its caller is told that the work was lost");
        }
    }
}

impl Shared {
    /// Waits for a job; `None` when there is none and the pool was stopped.
    fn next(&self) -> Option<Job> {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.stopped {
                return None;
            }
            state.idle += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_panic_costs_one_job_and_no_thread() {
        let pool = Pool::start("test", 1).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel::<u32>();
        let lost = sender.clone();
        pool.run(move || {
            let _held = lost;
            panic!("expected by this test");
        });
        pool.run(move || sender.send(7).unwrap());
        assert_eq!(receiver.recv(), Ok(7));
        assert!(receiver.recv().is_err(), "the panicked job dropped what it held");
        pool.stop();
    }

    #[test]
    fn stopping_runs_what_is_queued_and_refuses_the_rest() {
        let pool = Pool::start("test", 2).unwrap();
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let ran = Arc::clone(&ran);
            pool.run(move || {
                ran.fetch_add(1, Ordering::SeqCst);
            });
        }
        pool.stop();
        assert_eq!(ran.load(Ordering::SeqCst), 100);
        let late = Arc::clone(&ran);
        pool.run(move || drop(late));
        pool.stop();
        assert_eq!(Arc::strong_count(&ran), 1);
    }
}
