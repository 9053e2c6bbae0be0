//! How many connections there may be, how they are told to make room or to end, and what came of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

/// How often idle connections are asked to make room while a new one waits.
const RELIEF_INTERVAL: Duration = Duration::from_secs(1);

/// The limit of connections is mentioned in the log at most this often.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// How long connections that were cut may take to notice.
const CUT_MAX: Duration = Duration::from_secs(2);

/// What all connections are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// Where the server stands.
    pub phase: Phase,
    /// Grows whenever connections that are idle should make room.
    pub relief: u64,
}

/// Where the server stands between start and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Requests are welcome.
    Serving,
    /// Requests in flight are finished, no more are taken.
    Draining,
    /// Whatever is left ends now.
    Cut,
}

/// What became of the connections when the server stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// Connections that were open when the server was told to stop.
    pub open: usize,
    /// Of these, connections that were not done within `drain` and were cut.
    pub cut: usize,
    /// How long it took.
    pub took: Duration,
}

/// The account of open connections.
#[derive(Debug)]
pub struct Connections {
    max: u32,
    slots: Arc<Semaphore>,
    signal: watch::Sender<Signal>,
    warned: Mutex<Option<Instant>>,
}

/// The right of one connection to be open.
#[derive(Debug)]
pub struct Slot {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connections {
    /// An account of at most `max` connections, at least one.
    pub fn new(max: usize) -> Self {
        let max = u32::try_from(max.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Self {
            max,
            slots: Arc::new(Semaphore::new(max as usize)),
            signal: watch::Sender::new(Signal { phase: Phase::Serving, relief: 0 }),
            warned: Mutex::default(),
        }
    }

    /// What this connection is told from now on.
    pub fn subscribe(&self) -> watch::Receiver<Signal> {
        self.signal.subscribe()
    }

    /// Waits until one more connection may be served, and makes idle ones give way meanwhile.
    pub async fn slot(&self) -> Slot {
        if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            return Slot { _permit: Some(permit) };
        }
        self.warn();
        let waiting = Arc::clone(&self.slots).acquire_owned();
        let mut waiting = std::pin::pin!(waiting);
        loop {
            self.relieve();
            tokio::select! {
                // The semaphore is never closed; were it, serving one connection too many is the lesser evil.
                permit = &mut waiting => return Slot { _permit: permit.ok() },
                () = sleep(RELIEF_INTERVAL) => {}
            }
        }
    }

    /// Asks connections that are idle to end.
    pub fn relieve(&self) {
        self.signal.send_modify(|signal| signal.relief += 1);
    }

    /// Ends all connections: the idle ones now, the others when their requests are done or `allowed` has passed.
    pub async fn drain(&self, allowed: Duration) -> DrainReport {
        let start = Instant::now();
        let open = self.open();
        self.signal.send_modify(|signal| signal.phase = Phase::Draining);
        let cut = if timeout(allowed, self.slots.acquire_many(self.max)).await.is_ok() {
            0
        } else {
            let cut = self.open();
            self.signal.send_modify(|signal| signal.phase = Phase::Cut);
            let _ = timeout(CUT_MAX, self.slots.acquire_many(self.max)).await;
            cut
        };
        DrainReport { open, cut, took: start.elapsed() }
    }

    /// Says that the limit is reached, but not for each connection that meets it.
    fn warn(&self) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
            *warned = Some(Instant::now());
            tracing::warn!(connections = self.max, "the limit of connections is reached, new ones wait");
        }
    }

    fn open(&self) -> usize {
        (self.max as usize).saturating_sub(self.slots.available_permits())
    }
}
