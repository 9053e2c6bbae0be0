//! What stands behind `manifests/` in a path: a tag or a digest.

use crate::digest::{Digest, DigestError};
use crate::tag::{Tag, TagError};
use std::fmt;

/// Why a text is not a [`Reference`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The text has a colon and so can only be a digest, but is none.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The text has no colon and so can only be a tag, but is none.
    #[error(transparent)]
    Tag(#[from] TagError),
}

/// A tag or a digest. The two cannot be confused: a digest has a colon, a tag never.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A name that can move.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

impl Reference {
    /// Parses a tag or a digest.
    ///
    /// # Errors
    /// [`ReferenceError`] with the reason of the one that the text tried to be.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            Ok(Self::Digest(Digest::parse(text)?))
        } else {
            Ok(Self::Tag(Tag::parse(text)?))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => fmt::Display::fmt(digest, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_makes_it_a_digest() {
        assert!(matches!(Reference::parse("latest"), Ok(Reference::Tag(_))));
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(Reference::parse(&digest).unwrap().to_string(), digest);
        assert!(matches!(Reference::parse("sha256:bad"), Err(ReferenceError::Digest(_))));
        assert!(matches!(Reference::parse("-bad"), Err(ReferenceError::Tag(_))));
    }
}
