//! Errors, as problem details (RFC 9457).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a request was refused (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Names the kind of problem: where the description of this API tells what `code` means.
    #[serde(rename = "type")]
    pub kind: String,
    /// What `code` means.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What happened this time, for people.
    pub detail: String,
    /// The kind of problem as one word, for programs; never changes.
    pub code: String,
    /// The id of the request, which the server's log has as well.
    pub request: String,
    /// What a program may want to know besides.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data: Option<Value>,
}

impl Problem {
    /// What `type` says of a code.
    pub fn kind_of(code: &str) -> String {
        format!("/api/v1/openapi.json#/x-problems/{code}")
    }
}
