//! Blobs in quarantine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strata_registry as registry;

/// Answer of `GET /api/v1/quarantine`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quarantine {
    /// The blobs, in the order of digests.
    pub blobs: Vec<QuarantinedBlob>,
    /// Where there are more: the `cursor` to ask again with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuarantinedBlob {
    /// The blob.
    pub digest: String,
    /// Its length, bytes.
    pub size: u64,
    /// Since when, milliseconds since 1970.
    pub since_millis: u64,
    /// What was found: `missing`, `length`, `content` or `unreadable`.
    pub damage: String,
    /// Repositories that it can be read in, twenty at most, by name: a push of the blob to one of them heals it.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// How many there are; 1000 stands for so many or more.
    #[serde(default)]
    pub repositories_total: u64,
}

/// Answer of `POST /api/v1/quarantine/recheck`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecheckedAll {
    /// Blobs that are sound, and back in service.
    pub released: u64,
    /// Blobs whose bytes are bad; they stay in quarantine.
    pub damaged: u64,
    /// Blobs that the device refuses to read; they stay in quarantine.
    pub unreadable: u64,
}

/// Answer of `POST /api/v1/quarantine/{digest}/recheck`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rechecked {
    /// `sound` (and was), `released` (sound, and back in service), `damaged` (in quarantine) or `unreadable` (the device refuses, nothing
    /// changed).
    pub outcome: String,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
}

/// Answer of `PUT /api/v1/quarantine/{digest}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Repaired {
    /// Whether the blob needed the bytes.
    pub healed: bool,
}

impl Quarantine {
    /// A page of `limit` blobs, of which one more was asked for.
    pub fn page(mut found: Vec<registry::QuarantinedBlob>, limit: usize) -> Self {
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|blob| blob.digest.to_string());
        let blob = |blob: registry::QuarantinedBlob| {
            let quarantine = blob.stored.quarantine?;
            Some(QuarantinedBlob {
                digest: blob.digest.to_string(),
                size: blob.stored.record.size,
                since_millis: quarantine.at.0,
                damage: quarantine.damage.as_str().to_owned(),
                repositories: blob.repositories.iter().map(ToString::to_string).collect(),
                repositories_total: blob.total as u64,
            })
        };
        Self { blobs: found.into_iter().filter_map(blob).collect(), next }
    }
}

impl From<registry::RecheckTally> for RecheckedAll {
    fn from(tally: registry::RecheckTally) -> Self {
        let registry::RecheckTally { released, damaged, unreadable } = tally;
        Self { released, damaged, unreadable }
    }
}

impl From<registry::Rechecked> for Rechecked {
    fn from(rechecked: registry::Rechecked) -> Self {
        let (outcome, message) = match rechecked {
            registry::Rechecked::Sound => ("sound", None),
            registry::Rechecked::Released => ("released", None),
            registry::Rechecked::Damaged { what, .. } => ("damaged", Some(what)),
            registry::Rechecked::Unreadable { why } => ("unreadable", Some(why)),
            _ => ("unknown", None),
        };
        Self { outcome: outcome.to_owned(), message }
    }
}
