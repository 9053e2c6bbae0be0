//! [`Span`]: a length of time as people write it, "1h 30m".
use std::fmt;
use std::time::Duration;

const UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
const HINT: &str = "write a number and a unit (ms, s, m, h, d, w), for example \"30s\" or \"1h 30m\"";

/// A length of time in whole milliseconds. Grammar: one or more of `DIGITS UNIT` with or without spaces between,
/// UNIT one of ms, s, m, h, d, w.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    millis: u64,
}

impl Span {
    /// A span of whole seconds.
    pub(crate) const fn seconds(seconds: u64) -> Span {
        Span { millis: seconds * 1000 }
    }

    /// The span as the standard library's type.
    pub(crate) const fn duration(self) -> Duration {
        Duration::from_millis(self.millis)
    }

    /// Reads the grammar above.
    ///
    /// # Errors
    /// A sentence for the operator that names the text and shows the form.
    pub(crate) fn parse(text: &str) -> Result<Span, String> {
        let wrong = || format!("{text:?} is not a duration; {HINT}");
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Span { millis: 0 });
        }
        if rest.is_empty() {
            return Err(wrong());
        }
        let mut millis: u64 = 0;
        while !rest.is_empty() {
            let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?);
            let after = after.trim_start();
            let (unit, after) =
                after.split_at(after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len()));
            let factor =
                UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(wrong)?;
            let number: u64 = number.parse().map_err(|_| wrong())?;
            millis = number
                .checked_mul(factor)
                .and_then(|part| millis.checked_add(part))
                .ok_or_else(|| format!("{text:?} is longer than a machine can count"))?;
            rest = after.trim_start();
        }
        Ok(Span { millis })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.millis;
        let mut separator = "";
        for (name, factor) in UNITS.into_iter().rev() {
            if rest >= factor {
                write!(out, "{separator}{}{name}", rest / factor)?;
                rest %= factor;
                separator = " ";
            }
        }
        if separator.is_empty() { out.write_str("0s") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sums_of_units_and_shows_them_again() {
        let table = [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("250ms", 250, "250ms"),
            ("30s", 30_000, "30s"),
            ("90 s", 90_000, "1m 30s"),
            ("1h", 3_600_000, "1h"),
            ("1h30m", 5_400_000, "1h 30m"),
            (" 1h  30m ", 5_400_000, "1h 30m"),
            ("7d", 604_800_000, "1w"),
            ("8d", 691_200_000, "1w 1d"),
            ("1s 5ms", 1005, "1s 5ms"),
        ];
        for (text, millis, shown) in table {
            let span = Span::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(span.duration(), Duration::from_millis(millis), "{text:?}");
            assert_eq!(span.to_string(), shown, "{text:?}");
            assert_eq!(Span::parse(shown), Ok(span), "{shown:?} read back");
        }
    }

    #[test]
    fn refuses_what_is_not_a_duration_with_the_form_to_write() {
        for text in ["", "30", "s", "1.5h", "-1s", "1 hour", "1y", "1h 30", "1H", "30s,", "∞"] {
            let error = Span::parse(text).expect_err(text);
            assert!(error.contains(&format!("{text:?}")) && error.contains("30s"), "{text:?}: {error}");
        }
        let error = Span::parse("99999999999999999w").expect_err("overflow");
        assert!(error.contains("longer"), "{error}");
    }
}
