//! What a client is told of an error besides its code: a sentence, and what a program may want to know.

use super::{RegistryError, role_name};
use crate::deleted::lost_name;
use serde_json::{Value, json};
use strata_types::Outcome;

/// One entry of the `errors` of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorEntry {
    /// The code.
    pub outcome: Outcome,
    /// A sentence for people.
    pub message: String,
    /// What a program may want to know.
    pub detail: Option<Value>,
}

/// Most entries of one answer: a manifest can name more missing blobs than anybody reads.
const ENTRIES_MAX: usize = 1000;

impl RegistryError {
    /// The entries of the answer's `errors`: one, or one for each missing reference.
    pub fn entries(&self) -> Vec<ErrorEntry> {
        let outcome = self.outcome();
        if let Self::ReferencesUnknown(missing) = self {
            return missing
                .iter()
                .take(ENTRIES_MAX)
                .map(|m| ErrorEntry {
                    outcome,
                    message: format!("{} {} is not in this repository", role_name(m.role), m.digest),
                    detail: Some(json!({ "digest": m.digest.to_string(), "role": role_name(m.role) })),
                })
                .collect();
        }
        vec![ErrorEntry { outcome, message: self.to_string(), detail: self.detail() }]
    }

    fn detail(&self) -> Option<Value> {
        match self {
            Self::BlobUnknown { digest, .. }
            | Self::ContentUnknown { digest }
            | Self::ContentExists { digest } => Some(json!({ "digest": digest.to_string() })),
            Self::BlobReferenced { digest, by } => {
                Some(json!({ "digest": digest.to_string(), "manifest": by.to_string() }))
            }
            Self::UploadUnknown { id, .. } => Some(json!({ "upload": id.to_string() })),
            Self::ChunkOutOfOrder { offset, .. } | Self::UploadBusy { offset } => {
                Some(json!({ "offset": offset }))
            }
            Self::SizeMismatch { declared, received } | Self::ContentSizeMismatch { declared, received } => {
                Some(json!({ "declared": declared, "received": received }))
            }
            Self::DigestMismatch { expected, actual } | Self::ContentDigestMismatch { expected, actual } => {
                Some(json!({ "expected": expected.to_string(), "actual": actual.to_string() }))
            }
            Self::ManifestInvalid(error) if !error.at.is_empty() => Some(json!({ "at": error.at })),
            Self::ReferenceSize { digest, declared, stored, .. } => {
                Some(json!({ "digest": digest.to_string(), "declared": declared, "stored": stored }))
            }
            Self::ManifestUnknown { reference, .. } => Some(json!({ "reference": reference.to_string() })),
            Self::RestoreIncomplete { lost, .. } => {
                let lost = lost.iter().take(ENTRIES_MAX).map(lost_name);
                let lost = lost.map(|(kind, digest)| json!({ "kind": kind, "digest": digest.to_string() }));
                Some(json!({ "missing": lost.collect::<Vec<_>>() }))
            }
            Self::TagsTaken { tags, .. } => {
                let tags = tags.iter().take(ENTRIES_MAX);
                let tags =
                    tags.map(|(tag, digest)| json!({ "tag": tag.as_str(), "digest": digest.to_string() }));
                Some(json!({ "tags": tags.collect::<Vec<_>>() }))
            }
            Self::NameUnknown(name) => Some(json!({ "name": name.as_str() })),
            Self::IngestUnknown { reference } | Self::IngestLocked { reference } => {
                Some(json!({ "ref": reference }))
            }
            Self::NamespaceUnmapped { namespace } => Some(json!({ "namespace": namespace })),
            Self::RegistryUnknown { name }
            | Self::AccountUnknown { name }
            | Self::AccountExists { name }
            | Self::RegistryExists { name }
            | Self::RegistryNotEmpty { name }
            | Self::LastAdministrator { name } => Some(json!({ "name": name })),
            Self::KeyUnknown { id } => Some(json!({ "key": id })),
            Self::RevisionMismatch { expected, actual } => {
                Some(json!({ "expected": expected, "actual": actual }))
            }
            Self::QuotaExceeded { registry, limit, used } => {
                Some(json!({ "registry": registry, "limit": limit, "used": used }))
            }
            Self::FieldInvalid { field, .. } => Some(json!({ "field": field })),
            Self::Unauthorized { challenge } if !challenge.scopes.is_empty() => Some(json!(challenge.scopes)),
            Self::ManifestTooLarge { max } | Self::TooManyTags { max, .. } | Self::KeysExhausted { max } => {
                Some(json!({ "max": max }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{BodyError, MissingReference};
    use strata_engine::EngineError;
    use strata_types::manifest::ReferenceRole;
    use strata_types::{Digest, ErrorCode};

    #[test]
    fn names_each_missing_reference_up_to_a_bound() {
        let missing = |count| {
            vec![MissingReference { role: ReferenceRole::Layer, digest: Digest::Sha256([1; 32]) }; count]
        };
        let entries = RegistryError::ReferencesUnknown(missing(3)).entries();
        assert_eq!(entries.len(), 3);
        let entry = entries.first().unwrap();
        assert_eq!(entry.outcome, ErrorCode::ManifestBlobUnknown.into());
        let digest = Digest::Sha256([1; 32]).to_string();
        assert_eq!(entry.message, format!("layer {digest} is not in this repository"));
        assert_eq!(entry.detail, Some(json!({ "digest": digest, "role": "layer" })));
        assert_eq!(RegistryError::ReferencesUnknown(missing(5000)).entries().len(), ENTRIES_MAX);
    }

    #[test]
    fn keeps_the_inside_of_the_server_to_itself() {
        let inside = || EngineError::poisoned("fdatasync on /srv/data/meta/000012.log failed");
        for error in [RegistryError::Internal(inside()), RegistryError::Unavailable(inside())] {
            let entries = error.entries();
            assert_eq!(entries.len(), 1);
            let entry = entries.first().unwrap();
            assert!(!entry.message.contains("/srv") && entry.detail.is_none(), "{entry:?}");
            let source = std::error::Error::source(&error).unwrap();
            assert!(source.to_string().contains("/srv/data"), "the log has it");
        }
    }

    #[test]
    fn store_errors_keep_their_meaning() {
        for (error, word) in [
            (EngineError::NoSpace, "NO_SPACE"),
            (EngineError::Conflict, "UNAVAILABLE"),
            (EngineError::Overloaded, "UNAVAILABLE"),
            (EngineError::ReadOnly, "UNAVAILABLE"),
            (EngineError::poisoned("x"), "UNAVAILABLE"),
            (EngineError::corrupt("x"), "UNKNOWN"),
            (EngineError::NotFound, "UNKNOWN"),
        ] {
            assert_eq!(RegistryError::store(error).outcome().as_str(), word);
        }
    }

    #[test]
    fn tells_a_program_what_it_may_want_to_know() {
        let digest = Digest::Sha256([2; 32]);
        for (error, word, detail) in [
            (RegistryError::UploadBusy { offset: 7 }, "RANGE_INVALID", Some(json!({ "offset": 7 }))),
            (
                RegistryError::ChunkOutOfOrder { start: 1, offset: 7 },
                "RANGE_INVALID",
                Some(json!({ "offset": 7 })),
            ),
            (
                RegistryError::SizeMismatch { declared: 2, received: 1 },
                "SIZE_INVALID",
                Some(json!({ "declared": 2, "received": 1 })),
            ),
            (
                RegistryError::DigestMismatch { expected: digest, actual: digest },
                "DIGEST_INVALID",
                Some(json!({ "expected": digest.to_string(), "actual": digest.to_string() })),
            ),
            (RegistryError::TooManyTags { sent: 65, max: 64 }, "TOO_LARGE", Some(json!({ "max": 64 }))),
            (RegistryError::Body(BodyError::Cut), "SIZE_INVALID", None),
            (RegistryError::Contended, "UNAVAILABLE", None),
        ] {
            let entries = error.entries();
            let entry = entries.first().unwrap();
            assert_eq!((entry.outcome.as_str(), &entry.detail), (word, &detail));
            assert_eq!(entry.message, error.to_string());
        }
    }
}
