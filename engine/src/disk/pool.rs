//! Threads that wait for the disk, so that nobody else has to.
//!
//! A job is a closure that owns all it needs and reports by itself; a caller that goes away changes nothing for it.

use crate::sync::lock;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread::JoinHandle;

/// Work for a thread of the pool.
type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads that take jobs in order.
#[derive(Debug)]
pub(crate) struct Pool {
    jobs: Mutex<Option<Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    /// Starts `count` threads named `name`.
    ///
    /// # Errors
    /// As the operating system.
    pub(crate) fn start(name: &str, count: usize) -> std::io::Result<Self> {
        let (jobs, queue) = unbounded::<Job>();
        let mut threads = Vec::with_capacity(count);
        for number in 0..count.max(1) {
            let queue = queue.clone();
            let thread = std::thread::Builder::new().name(format!("{name}-{number}"));
            threads.push(thread.spawn(move || work(&queue))?);
        }
        Ok(Self { jobs: Mutex::new(Some(jobs)), threads: Mutex::new(threads) })
    }

    /// Queues a job. After [`Pool::stop`] the job is dropped, which its owner notices as it would notice a panic in it.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let jobs = lock(&self.jobs);
        match jobs.as_ref() {
            // The channel cannot be disconnected while the sender is here: threads leave only when it is dropped.
            Some(jobs) => drop(jobs.send(Box::new(job))),
            None => drop(jobs),
        }
    }

    /// Runs what is queued, then ends the threads. Not to be called on one of them. Idempotent.
    pub(crate) fn stop(&self) {
        drop(lock(&self.jobs).take());
        for thread in lock(&self.threads).drain(..) {
            // A job's panic was caught; the thread itself has none to report.
            drop(thread.join());
        }
    }
}

fn work(queue: &Receiver<Job>) {
    for job in queue {
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a job of the disk pool panicked; its caller is told that the work was lost");
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
