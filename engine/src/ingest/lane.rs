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
            self.threads.run(move || lane.step(hasher));
        }
    }

    /// Hashes buffers as long as there are some. As soon as another upload waits for a thread it queues up again behind that: one that
    /// always has a buffer ready must not keep a thread for itself.
    fn step(self: Arc<Self>, mut hasher: Box<Hasher>) {
        loop {
            let Some(extent) = lock(&self.state).queue.pop_front() else {
                lock(&self.state).hasher = Some(hasher);
                return;
            };
            // After a failure the digest is of no use to anybody.
            if !extent.flow().has_failed() {
                extent.digest(&mut hasher);
            }
            // The hash goes back before the last buffer is reported done: who waits for that finds it.
            let mut state = lock(&self.state);
            if state.queue.is_empty() {
                state.hasher = Some(hasher);
                drop(state);
                return extent.hashed();
            }
            drop(state);
            if self.threads.has_waiting() {
                let threads = Arc::clone(&self.threads);
                threads.run(move || self.step(hasher));
                return extent.hashed();
            }
            extent.hashed();
        }
    }

    /// Looks at the hash. Only while nothing is under way for the upload; `None` after a panic of its thread.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Hasher) -> T) -> Option<T> {
        lock(&self.state).hasher.as_deref_mut().map(look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{BufferPool, Flow};
    use crate::limits::BUFFER_BYTES;
    use std::sync::mpsc;
    use strata_types::Algorithm;
    use tokio::sync::Semaphore;

    fn extents(flow: &Arc<Flow>, fill: u8) -> Vec<Arc<Extent>> {
        let pool = BufferPool::new(64 * BUFFER_BYTES as u64);
        let slots = Arc::new(Semaphore::new(8));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let extent = |number: u64| {
            let mut buffer = runtime.block_on(pool.take()).unwrap();
            buffer.fill(&[fill; 1000]);
            let slot = Arc::clone(&slots).try_acquire_owned().unwrap();
            let extent = Arc::new(Extent::new(
                buffer,
                number * 4096,
                [flow.enter(), flow.enter()],
                None,
                Arc::default(),
                slot,
            ));
            extent.written();
            extent
        };
        (0..8).map(extent).collect()
    }

    #[test]
    fn one_thread_serves_lanes_in_turn_and_each_in_order() {
        let threads = Arc::new(Pool::start("test", 1).unwrap());
        let (open, gate) = mpsc::channel::<()>();
        threads.run(move || assert!(gate.recv().is_err(), "opened by dropping"));
        let mut lanes = Vec::new();
        for fill in 1..=3 {
            let flow = Arc::new(Flow::default());
            let lane = Lane::new(Arc::clone(&threads), Hasher::new(Algorithm::Sha256));
            for extent in extents(&flow, fill) {
                lane.push(extent);
            }
            lanes.push((fill, flow, lane));
        }
        drop(open);
        for (fill, flow, lane) in lanes {
            let (sender, receiver) = mpsc::channel();
            flow.when_idle(move || sender.send(()).unwrap());
            receiver.recv().unwrap();
            flow.check().unwrap();
            let digest = lane.with(|hasher| hasher.clone().finish());
            assert_eq!(digest, Some(Hasher::digest(Algorithm::Sha256, &[fill; 8000])));
        }
        threads.stop();
    }

    #[test]
    fn a_stopped_pool_fails_the_upload_instead_of_losing_it() {
        let threads = Arc::new(Pool::start("test", 1).unwrap());
        threads.stop();
        let flow = Arc::new(Flow::default());
        let lane = Lane::new(threads, Hasher::new(Algorithm::Sha256));
        for extent in extents(&flow, 1) {
            lane.push(extent);
        }
        assert!(lane.with(|_| ()).is_none(), "the hash went with the job");
        drop(lane);
        assert!(flow.check().is_err());
    }
}
