//! Why a body is not a manifest, and where.

use crate::limits::{MANIFEST_ANNOTATIONS_MAX, MANIFEST_REFERENCES_MAX};
use std::fmt;

/// Why a body is not an acceptable manifest, and where in it the fault lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// Path to the fault, such as `layers[3].digest`; empty for the body as a whole.
    pub at: String,
    /// What is wrong there.
    pub fault: ManifestFault,
}

/// What is wrong in a body that is not an acceptable manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestFault {
    /// Not UTF-8, from this byte on.
    #[error("not UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// Bytes before the fault.
        offset: usize,
    },
    /// Not JSON; the parser's words.
    #[error("not valid JSON: {0}")]
    Syntax(String),
    /// More brackets inside one another than any reader should have to follow.
    #[error("nested deeper than {max} levels")]
    TooDeep {
        /// Most levels accepted.
        max: usize,
    },
    /// A value of another type than the field has.
    #[error("must be {expected}")]
    WrongType {
        /// What it must be.
        expected: &'static str,
    },
    /// A required field is not there.
    #[error("is required")]
    Missing,
    /// A field that two readers would understand differently.
    #[error("stands there more than once")]
    Duplicate,
    /// A field that some readers take for a known one and others do not.
    #[error("differs from \"{known}\" only in case")]
    CaseVariant {
        /// The known field.
        known: &'static str,
    },
    /// `schemaVersion` is not 2.
    #[error("must be 2; manifests of schema version 1 are not accepted")]
    SchemaVersion,
    /// A media type that is not one of a manifest.
    #[error("\"{0}\" is not the media type of a manifest that is accepted")]
    UnsupportedMediaType(String),
    /// The body and the request name different types.
    #[error("\"{body}\" is not the Content-Type of the request, \"{content_type}\"")]
    MediaTypeMismatch {
        /// What the body says.
        body: String,
        /// What the request says.
        content_type: String,
    },
    /// Neither the body nor the request names a type, and the fields fit none.
    #[error("the body has no media type, and is neither an image (config) nor an index (manifests)")]
    UnknownKind,
    /// A field of the other kind: an image with `manifests`, or an index with `config` or `layers`.
    #[error("does not belong into {kind}")]
    Misplaced {
        /// What the manifest says it is, with its article.
        kind: &'static str,
    },
    /// Not a digest that this registry can compute.
    #[error("{0}")]
    Digest(#[from] crate::DigestError),
    /// Not a length.
    #[error("must be a whole number of bytes from 0 to 2^63-1")]
    Size,
    /// More annotations than any reader should have to hold.
    #[error("has more than {MANIFEST_ANNOTATIONS_MAX} entries")]
    TooManyAnnotations,
    /// More references than are accepted.
    #[error("has more than {MANIFEST_REFERENCES_MAX} entries")]
    TooManyReferences,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.is_empty() {
            write!(f, "manifest: {}", self.fault)
        } else {
            write!(f, "{}: {}", self.at, self.fault)
        }
    }
}

impl std::error::Error for ManifestError {}
