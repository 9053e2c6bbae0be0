//! A registry on a store of its own, and what tests push into it.

use bytes::Bytes;
use futures_core::Stream;
use serde_json::{Value, json};
use strata_engine::meta::digest::digest_of;
use strata_engine::meta::{Event, EventKind};
use strata_engine::{Engine, EngineConfig};
use strata_registry::{
    BlobBody, BodyError, Context, ManifestPutDone, Page, PutManifest, Registry, RegistryConfig, RegistryError,
};
use strata_types::media_type::{OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST};
use strata_types::{Algorithm, Digest, Reference, RepositoryName, Tag};
use tempfile::TempDir;

pub(crate) const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A registry with its store. Reads and writes as anybody may in open mode.
pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) engine: Engine,
    pub(crate) ctx: Context,
    settings: RegistryConfig,
    directory: Option<TempDir>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.engine.close();
    }
}

fn open(directory: &TempDir) -> Engine {
    let mut config = EngineConfig::new(directory.path());
    config.reserve_bytes = 1024 * 1024;
    config.metadata_memory_bytes = 4 * 1024 * 1024;
    Engine::open(config).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(RegistryConfig::default())
    }

    pub(crate) fn with(settings: RegistryConfig) -> Self {
        Self::on(tempfile::tempdir().unwrap(), settings)
    }

    fn on(directory: TempDir, settings: RegistryConfig) -> Self {
        let engine = open(&directory);
        let registry = Registry::open(engine.clone(), settings.clone()).unwrap();
        let ctx = Context::everyone("test", Some([127, 0, 0, 1].into()));
        Self { registry, engine, ctx, settings, directory: Some(directory) }
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopened(self) -> Self {
        let settings = self.settings.clone();
        self.reopened_with(settings)
    }

    /// Closes the store and opens it again with other settings.
    pub(crate) fn reopened_with(mut self, settings: RegistryConfig) -> Self {
        let directory = self.directory.take().unwrap();
        drop(self);
        Self::on(directory, settings)
    }

    pub(crate) async fn push_blob(&self, repository: &RepositoryName, content: &[u8]) -> Digest {
        let digest = sha256(content);
        self.registry
            .put_blob(&self.ctx, repository, &digest, Some(content.len() as u64), body(content))
            .await
            .unwrap()
    }

    pub(crate) async fn read_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Bytes, RegistryError> {
        let blob = self.registry.open_blob(&self.ctx, repository, digest).await?;
        let content = match blob.body {
            BlobBody::Bytes(bytes) => bytes,
            BlobBody::File(file) => {
                let mut content = Vec::new();
                while (content.len() as u64) < file.len() {
                    let part = file.read_at(content.len() as u64, 1 << 20).await.unwrap();
                    assert!(!part.is_empty());
                    content.extend_from_slice(&part);
                }
                content.into()
            }
        };
        assert_eq!(content.len() as u64, blob.size);
        Ok(content)
    }

    /// Pushes a config and a layer of the content named, and gives the image's manifest.
    pub(crate) async fn image(&self, repository: &RepositoryName, name: &str) -> Value {
        let config = format!("{{\"config\":\"{name}\"}}");
        let layer = format!("layer of {name}");
        self.push_blob(repository, config.as_bytes()).await;
        self.push_blob(repository, layer.as_bytes()).await;
        image_of(described(CONFIG_TYPE, config.as_bytes()), vec![described(LAYER_TYPE, layer.as_bytes())])
    }

    pub(crate) async fn put(
        &self,
        repository: &RepositoryName,
        reference: impl IntoReference,
        manifest: &Value,
    ) -> Result<ManifestPutDone, RegistryError> {
        let put = PutManifest {
            reference: reference.into_reference(),
            tags: Vec::new(),
            content_type: None,
            bytes: bytes_of(manifest),
        };
        self.registry.put_manifest(&self.ctx, repository, put).await
    }

    pub(crate) async fn get(
        &self,
        repository: &RepositoryName,
        reference: impl IntoReference,
    ) -> Result<Bytes, RegistryError> {
        let read = self.registry.get_manifest(&self.ctx, repository, &reference.into_reference()).await?;
        Ok(read.bytes)
    }

    pub(crate) async fn delete(
        &self,
        repository: &RepositoryName,
        reference: impl IntoReference,
    ) -> Result<(), RegistryError> {
        self.registry.delete_manifest(&self.ctx, repository, &reference.into_reference()).await
    }

    pub(crate) async fn tags(&self, repository: &RepositoryName) -> Vec<String> {
        let page = self.registry.list_tags(&self.ctx, repository, &Page::default()).await.unwrap();
        assert!(!page.more);
        page.tags.iter().map(ToString::to_string).collect()
    }

    /// All events, oldest first.
    pub(crate) fn events(&self) -> Vec<Event> {
        let events = self.engine.view().unwrap().events(0, 100_000).unwrap();
        events.into_iter().map(|(_, event)| event).collect()
    }

    pub(crate) fn event_kinds(&self) -> Vec<EventKind> {
        self.events().iter().map(|event| event.kind).collect()
    }
}

pub(crate) trait IntoReference {
    fn into_reference(self) -> Reference;
}

impl IntoReference for &str {
    fn into_reference(self) -> Reference {
        Reference::parse(self).unwrap()
    }
}

impl IntoReference for Digest {
    fn into_reference(self) -> Reference {
        Reference::Digest(self)
    }
}

pub(crate) fn repo(name: &str) -> RepositoryName {
    RepositoryName::parse(name).unwrap()
}

pub(crate) fn tag(name: &str) -> Tag {
    Tag::parse(name).unwrap()
}

pub(crate) fn sha256(content: &[u8]) -> Digest {
    digest_of(Algorithm::Sha256, content)
}

pub(crate) fn sha512(content: &[u8]) -> Digest {
    digest_of(Algorithm::Sha512, content)
}

pub(crate) fn bytes_of(manifest: &Value) -> Bytes {
    manifest.to_string().into()
}

pub(crate) fn digest_of_manifest(manifest: &Value) -> Digest {
    sha256(&bytes_of(manifest))
}

pub(crate) fn described(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": sha256(content), "size": content.len() })
}

pub(crate) fn described_manifest(manifest: &Value) -> Value {
    let media_type = manifest.get("mediaType").unwrap().as_str().unwrap();
    described(media_type, &bytes_of(manifest))
}

#[expect(clippy::needless_pass_by_value, reason = "callers make the parts in place")]
pub(crate) fn image_of(config: Value, layers: Vec<Value>) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_IMAGE_MANIFEST, "config": config, "layers": layers })
}

#[expect(clippy::needless_pass_by_value, reason = "callers make the parts in place")]
pub(crate) fn index_of(children: Vec<Value>) -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX, "manifests": children })
}

pub(crate) fn with(mut manifest: Value, field: &str, value: Value) -> Value {
    manifest.as_object_mut().unwrap().insert(field.to_owned(), value);
    manifest
}

/// A body in pieces of 1000 bytes.
pub(crate) fn body(content: &[u8]) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + use<> {
    let pieces: Vec<_> = content.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    futures_util::stream::iter(pieces)
}

/// A body that ends with an error.
pub(crate) fn broken_body(
    content: &[u8],
    error: BodyError,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + use<> {
    let pieces = vec![Ok(Bytes::copy_from_slice(content)), Err(error)];
    futures_util::stream::iter(pieces)
}

/// Content that does not repeat itself.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut content = Vec::with_capacity(len + 8);
    while content.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(len);
    content
}

/// The code and the words of what a client is told.
pub(crate) fn told<T: std::fmt::Debug>(outcome: Result<T, RegistryError>) -> &'static str {
    outcome.unwrap_err().outcome().as_str()
}
