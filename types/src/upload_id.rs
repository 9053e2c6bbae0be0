//! The name of an upload session.

use std::fmt;
use uuid::Uuid;

/// Why a text is not an [`UploadId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an upload session is named by a UUID")]
pub struct UploadIdError;

/// Names an upload session: a random UUID (RFC 9562 version 4), which nobody can guess; or, where the session belongs to a name that its
/// client chose, one of version 8 that follows from that name.
///
/// Shape: 36 characters, lower case, hyphenated; no other spelling of a UUID is taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(Uuid);

impl UploadId {
    /// Makes an id of 16 random bytes; the version and variant bits are set here.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Makes the id of a session that a client names: of 16 bytes that follow from that name. The version and variant bits are set here.
    pub const fn from_name(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// Whether the id is that of a session which a client names.
    pub fn is_named(&self) -> bool {
        self.0.get_version_num() == 8
    }

    /// Makes an id of the bytes that [`UploadId::as_bytes`] gave.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Parses the hyphenated form.
    ///
    /// # Errors
    /// [`UploadIdError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, UploadIdError> {
        let id = Self(Uuid::try_parse(text).map_err(|_| UploadIdError)?);
        if id.to_string() == text { Ok(id) } else { Err(UploadIdError) }
    }

    /// The 16 bytes, as they stand in keys.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_whether_a_client_named_it() {
        for byte in [0, 7, 0xff] {
            assert!(UploadId::from_name([byte; 16]).is_named());
            assert!(!UploadId::from_random([byte; 16]).is_named());
        }
        assert_ne!(UploadId::from_name([1; 16]), UploadId::from_name([2; 16]));
    }

    #[test]
    fn takes_one_spelling_only() {
        let id = UploadId::from_random([7; 16]);
        let text = id.to_string();
        assert_eq!(UploadId::parse(&text), Ok(id));
        assert_eq!(UploadId::from_bytes(*id.as_bytes()), id);
        let braced = format!("{{{text}}}");
        let upper = "0707AB07-0707-4707-8707-070707070707";
        for other in ["", "x", "..", text.replace('-', "").as_str(), braced.as_str(), upper] {
            assert_eq!(UploadId::parse(other), Err(UploadIdError), "{other}");
        }
    }
}
