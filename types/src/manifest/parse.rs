//! From bytes to a [`Manifest`].

use super::Manifest;
use super::error::{ManifestError, ManifestFault};
use super::json::{Fields, Node};
use crate::Digest;
use crate::descriptor::Descriptor;
use crate::limits::MANIFEST_ANNOTATIONS_MAX;
use crate::media_type::{DOCKER_IMAGE_CONFIG, ManifestKind, essence};
use std::collections::BTreeMap;

/// The fields of a manifest that mean something to a registry or to the readers of one.
const MANIFEST_FIELDS: &[&str] = &[
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
];

/// The fields of a descriptor (image-spec, "Content Descriptors").
const DESCRIPTOR_FIELDS: &[&str] =
    &["mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"];

/// Understands a manifest.
///
/// The kind is what the body's `mediaType` says; without one, what `content_type` says (its parameters do not count); without
/// either, what the fields look like. If both are there they must name the same type.
///
/// ```
/// use strata_types::manifest::parse;
/// let index = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
/// assert!(parse(index, None)?.kind.is_index());
/// # Ok::<(), strata_types::ManifestError>(())
/// ```
///
/// # Errors
/// [`ManifestError`] with the place and the reason. The size of the body is the caller's to limit.
pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Manifest, ManifestError> {
    let fields = Node::root(bytes)?.fields(MANIFEST_FIELDS)?;
    if !fields.required("schemaVersion")?.is_number(2) {
        return Err(ManifestFault::SchemaVersion.at("schemaVersion"));
    }
    let kind = decide_kind(&fields, content_type)?;
    let misplaced: &[&str] =
        if kind.is_index() { &["config", "layers", "fsLayers"] } else { &["manifests", "fsLayers"] };
    for name in misplaced {
        if let Some(node) = fields.optional(name) {
            let kind = if kind.is_index() { "an index" } else { "an image" };
            return Err(ManifestFault::Misplaced { kind }.at(node.at()));
        }
    }
    if kind.is_index() && !fields.is_named("manifests") {
        return Err(ManifestFault::Missing.at("manifests"));
    }
    let config = if kind.is_index() { None } else { Some(descriptor(&fields.required("config")?)?) };
    let artifact_type =
        text(&fields, "artifactType")?.or_else(|| config.as_ref().map(|config| config.media_type.clone()));
    Ok(Manifest {
        kind,
        config,
        layers: descriptors(&fields, "layers")?,
        children: descriptors(&fields, "manifests")?,
        subject: fields.optional("subject").map(|node| descriptor(&node)).transpose()?,
        artifact_type,
        annotations: annotations(&fields)?,
    })
}

fn decide_kind(fields: &Fields<'_>, content_type: Option<&str>) -> Result<ManifestKind, ManifestError> {
    let body = text(fields, "mediaType")?;
    let header = content_type.map(essence).filter(|header| !header.is_empty());
    let known = |media_type: &str, at: &str| {
        ManifestKind::of(media_type)
            .ok_or_else(|| ManifestFault::UnsupportedMediaType(shortened(media_type)).at(at))
    };
    match (body, header) {
        (Some(body), Some(header)) if !body.eq_ignore_ascii_case(header) => {
            let (body, content_type) = (shortened(&body), shortened(header));
            Err(ManifestFault::MediaTypeMismatch { body, content_type }.at("mediaType"))
        }
        (Some(body), _) => known(&body, "mediaType"),
        (None, Some(header)) => known(header, ""),
        (None, None) => guess_kind(fields),
    }
}

/// What the fields look like. Both kinds at once is refused afterwards, as it is where the kind is known.
fn guess_kind(fields: &Fields<'_>) -> Result<ManifestKind, ManifestError> {
    if let Some(config) = fields.optional("config") {
        let docker = descriptor(&config)?.media_type == DOCKER_IMAGE_CONFIG;
        return Ok(if docker { ManifestKind::DockerImage } else { ManifestKind::OciImage });
    }
    if fields.optional("layers").is_some() {
        return Ok(ManifestKind::OciImage);
    }
    if fields.is_named("manifests") {
        return Ok(ManifestKind::OciIndex);
    }
    Err(ManifestFault::UnknownKind.at(""))
}

fn descriptors(fields: &Fields<'_>, name: &str) -> Result<Vec<Descriptor>, ManifestError> {
    let Some(list) = fields.optional(name) else { return Ok(Vec::new()) };
    list.items()?.iter().map(descriptor).collect()
}

fn descriptor(node: &Node<'_>) -> Result<Descriptor, ManifestError> {
    let fields = node.fields(DESCRIPTOR_FIELDS)?;
    let media_type = fields.required("mediaType")?.text()?;
    let digest = fields.required("digest")?;
    let size = fields.required("size")?.size()?;
    let mut has_urls = false;
    if let Some(urls) = fields.optional("urls") {
        for url in urls.items()? {
            url.text()?;
            has_urls = true;
        }
    }
    annotations(&fields)?;
    text(&fields, "data")?;
    text(&fields, "artifactType")?;
    if let Some(platform) = fields.optional("platform").filter(|platform| !platform.is_object()) {
        return Err(platform.wrong("an object"));
    }
    let digest =
        Digest::parse(&digest.text()?).map_err(|error| ManifestFault::Digest(error).at(digest.at()))?;
    Ok(Descriptor { media_type, digest, size, has_urls })
}

fn annotations(fields: &Fields<'_>) -> Result<BTreeMap<String, String>, ManifestError> {
    let mut annotations = BTreeMap::new();
    let Some(node) = fields.optional("annotations") else { return Ok(annotations) };
    node.each_field(|key, value| {
        if annotations.len() == MANIFEST_ANNOTATIONS_MAX {
            return Err(ManifestFault::TooManyAnnotations.at(node.at()));
        }
        let value = node.child(key, value);
        match annotations.insert(key.to_owned(), value.text()?) {
            Some(_) => Err(ManifestFault::Duplicate.at(value.at())),
            None => Ok(()),
        }
    })?;
    Ok(annotations)
}

/// A string field; an empty one says nothing.
fn text(fields: &Fields<'_>, name: &str) -> Result<Option<String>, ManifestError> {
    let text = fields.optional(name).map(|node| node.text()).transpose()?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// For messages: the client's text may be as long as its body.
fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}
