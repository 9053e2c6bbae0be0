//! Texts as they may stand in a log: one line each, no control characters, not longer than a line can bear.

use std::fmt::Write as _;

/// Most characters of a client's text that are logged.
const TEXT_MAX: usize = 160;
/// Most characters of a message that are logged.
const MESSAGE_MAX: usize = 1000;

/// The text with everything but printable ASCII replaced by `?`, cut to 160 characters.
pub fn printable(text: &[u8]) -> Box<str> {
    text.iter().take(TEXT_MAX).map(|b| if matches!(b, b' '..=b'~') { char::from(*b) } else { '?' }).collect()
}

/// A message with its control characters escaped, cut to 1000 characters. Messages can hold what a client sent.
pub fn escape(text: &str) -> String {
    text.chars()
        .take(MESSAGE_MAX)
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// An error with what caused it, behind colons.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(&*printable(b"docker/28\r\nstatus=200 \x1b[31m\xff"), "docker/28??status=200 ?[31m?");
        assert_eq!(printable(&[b'a'; 500]).len(), TEXT_MAX);
        assert_eq!(escape("a\nb\u{1b}ü"), "a\\nb\\u{1b}ü");
        assert_eq!(escape(&"x".repeat(5000)).len(), MESSAGE_MAX);
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let error = crate::error::ListenError::Bind {
            address: crate::address::Address::Tcp(([127, 0, 0, 1], 80).into()),
            source: std::io::Error::other("taken"),
        };
        assert!(chain(&error).ends_with(": taken"), "{}", chain(&error));
    }
}
