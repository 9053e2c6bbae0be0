//! What a connection is doing right now, and until when it may go on doing it.
//!
//! The socket, the service and the bodies of one connection note here what happens; the connection's task asks for the next
//! deadline. Nothing here owns a timer, so a busy connection pays for a few relaxed atomics a request and for no timer at all.

use crate::intake::Intake;
use crate::limits::HttpLimits;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

/// Why a connection is ended by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Nothing was asked for and nothing moved for `idle-timeout`.
    Idle,
    /// A request's head was begun and not finished within `header-timeout`.
    Header,
    /// The peer took no byte for `write-stall`.
    WriteStall,
    /// The connection was told to end and did not within [`CLOSING_MAX`].
    Closing,
}

/// How long a connection that was told to end may take to say good-bye: flush, TLS close, read what is still coming.
pub const CLOSING_MAX: Duration = Duration::from_secs(5);

/// How much longer a stall on one stream of HTTP/2 may last than one of a whole connection. A client opens its window in large
/// steps and frames arrive whole, so that a slow stream that moves may show nothing for long.
pub const STREAM_PATIENCE: u32 = 5;

/// Stands for "not now" in the stamps below; real stamps start at 1.
const NEVER: u64 = 0;

/// The notes of one connection. Stamps are milliseconds since `start`, plus one.
#[derive(Debug)]
pub struct Activity {
    start: Instant,
    multiplexed: AtomicBool,
    in_flight: AtomicUsize,
    responding: AtomicUsize,
    header_since: AtomicU64,
    blocked_since: AtomicU64,
    closing_since: AtomicU64,
    moved: AtomicU64,
    received: AtomicU64,
    written: AtomicU64,
    unread_body: AtomicBool,
    returnable: AtomicBool,
    flushed: AtomicBool,
    reset: AtomicBool,
    intake: Intake,
}

impl Activity {
    /// A connection that has just been accepted.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            multiplexed: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            responding: AtomicUsize::new(0),
            header_since: AtomicU64::new(NEVER),
            blocked_since: AtomicU64::new(NEVER),
            closing_since: AtomicU64::new(NEVER),
            moved: AtomicU64::new(1),
            received: AtomicU64::new(1),
            written: AtomicU64::new(1),
            unread_body: AtomicBool::new(false),
            returnable: AtomicBool::new(false),
            flushed: AtomicBool::new(true),
            reset: AtomicBool::new(false),
            intake: Intake::default(),
        })
    }

    /// HTTP/2: reads need not be requests, and a response can stall while the socket is free.
    pub fn set_multiplexed(&self) {
        self.multiplexed.store(true, Relaxed);
        self.header_since.store(NEVER, Relaxed);
    }

    /// The handshake is over: from here on reads are requests.
    pub fn begin(&self) {
        self.header_since.store(NEVER, Relaxed);
        self.moved.store(self.now(), Relaxed);
    }

    /// Bytes came in.
    pub fn read(&self) {
        let now = self.now();
        self.moved.store(now, Relaxed);
        self.received.store(now, Relaxed);
        if self.in_flight.load(Relaxed) == 0
            && !self.multiplexed.load(Relaxed)
            && self.header_since.load(Relaxed) == NEVER
        {
            self.header_since.store(now, Relaxed);
        }
    }

    /// Bytes went out.
    pub fn wrote(&self) {
        let now = self.now();
        self.moved.store(now, Relaxed);
        self.written.store(now, Relaxed);
        self.blocked_since.store(NEVER, Relaxed);
    }

    /// The peer's buffers are full. Returns whether that is new.
    pub fn write_blocked(&self) -> bool {
        let is_new = self.blocked_since.load(Relaxed) == NEVER;
        if is_new {
            self.blocked_since.store(self.now(), Relaxed);
        }
        is_new
    }

    /// The peer's buffers are still full, but it has taken something since that was last said.
    pub fn write_creeps(&self) {
        let now = self.now();
        self.moved.store(now, Relaxed);
        self.written.store(now, Relaxed);
        self.blocked_since.store(now, Relaxed);
    }

    /// When bytes last came in.
    pub fn received_at(&self) -> Instant {
        self.at(self.received.load(Relaxed))
    }

    /// See [`set_multiplexed`](Self::set_multiplexed).
    pub fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Relaxed)
    }

    /// A whole exchange, from the request's first byte to the answer's last, has just taken place.
    pub fn exchanged(&self) {
        let now = self.now();
        self.moved.store(now, Relaxed);
        self.received.store(now, Relaxed);
        self.written.store(now, Relaxed);
        self.header_since.store(NEVER, Relaxed);
        self.blocked_since.store(NEVER, Relaxed);
    }

    /// Whether all that was to be written was handed to the kernel.
    pub fn set_flushed(&self, flushed: bool) {
        self.flushed.store(flushed, Relaxed);
    }

    /// Whether the connection is between two requests for certain: the last one had no body and its answer has left, and both sides
    /// mean to go on.
    // INVARIANT: a connection that is taken back from hyper too early would read the rest of a body as a request. So a request
    // with a body never makes it so, whatever became of the body, unless its last byte was read past hyper.
    pub fn is_between_requests(&self) -> bool {
        (self.returnable.load(Relaxed) || self.intake.is_done())
            && self.flushed.load(Relaxed)
            && self.in_flight.load(Relaxed) == 0
            && (self.closing_since.load(Relaxed) == NEVER || self.intake.is_done())
    }

    /// Whether the connection goes on after the exchange that has just ended.
    pub fn is_going_on(&self) -> bool {
        self.returnable.load(Relaxed) && self.closing_since.load(Relaxed) == NEVER
    }

    /// The body of the request was read to its end past hyper, on a connection that may go on.
    pub fn set_passed(&self) {
        self.returnable.store(true, Relaxed);
    }

    /// Who reads from the socket.
    pub const fn intake(&self) -> &Intake {
        &self.intake
    }

    /// The answer says that the connection is to end.
    pub fn set_last(&self) {
        self.returnable.store(false, Relaxed);
    }

    /// A request's head is complete; the exchange lasts as long as the returned value. `returnable`: after it the connection is
    /// [between requests](Self::is_between_requests).
    pub fn request(self: &Arc<Self>, returnable: bool) -> InFlight {
        self.returnable.store(returnable, Relaxed);
        // Its answer is still to come, whatever has left before.
        self.flushed.store(false, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        self.header_since.store(NEVER, Relaxed);
        // Another request on the connection means that the last body did come to its end.
        self.unread_body.store(false, Relaxed);
        InFlight { activity: Arc::clone(self), responding: false }
    }

    /// A request's body was given up before its end: more bytes of it may be on their way.
    pub fn leave_body_unread(&self) {
        self.unread_body.store(true, Relaxed);
    }

    /// Whether to read on for a while after the last byte was written, so that the peer gets to see the answer.
    pub fn has_unread_body(&self) -> bool {
        self.unread_body.load(Relaxed) && !self.is_multiplexed()
    }

    /// The connection was told to end.
    pub fn closing(&self) {
        if self.closing_since.load(Relaxed) == NEVER {
            self.closing_since.store(self.now(), Relaxed);
        }
    }

    /// The socket shall be reset when it is closed: whatever the peer did not take is thrown away.
    pub fn set_reset(&self) {
        self.reset.store(true, Relaxed);
    }

    /// See [`set_reset`](Self::set_reset).
    pub fn is_reset(&self) -> bool {
        self.reset.load(Relaxed)
    }

    /// Whether the connection waits for a request, and has done so for at least `since`.
    pub fn is_idle_for(&self, since: Duration) -> bool {
        self.in_flight.load(Relaxed) == 0
            && self.header_since.load(Relaxed) == NEVER
            && self.blocked_since.load(Relaxed) == NEVER
            && self.now().saturating_sub(self.moved.load(Relaxed)) >= millis(since)
    }

    /// When the connection must be ended and why, if nothing happens until then. `None` while it waits for the server itself.
    pub fn deadline(&self, limits: &HttpLimits) -> Option<(Instant, Expiry)> {
        let closing = self.closing_since.load(Relaxed);
        let blocked = self.blocked_since.load(Relaxed);
        let header = self.header_since.load(Relaxed);
        let is_busy = self.in_flight.load(Relaxed) > 0;
        // A connection that ends finishes its exchanges first, under the limits that they always have.
        let (since, allowed, expiry) = if closing != NEVER && !is_busy {
            (closing.max(self.written.load(Relaxed)), CLOSING_MAX, Expiry::Closing)
        } else if blocked != NEVER {
            (blocked, limits.write_stall, Expiry::WriteStall)
        } else if self.is_multiplexed() && self.responding.load(Relaxed) > 0 {
            (self.written.load(Relaxed), limits.write_stall * STREAM_PATIENCE, Expiry::WriteStall)
        } else if is_busy {
            return None;
        } else if header != NEVER {
            (header, limits.header_timeout, Expiry::Header)
        } else {
            (self.moved.load(Relaxed), limits.idle_timeout, Expiry::Idle)
        };
        Some((self.at(since) + allowed, expiry))
    }

    /// What a stamp stands for.
    fn at(&self, stamp: u64) -> Instant {
        self.start + Duration::from_millis(stamp.saturating_sub(1))
    }

    fn now(&self) -> u64 {
        millis(self.start.elapsed()) + 1
    }
}

/// Whole milliseconds; a connection does not live for 500 million years.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 1)
}

/// One exchange between the arrival of its head and the last byte of its answer.
#[derive(Debug)]
pub struct InFlight {
    activity: Arc<Activity>,
    responding: bool,
}

impl InFlight {
    /// The answer's head is on its way: from here on the peer must take bytes.
    pub fn respond(&mut self) {
        if !self.responding {
            self.responding = true;
            // The peer's time starts now, not when it last took a byte of an earlier answer.
            self.activity.written.store(self.activity.now(), Relaxed);
            self.activity.responding.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.responding {
            self.activity.responding.fetch_sub(1, Relaxed);
        }
        self.activity.moved.store(self.activity.now(), Relaxed);
        self.activity.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);

    /// What is due, and in how many seconds.
    fn due(activity: &Activity) -> Option<(u64, Expiry)> {
        let (at, expiry) = activity.deadline(&HttpLimits::default())?;
        Some((at.duration_since(Instant::now()).as_secs(), expiry))
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_from_its_first_byte_and_no_more_for_dripping() {
        let activity = Activity::new();
        assert_eq!(due(&activity), Some((75, Expiry::Idle)));
        advance(5 * SECOND).await;
        activity.read();
        assert_eq!(due(&activity), Some((10, Expiry::Header)));
        advance(9 * SECOND).await;
        activity.read();
        assert_eq!(due(&activity), Some((1, Expiry::Header)));
        let exchange = activity.request(false);
        assert_eq!(due(&activity), None, "the server's own time is not the client's fault");
        advance(100 * SECOND).await;
        drop(exchange);
        assert_eq!(due(&activity), Some((75, Expiry::Idle)), "idle from the end of the exchange on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_blocked_peer_has_its_time_from_when_it_last_took_something() {
        let activity = Activity::new();
        let mut exchange = activity.request(false);
        exchange.respond();
        assert!(activity.write_blocked());
        advance(30 * SECOND).await;
        assert!(!activity.write_blocked());
        assert_eq!(due(&activity), Some((30, Expiry::WriteStall)));
        activity.write_creeps();
        assert_eq!(due(&activity), Some((60, Expiry::WriteStall)));
        activity.wrote();
        assert_eq!(due(&activity), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_held_back_has_more_patience_but_not_without_end() {
        let activity = Activity::new();
        activity.set_multiplexed();
        activity.read();
        assert_eq!(due(&activity), Some((75, Expiry::Idle)), "a frame is not a head");
        let mut exchange = activity.request(false);
        advance(1000 * SECOND).await;
        assert_eq!(due(&activity), None, "the handler has not answered");
        exchange.respond();
        assert_eq!(due(&activity), Some((300, Expiry::WriteStall)));
        advance(200 * SECOND).await;
        activity.read();
        assert_eq!(due(&activity), Some((100, Expiry::WriteStall)), "a ping is not taking");
        activity.wrote();
        assert_eq!(due(&activity), Some((300, Expiry::WriteStall)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_ends_finishes_what_is_in_flight_first() {
        let activity = Activity::new();
        let exchange = activity.request(false);
        activity.closing();
        assert_eq!(due(&activity), None);
        activity.write_blocked();
        assert_eq!(due(&activity), Some((60, Expiry::WriteStall)));
        activity.wrote();
        drop(exchange);
        assert_eq!(due(&activity), Some((5, Expiry::Closing)));
        advance(4 * SECOND).await;
        activity.wrote();
        assert_eq!(due(&activity), Some((5, Expiry::Closing)), "as long as it moves");
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_connection_that_waits_for_a_request_is_idle() {
        let activity = Activity::new();
        assert!(!activity.is_idle_for(SECOND));
        advance(SECOND).await;
        assert!(activity.is_idle_for(SECOND));
        activity.read();
        advance(SECOND).await;
        assert!(!activity.is_idle_for(SECOND), "a head has begun");
        let exchange = activity.request(false);
        advance(SECOND).await;
        assert!(!activity.is_idle_for(SECOND));
        drop(exchange);
        advance(SECOND).await;
        assert!(activity.is_idle_for(SECOND));
    }
}
