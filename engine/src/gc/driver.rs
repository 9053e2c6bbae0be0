//! The thread that collects garbage: a run now and then, and one whenever somebody asks for it.
//!
//! Runs never overlap. The end of the store ends a run between two of its steps; what is left is in the queue, for the next one.

use super::report::{GcReport, GcStatus};
use super::run::{self, Outcome};
use super::sweeper::Pace;
use crate::background;
use crate::error::EngineError;
use crate::load::{BUSY_SHARE, LOOK, Load, Watch};
use crate::store::{Store, closed};
use crate::sync::lock;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How much longer than the work of a step the rest after it is.
const RESTS_FOR_WORK: u32 = 3;

/// Free space, in reserves, with which there is no haste.
const SPACE_ENOUGH: u64 = 4;

type Answer = oneshot::Sender<Result<GcReport, EngineError>>;

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
    /// Who waits for a run that has not begun.
    asked: Vec<Answer>,
    status: GcStatus,
}

impl Driver {
    /// Starts the thread.
    ///
    /// # Errors
    /// As the operating system.
    pub(crate) fn start(store: Arc<Store>) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let same = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("strata-gc".into()).spawn(move || work(&store, &same))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Runs once, after a run that is under way, and tells what it did. Dropping the future does not stop the run.
    pub(crate) async fn run(&self) -> Result<GcReport, EngineError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = lock(&self.shared.state);
            if state.stop {
                return Err(closed());
            }
            state.asked.push(answer);
        }
        self.shared.changed.notify_all();
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(crate) fn status(&self) -> GcStatus {
        lock(&self.shared.state).status.clone()
    }

    /// Ends a run that is under way, then the thread. Idempotent.
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

fn work(store: &Arc<Store>, shared: &Shared) {
    background::give_way();
    let interval = store.config.gc.interval;
    // What expired while nobody ran goes first.
    let mut due = (!interval.is_zero()).then(Instant::now);
    while let Some(asked) = shared.wait(due) {
        due = next(interval);
        lock(&shared.state).status.running = true;
        let mut pace = Limited::new(store, shared);
        let outcome = catch_unwind(AssertUnwindSafe(|| run::run(store, &mut pace)));
        let outcome = outcome.unwrap_or_else(|_| Err(EngineError::corrupt("garbage collection panicked")));
        note(&mut lock(&shared.state).status, &outcome);
        let outcome = outcome.map(|outcome| outcome.report);
        tell(&outcome);
        for answer in asked {
            // Whoever asked may be gone.
            drop(answer.send(outcome.clone()));
        }
    }
}

/// When the next run is due; `None`: only when asked.
fn next(interval: Duration) -> Option<Instant> {
    if interval.is_zero() { None } else { Instant::now().checked_add(interval) }
}

fn note(status: &mut GcStatus, outcome: &Result<Outcome, EngineError>) {
    status.running = false;
    status.runs += 1;
    match outcome {
        Ok(outcome) => {
            status.removed.add_all(&outcome.report.removed);
            status.last = Some(outcome.report.clone());
            status.last_error = None;
            status.queued = outcome.queued;
            status.reclaimable_bytes = outcome.reclaimable_bytes;
        }
        Err(error) => {
            status.failures += 1;
            status.last_error = Some(error.to_string());
        }
    }
}

fn tell(outcome: &Result<GcReport, EngineError>) {
    match outcome {
        Ok(report) if report.removed.objects() == 0 => {}
        Ok(report) => tracing::info!(
            objects = report.removed.objects(),
            bytes = report.removed.bytes(),
            took = ?report.took,
            "garbage was removed"
        ),
        Err(error @ EngineError::Poisoned { .. }) => tracing::debug!(%error, "no garbage is removed"),
        Err(error) => tracing::warn!(%error, "garbage collection failed; the next run goes on where it was"),
    }
}

impl Shared {
    /// Waits until a run is due or asked for, and returns who asked; `None`: the store is being closed.
    fn wait(&self, due: Option<Instant>) -> Option<Vec<Answer>> {
        let mut state = lock(&self.state);
        loop {
            if state.stop {
                return None;
            }
            let now = Instant::now();
            if !state.asked.is_empty() || due.is_some_and(|due| due <= now) {
                return Some(std::mem::take(&mut state.asked));
            }
            state = match due {
                Some(due) => {
                    let waited = self.changed.wait_timeout(state, due.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Waits until `until`; `false`: the store is being closed.
    fn rest(&self, until: Instant) -> bool {
        let mut state = lock(&self.state);
        loop {
            let now = Instant::now();
            if state.stop || now >= until {
                return !state.stop;
            }
            let waited = self.changed.wait_timeout(state, until.saturating_duration_since(now));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Lets a run remove so many things a second at most, a tenth of that beside much else, and rest longer than it works: where steps take long, others wait for the same disk and processors.
/// Time that a step has lost is not made up for, which would take it from them.
struct Limited<'a> {
    store: &'a Store,
    shared: &'a Shared,
    watch: Watch,
    looked_at: Instant,
    is_busy: bool,
    step_begun: Instant,
}

impl<'a> Limited<'a> {
    fn new(store: &'a Store, shared: &'a Shared) -> Self {
        let now = Instant::now();
        let mut watch = Watch::default();
        let is_busy = watch.is_busy(Load::of(&store.counters), LOOK);
        Self { store, shared, watch, looked_at: now, is_busy, step_begun: now }
    }

    /// Removals a second for now: fewer while the server has much to do, unless it runs short of space.
    fn rate(&mut self) -> u32 {
        let since = self.looked_at.elapsed();
        if since >= LOOK {
            self.looked_at = Instant::now();
            self.is_busy =
                self.watch.is_busy(Load::of(&self.store.counters), since) && !is_short_of_space(self.store);
        }
        rate(self.store.config.gc.rate, self.is_busy)
    }
}

/// Whether there is so little space that it is room that the server needs most.
fn is_short_of_space(store: &Store) -> bool {
    let enough = store.config.reserve_bytes.saturating_mul(SPACE_ENOUGH);
    store.gate.space().is_ok_and(|space| space.available < enough)
}

/// Removals a second; 0 is no limit, and stays none.
fn rate(configured: u32, is_busy: bool) -> u32 {
    if is_busy { configured.div_ceil(BUSY_SHARE) } else { configured }
}

impl Pace for Limited<'_> {
    fn give_way(&mut self) {
        background::yield_now();
    }

    fn go_on(&mut self, removed: u64) -> bool {
        let goes_on = self.shared.rest(after_step(self.rate(), removed, self.step_begun, Instant::now()));
        self.step_begun = Instant::now();
        goes_on
    }
}

/// When the step after one that has removed so much may begin.
fn after_step(rate: u32, removed: u64, begun: Instant, ended: Instant) -> Instant {
    let Some(rate) = std::num::NonZeroU32::new(rate) else { return ended };
    let earned = Duration::from_micros(removed.saturating_mul(1_000_000) / u64::from(rate.get()));
    let rest = ended.saturating_duration_since(begun).saturating_mul(RESTS_FOR_WORK);
    let by_rate = begun.checked_add(earned).unwrap_or(ended);
    by_rate.max(ended.checked_add(rest).unwrap_or(ended))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_keeps_its_rate_rests_and_makes_up_for_nothing() {
        let begun = Instant::now();
        let rest = |rate, removed, took: u64| {
            let took = Duration::from_millis(took);
            after_step(rate, removed, begun, begun + took).duration_since(begun).as_millis()
        };
        assert_eq!(rest(2000, 64, 2), 32, "the rate");
        assert_eq!(rest(2000, 64, 20), 80, "a slow step is followed by a long rest");
        assert_eq!(rest(2000, 0, 1), 4, "a step that removed nothing has worked as well");
        assert_eq!(rest(rate(2000, true), 64, 2), 320, "a tenth of the rate beside others");
        assert_eq!(rest(rate(0, true), 64, 20), 20, "no limit, no rest");
        assert_eq!(rest(0, 64, 20), 20, "no limit, no rest");
        assert!(rest(1, u64::MAX, 5) > 20, "and no number is too large");
    }
}
