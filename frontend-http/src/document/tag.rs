//! Tags and their histories.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strata_registry as registry;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// The manifest that it stands for.
    pub digest: String,
    /// When it was last set, milliseconds since 1970.
    pub updated_at_millis: u64,
}

/// Answer of `GET /api/v1/images/{name}/tags`: in the order of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tags {
    /// The tags.
    pub tags: Vec<Tag>,
    /// Where more may follow: the `cursor` to ask again with. The next page can be empty.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// Answer of `GET /api/v1/images/{name}/tags/{tag}`. Its `ETag` is the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TagDetail {
    /// The tag.
    #[serde(flatten)]
    pub tag: Tag,
    /// The media type of its manifest.
    pub media_type: String,
    /// The length of its manifest, bytes.
    pub size: u64,
    /// When its manifest was pushed, milliseconds since 1970.
    pub pushed_at_millis: u64,
    /// When its manifest was last pulled, milliseconds since 1970, if it ever was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pulled_at_millis: Option<u64>,
}

/// Request of `PUT /api/v1/images/{name}/tags/{tag}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TagRequest {
    /// A manifest that the image has.
    pub digest: String,
}

/// One move of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TagMove {
    /// The number of the event that tells it.
    pub id: u64,
    /// When, milliseconds since 1970.
    pub at_millis: u64,
    /// What the tag stood for from then on; not there where it was deleted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
}

/// Answer of `GET /api/v1/images/{name}/tags/{tag}/history`: oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TagHistory {
    /// The moves.
    pub moves: Vec<TagMove>,
    /// Where more follow: the `cursor` to ask again with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

impl From<registry::TagEntry> for Tag {
    fn from(entry: registry::TagEntry) -> Self {
        Self {
            name: entry.tag.to_string(),
            digest: entry.digest.to_string(),
            updated_at_millis: entry.updated_at.0,
        }
    }
}

impl From<registry::TagEntryPage> for Tags {
    fn from(page: registry::TagEntryPage) -> Self {
        Self { tags: page.tags.into_iter().map(Tag::from).collect(), next: page.next }
    }
}

impl From<registry::TagDetail> for TagDetail {
    fn from(detail: registry::TagDetail) -> Self {
        Self {
            tag: detail.tag.into(),
            media_type: detail.media_type,
            size: detail.size,
            pushed_at_millis: detail.pushed_at.0,
            pulled_at_millis: detail.pulled_at.map(|at| at.0),
        }
    }
}

impl From<registry::TagMovePage> for TagHistory {
    fn from(page: registry::TagMovePage) -> Self {
        let step = |step: registry::TagMove| TagMove {
            id: step.number,
            at_millis: step.at.0,
            digest: step.digest.map(|digest| digest.to_string()),
        };
        Self {
            moves: page.moves.into_iter().map(step).collect(),
            next: page.next.map(|next| next.to_string()),
        }
    }
}
