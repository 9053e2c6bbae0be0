//! How fast a scrub may go: so many bytes a tick, fewer while the server has much to do. Pure arithmetic; the clock is the driver's.

/// Ticks per second.
pub(crate) const TICKS_PER_SECOND: u64 = 10;
/// Uploads under way from which on the server counts as busy.
const BUSY_UPLOADS: u64 = 4;
/// Blobs opened since the last tick from which on it does.
const BUSY_OPENS: u64 = 50;
/// While the server is busy, one tick in so many is used: a server that is never idle is scrubbed, too.
const BUSY_SHARE: u32 = 10;
/// What a tick without a limit may read, bytes: it must end before long, because somebody may want the thread to stop.
const UNLIMITED_TICK_BYTES: u64 = 64 * 1024 * 1024;

/// What else the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Load {
    /// Uploads that are being written.
    pub(crate) uploads: u64,
    /// Blobs opened for readers since the store was opened.
    pub(crate) opened: u64,
}

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
    opened: u64,
    busy_ticks: u32,
}

impl Pace {
    /// `rate` bytes a second; 0: no limit.
    pub(crate) fn new(rate: u64) -> Self {
        let tick_bytes = (rate > 0).then(|| (rate / TICKS_PER_SECOND).max(1));
        Self { tick_bytes, debt: 0, opened: 0, busy_ticks: 0 }
    }

    /// Whether a tick is over as soon as its bytes are read.
    pub(crate) const fn is_unlimited(&self) -> bool {
        self.tick_bytes.is_none()
    }

    /// What the next tick may do.
    pub(crate) fn tick(&mut self, load: Load) -> Allowance {
        let opened = load.opened.saturating_sub(self.opened);
        self.opened = load.opened;
        if load.uploads >= BUSY_UPLOADS || opened >= BUSY_OPENS {
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

    const IDLE: Load = Load { uploads: 0, opened: 0 };

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
        for _ in 0..100 {
            load.opened += BUSY_OPENS;
            paused += u32::from(pace.tick(load) == Allowance::Paused);
        }
        assert_eq!(paused, 90);
        assert_eq!(pace.tick(Load { uploads: 0, ..load }), Allowance::Bytes(100), "nothing was opened since");
        assert_eq!(pace.tick(Load { uploads: BUSY_UPLOADS, ..load }), Allowance::Paused);
        assert_eq!(pace.tick(Load { uploads: 1, ..load }), Allowance::Bytes(100));
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
