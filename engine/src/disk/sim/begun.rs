//! The simulated disk as one that takes requests: it does them in an order of its own, as a ring may, but a sync after what was
//! begun before it.

use super::{SimDisk, SimFile};
use crate::disk::request::{Request, Work};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// The thread that does the requests of one disk. Ends with it: a disk that is gone has left nothing behind.
#[derive(Debug)]
pub(super) struct Begun {
    /// `None` only while it is dropped.
    sender: Option<Sender<(SimFile, Request)>>,
    thread: Option<JoinHandle<()>>,
}

impl Begun {
    fn start() -> Self {
        let (sender, queue) = channel();
        let thread = std::thread::spawn(move || work(&queue));
        Self { sender: Some(sender), thread: Some(thread) }
    }

    /// Takes requests to the thread.
    pub(super) fn sender(&self) -> Option<Sender<(SimFile, Request)>> {
        self.sender.clone()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        drop(self.sender.take());
        // The last handle may be the one of the last request, which the thread itself lets go.
        let ended = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id());
        if let Some(thread) = ended {
            // A request that panics is caught there.
            let _ = thread.join();
        }
    }
}

impl SimDisk {
    /// Whether requests can be begun from now on, which [`DiskFile::begin`](crate::disk::DiskFile::begin) refuses else.
    pub fn set_begins(&self, begins: bool) {
        let before = std::mem::replace(&mut self.lock().begun, begins.then(Begun::start));
        // Not under the lock, which the requests that are still to be done need.
        drop(before);
    }
}

fn work(queue: &Receiver<(SimFile, Request)>) {
    let mut waiting = Vec::new();
    let mut random = 7_usize;
    loop {
        if waiting.is_empty() {
            let Ok(first) = queue.recv() else { return };
            waiting.push(first);
        }
        waiting.extend(queue.try_iter());
        let is_sync = |(_, request): &(SimFile, Request)| matches!(request.work(), Work::Sync);
        let before_a_sync = waiting.iter().position(is_sync).unwrap_or(waiting.len()).max(1);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (file, request) = waiting.remove((random >> 33) % before_a_sync);
        // As with the threads of a pool: a panic in what follows costs the one request.
        drop(catch_unwind(AssertUnwindSafe(|| request.run(&file))));
    }
}
