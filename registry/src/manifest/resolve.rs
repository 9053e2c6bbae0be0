//! Everything that a pull needs to know, in one call: a manifest with its config and what it names, present or missing, and of an index the
//! manifests that it lists as well.

use crate::context::Context;
use crate::image::{Platform, platforms};
use crate::registry::{Registry, Result};
use bytes::Bytes;
use strata_types::manifest::{ReferenceRole, parse};
use strata_types::{Descriptor, Digest, Manifest, Reference, RepositoryName};

/// Most manifests of an index that are told with it.
const CHILDREN_MAX: usize = 64;
/// Bytes of manifests and configs after which no further ones are told.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Which manifests of an index are wanted: all that name no other value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The operating system, as Go names it.
    pub os: Option<String>,
    /// The processor, as Go names it.
    pub architecture: Option<String>,
    /// The variant of the processor.
    pub variant: Option<String>,
}

/// Content that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedContent {
    /// What it is to the manifest.
    pub role: ReferenceRole,
    /// What it is.
    pub descriptor: Descriptor,
    /// Whether the repository has it.
    pub present: bool,
}

/// A manifest and what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedManifest {
    /// The manifest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// The bytes, exactly as they were pushed.
    pub bytes: Bytes,
    /// What it runs on, as the index says that it was found in.
    pub platform: Option<Platform>,
    /// Its config, where the repository has it and it is not larger than a config is.
    pub config: Option<Bytes>,
    /// What it names, in the order in which it does; without its subject.
    pub contents: Vec<ResolvedContent>,
}

/// What a reference stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedImage {
    /// The manifest.
    pub manifest: ResolvedManifest,
    /// Of an index the manifests that are wanted and that the repository has, in its order.
    pub children: Vec<ResolvedManifest>,
    /// Whether there were more, or larger ones, than are told.
    pub cut: bool,
}

impl Wanted {
    fn takes(&self, platform: Option<&Platform>) -> bool {
        let agree = |wanted: &Option<String>, found: Option<&String>| {
            wanted.is_none() || found.is_none() || wanted.as_ref() == found
        };
        platform.is_none_or(|found| {
            agree(&self.os, found.os.as_ref())
                && agree(&self.architecture, found.architecture.as_ref())
                && agree(&self.variant, found.variant.as_ref())
        })
    }
}

impl Registry {
    /// Tells what a reference stands for, with everything that a pull asks for one by one. Counts as a pull of each manifest that is told.
    ///
    /// # Errors
    /// As [`Registry::get_manifest`].
    pub async fn resolve_image(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
        wanted: &Wanted,
    ) -> Result<ResolvedImage> {
        let (manifest, parsed) = self.resolve(ctx, repository, reference, None).await?;
        let mut image = ResolvedImage { manifest, children: Vec::new(), cut: false };
        let mut told = weight(&image.manifest);
        if parsed.is_none_or(|parsed| parsed.children.is_empty()) {
            return Ok(image);
        }
        let platforms = platforms(&image.manifest.bytes);
        let platforms = platforms.into_iter().chain(std::iter::repeat(None));
        for (content, platform) in image.manifest.contents.iter().zip(platforms) {
            let is_wanted = content.present && wanted.takes(platform.as_ref());
            if !is_wanted || !self.has_manifest(repository, &content.descriptor.digest)? {
                continue;
            }
            let size = usize::try_from(content.descriptor.size).unwrap_or(usize::MAX);
            if image.children.len() == CHILDREN_MAX || told.saturating_add(size) > BYTES_MAX {
                image.cut = true;
                break;
            }
            let reference = Reference::Digest(content.descriptor.digest);
            let (child, _) = self.resolve(ctx, repository, &reference, platform).await?;
            told = told.saturating_add(weight(&child));
            image.children.push(child);
        }
        Ok(image)
    }

    fn has_manifest(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool> {
        self.view()?.has_manifest(repository, digest).map_err(crate::error::RegistryError::store)
    }

    /// One manifest, and what it says where that can be read.
    async fn resolve(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
        platform: Option<Platform>,
    ) -> Result<(ResolvedManifest, Option<Manifest>)> {
        let read = self.get_manifest(ctx, repository, reference).await?;
        // What was pushed can be read; what an older version let in need not.
        let parsed = parse(&read.bytes, Some(&read.media_type)).ok();
        let named: Vec<(ReferenceRole, Descriptor)> = parsed
            .iter()
            .flat_map(Manifest::references)
            .filter(|(role, _)| *role != ReferenceRole::Subject)
            .map(|(role, descriptor)| (role, descriptor.clone()))
            .collect();
        let digests: Vec<Digest> = named.iter().map(|(_, descriptor)| descriptor.digest).collect();
        let found = self.find_contents(repository, digests).await?;
        let contents = named.into_iter().zip(found);
        let contents = contents
            .map(|((role, descriptor), present)| ResolvedContent { role, descriptor, present })
            .collect();
        let config = match parsed.as_ref().and_then(|manifest| manifest.config.as_ref()) {
            Some(config) => self.read_config(repository, &config.digest).await?,
            None => None,
        };
        let (digest, media_type, bytes) = (read.digest, read.media_type, read.bytes);
        Ok((ResolvedManifest { digest, media_type, bytes, platform, config, contents }, parsed))
    }
}

fn weight(manifest: &ResolvedManifest) -> usize {
    manifest.bytes.len() + manifest.config.as_ref().map_or(0, Bytes::len)
}
