//! The audit log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strata_registry as registry;

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Its number; later ones are greater.
    pub id: u64,
    /// When, milliseconds since 1970.
    pub at_millis: u64,
    /// What was done, such as `manifest.push` or `account.create`.
    pub action: String,
    /// What came of it: `done`, or why it was refused.
    pub result: String,
    /// Who; not there for nobody with an account.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<String>,
    /// With which key: its id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// From which address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remote: Option<String>,
    /// By which request, as the log names it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<String>,
    /// The image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub repository: Option<String>,
    /// The blob or manifest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
    /// The tag.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tag: Option<String>,
    /// To what: an account's name, a key's id, an image with tag or digest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
    /// How often it was so, where that is more than once: refusals that are alike and come close together are one entry.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub count: Option<u64>,
}

/// Answer of `GET /api/v1/audit`: newest first. With `format=jsonl`, a line for each entry instead, oldest first, and the next page as a `Link`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where more may follow: the `cursor` to ask again with. The next page can be empty.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

impl From<registry::AuditEntry> for AuditEntry {
    fn from(entry: registry::AuditEntry) -> Self {
        Self {
            id: entry.number,
            at_millis: entry.at.0,
            action: entry.action.to_string(),
            result: entry.result.to_string(),
            account: entry.account.map(|name| name.to_string()),
            key: entry.key.map(|id| id.to_string()),
            remote: entry.remote.map(|address| address.to_string()),
            request: entry.request.map(|id| id.to_string()),
            repository: entry.repository.map(|name| name.to_string()),
            digest: entry.digest.map(|digest| digest.to_string()),
            tag: entry.tag.map(|tag| tag.to_string()),
            target: Some(entry.target).filter(|target| !target.is_empty()),
            count: Some(entry.count).filter(|count| *count != 1),
        }
    }
}

impl From<registry::AuditPage> for Audit {
    fn from(page: registry::AuditPage) -> Self {
        let entries = page.entries.into_iter().map(AuditEntry::from).collect();
        Self { entries, next: page.next.map(|next| next.to_string()) }
    }
}
