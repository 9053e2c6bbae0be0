//! Manifests: no panic on any bytes, and what is accepted is valid JSON whose references are all within the limits.

use strata_types::limits::MANIFEST_REFERENCES_MAX;
use strata_types::manifest::parse;

const TYPES: [Option<&str>; 4] = [
    None,
    Some("application/vnd.oci.image.manifest.v1+json"),
    Some("application/vnd.oci.image.index.v1+json; charset=utf-8"),
    Some("application/vnd.docker.distribution.manifest.v2+json"),
];

pub(super) fn run(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let content_type = TYPES[usize::from(*choice) % TYPES.len()];
    if let Ok(manifest) = parse(body, content_type) {
        assert!(std::str::from_utf8(body).is_ok());
        assert!(
            manifest.layers.len() <= MANIFEST_REFERENCES_MAX
                && manifest.children.len() <= MANIFEST_REFERENCES_MAX
        );
        assert!(manifest.layers.is_empty() || manifest.children.is_empty());
        // The answer does not depend on who asks again.
        assert_eq!(parse(body, Some(manifest.media_type())).as_ref(), Ok(&manifest));
    }
}
