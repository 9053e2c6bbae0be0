//! Texts that nobody may read in a log, an error or a debugger's output.

use std::fmt;

/// A secret. Neither `Debug` nor `Display` shows it; comparing two takes the same time wherever they differ.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// Keeps `text` secret.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let differing = self.0.bytes().zip(other.0.bytes()).fold(0, |seen, (a, b)| seen | (a ^ b));
        self.0.len() == other.0.len() && std::hint::black_box(differing) == 0
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_nothing_and_compares() {
        let secret = Secret::new("strata_abc");
        assert!(!format!("{secret:?} {secret}").contains("abc"));
        assert_eq!(secret, Secret::new("strata_abc"));
        for other in ["strata_abd", "strata_ab", "strata_abcd", ""] {
            assert_ne!(secret, Secret::new(other));
        }
    }
}
