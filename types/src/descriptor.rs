//! Descriptors (image-spec, "OCI Content Descriptors"): how a manifest points to content.

use crate::Digest;
use crate::media_type::is_nondistributable;

/// One reference of a manifest: what it points to, how large that is and of which type.
///
/// Only what a registry decides by is kept; the exact bytes live in the stored manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Media type of the content, as written.
    pub media_type: String,
    /// The content.
    pub digest: Digest,
    /// Length of the content, bytes; at most `i64::MAX`, which is what clients can hold.
    pub size: u64,
    /// Whether `urls` names at least one other place to fetch the content from.
    pub has_urls: bool,
}

impl Descriptor {
    /// Whether the content may be missing from the repository: it is fetched elsewhere, or may not be distributed.
    pub fn may_be_elsewhere(&self) -> bool {
        self.has_urls || is_nondistributable(&self.media_type)
    }
}
