//! Decides when a connection has to end: its own time is up, room is needed, or the server stops.

use crate::activity::{Activity, Expiry};
use crate::drain::{Phase, Signal};
use crate::limits::HttpLimits;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

/// A connection that has been idle for this long gives way to one that waits.
const GIVE_WAY_AFTER: Duration = Duration::from_millis(500);

/// What is to be done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Finish what is in flight, take nothing new.
    Finish(Option<Expiry>),
    /// Drop it now.
    Abort(Option<Expiry>),
}

/// Watches over one connection.
#[derive(Debug)]
pub struct Overseer {
    activity: Arc<Activity>,
    limits: HttpLimits,
    signal: watch::Receiver<Signal>,
    relief_seen: u64,
    finishing: bool,
    /// Rings at the next deadline or before it, never after: it is moved forward at once, and back only when it rings.
    timer: Pin<Box<Sleep>>,
}

impl Overseer {
    /// Watches over the connection with these notes.
    pub fn new(activity: Arc<Activity>, limits: HttpLimits, signal: watch::Receiver<Signal>) -> Self {
        let timer = Box::pin(sleep_until(Instant::now() + check_interval(&limits)));
        let relief_seen = signal.borrow().relief;
        Self { activity, limits, signal, relief_seen, finishing: false, timer }
    }

    /// The limits of the connection.
    pub fn limits(&self) -> &HttpLimits {
        &self.limits
    }

    /// Waits until something is to be done. After `Finish` the next verdict can only be `Abort`. To be polled again after
    /// every step of the connection, in the connection's own task.
    pub async fn next(&mut self) -> Verdict {
        loop {
            if let Some(verdict) = self.told() {
                return verdict;
            }
            let expired = {
                let Self { activity, limits, signal, timer, .. } = self;
                tokio::select! {
                    biased;
                    expiry = poll_fn(|cx| poll_expired(activity, limits, timer, cx)) => Some(expiry),
                    changed = signal.changed() => {
                        if changed.is_err() {
                            return Verdict::Abort(None);
                        }
                        None
                    }
                }
            };
            match expired {
                None => {}
                Some(Expiry::Idle) if !self.finishing => return self.finish(Some(Expiry::Idle)),
                Some(Expiry::WriteStall) => {
                    self.activity.set_reset();
                    return Verdict::Abort(Some(Expiry::WriteStall));
                }
                Some(expiry) => return Verdict::Abort(Some(expiry)),
            }
        }
    }

    /// Waits until the server stops.
    pub async fn draining(&mut self) {
        // An error means that the server itself is gone.
        let _ = self.signal.wait_for(|signal| signal.phase >= Phase::Draining).await;
    }

    /// What follows from what all connections were told.
    fn told(&mut self) -> Option<Verdict> {
        let signal = *self.signal.borrow_and_update();
        let relieve = std::mem::replace(&mut self.relief_seen, signal.relief) != signal.relief;
        match signal.phase {
            Phase::Cut => {
                self.activity.set_reset();
                Some(Verdict::Abort(None))
            }
            _ if self.finishing => None,
            Phase::Draining => Some(self.finish(None)),
            Phase::Serving if relieve && self.activity.is_idle_for(GIVE_WAY_AFTER) => Some(self.finish(None)),
            Phase::Serving => None,
        }
    }

    fn finish(&mut self, expiry: Option<Expiry>) -> Verdict {
        self.finishing = true;
        self.activity.closing();
        Verdict::Finish(expiry)
    }
}

fn poll_expired(
    activity: &Activity,
    limits: &HttpLimits,
    timer: &mut Pin<Box<Sleep>>,
    cx: &mut Context<'_>,
) -> Poll<Expiry> {
    loop {
        if let Some((at, _)) = activity.deadline(limits)
            && at < timer.deadline()
        {
            timer.as_mut().reset(at);
        }
        ready!(timer.as_mut().poll(cx));
        let now = Instant::now();
        let next = now + check_interval(limits);
        match activity.deadline(limits) {
            Some((at, expiry)) if at <= now => return Poll::Ready(expiry),
            Some((at, _)) => timer.as_mut().reset(at.min(next)),
            None => timer.as_mut().reset(next),
        }
    }
}

/// How often deadlines are looked at although nothing happened: streams of HTTP/2 note things without waking the connection.
fn check_interval(limits: &HttpLimits) -> Duration {
    limits.header_timeout.min(limits.idle_timeout).min(limits.write_stall)
}
