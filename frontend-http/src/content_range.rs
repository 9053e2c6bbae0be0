//! `Content-Range` of an upload request (distribution-spec, "Pushing a blob in chunks").
//!
//! Grammar: `start "-" end`, inclusive, no unit. Two spellings of RFC 9110 §14.4 that clients send are taken as well:
//! `bytes start-end/total` and `bytes start-end/*`. What the range means for a session is the registry's to say.

use std::fmt;

/// The bytes that the body of a chunk stands for. Never empty: the header cannot say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// Offset of the first byte.
    pub start: u64,
    /// Number of bytes, at least 1.
    pub len: u64,
}

/// The header is not a range of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRangeError;

impl fmt::Display for ContentRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content-Range must be <first byte>-<last byte>, both counted from 0, the last not before the first")
    }
}

impl ContentRange {
    /// Parses the value of the header.
    ///
    /// # Errors
    /// [`ContentRangeError`] for anything that is not of the grammar, ends before it starts, or overflows 64 bits.
    pub fn parse(value: &[u8]) -> Result<Self, ContentRangeError> {
        let text = std::str::from_utf8(value).map_err(|_| ContentRangeError)?.trim_matches([' ', '\t']);
        let text = match text.get(..5) {
            Some(unit) if unit.eq_ignore_ascii_case("bytes") => {
                text.get(5..).unwrap_or_default().trim_start_matches([' ', '='])
            }
            _ => text,
        };
        let (range, total) = text.split_once('/').map_or((text, None), |(range, total)| (range, Some(total)));
        let (start, end) = range.split_once('-').ok_or(ContentRangeError)?;
        let (start, end) = (decimal(start)?, decimal(end)?);
        match total {
            None | Some("*") => {}
            Some(total) if decimal(total)? > end => {}
            Some(_) => return Err(ContentRangeError),
        }
        let len = end.checked_sub(start).and_then(|n| n.checked_add(1)).ok_or(ContentRangeError)?;
        Ok(Self { start, len })
    }
}

/// Digits only: no sign, no space, which `u64::from_str` would partly take.
fn decimal(text: &str) -> Result<u64, ContentRangeError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ContentRangeError);
    }
    text.parse().map_err(|_| ContentRangeError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn takes_the_spelling_of_the_spec_and_that_of_rfc_9110() {
        for (text, start, len) in [
            ("0-0", 0, 1),
            ("0-499", 0, 500),
            (" 500-999 ", 500, 500),
            ("bytes 0-9/10", 0, 10),
            ("bytes 5-9/*", 5, 5),
            ("Bytes 5-9/11", 5, 5),
            ("bytes=5-9", 5, 5),
            ("18446744073709551614-18446744073709551614", u64::MAX - 1, 1),
        ] {
            assert_eq!(ContentRange::parse(text.as_bytes()), Ok(ContentRange { start, len }), "{text}");
        }
    }

    #[test]
    fn refuses_all_else() {
        for text in [
            "",
            "-",
            "0-",
            "-5",
            "5-4",
            "a-b",
            "0-1-2",
            "+0-1",
            "0- 1",
            "0x0-1",
            "bytes",
            "bytes 0-9/9",
            "bytes 0-9/x",
            "bytes */10",
            "items 0-1",
            "0-18446744073709551615",
            "0-18446744073709551616",
            "0–1",
            "٠-٩",
        ] {
            assert_eq!(ContentRange::parse(text.as_bytes()), Err(ContentRangeError), "{text:?}");
        }
        assert_eq!(ContentRange::parse(b"\xff-1"), Err(ContentRangeError));
    }

    proptest! {
        #[test]
        fn never_panics(value in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(range) = ContentRange::parse(&value) {
                prop_assert!(range.len >= 1 && range.start.checked_add(range.len).is_some() || range.start == u64::MAX);
            }
        }

        #[test]
        fn reads_back_what_it_says(start in 0..u64::MAX / 2, len in 1..u64::MAX / 2) {
            let text = format!("{start}-{}", start + len - 1);
            prop_assert_eq!(ContentRange::parse(text.as_bytes()), Ok(ContentRange { start, len }));
        }
    }
}
