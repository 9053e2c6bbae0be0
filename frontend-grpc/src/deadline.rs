//! `grpc-timeout`: how long a client waits for an answer (gRPC over HTTP/2, "Requests").
//!
//! Grammar: 1 to 8 digits and a unit: `H`, `M`, `S`, `m` (milliseconds), `u` (microseconds) or `n` (nanoseconds).

use http::HeaderMap;
use std::time::Duration;
use tokio::time::Instant;

const DIGITS_MAX: usize = 8;

/// Until when the client waits; `None` where it does not say, or not in the right form, which is then left to it alone.
pub(crate) fn of(headers: &HeaderMap) -> Option<Instant> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    Instant::now().checked_add(parse(text)?)
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_grammar_and_nothing_else() {
        for (text, nanos) in [
            ("1H", 3_600_000_000_000),
            ("2M", 120_000_000_000),
            ("3S", 3_000_000_000),
            ("4m", 4_000_000),
            ("5u", 5_000),
            ("6n", 6),
            ("00000000S", 0),
            ("99999999H", 99_999_999 * 3_600_000_000_000_u128),
        ] {
            assert_eq!(parse(text).map(|span| span.as_nanos()), Some(nanos), "{text}");
        }
        for text in ["", "S", "1", "1s", "1 S", "-1S", "+1S", "1.5S", "123456789S", "1ü", "1SS"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
