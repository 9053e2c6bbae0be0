//! The simulated disk as one that takes requests: it does them in an order of its own, as a ring may, but a sync after what was
//! begun before it.

use super::{SimDisk, SimFile};
use crate::disk::request::{Request, Work};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Takes the requests of one disk to the thread that does them.
pub(super) type Begun = Sender<(SimFile, Request)>;

impl SimDisk {
    /// Whether requests can be begun from now on, which [`DiskFile::begin`](crate::disk::DiskFile::begin) refuses else.
    pub fn set_begins(&self, begins: bool) {
        let begun = begins.then(|| {
            let (sender, queue) = channel();
            std::thread::spawn(move || work(&queue));
            sender
        });
        self.lock().begun = begun;
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
