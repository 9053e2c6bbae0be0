//! Images, artifacts and tags.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use strata_registry as registry;

/// An image (a repository).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Image {
    /// Its name.
    pub name: String,
    /// The registry that it belongs to.
    pub registry: String,
    /// When its first push came, milliseconds since 1970.
    pub created_at_millis: u64,
}

/// Answer of `GET /api/v1/images`: in the order of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Images {
    /// The images.
    pub images: Vec<Image>,
    /// Where more may follow: the `cursor` to ask again with. The next page can be empty.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// Answer of `GET /api/v1/images/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageDetail {
    /// The image.
    #[serde(flatten)]
    pub image: Image,
    /// How many tags it has; 10,000 stands for that many or more.
    pub tags: usize,
    /// How many manifests it has; 10,000 stands for that many or more.
    pub artifacts: usize,
}

/// A manifest of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// The manifest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Its length, bytes.
    pub size: u64,
    /// When it was pushed, milliseconds since 1970.
    pub pushed_at_millis: u64,
    /// When it was last pulled, milliseconds since 1970, if it ever was. Known about a minute late to other readers of the store.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pulled_at_millis: Option<u64>,
    /// The tags that stand for it, at most 100 in a list.
    pub tags: Vec<String>,
}

/// Answer of `GET /api/v1/images/{name}/artifacts`: in the order of digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifacts {
    /// The artifacts.
    pub artifacts: Vec<Artifact>,
    /// Where more follow: the `cursor` to ask again with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// Something that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its length, bytes.
    pub size: u64,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Layer {
    /// What it is.
    #[serde(flatten)]
    pub content: Content,
    /// The command that made it, as far as the image's history says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_by: Option<String>,
}

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Platform {
    /// The operating system, such as `linux`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub os: Option<String>,
    /// The processor, such as `amd64`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub architecture: Option<String>,
    /// The variant of the processor, such as `v8`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub variant: Option<String>,
    /// The version of the operating system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub os_version: Option<String>,
}

/// An entry of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Child {
    /// What it is.
    #[serde(flatten)]
    pub content: Content,
    /// What it runs on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub platform: Option<Platform>,
    /// Whether the image has it: an index may name platforms that were not pushed.
    pub present: bool,
}

/// A manifest that refers to another one, such as a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Referrer {
    /// What it is.
    #[serde(flatten)]
    pub content: Content,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifact_type: Option<String>,
}

/// How an image runs, as its config says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageConfig {
    /// When the image was made, as written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created: Option<String>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author: Option<String>,
    /// The user that it runs as.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// Its environment: `NAME=value`.
    pub env: Vec<String>,
    /// What it runs.
    pub entrypoint: Vec<String>,
    /// What it runs that with.
    pub cmd: Vec<String>,
    /// The directory that it runs in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub working_dir: Option<String>,
    /// The ports that it listens on.
    pub exposed_ports: Vec<String>,
    /// The directories that it keeps data in.
    pub volumes: Vec<String>,
    /// The signal that stops it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stop_signal: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// One step of how an image was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// When, as written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created: Option<String>,
    /// By what command.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub author: Option<String>,
    /// A comment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comment: Option<String>,
    /// Whether it made no layer.
    pub empty_layer: bool,
}

/// Answer of `GET /api/v1/images/{name}/artifacts/{reference}`. Lists have at most 1,000 entries. What stands in the config
/// (`platform`, `image`, `history`) is told to those who may pull.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactDetail {
    /// The artifact, with all its tags.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifact_type: Option<String>,
    /// Bytes of the manifest and of what it names, each digest once.
    pub total_size: u64,
    /// The annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// What it is about: the digest of another manifest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// The config of an image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub config: Option<Content>,
    /// The layers of an image, the lowest first.
    pub layers: Vec<Layer>,
    /// The entries of an index.
    pub manifests: Vec<Child>,
    /// What an image runs on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub platform: Option<Platform>,
    /// How an image runs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<ImageConfig>,
    /// How an image was made, the oldest step first.
    pub history: Vec<HistoryEntry>,
    /// What refers to it.
    pub referrers: Vec<Referrer>,
}

impl From<registry::Image> for Image {
    fn from(image: registry::Image) -> Self {
        Self {
            registry: image.name.registry().to_owned(),
            name: image.name.to_string(),
            created_at_millis: image.created_at.0,
        }
    }
}

impl From<registry::ImagePage> for Images {
    fn from(page: registry::ImagePage) -> Self {
        Self { images: page.images.into_iter().map(Image::from).collect(), next: page.next }
    }
}

impl From<registry::ImageDetail> for ImageDetail {
    fn from(detail: registry::ImageDetail) -> Self {
        Self { image: detail.image.into(), tags: detail.tags, artifacts: detail.artifacts }
    }
}

impl From<registry::Artifact> for Artifact {
    fn from(artifact: registry::Artifact) -> Self {
        Self {
            digest: artifact.digest.to_string(),
            media_type: artifact.media_type,
            size: artifact.size,
            pushed_at_millis: artifact.pushed_at.0,
            pulled_at_millis: artifact.pulled_at.map(|at| at.0),
            tags: artifact.tags.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<registry::ArtifactPage> for Artifacts {
    fn from(page: registry::ArtifactPage) -> Self {
        let artifacts = page.artifacts.into_iter().map(Artifact::from).collect();
        Self { artifacts, next: page.next.map(|next| next.to_string()) }
    }
}

impl From<registry::Content> for Content {
    fn from(content: registry::Content) -> Self {
        Self { media_type: content.media_type, digest: content.digest.to_string(), size: content.size }
    }
}

impl From<registry::Platform> for Platform {
    fn from(platform: registry::Platform) -> Self {
        let registry::Platform { os, architecture, variant, os_version } = platform;
        Self { os, architecture, variant, os_version }
    }
}

impl From<registry::ImageConfig> for ImageConfig {
    fn from(config: registry::ImageConfig) -> Self {
        Self {
            created: config.created,
            author: config.author,
            user: config.user,
            env: config.env,
            entrypoint: config.entrypoint,
            cmd: config.cmd,
            working_dir: config.working_dir,
            exposed_ports: config.exposed_ports,
            volumes: config.volumes,
            stop_signal: config.stop_signal,
            labels: config.labels,
        }
    }
}

impl From<registry::HistoryEntry> for HistoryEntry {
    fn from(entry: registry::HistoryEntry) -> Self {
        let registry::HistoryEntry { created, created_by, author, comment, empty_layer } = entry;
        Self { created, created_by, author, comment, empty_layer }
    }
}

impl From<registry::ArtifactDetail> for ArtifactDetail {
    fn from(detail: registry::ArtifactDetail) -> Self {
        let layer =
            |layer: registry::Layer| Layer { content: layer.content.into(), created_by: layer.created_by };
        let child = |child: registry::Child| Child {
            content: child.content.into(),
            platform: child.platform.map(Platform::from),
            present: child.present,
        };
        let referrer = |referrer: registry::Referrer| Referrer {
            content: referrer.content.into(),
            artifact_type: referrer.artifact_type,
        };
        Self {
            artifact: detail.artifact.into(),
            artifact_type: detail.artifact_type,
            total_size: detail.total_size,
            annotations: detail.annotations,
            subject: detail.subject.map(|subject| subject.to_string()),
            config: detail.config.map(Content::from),
            layers: detail.layers.into_iter().map(layer).collect(),
            manifests: detail.children.into_iter().map(child).collect(),
            platform: detail.platform.map(Platform::from),
            image: detail.image.map(ImageConfig::from),
            history: detail.history.into_iter().map(HistoryEntry::from).collect(),
            referrers: detail.referrers.into_iter().map(referrer).collect(),
        }
    }
}
