//! Tags (distribution-spec, "Pulling manifests").

use crate::limits::TAG_BYTES_MAX;
use std::fmt;
use std::sync::Arc;

/// Why a text is not a [`Tag`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tag has 1 to {TAG_BYTES_MAX} of the characters a-z A-Z 0-9 _ . - and does not start with . or -")]
pub struct TagError;

/// A name that points to one manifest of a repository and can be moved.
///
/// Grammar: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// Parses a tag.
    ///
    /// # Errors
    /// [`TagError`] where the text is not of the grammar.
    pub fn parse(text: &str) -> Result<Self, TagError> {
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let (first, rest) = text.as_bytes().split_first().ok_or(TagError)?;
        let fits = text.len() <= TAG_BYTES_MAX
            && is_word(*first)
            && rest.iter().all(|b| is_word(*b) || matches!(b, b'.' | b'-'));
        if fits { Ok(Self(text.into())) } else { Err(TagError) }
    }

    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_tags_of_the_grammar_only() {
        let longest = "a".repeat(TAG_BYTES_MAX);
        for tag in ["a", "_", "0", "latest", "V1.2-rc_3", "sha256-abc.sig", longest.as_str()] {
            assert_eq!(Tag::parse(tag).unwrap().as_str(), tag);
        }
        let too_long = "a".repeat(TAG_BYTES_MAX + 1);
        for tag in ["", ".a", "-a", "a b", "a/b", "a:b", "a+b", "ü", "a\0", "a\n", too_long.as_str()] {
            assert_eq!(Tag::parse(tag), Err(TagError), "{tag:?}");
        }
    }
}
