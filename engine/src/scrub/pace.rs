//! How fast a scrub may go: so many bytes a tick, fewer while the server has much to do. Pure arithmetic; the clock is the driver's.

use crate::load::{BUSY_SHARE, LOOK, Load, Watch};
use std::time::Duration;

/// The length of a tick.
pub(crate) const TICK: Duration = LOOK;
const TICKS_PER_SECOND: u64 = 1000 / TICK.as_millis() as u64;
/// What a tick without a limit may read, bytes: it must end before long, because somebody may want the thread to stop.
const UNLIMITED_TICK_BYTES: u64 = 64 * 1024 * 1024;

/// What a tick may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// Read so many bytes.
    Bytes(u64),
    /// Nothing: the server is busy.
    Paused,
}

/// Shares out the bytes.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Bytes a tick; `None`: no limit.
    tick_bytes: Option<u64>,
    /// What was read beyond what was allowed, and is taken off the next ticks.
    debt: u64,
    watch: Watch,
    busy_ticks: u32,
}

impl Pace {
    /// `rate` bytes a second; 0: no limit.
    pub(crate) fn new(rate: u64) -> Self {
        let tick_bytes = (rate > 0).then(|| (rate / TICKS_PER_SECOND).max(1));
        Self { tick_bytes, debt: 0, watch: Watch::default(), busy_ticks: 0 }
    }

    /// Whether a tick is over as soon as its bytes are read.
    pub(crate) const fn is_unlimited(&self) -> bool {
        self.tick_bytes.is_none()
    }

    /// What the next tick may do.
    pub(crate) fn tick(&mut self, load: Load) -> Allowance {
        if self.watch.is_busy(load, TICK) {
            self.busy_ticks += 1;
            if self.busy_ticks < BUSY_SHARE {
                return Allowance::Paused;
            }
        }
        self.busy_ticks = 0;
        let Some(tick_bytes) = self.tick_bytes else { return Allowance::Bytes(UNLIMITED_TICK_BYTES) };
        let bytes = tick_bytes.saturating_sub(self.debt);
        self.debt = self.debt.saturating_sub(tick_bytes);
        Allowance::Bytes(bytes)
    }

    /// Takes note of what a tick read that was allowed `allowed`.
    pub(crate) fn spent(&mut self, allowed: u64, spent: u64) {
        if self.tick_bytes.is_some() {
            self.debt += spent.saturating_sub(allowed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDLE: Load = Load { uploads: 0, blobs: 0 };

    proptest! {
        #[test]
        fn what_is_read_too_much_is_paid_back(rate in 10..10_000_000_u64, over in prop::collection::vec(0..3_000_000_u64, 1..60)) {
            let mut pace = Pace::new(rate);
            let (mut allowed, mut read, mut worst) = (0, 0, 0);
            for over in over {
                let Allowance::Bytes(bytes) = pace.tick(IDLE) else { panic!("nothing else goes on") };
                allowed += rate / TICKS_PER_SECOND;
                // A step reads nothing where it may read nothing, else at most a piece too much.
                let spent = if bytes == 0 { 0 } else { bytes + over };
                pace.spent(bytes, spent);
                read += spent;
                worst = worst.max(over);
                prop_assert!(read <= allowed + worst, "{read} {allowed}");
            }
        }
    }

    #[test]
    fn a_busy_server_is_left_alone_most_of_the_time() {
        let mut pace = Pace::new(1000);
        let mut load = IDLE;
        let mut paused = 0;
        assert_eq!(pace.tick(load), Allowance::Bytes(100));
        for _ in 0..100 {
            load.blobs += 1000;
            paused += u32::from(pace.tick(load) == Allowance::Paused);
        }
        assert_eq!(paused, 90);
        assert_eq!(pace.tick(load), Allowance::Bytes(100), "nothing was asked for since");
    }

    #[test]
    fn without_a_limit_a_tick_still_ends() {
        let mut pace = Pace::new(0);
        assert!(pace.is_unlimited());
        for _ in 0..3 {
            assert_eq!(pace.tick(IDLE), Allowance::Bytes(UNLIMITED_TICK_BYTES));
            pace.spent(UNLIMITED_TICK_BYTES, u64::MAX);
        }
    }
}
