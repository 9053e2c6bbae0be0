//! The codes that a client sees (distribution-spec, "Error codes") and the failures the spec has no word for.
//!
//! Frontends hold one exhaustive match each from these to their wire; `docs/errors.md` is generated from the tables here.

use std::fmt;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $text:literal, $meaning:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = $meaning] $variant,)+
        }

        impl $name {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word on the wire, `UPPER_SNAKE`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// What it means, for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// An error code of the distribution-spec: the closed list of 14.
    ErrorCode {
        BlobUnknown = "BLOB_UNKNOWN", "The blob is not in this repository.";
        BlobUploadInvalid = "BLOB_UPLOAD_INVALID", "The upload session cannot take what was sent.";
        BlobUploadUnknown = "BLOB_UPLOAD_UNKNOWN", "There is no such upload session in this repository.";
        DigestInvalid = "DIGEST_INVALID", "The digest is malformed, of an unsupported algorithm, or not that of the content.";
        ManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN", "The manifest refers to a blob or manifest that is not in this repository.";
        ManifestInvalid = "MANIFEST_INVALID", "The manifest is not well formed.";
        ManifestUnknown = "MANIFEST_UNKNOWN", "There is no such manifest or tag in this repository.";
        NameInvalid = "NAME_INVALID", "The repository name is not of the grammar.";
        NameUnknown = "NAME_UNKNOWN", "There is no such repository.";
        SizeInvalid = "SIZE_INVALID", "The length sent is not the length declared.";
        Unauthorized = "UNAUTHORIZED", "Authentication is required.";
        Denied = "DENIED", "The access is not allowed.";
        Unsupported = "UNSUPPORTED", "The operation is not supported.";
        TooManyRequests = "TOOMANYREQUESTS", "Too many requests; try again later.";
    }
}

words! {
    /// A failure that the distribution-spec has no code for. Words that other registries use are kept.
    Failure {
        Internal = "UNKNOWN", "The server failed; its log has the request id and the reason.";
        Unavailable = "UNAVAILABLE", "The server cannot do this now; try again later.";
        Timeout = "TIMEOUT", "The request made no progress for too long.";
        RangeInvalid = "RANGE_INVALID", "The range does not fit: not the next byte of the upload, or beyond the content.";
        NoSpace = "NO_SPACE", "The store has no room for more: free space is below the reserve. Pulls and deletions go on.";
        TooLarge = "TOO_LARGE", "What was sent is larger than the limit.";
        TagInvalid = "TAG_INVALID", "The tag is not of the grammar.";
        PaginationInvalid = "PAGINATION_NUMBER_INVALID", "The page parameters are not valid.";
        ExtensionUnknown = "EXTENSION_UNKNOWN", "There is no such extension or path.";
        Conflict = "CONFLICT", "What is there now stands against it; the message says what.";
        RevisionMismatch = "REVISION_MISMATCH", "What was to be changed is another revision by now than the one that If-Match names.";
        NotFound = "NOT_FOUND", "There is no such thing, or no longer.";
        RequestInvalid = "REQUEST_INVALID", "The request is not well formed.";
    }
}

/// The verdict on a failed use case, for a frontend to put on its wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A code of the spec.
    Code(ErrorCode),
    /// A failure outside the spec's list.
    Failure(Failure),
}

impl Outcome {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code(code) => code.as_str(),
            Self::Failure(failure) => failure.as_str(),
        }
    }
}

impl From<ErrorCode> for Outcome {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn words_are_distinct_and_upper_snake() {
        let words: Vec<&str> = ErrorCode::ALL
            .iter()
            .map(|c| c.as_str())
            .chain(Failure::ALL.iter().map(|f| f.as_str()))
            .collect();
        assert_eq!(ErrorCode::ALL.len(), 14);
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len());
        for word in words {
            assert!(word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{word}");
        }
    }
}
