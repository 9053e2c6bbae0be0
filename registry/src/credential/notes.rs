//! How many failures of logins are noted: whoever fails a thousand times a second does not fill the log of events.

use strata_engine::UnixMillis;

/// Most notes of a minute.
const NOTES_MAX: u32 = 30;

const MINUTE_MILLIS: u64 = 60_000;

/// The minute that is counted.
#[derive(Debug, Default)]
pub(super) struct NotesOfAMinute {
    minute: u64,
    failures: u32,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether this one is noted.
    pub(super) is_noted: bool,
    /// Failures of the last minute that had any, that were not noted.
    pub(super) left_out: u32,
}

impl NotesOfAMinute {
    /// Counts one more failure.
    pub(super) fn count(&mut self, now: UnixMillis) -> Verdict {
        let minute = now.0 / MINUTE_MILLIS;
        let mut left_out = 0;
        if minute != self.minute {
            left_out = self.failures.saturating_sub(NOTES_MAX);
            *self = Self { minute, failures: 0 };
        }
        self.failures = self.failures.saturating_add(1);
        Verdict { is_noted: self.failures <= NOTES_MAX, left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_so_many_notes_and_the_next_says_what_was_left_out() {
        let mut notes = NotesOfAMinute::default();
        let at = |seconds: u64| UnixMillis(1_700_000_040_000 + seconds * 1000);
        for i in 0..100 {
            assert_eq!(notes.count(at(5)), Verdict { is_noted: i < NOTES_MAX, left_out: 0 }, "{i}");
        }
        assert_eq!(notes.count(at(61)), Verdict { is_noted: true, left_out: 100 - NOTES_MAX });
        assert_eq!(notes.count(at(62)), Verdict { is_noted: true, left_out: 0 });
        assert_eq!(notes.count(at(600)), Verdict { is_noted: true, left_out: 0 });
        // A clock that was set back begins another minute.
        assert_eq!(notes.count(at(0)), Verdict { is_noted: true, left_out: 0 });
    }
}
