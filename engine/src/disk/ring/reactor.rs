//! The thread that owns the ring: takes requests from all sides, keeps the kernel supplied, hands every end back.
//!
//! It never waits for anything but the kernel, and nothing that a request's end does can end it: a panic in there costs that
//! one request.

use super::kernel::{Kernel, WAKE_UP};
use super::order::Order;
use super::{Operation, REQUESTS_MAX};
use crate::disk::request::Request;
use crate::sync::lock;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What the reactor and those who bring it requests share.
#[derive(Debug)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    /// Requests taken and not ended.
    under_way: AtomicUsize,
    wake: Arc<File>,
}

#[derive(Debug, Default)]
struct Queue {
    operations: VecDeque<Operation>,
    closed: bool,
    /// Whether the reactor waits in the kernel, so that it has to be woken.
    asleep: bool,
}

impl Inbox {
    fn new(wake: &Arc<File>) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), under_way: AtomicUsize::new(0), wake: Arc::clone(wake) })
    }

    /// Brings an operation. Given back where the reactor is closed or has as much as it takes.
    pub(super) fn bring(&self, operation: Operation) -> Result<(), Request> {
        let mut queue = lock(&self.queue);
        if queue.closed || self.under_way.load(Ordering::Relaxed) >= REQUESTS_MAX {
            return Err(operation.request);
        }
        self.under_way.fetch_add(1, Ordering::Relaxed);
        queue.operations.push_back(operation);
        let wake = std::mem::take(&mut queue.asleep);
        drop(queue);
        if wake {
            self.wake();
        }
        Ok(())
    }

    /// Takes no more; what was taken comes to its end.
    pub(super) fn close(&self) {
        lock(&self.queue).closed = true;
        self.wake();
    }

    fn wake(&self) {
        // Cannot fail while the counter is far from its end, and the reactor sets it to 0 whenever it is woken.
        drop((&*self.wake).write_all(&WAKE_UP));
    }
}

/// The reactor; made and run on its own thread.
#[derive(Debug)]
pub(super) struct Reactor {
    // Dropped first: it waits for what the kernel works on, so that nobody is told of an end before there is one.
    kernel: Kernel,
    order: Order,
    /// Operations that may begin and wait for room in the ring.
    ready: VecDeque<Operation>,
    inbox: Arc<Inbox>,
}

impl Reactor {
    pub(super) fn new(kernel: Kernel) -> Self {
        let inbox = Inbox::new(kernel.wake());
        Self { kernel, order: Order::default(), ready: VecDeque::new(), inbox }
    }

    pub(super) fn inbox(&self) -> Arc<Inbox> {
        Arc::clone(&self.inbox)
    }

    /// Works until the inbox is closed and everything that was taken has ended.
    ///
    /// # Errors
    /// The kernel refuses the ring's own calls. What was taken is dropped then, as [`Request`] says.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut taken = VecDeque::new();
        loop {
            let closed = self.take(&mut taken);
            while self.kernel.has_room()
                && let Some(operation) = self.ready.pop_front()
            {
                if let Err(operation) = self.kernel.push(operation) {
                    self.ready.push_front(operation);
                    break;
                }
            }
            let idle = self.kernel.under_way() == 0 && self.ready.is_empty() && self.order.is_empty();
            if closed && idle {
                return Ok(());
            }
            // With more at hand than the ring holds there is no need to be woken for yet more.
            let wait = !self.ready.is_empty() || self.may_sleep();
            self.kernel.submit(wait)?;
            while let Some((operation, answer)) = self.kernel.reap() {
                self.answered(operation, answer);
            }
        }
    }

    /// Takes what was brought; says whether nothing more will be.
    fn take(&mut self, taken: &mut VecDeque<Operation>) -> bool {
        let closed = {
            let mut queue = lock(&self.inbox.queue);
            queue.asleep = false;
            std::mem::swap(&mut queue.operations, taken);
            queue.closed
        };
        let ready = taken.drain(..).filter_map(|operation| self.order.admit(operation));
        self.ready.extend(ready);
        closed
    }

    /// Whether nothing was brought meanwhile. If so, whoever brings the next one wakes the reactor.
    fn may_sleep(&mut self) -> bool {
        self.kernel.arm_wake();
        let mut queue = lock(&self.inbox.queue);
        // RACE: decided under the lock under which requests are brought: one that comes later sees that it has to wake.
        queue.asleep = queue.operations.is_empty();
        queue.asleep
    }

    fn answered(&mut self, mut operation: Operation, answer: io::Result<usize>) {
        if let Err(error) = &answer
            && error.kind() == io::ErrorKind::WouldBlock
            && !operation.may_wait
        {
            // The kernel would have to wait and did not; one of its own threads may.
            operation.may_wait = true;
            return self.ready.push_back(operation);
        }
        let Some(outcome) = operation.request.advance(answer) else {
            return self.ready.push_back(operation);
        };
        let ready = &mut self.ready;
        self.order.ended(&operation, |next| ready.push_back(next));
        self.inbox.under_way.fetch_sub(1, Ordering::Relaxed);
        let Operation { target, request, .. } = operation;
        // The handle first: who is told of the end finds the file unused.
        drop(target);
        if catch_unwind(AssertUnwindSafe(|| request.finish(outcome))).is_err() {
            tracing::error!(
                "what follows a request of the ring panicked; its caller is told that the work was lost"
            );
        }
    }
}

impl Drop for Reactor {
    /// However the thread ends: nothing more is taken, and what is left in the inbox is told by being dropped.
    fn drop(&mut self) {
        let left = {
            let mut queue = lock(&self.inbox.queue);
            queue.closed = true;
            std::mem::take(&mut queue.operations)
        };
        drop(left);
    }
}
