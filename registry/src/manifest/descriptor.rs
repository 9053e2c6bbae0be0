//! The descriptor with which a referrer is listed (distribution-spec, "Listing Referrers"). Made once, at the push; a list only joins them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use strata_types::{Digest, Manifest};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReferrerDescriptor<'a> {
    media_type: &'static str,
    digest: Digest,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

/// The descriptor of a manifest with a subject, as JSON. Hardly longer than the manifest itself, which holds all of it but its own digest.
pub(super) fn referrer_descriptor(
    manifest: &Manifest,
    digest: Digest,
    size: usize,
) -> serde_json::Result<Bytes> {
    let descriptor = ReferrerDescriptor {
        media_type: manifest.media_type(),
        digest,
        size,
        artifact_type: manifest.artifact_type.as_deref(),
        annotations: &manifest.annotations,
    };
    serde_json::to_vec(&descriptor).map(Bytes::from)
}

/// The artifact type of such a descriptor, for filters.
pub(crate) fn artifact_type(descriptor: &[u8]) -> serde_json::Result<Option<Cow<'_, str>>> {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(rename = "artifactType", borrow)]
        artifact_type: Option<Cow<'a, str>>,
    }
    serde_json::from_slice::<Typed<'_>>(descriptor).map(|typed| typed.artifact_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_types::manifest::parse;

    #[test]
    fn holds_what_the_spec_lists() {
        let digest = Digest::Sha256([7; 32]);
        let body = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"artifactType":"a/\"b",
            "subject":{{"mediaType":"x","digest":"{digest}","size":1}},"annotations":{{"k":"v\n","é":""}}}}"#
        );
        let manifest = parse(body.as_bytes(), None).unwrap();
        let descriptor = referrer_descriptor(&manifest, digest, 5).unwrap();
        let expected = format!(
            r#"{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{digest}","size":5,"artifactType":"a/\"b","annotations":{{"k":"v\n","é":""}}}}"#
        );
        assert_eq!(std::str::from_utf8(&descriptor).unwrap(), expected);
        assert_eq!(artifact_type(&descriptor).unwrap().as_deref(), Some("a/\"b"));
    }

    #[test]
    fn leaves_out_what_is_not_there() {
        let body = br#"{"schemaVersion":2,"manifests":[]}"#;
        let manifest = parse(body, None).unwrap();
        let descriptor = referrer_descriptor(&manifest, Digest::Sha256([7; 32]), 5).unwrap();
        let text = std::str::from_utf8(&descriptor).unwrap();
        assert!(!text.contains("artifactType") && !text.contains("annotations"), "{text}");
        assert_eq!(artifact_type(&descriptor).unwrap(), None);
    }
}
