//! The threads that hash, and the uploads that have a buffer for them.
//!
//! An upload takes its turn with one buffer at a time, behind those that wait already: one that always has a buffer ready must not keep a thread for
//! itself. Where more wait than there are threads, a thread takes two at once, which takes less time than one after the other ([`super::pair`]).

use super::extent::Extent;
use super::hasher::Hasher;
use super::lane::Lane;
use crate::disk::Pool;
use crate::sync::lock;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

/// One buffer of an upload, with the hash that it goes into.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) lane: Arc<Lane>,
    pub(super) hasher: Box<Hasher>,
    pub(super) extent: Arc<Extent>,
}

/// The threads, and the turns that wait for them.
#[derive(Debug)]
pub(crate) struct Hashing {
    threads: Pool,
    count: usize,
    /// INVARIANT: while there is a turn, an errand is queued or under way that will see it.
    turns: Mutex<VecDeque<Turn>>,
}

impl Hashing {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// As the operating system.
    pub(crate) fn start(count: usize) -> io::Result<Arc<Self>> {
        let threads = Pool::start("strata-hash", count)?;
        Ok(Arc::new(Self { threads, count, turns: Mutex::default() }))
    }

    /// Hashes what waits, then ends the threads. A turn after that is dropped, which its upload notices. Idempotent.
    pub(crate) fn stop(&self) {
        self.threads.stop();
    }

    /// Queues a turn.
    pub(super) fn queue(self: &Arc<Self>, turn: Turn) {
        lock(&self.turns).push_back(turn);
        self.send();
    }

    fn send(self: &Arc<Self>) {
        let mut errand = Errand { hashing: Some(Arc::clone(self)), is_begun: false };
        self.threads.run(move || errand.run());
    }

    /// The next turn, and one more where the other threads have enough to do without it.
    fn next(&self) -> Option<(Turn, Option<Turn>)> {
        let mut turns = lock(&self.turns);
        let turn = turns.pop_front()?;
        let second = if turns.len() >= self.count { turns.pop_front() } else { None };
        Some((turn, second))
    }
}

/// A thread's way through the turns.
struct Errand {
    /// `None` once it is over.
    hashing: Option<Arc<Hashing>>,
    is_begun: bool,
}

impl Errand {
    fn run(&mut self) {
        self.is_begun = true;
        let Some(hashing) = self.hashing.clone() else { return };
        while let Some((turn, second)) = hashing.next() {
            let again = match second {
                None => [turn.take(), None],
                Some(second) => Turn::take_both(turn, second),
            };
            lock(&hashing.turns).extend(again.into_iter().flatten());
        }
        self.hashing = None;
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        let Some(hashing) = self.hashing.take() else { return };
        if self.is_begun {
            // A panic: what was under way is lost, and others wait behind it.
            hashing.send();
        } else {
            // The threads have been stopped. Outside of the lock: an upload may come to its end with this.
            let lost = lock(&hashing.turns).pop_front();
            drop(lost);
        }
    }
}

impl Turn {
    /// Hashes the buffer. The upload's next turn, if it has one.
    fn take(mut self) -> Option<Self> {
        // After a failure the digest is of no use to anybody.
        if !self.extent.flow().has_failed() {
            self.extent.digest(&mut self.hasher);
        }
        self.over()
    }

    fn take_both(mut left: Self, mut right: Self) -> [Option<Self>; 2] {
        if left.extent.flow().has_failed() || right.extent.flow().has_failed() {
            return [left.take(), right.take()];
        }
        let hashers = [&mut *left.hasher, &mut *right.hasher];
        Extent::digest_both([&left.extent, &right.extent], hashers);
        [left.over(), right.over()]
    }

    fn over(self) -> Option<Self> {
        let Self { lane, hasher, extent } = self;
        let next = lane.next(hasher);
        // The hash has gone back before the last buffer is reported done: who waits for that finds it.
        extent.hashed();
        next
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BufferPool, Flow};
    use super::*;
    use crate::limits::BUFFER_BYTES;
    use std::sync::mpsc;
    use strata_types::Algorithm;
    use tokio::sync::Semaphore;

    /// Buffers of an upload, of these lengths.
    fn extents(flow: &Arc<Flow>, fill: u8, lens: &[usize]) -> Vec<Arc<Extent>> {
        let pool = BufferPool::new(64 * BUFFER_BYTES as u64);
        let slots = Arc::new(Semaphore::new(lens.len()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut offset = 0;
        let extent = |len: &usize| {
            let mut buffer = runtime.block_on(pool.take()).unwrap();
            buffer.fill(&vec![fill; *len]);
            let slot = Arc::clone(&slots).try_acquire_owned().unwrap();
            let passages = [flow.enter(), flow.enter()];
            let extent = Arc::new(Extent::new(buffer, offset, passages, None, Arc::default(), slot));
            offset += *len as u64;
            extent.written();
            extent
        };
        lens.iter().map(extent).collect()
    }

    #[test]
    fn uploads_take_turns_and_each_is_hashed_in_order() {
        const LENS: [usize; 6] = [64, 200_000, 4096, 1000, 64 * 1024, 70];
        for (threads, uploads) in [(1, 1), (1, 2), (1, 5), (2, 7)] {
            let hashing = Hashing::start(threads).unwrap();
            let (open, gate) = mpsc::channel::<()>();
            let gate = Arc::new(Mutex::new(gate));
            for _ in 0..threads {
                let gate = Arc::clone(&gate);
                hashing
                    .threads
                    .run(move || assert!(gate.lock().unwrap().recv().is_err(), "opened by dropping"));
            }
            let mut lanes = Vec::new();
            for fill in 1..=uploads {
                let flow = Arc::new(Flow::default());
                let lane = Lane::new(Arc::clone(&hashing), Hasher::new(Algorithm::Sha256));
                for extent in extents(&flow, fill, &LENS) {
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
                let all = vec![fill; LENS.iter().sum()];
                assert_eq!(
                    digest,
                    Some(Hasher::digest(Algorithm::Sha256, &all)),
                    "{threads} threads, {uploads} uploads"
                );
            }
            hashing.stop();
        }
    }

    #[test]
    fn two_at_once_only_where_the_other_threads_have_enough() {
        let hashing = Hashing::start(2).unwrap();
        let flow = Arc::new(Flow::default());
        let turns = |count: usize| -> VecDeque<Turn> {
            let turn = |extent| {
                let hasher = Box::new(Hasher::new(Algorithm::Sha256));
                let lane = Lane::new(Arc::clone(&hashing), Hasher::new(Algorithm::Sha256));
                Turn { lane, hasher, extent }
            };
            extents(&flow, 1, &vec![1; count]).into_iter().map(turn).collect()
        };
        for (waiting, is_pair) in [(1, false), (2, false), (3, true), (4, true)] {
            *lock(&hashing.turns) = turns(waiting);
            assert_eq!(hashing.next().unwrap().1.is_some(), is_pair, "{waiting} wait");
        }
        lock(&hashing.turns).clear();
        assert!(hashing.next().is_none());
    }

    #[test]
    fn stopped_threads_fail_the_upload_instead_of_losing_it() {
        let hashing = Hashing::start(1).unwrap();
        hashing.stop();
        let flow = Arc::new(Flow::default());
        let lane = Lane::new(Arc::clone(&hashing), Hasher::new(Algorithm::Sha256));
        for extent in extents(&flow, 1, &[1000; 8]) {
            lane.push(extent);
        }
        assert!(lane.with(|_| ()).is_none(), "the hash went with the turn");
        drop(lane);
        assert!(flow.check().is_err());
        assert!(lock(&hashing.turns).is_empty());
    }

    #[test]
    fn who_waits_behind_a_panic_is_hashed_all_the_same() {
        let hashing = Hashing::start(1).unwrap();
        let flow = Arc::new(Flow::default());
        let lane = Lane::new(Arc::clone(&hashing), Hasher::new(Algorithm::Sha256));
        // A turn that no errand is queued for: whoever put it there has panicked since.
        let [extent] = <[_; 1]>::try_from(extents(&flow, 3, &[1000])).unwrap();
        let turn = Turn { lane: Arc::clone(&lane), hasher: Box::new(Hasher::new(Algorithm::Sha256)), extent };
        lock(&hashing.turns).push_back(turn);
        drop(Errand { hashing: Some(Arc::clone(&hashing)), is_begun: true });
        hashing.stop();
        flow.check().unwrap();
        let digest = lane.with(|hasher| hasher.clone().finish());
        assert_eq!(digest, Some(Hasher::digest(Algorithm::Sha256, &[3; 1000])));
    }
}
