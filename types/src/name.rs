//! Repository names (distribution-spec, "Pulling manifests").

use crate::limits::NAME_BYTES_MAX;
use std::fmt;
use std::sync::Arc;

/// The registry that a name of one segment belongs to.
pub const DEFAULT_REGISTRY: &str = "default";

/// Why a text is not a [`RepositoryName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// More than [`NAME_BYTES_MAX`] bytes.
    #[error("a repository name has at most {NAME_BYTES_MAX} characters")]
    TooLong,
    /// Not of the grammar.
    #[error(
        "a repository name is made of lower-case letters, digits and the separators . _ __ - between them, \
         in segments divided by /"
    )]
    Malformed,
}

/// The name of a repository.
///
/// Grammar: `segment ("/" segment)*`, where a segment is `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`; at most 255 bytes.
/// Holds no `\0`, no `..`, no empty segment: it can be part of a key as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`NameError`] where the text is too long or not of the grammar.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        if text.split('/').all(is_segment) { Ok(Self(text.into())) } else { Err(NameError::Malformed) }
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The registry that the repository belongs to: the first segment, or [`DEFAULT_REGISTRY`] for a name of one segment.
    pub fn registry(&self) -> &str {
        self.0.split_once('/').map_or(DEFAULT_REGISTRY, |(first, _)| first)
    }
}

/// Whether `text` is `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_segment(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut rest = text.as_bytes();
    loop {
        let word = rest.iter().take_while(|b| is_word(**b)).count();
        if word == 0 {
            return false;
        }
        rest = rest.get(word..).unwrap_or_default();
        let separator = match rest {
            [] => return true,
            [b'_', b'_', ..] => 2,
            [b'.' | b'_', ..] => 1,
            _ => rest.iter().take_while(|b| **b == b'-').count(),
        };
        if separator == 0 {
            return false;
        }
        rest = rest.get(separator..).unwrap_or_default();
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_of_the_grammar() {
        for name in [
            "a",
            "0",
            "busybox",
            "hy/busybox",
            "a/b/c/d",
            "a.b",
            "a_b",
            "a__b",
            "a-b",
            "a---b",
            "a-b_c.d__e/f0",
        ] {
            assert_eq!(RepositoryName::parse(name).unwrap().as_str(), name);
        }
        assert!(RepositoryName::parse(&"a".repeat(NAME_BYTES_MAX)).is_ok());
    }

    #[test]
    fn refuses_all_else() {
        for name in [
            "", "/", "a/", "/a", "a//b", "A", "aB", ".a", "a.", "a..b", "a___b", "-a", "a-", "a._b", "a_.b",
            "a b", "a\0b", "../a", "a/../b", "ä", "a:b", "a@b", "a%2fb", "a\n", "_a", "a_",
        ] {
            assert_eq!(RepositoryName::parse(name), Err(NameError::Malformed), "{name:?}");
        }
        assert_eq!(RepositoryName::parse(&"a".repeat(NAME_BYTES_MAX + 1)), Err(NameError::TooLong));
    }

    #[test]
    fn tells_its_registry() {
        for (name, registry) in [("busybox", "default"), ("hy/busybox", "hy"), ("a/b/c", "a")] {
            assert_eq!(RepositoryName::parse(name).unwrap().registry(), registry);
        }
    }
}
