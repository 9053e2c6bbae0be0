//! Whether the server has much to do: work in the background makes room then. Pure arithmetic; the clock is that of whoever asks.

use crate::metrics::Counters;
use std::time::Duration;

/// How often the load is looked at, at most.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
/// Uploads under way from which on the server counts as busy.
const BUSY_UPLOADS: u64 = 4;
/// Blobs stored and read for each [`LOOK`] since the last one from which on it does.
const BUSY_BLOBS: u64 = 50;
/// While the server is busy, work in the background has this part of its pace: one that is never idle is looked after, too.
pub(crate) const BUSY_SHARE: u32 = 10;

/// What the server does for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Load {
    /// Uploads that are being written.
    pub(crate) uploads: u64,
    /// Blobs stored, blobs opened for readers, and answers given again from memory, since the store was opened.
    pub(crate) blobs: u64,
}

impl Load {
    /// That of now.
    pub(crate) fn of(counters: &Counters) -> Self {
        let stored = counters.blobs_stored.get() + counters.blobs_deduplicated.get();
        let read = counters.blobs_opened.get() + counters.answers_kept.get();
        Self { uploads: counters.writers.get(), blobs: stored + read }
    }
}

/// Looks at the load every [`LOOK`] or less often.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// `None` before the first look.
    blobs: Option<u64>,
}

impl Watch {
    /// Whether the server is busy, `since` so long after the last look. What it did before the first one is not known.
    pub(crate) fn is_busy(&mut self, load: Load, since: Duration) -> bool {
        let blobs = load.blobs.saturating_sub(self.blobs.unwrap_or(load.blobs));
        self.blobs = Some(load.blobs);
        // Who rests for long because of the load would take what came in that time for more of it, and never work on.
        let many = u128::from(BUSY_BLOBS) * since.max(LOOK).as_millis();
        load.uploads >= BUSY_UPLOADS || u128::from(blobs) * LOOK.as_millis() >= many
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_uploads_at_once_or_many_blobs_since_the_last_look_are_much_to_do() {
        let mut watch = Watch::default();
        let mut look = |uploads, blobs| watch.is_busy(Load { uploads, blobs }, LOOK);
        assert!(!look(0, 1000), "nobody knows when these were");
        assert!(!look(BUSY_UPLOADS - 1, 1000 + BUSY_BLOBS - 1));
        assert!(look(0, 1000 + 2 * BUSY_BLOBS - 1));
        assert!(!look(0, 1000 + 2 * BUSY_BLOBS - 1), "nothing since");
        assert!(look(BUSY_UPLOADS, 1000 + 2 * BUSY_BLOBS - 1));
    }

    #[test]
    fn what_came_in_a_long_time_is_no_more_than_that() {
        let mut watch = Watch::default();
        watch.is_busy(Load::default(), LOOK);
        let mut blobs = 0;
        let mut look = |more, since| {
            blobs += more;
            watch.is_busy(Load { uploads: 0, blobs }, since)
        };
        assert!(!look(BUSY_BLOBS * 10 - 1, LOOK * 10));
        assert!(look(BUSY_BLOBS * 10, LOOK * 10));
        assert!(!look(BUSY_BLOBS - 1, LOOK / 10), "a look too early is none");
    }
}
