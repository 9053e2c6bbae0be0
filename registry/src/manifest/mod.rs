//! Manifests of a repository: get, put, delete.

use bytes::Bytes;
use strata_types::{Digest, Reference, Tag};

/// What a `HEAD` tells about a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestStat {
    /// The manifest. In the algorithm asked for, or the one that its tag stands for.
    pub digest: Digest,
    /// Its media type, without parameters.
    pub media_type: String,
    /// Its length, bytes.
    pub size: u64,
}

/// A manifest to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRead {
    /// The manifest. In the algorithm asked for, or the one that its tag stands for.
    pub digest: Digest,
    /// Its media type, without parameters.
    pub media_type: String,
    /// The bytes, exactly as they were pushed.
    pub bytes: Bytes,
}

/// A manifest as it is pushed.
#[derive(Debug, Clone)]
pub struct PutManifest {
    /// What stands in the path.
    pub reference: Reference,
    /// The `?tag=` parameters; at most [`strata_types::limits::TAGS_PER_PUT_MAX`].
    pub tags: Vec<Tag>,
    /// The `Content-Type` of the request, with its parameters.
    pub content_type: Option<String>,
    /// The body; at most [`strata_types::limits::MANIFEST_BYTES_MAX`].
    pub bytes: Bytes,
}

/// What a push of a manifest did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestPutDone {
    /// The manifest: sha256 where it was pushed by tag, else of the algorithm in the path.
    pub digest: Digest,
    /// What it is about (`OCI-Subject`).
    pub subject: Option<Digest>,
    /// The tags of [`PutManifest::tags`] that now stand for it (`OCI-Tag`); without the one of the path.
    pub tags: Vec<Tag>,
}
