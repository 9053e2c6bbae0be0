//! The thread that scrubs: a round now and then, tick by tick, and one whenever somebody asks for it.
//!
//! A round that was under way when the process ended goes on. The end of the store ends a tick between two pieces.

use super::pace::{Allowance, Pace, TICK};
use super::round::Scrubber;
use super::status::ScrubStatus;
use crate::background;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::load::Load;
use crate::store::{Store, closed};
use crate::sync::lock;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a store is open before a round begins by itself: a start has better things to do.
const FIRST_LOOK: Duration = Duration::from_mins(1);
/// How long a round rests after the store refused it a write.
const REST_AFTER_ERROR: Duration = Duration::from_secs(10);

/// What is read in one go, bytes. Little: others wait for the processor meanwhile, and sixteen looks at small blobs take a millisecond.
const SLICE_BYTES: u64 = 64 * 1024;
/// How much longer than the work on a slice the rest after it is, where there is a limit.
const RESTS_FOR_WORK: u32 = 3;

/// Who asked for a round, and how fast it is to go.
type Asked = (oneshot::Sender<Result<u64, EngineError>>, Option<u64>);

/// The thread and what it shares with those who ask.
#[derive(Debug)]
pub(crate) struct Driver {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    /// Who asked for a round and was not told its number.
    asked: Vec<Asked>,
    status: ScrubStatus,
}

impl Driver {
    /// Starts the thread.
    ///
    /// # Errors
    /// Errors of the view; [`EngineError::Io`] where there is no thread to be had.
    pub(crate) fn start(store: &Arc<Store>) -> Result<Self, EngineError> {
        let scrubber = Scrubber::new(Arc::clone(store))?;
        let shared = Arc::<Shared>::default();
        lock(&shared.state).status = ScrubStatus::new(scrubber.record(), &[]);
        let mut work = Work::new(Arc::clone(store), Arc::clone(&shared), scrubber);
        let thread = std::thread::Builder::new().name("strata-scrub".into());
        let thread = thread.spawn(move || work.run());
        let thread = thread.map_err(|error: io::Error| EngineError::io("starting threads", error))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Begins a round, if none is under way, and tells its number. `rate` is that of this round: bytes a second, 0 is no limit.
    pub(crate) async fn begin(&self, rate: Option<u64>) -> Result<u64, EngineError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = lock(&self.shared.state);
            if state.stop {
                return Err(closed());
            }
            state.asked.push((answer, rate));
        }
        self.shared.changed.notify_all();
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(crate) fn status(&self) -> ScrubStatus {
        lock(&self.shared.state).status.clone()
    }

    /// Ends the tick that is under way, then the thread. Idempotent.
    pub(crate) fn stop(&self) {
        {
            let mut state = lock(&self.shared.state);
            state.stop = true;
            state.asked.clear();
        }
        self.shared.changed.notify_all();
        let thread = lock(&self.thread).take();
        // The last owner of the store may be this very thread's work; it cannot wait for itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            drop(thread.join());
        }
    }
}

/// What the thread has.
struct Work {
    store: Arc<Store>,
    shared: Arc<Shared>,
    scrubber: Scrubber,
    pace: Pace,
    opened_at: UnixMillis,
}

impl Work {
    fn new(store: Arc<Store>, shared: Arc<Shared>, scrubber: Scrubber) -> Self {
        let pace = Pace::new(store.config.scrub.rate);
        let opened_at = store.now();
        Self { store, shared, scrubber, pace, opened_at }
    }

    fn run(&mut self) {
        background::give_way();
        let mut wait = if self.scrubber.is_running() { Duration::ZERO } else { FIRST_LOOK };
        while let Some(asked) = self.shared.wait(wait) {
            let turn = catch_unwind(AssertUnwindSafe(|| self.turn(asked)));
            let Ok(rest) = turn else {
                tracing::error!("the scrub panicked; it rests until the next start");
                let mut state = lock(&self.shared.state);
                state.status.error = Some("it panicked; the log says where".into());
                state.stop = true;
                state.asked.clear();
                return;
            };
            wait = rest;
        }
        // So that the next start goes on here; an older position does as well.
        if self.scrubber.write_down().is_err() {
            tracing::debug!("the position of the scrub was not written at close");
        }
    }

    /// Does what is due, and returns how long to wait for the next turn.
    fn turn(&mut self, asked: Vec<Asked>) -> Duration {
        if !asked.is_empty() || (!self.scrubber.is_running() && self.is_due()) {
            let begun = self.scrubber.start();
            // Whoever asked and then looks finds the round under way.
            self.tell(false);
            for (answer, rate) in asked {
                if let Some(rate) = rate {
                    self.pace = Pace::new(rate);
                }
                // Whoever asked may be gone.
                drop(answer.send(begun.clone()));
            }
            if let Err(error) = begun {
                return self.rest(&error);
            }
        }
        if !self.scrubber.is_running() {
            self.tell(false);
            return FIRST_LOOK;
        }
        let begun = Instant::now();
        match self.pace.tick(Load::of(&self.store.counters)) {
            Allowance::Paused => self.tell(true),
            Allowance::Bytes(bytes) => {
                let rest = match self.slices(bytes, begun) {
                    Ok(rest) => rest,
                    Err(error) => return self.rest(&error),
                };
                self.tell(false);
                if self.pace.is_unlimited() {
                    return Duration::ZERO;
                }
                return TICK.saturating_sub(begun.elapsed()).max(rest);
            }
        }
        TICK.saturating_sub(begun.elapsed())
    }

    /// Uses a tick, slice by slice, until its bytes are read, its time is over or the store is being closed. What it did not come to is forgotten:
    /// where a look costs more than its bytes, as with small blobs, time is the limit. Returns the rest that is due after the last slice.
    fn slices(&mut self, bytes: u64, begun: Instant) -> Result<Duration, EngineError> {
        let counters = &self.store.counters;
        let (mut spent, mut rest) = (0, Duration::ZERO);
        while spent < bytes {
            let slice_begun = Instant::now();
            let step = self.scrubber.step(SLICE_BYTES.min(bytes - spent));
            let step = step.inspect_err(|_| self.pace.spent(bytes, spent))?;
            spent += step.spent;
            counters.scrubbed_bytes.add(step.spent);
            counters.scrub_rounds.add(u64::from(step.ended));
            if step.ended {
                self.pace = Pace::new(self.store.config.scrub.rate);
                return Ok(Duration::ZERO);
            }
            if !self.pace.is_unlimited() {
                rest = slice_begun.elapsed() * RESTS_FOR_WORK;
            }
            if begun.elapsed() + rest >= TICK || !self.shared.pause(rest) {
                break;
            }
        }
        self.pace.spent(bytes, spent);
        Ok(rest)
    }

    fn rest(&self, error: &EngineError) -> Duration {
        tracing::warn!(%error, "the scrub cannot go on for now");
        self.shared.note(|status| status.error = Some(error.to_string()));
        REST_AFTER_ERROR
    }

    /// When a round begins by itself.
    fn next_at(&self) -> Option<UnixMillis> {
        let interval = self.store.config.scrub.interval;
        let last = self.scrubber.record().last;
        let first = self.opened_at.after(FIRST_LOOK);
        (!interval.is_zero()).then(|| last.map_or(first, |last| last.finished_at.after(interval).max(first)))
    }

    fn is_due(&self) -> bool {
        self.next_at().is_some_and(|at| at <= self.store.now())
    }

    fn tell(&self, paused: bool) {
        let mut status = ScrubStatus::new(self.scrubber.record(), self.scrubber.findings());
        status.paused = paused;
        status.next_at = self.next_at().filter(|_| !status.running);
        self.shared.note(|shown| *shown = status);
    }
}

impl Shared {
    /// Waits so long, or until somebody asks for a round, and returns who asked; `None`: the store is being closed.
    fn wait(&self, at_most: Duration) -> Option<Vec<Asked>> {
        let until = Instant::now().checked_add(at_most);
        let mut state = lock(&self.state);
        loop {
            if state.stop {
                return None;
            }
            let now = Instant::now();
            if !state.asked.is_empty() || until.is_none_or(|until| until <= now) {
                return Some(std::mem::take(&mut state.asked));
            }
            let rest = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            state = self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits so long; `false`: the store is being closed.
    fn pause(&self, how_long: Duration) -> bool {
        let state = lock(&self.state);
        if how_long.is_zero() {
            return !state.stop;
        }
        let waited = self.changed.wait_timeout_while(state, how_long, |state| !state.stop);
        !waited.unwrap_or_else(PoisonError::into_inner).0.stop
    }

    fn note(&self, change: impl FnOnce(&mut ScrubStatus)) {
        change(&mut lock(&self.state).status);
    }
}
