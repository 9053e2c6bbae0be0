//! Builders of manifests: images, indexes and artifacts, with the blobs they name.

use crate::digest::{Algorithm, sha256};
use crate::random::noise;
use bytes::Bytes;
use serde_json::{Value, json};

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker schema 2 image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker schema 2 manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// OCI image config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Gzipped OCI layer.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The empty blob's own type.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// A manifest as it is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What its `Content-Type` says.
    pub media_type: String,
    /// Its exact bytes.
    pub bytes: Bytes,
}

impl Document {
    /// The bytes of `value` under `media_type`.
    pub fn new(media_type: &str, value: &Value) -> Document {
        Document::raw(media_type, serde_json::to_vec(value).expect("JSON values are written"))
    }

    /// Any bytes under `media_type`.
    pub fn raw(media_type: &str, bytes: impl Into<Bytes>) -> Document {
        Document { media_type: media_type.to_owned(), bytes: bytes.into() }
    }

    /// Its sha256 digest.
    pub fn digest(&self) -> String {
        sha256(&self.bytes)
    }

    /// A descriptor of it.
    pub fn descriptor(&self) -> Value {
        descriptor(&self.media_type, &self.bytes)
    }
}

/// A descriptor of `bytes`.
pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    descriptor_as(Algorithm::Sha256, media_type, bytes)
}

/// A descriptor of `bytes` with a digest of `algorithm`.
pub fn descriptor_as(algorithm: Algorithm, media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": algorithm.of(bytes), "size": bytes.len()})
}

/// An image: config, layers, and the manifest that names them.
#[derive(Clone, Debug)]
pub struct Image {
    /// The config blob.
    pub config: Bytes,
    /// The layer blobs, in order.
    pub layers: Vec<Bytes>,
    /// The manifest.
    pub manifest: Document,
}

impl Image {
    /// An image whose bytes depend on nothing but `seed`: a config and two small layers.
    pub fn small(seed: u64) -> Image {
        Image::of(seed, vec![noise(seed, 1000), noise(seed + 1, 300)])
    }

    /// An image of these layers.
    pub fn of(seed: u64, layers: Vec<Bytes>) -> Image {
        let config = json!({"architecture": "amd64", "os": "linux", "author": format!("test {seed}"),
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| sha256(layer)).collect::<Vec<_>>()}});
        let config = Bytes::from(serde_json::to_vec(&config).expect("JSON values are written"));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, &config),
            "layers": layers.iter().map(|layer| descriptor(OCI_LAYER, layer)).collect::<Vec<_>>(),
        });
        Image { config, layers, manifest: Document::new(OCI_MANIFEST, &manifest) }
    }

    /// The same blobs under a manifest that `change` edited.
    #[must_use]
    pub fn edited(mut self, change: impl FnOnce(&mut Value)) -> Image {
        let mut value =
            serde_json::from_slice(&self.manifest.bytes).expect("a manifest of this harness is JSON");
        change(&mut value);
        let media_type = value["mediaType"].as_str().unwrap_or(&self.manifest.media_type).to_owned();
        self.manifest = Document::new(&media_type, &value);
        self
    }

    /// Config and layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.config).chain(&self.layers)
    }
}

/// An OCI index of these descriptors.
pub fn index(manifests: &[Value]) -> Document {
    Document::new(OCI_INDEX, &json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}))
}

/// The two bytes that artifacts use as config.
pub const EMPTY_JSON: &[u8] = b"{}";

/// An artifact of `artifact_type` that refers to `subject`, with the empty config as its only blob.
pub fn artifact(artifact_type: &str, subject: Option<&Value>, note: &str) -> Document {
    let mut value = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": descriptor(OCI_EMPTY, EMPTY_JSON),
        "layers": [descriptor(OCI_EMPTY, EMPTY_JSON)],
        "annotations": {"org.example.note": note},
    });
    if let Some(subject) = subject {
        value["subject"] = subject.clone();
    }
    Document::new(OCI_MANIFEST, &value)
}
