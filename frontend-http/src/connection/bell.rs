//! Tells which of a task's futures was the one that woke it, so that the others need not be asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Stands between a future and the task that polls it: wakes the task and remembers that it was this future that called.
#[derive(Debug)]
pub(super) struct Bell {
    clapper: Arc<Clapper>,
    waker: Waker,
}

#[derive(Debug)]
struct Clapper {
    rung: AtomicBool,
    task: Waker,
}

impl Wake for Clapper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl Bell {
    /// A bell that has rung: its future was never polled.
    pub(super) fn new(task: Waker) -> Self {
        let clapper = Arc::new(Clapper { rung: AtomicBool::new(true), task });
        Self { waker: Waker::from(Arc::clone(&clapper)), clapper }
    }

    /// Whether the future has called since it was polled last.
    pub(super) fn has_rung(&self) -> bool {
        self.clapper.rung.load(Ordering::Acquire)
    }

    /// Polls the future, which from now on calls by this bell.
    // RACE: the bell is stilled before the poll, so a call that comes during it is heard.
    pub(super) fn poll<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        self.clapper.rung.store(false, Ordering::Release);
        future.poll(&mut Context::from_waker(&self.waker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn rings_when_its_own_future_calls_and_wakes_the_task_then() {
        let (sender, receiver) = oneshot::channel();
        let woken = Arc::new(AtomicBool::new(false));
        let bell = Bell::new(noting(&woken));
        let mut receiver = pin!(receiver);
        assert!(bell.has_rung(), "a future that was never polled has to be");
        assert!(bell.poll(receiver.as_mut()).is_pending());
        assert!(!bell.has_rung() && !woken.load(Ordering::Acquire));
        sender.send(7).unwrap();
        assert!(bell.has_rung() && woken.load(Ordering::Acquire));
        assert_eq!(bell.poll(receiver.as_mut()), Poll::Ready(Ok(7)));
    }

    /// A waker that notes that it was called.
    fn noting(woken: &Arc<AtomicBool>) -> Waker {
        struct Note(Arc<AtomicBool>);
        impl Wake for Note {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::Release);
            }
        }
        Waker::from(Arc::new(Note(Arc::clone(woken))))
    }
}
