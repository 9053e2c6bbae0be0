//! What was deleted, what can be restored, and what went with a repository.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strata_registry as registry;
use strata_types::Reference;

/// A deletion that can be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deletion {
    /// Its number.
    pub id: u64,
    /// When it was, milliseconds since 1970.
    pub at_millis: u64,
    /// Until when it can be undone, milliseconds since 1970.
    pub until_millis: u64,
    /// Where it was.
    pub repository: String,
    /// `manifest` or `tag`.
    pub kind: String,
    /// The manifest, or the one that the tag stood for.
    pub digest: String,
    /// The tag that was deleted, or the tags that went with the manifest.
    pub tags: Vec<String>,
    /// Of a manifest: its media type.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub media_type: Option<String>,
    /// Of a manifest: its length, bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub size: Option<u64>,
}

/// Answer of `GET /api/v1/deleted`: oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deletions {
    /// The deletions.
    pub deletions: Vec<Deletion>,
    /// Where more may follow: the `cursor` to ask again with. The next page can be empty.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// Request of `POST /api/v1/deleted/{id}/restore`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RestoreRequest {
    /// Moves tags that stand for something else by now.
    pub force: bool,
}

/// Answer of `POST /api/v1/deleted/{id}/restore`: the deletion that was undone, and what is still to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restored {
    /// What was restored.
    #[serde(flatten)]
    pub deletion: Deletion,
    /// Blobs of the manifest that are in quarantine, a hundred at most: they are not served before somebody pushes them again.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub quarantined: Vec<String>,
}

/// Answer of `DELETE /api/v1/images/{name}` and `DELETE /api/v1/registries/{registry}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    /// The repositories, by name.
    pub repositories: Vec<String>,
    /// Their manifests.
    pub manifests: u64,
    /// Their tags.
    pub tags: u64,
    /// Blobs that could be read in them, each once for each repository.
    pub blobs: u64,
    /// Upload sessions that were cancelled.
    pub uploads: u64,
}

impl From<registry::Deletion> for Deletion {
    fn from(deletion: registry::Deletion) -> Self {
        let (kind, tags) = match deletion.reference {
            Reference::Tag(tag) => ("tag", vec![tag.to_string()]),
            Reference::Digest(_) => ("manifest", deletion.tags.iter().map(ToString::to_string).collect()),
        };
        Self {
            id: deletion.number,
            at_millis: deletion.at.0,
            until_millis: deletion.until.0,
            repository: deletion.repository.to_string(),
            kind: kind.to_owned(),
            digest: deletion.digest.to_string(),
            tags,
            media_type: deletion.media_type,
            size: deletion.size,
        }
    }
}

impl From<registry::Restored> for Restored {
    fn from(restored: registry::Restored) -> Self {
        let quarantined = restored.quarantined.iter().map(ToString::to_string).collect();
        Self { deletion: restored.deletion.into(), quarantined }
    }
}

impl From<registry::DeletionPage> for Deletions {
    fn from(page: registry::DeletionPage) -> Self {
        Self {
            deletions: page.deletions.into_iter().map(Deletion::from).collect(),
            next: page.next.map(|next| next.to_string()),
        }
    }
}

impl From<registry::Removed> for Removed {
    fn from(removed: registry::Removed) -> Self {
        let registry::Removed { repositories, manifests, tags, blobs, uploads } = removed;
        let repositories = repositories.into_iter().map(|name| name.to_string()).collect();
        Self { repositories, manifests, tags, blobs, uploads }
    }
}
