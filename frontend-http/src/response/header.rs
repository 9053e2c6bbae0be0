//! Names and values of headers that the distribution-spec, or the clients of its forerunner, know.

use http::{HeaderName, HeaderValue};
use std::fmt::Write as _;
use strata_types::Digest;

/// `registry/2.0` on every answer below `/v2/`.
pub(crate) const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
/// The digest of what is sent or was stored.
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// The id of an upload session.
pub(crate) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// The subject of a manifest that was pushed.
pub(crate) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// The tags of a push with `?tag=` that now stand.
pub(crate) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
/// The filters that a list of referrers went through.
pub(crate) const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// The host that a proxying client named with `?ns=`.
pub(crate) const OCI_NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");
/// The id of the request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Tells browsers to believe `Content-Type`: content is what users uploaded.
pub(crate) const CONTENT_TYPE_OPTIONS: HeaderName = HeaderName::from_static("x-content-type-options");

/// `application/json`.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// `application/jsonl`: one JSON document a line.
pub(crate) const JSON_LINES: HeaderValue = HeaderValue::from_static("application/jsonl");
/// `application/problem+json` (RFC 9457).
pub(crate) const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
/// `text/plain` in UTF-8.
pub(crate) const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// `application/octet-stream`, the type of every blob.
pub(crate) const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// The type of a list of referrers.
pub(crate) const INDEX: HeaderValue = HeaderValue::from_static("application/vnd.oci.image.index.v1+json");
/// The value of [`API_VERSION`].
pub(crate) const API_VERSION_2: HeaderValue = HeaderValue::from_static("registry/2.0");
/// The value of [`CONTENT_TYPE_OPTIONS`].
pub(crate) const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// The unit of ranges.
pub(crate) const BYTES: HeaderValue = HeaderValue::from_static("bytes");

/// Most bytes of a warning's text. The spec allows 4096 for all warnings of an answer together.
const WARNING_BYTES_MAX: usize = 256;

/// Makes a value of text that holds no character which a header cannot hold.
fn owned(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("?"))
}

/// Makes a value of `text`; characters that a header cannot hold become `?`.
pub(crate) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| {
        let plain: String = text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
        HeaderValue::from_str(&plain).unwrap_or(HeaderValue::from_static("?"))
    })
}

/// The digest as it stands in [`CONTENT_DIGEST`].
pub(crate) fn digest(digest: &Digest) -> HeaderValue {
    owned(digest.to_string())
}

/// The entity tag of content: its digest in quotes (RFC 9110 §8.8.3).
pub(crate) fn entity_tag(digest: &Digest) -> HeaderValue {
    owned(format!("\"{digest}\""))
}

/// `299 - "text"` (distribution-spec, "Warnings").
pub(crate) fn warning(text: &str) -> HeaderValue {
    let mut quoted = String::with_capacity(text.len() + 10);
    quoted.push_str("299 - \"");
    for c in text.chars().take(WARNING_BYTES_MAX) {
        match c {
            '"' | '\\' => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\{c}");
            }
            ' '..='~' => quoted.push(c),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    value(&quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_hold_no_line_breaks() {
        assert_eq!(value("a/b;x=1"), "a/b;x=1");
        assert_eq!(value("a\r\nSet-Cookie: x"), "a??Set-Cookie: x");
        assert_eq!(value("ü\0"), "??");
    }

    #[test]
    fn warnings_are_quoted_and_short() {
        assert_eq!(warning("a \"b\" \\ \n"), r#"299 - "a \"b\" \\ ?""#);
        assert!(warning(&"x".repeat(10_000)).len() < 300);
    }
}
