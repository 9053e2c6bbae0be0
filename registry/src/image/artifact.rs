//! Artifacts: the manifests of an image, and what is known of one.

use super::IMAGES_PAGE_MAX;
use super::config::{self, HistoryEntry, ImageConfig, Platform};
use crate::access::Action;
use crate::context::Context;
use crate::error::RegistryError;
use crate::manifest::find;
use crate::registry::{Registry, Result, away};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use strata_engine::UnixMillis;
use strata_engine::meta::{ManifestRecord, View};
use strata_types::manifest::parse;
use strata_types::{Descriptor, Digest, Manifest, Reference, RepositoryName, Tag};

/// Most tags, layers, children or referrers that are told of one artifact.
const LISTED_MAX: usize = 1000;
/// Most tags that a list tells of one artifact.
const TAGS_LISTED_MAX: usize = 100;

/// A manifest of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The manifest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its length, bytes.
    pub size: u64,
    /// When it was first pushed, or pushed again without a tag.
    pub pushed_at: UnixMillis,
    /// When it was last pulled, if it ever was.
    pub pulled_at: Option<UnixMillis>,
    /// Tags that stand for it.
    pub tags: Vec<Tag>,
}

/// A page of artifacts, in the order of digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactPage {
    /// The artifacts.
    pub artifacts: Vec<Artifact>,
    /// Where more follow: ask again behind this digest.
    pub next: Option<Digest>,
}

/// A blob that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length, bytes.
    pub size: u64,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// What it is.
    pub content: Content,
    /// The command that made it, as far as the image says.
    pub created_by: Option<String>,
}

/// An entry of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// What it is.
    pub content: Content,
    /// What it runs on, as the index says.
    pub platform: Option<Platform>,
    /// Whether the repository has it: a mirror may hold some platforms only.
    pub present: bool,
}

/// A manifest that refers to this one, such as a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// What it is.
    pub content: Content,
    /// Its type.
    pub artifact_type: Option<String>,
}

/// What is known of an artifact. Lists are cut after 1,000 entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactDetail {
    /// The artifact.
    pub artifact: Artifact,
    /// Its type, where it is not an ordinary image.
    pub artifact_type: Option<String>,
    /// Bytes of the manifest with its config and its layers, each digest once; of an index, of the manifest with its entries' manifests.
    pub total_size: u64,
    /// The annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// What it is about.
    pub subject: Option<Digest>,
    /// The config of an image, as the manifest names it.
    pub config: Option<Content>,
    /// The layers of an image, the lowest first.
    pub layers: Vec<Layer>,
    /// The entries of an index.
    pub children: Vec<Child>,
    /// What an image runs on, as its config says; for those who may pull.
    pub platform: Option<Platform>,
    /// How it runs; for those who may pull.
    pub image: Option<ImageConfig>,
    /// How it was made, oldest step first; for those who may pull.
    pub history: Vec<HistoryEntry>,
    /// What refers to it.
    pub referrers: Vec<Referrer>,
}

impl From<&Descriptor> for Content {
    fn from(descriptor: &Descriptor) -> Self {
        Self { media_type: descriptor.media_type.clone(), digest: descriptor.digest, size: descriptor.size }
    }
}

impl Registry {
    /// Lists the manifests of an image, those behind the digest `after`; at most `limit`, and [`IMAGES_PAGE_MAX`].
    ///
    /// # Errors
    /// [`RegistryError::NameUnknown`]; [`RegistryError::Unauthorized`]; the store's condition.
    pub async fn list_artifacts(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<ArtifactPage> {
        self.authorize(ctx, Action::See, repository)?;
        let (registry, repository, after) = (self.clone(), repository.clone(), after.copied());
        let limit = limit.min(IMAGES_PAGE_MAX);
        away(move || {
            let view = registry.view()?;
            Self::require_repository(&view, &repository)?;
            let found =
                view.manifests(&repository, after.as_ref(), limit + 1).map_err(RegistryError::store)?;
            let more = found.len() > limit;
            let artifacts = found.into_iter().take(limit).map(|(digest, record)| {
                registry.artifact_of(&view, &repository, digest, record, TAGS_LISTED_MAX)
            });
            let artifacts = artifacts.collect::<Result<Vec<_>>>()?;
            let next = artifacts.last().filter(|_| more).map(|last| last.digest);
            Ok(ArtifactPage { artifacts, next })
        })
        .await
    }

    fn artifact_of(
        &self,
        view: &View,
        repository: &RepositoryName,
        digest: Digest,
        record: ManifestRecord,
        tags_max: usize,
    ) -> Result<Artifact> {
        let tags = view.tags_of(repository, &digest, None, tags_max).map_err(RegistryError::store)?;
        let pulled_at = self.pulled_at(view, repository, &digest)?;
        let ManifestRecord { media_type, size, pushed_at, .. } = record;
        Ok(Artifact { digest, media_type, size, pushed_at, pulled_at, tags })
    }

    /// Tells about one artifact.
    ///
    /// What stands in its config is content: it is told to those who may pull it.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`]; [`RegistryError::NameUnknown`]; [`RegistryError::Unauthorized`];
    /// [`RegistryError::Internal`] where its bytes are gone; the store's condition.
    pub async fn artifact(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<ArtifactDetail> {
        self.authorize(ctx, Action::See, repository)?;
        let may_pull = self.allows(ctx, Action::Pull, repository);
        let (registry, of, reference) = (self.clone(), repository.clone(), reference.clone());
        let mut detail = away(move || registry.read_artifact(&of, &reference)).await?;
        let config =
            detail.config.as_ref().filter(|config| may_pull && config::is_of_image(&config.media_type));
        if let Some(config) = config
            && let Some(bytes) = self.read_config(repository, &config.digest).await?
        {
            let told = away(move || Ok(config::read(&bytes))).await?;
            (detail.platform, detail.image, detail.history) = (told.platform, told.config, told.history);
            explain(&mut detail.layers, &detail.history);
        }
        Ok(detail)
    }

    fn read_artifact(&self, repository: &RepositoryName, reference: &Reference) -> Result<ArtifactDetail> {
        let view = self.view()?;
        let (digest, record) = find(&view, repository, reference)?;
        let bytes = view.manifest_bytes(&digest).map_err(RegistryError::store)?;
        let bytes =
            bytes.ok_or_else(|| RegistryError::corrupt(format!("manifest {digest} has lost its bytes")))?;
        let manifest = parse(&bytes, Some(&record.media_type));
        let manifest =
            manifest.map_err(|error| RegistryError::corrupt(format!("manifest {digest}: {error}")))?;
        let layers = manifest.layers.iter().take(LISTED_MAX);
        Ok(ArtifactDetail {
            artifact: self.artifact_of(&view, repository, digest, record, LISTED_MAX)?,
            total_size: total(&manifest, bytes.len() as u64),
            config: manifest.config.as_ref().map(Content::from),
            layers: layers.map(|layer| Layer { content: layer.into(), created_by: None }).collect(),
            children: children(&view, repository, &manifest, &platforms(&bytes))?,
            subject: manifest.subject.map(|subject| subject.digest),
            referrers: referrers_of(&view, repository, &digest)?,
            artifact_type: manifest.artifact_type,
            annotations: manifest.annotations,
            platform: None,
            image: None,
            history: Vec::new(),
        })
    }
}

fn referrers_of(view: &View, repository: &RepositoryName, subject: &Digest) -> Result<Vec<Referrer>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Listed {
        media_type: String,
        digest: Digest,
        size: u64,
        #[serde(default)]
        artifact_type: Option<String>,
    }
    let page = Registry::first_referrers(view, repository, subject, LISTED_MAX)?;
    let read = |bytes: &bytes::Bytes| {
        let listed = serde_json::from_slice::<Listed>(bytes);
        let listed = listed.map_err(|error| RegistryError::corrupt(format!("a descriptor: {error}")))?;
        let Listed { media_type, digest, size, artifact_type } = listed;
        Ok(Referrer { content: Content { media_type, digest, size }, artifact_type })
    };
    page.descriptors.iter().map(read).collect()
}

/// Bytes of the manifest and of what it names, each digest once.
fn total(manifest: &Manifest, own: u64) -> u64 {
    let named = manifest.config.iter().chain(&manifest.layers).chain(&manifest.children);
    let sizes: BTreeMap<Digest, u64> = named.map(|each| (each.digest, each.size)).collect();
    sizes.values().fold(own, |sum, size| sum.saturating_add(*size))
}

fn children(
    view: &View,
    repository: &RepositoryName,
    manifest: &Manifest,
    platforms: &[Option<Platform>],
) -> Result<Vec<Child>> {
    let named = manifest.children.iter().take(LISTED_MAX).enumerate();
    let child = |(i, descriptor): (usize, &Descriptor)| {
        let digest = &descriptor.digest;
        let present = view.has_manifest(repository, digest).map_err(RegistryError::store)?
            || view.link(repository, digest).map_err(RegistryError::store)?.is_some();
        Ok(Child { content: descriptor.into(), platform: platforms.get(i).cloned().flatten(), present })
    };
    named.map(child).collect()
}

/// The platforms of the entries of an index, in their order. The manifest was found to be one before; what is odd about a platform makes
/// it one that says nothing.
pub(crate) fn platforms(bytes: &[u8]) -> Vec<Option<Platform>> {
    #[derive(Deserialize)]
    struct Index<'a> {
        #[serde(borrow, default)]
        manifests: Vec<Entry<'a>>,
    }
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow, default)]
        platform: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        os: Option<String>,
        #[serde(default)]
        architecture: Option<String>,
        #[serde(default)]
        variant: Option<String>,
        #[serde(default, rename = "os.version")]
        os_version: Option<String>,
    }
    let index = serde_json::from_slice::<Index<'_>>(bytes).unwrap_or(Index { manifests: Vec::new() });
    let read = |entry: Entry<'_>| {
        let Named { os, architecture, variant, os_version } =
            serde_json::from_str(entry.platform?.get()).ok()?;
        Some(Platform { os, architecture, variant, os_version })
    };
    index.manifests.into_iter().take(LISTED_MAX).map(read).collect()
}

/// Says of each layer which step made it, where the history tells of as many layers as there are.
fn explain(layers: &mut [Layer], history: &[HistoryEntry]) {
    let steps = history.iter().filter(|step| !step.empty_layer);
    if steps.clone().count() == layers.len() {
        for (layer, step) in layers.iter_mut().zip(steps) {
            layer.created_by.clone_from(&step.created_by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_platforms_say_nothing() {
        let index = br#"{"manifests":[{"platform":{"os":"linux","architecture":"arm","variant":"v7"}},{},{"platform":{"os":7}},
            {"platform":null}]}"#;
        let platforms = platforms(index);
        assert_eq!(platforms.len(), 4);
        assert_eq!(platforms[0].as_ref().unwrap().variant.as_deref(), Some("v7"));
        assert_eq!(platforms[1..], [None, None, None]);
        assert!(super::platforms(b"{}").is_empty() && super::platforms(b"x").is_empty());
    }

    #[test]
    fn a_history_of_other_length_explains_nothing() {
        let digest = Digest::Sha256([1; 32]);
        let content = Content { media_type: "x".into(), digest, size: 1 };
        let layer = || Layer { content: content.clone(), created_by: None };
        let step = |by: &str, empty_layer| HistoryEntry {
            created_by: Some(by.into()),
            empty_layer,
            ..HistoryEntry::default()
        };
        let mut layers = vec![layer(), layer()];
        explain(&mut layers, &[step("a", false), step("ENV", true)]);
        assert_eq!(layers[0].created_by, None);
        explain(&mut layers, &[step("a", false), step("ENV", true), step("b", false)]);
        assert_eq!(layers[0].created_by.as_deref(), Some("a"));
        assert_eq!(layers[1].created_by.as_deref(), Some("b"));
    }
}
