//! Moments on the command line: as they are shown, in UTC, and as they may be given: as such, or by how long from now they are.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use strata_types::moment;

use crate::config::Span;

/// A moment as somebody gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// A moment, milliseconds since 1970.
    At(u64),
    /// So long from now.
    Away(Duration),
}

impl When {
    /// `2026-11-21`, `2026-11-21T17:05:09Z`, `2h`, `30d`.
    ///
    /// # Errors
    /// A sentence that says what can be given.
    pub(super) fn parse(text: &str) -> Result<When, String> {
        if let Some(seconds) = moment::parse(text.trim()) {
            return Ok(When::At(seconds * 1000));
        }
        Span::parse(text).map(|span| When::Away(span.duration())).map_err(|_| {
            format!("{text:?} is no moment; write a date or a time in UTC, such as 2026-11-21 or 2026-11-21T17:05:09Z, or how long from now, such as 2h or 30d")
        })
    }

    /// The moment, milliseconds since 1970, where a length of time is one that is over.
    pub(super) fn past(self) -> u64 {
        match self {
            When::At(at) => at,
            When::Away(span) => now().saturating_sub(millis(span)),
        }
    }

    /// The moment, milliseconds since 1970, where a length of time is one to come.
    pub(super) fn to_come(self) -> u64 {
        match self {
            When::At(at) => at,
            When::Away(span) => now().saturating_add(millis(span)),
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-11-21 17:05:09Z`.
pub(super) fn shown(millis: u64) -> String {
    moment::rfc3339(millis / 1000).replace('T', " ")
}

/// The same; `-` for never.
pub(super) fn shown_or_never(millis: Option<u64>) -> String {
    millis.map_or_else(|| "-".to_owned(), shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_given_in_two_ways() {
        assert_eq!(When::parse("1970-01-02"), Ok(When::At(86_400_000)));
        assert_eq!(When::parse("1970-01-01 00:00:01Z"), Ok(When::At(1000)));
        assert_eq!(When::parse("1h 30m"), Ok(When::Away(Duration::from_mins(90))));
        for text in ["", "soon", "30", "2026-02-30", "-1h"] {
            let refused = When::parse(text).expect_err(text);
            assert!(refused.contains("30d") && refused.contains(&format!("{text:?}")), "{refused}");
        }
        assert_eq!(When::parse(&shown(86_399_000)), Ok(When::At(86_399_000)));
        assert_eq!(When::At(7).past(), 7);
        let (past, to_come) =
            (When::Away(Duration::from_hours(1)).past(), When::Away(Duration::from_hours(1)).to_come());
        assert!(past < now() && now() < to_come);
    }
}
