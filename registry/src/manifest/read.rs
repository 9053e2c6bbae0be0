//! `HEAD` and `GET` of a manifest (distribution-spec end-3): always the stored bytes with the stored type.

use crate::access::Action;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use crate::standing::{Kind, Standing};
use bytes::Bytes;
use strata_engine::meta::{ManifestRecord, Moment, View};
use strata_types::{Digest, Reference, RepositoryName};

/// What a `HEAD` tells about a manifest.
#[derive(Debug, Clone)]
pub struct ManifestStat {
    /// The manifest: the digest that was asked for, or the one that the tag stands for.
    pub digest: Digest,
    /// Its media type, without parameters.
    pub media_type: String,
    /// Its length, bytes.
    pub size: u64,
    /// Whether this may be said again.
    pub standing: Standing,
}

/// A manifest to be sent.
#[derive(Debug, Clone)]
pub struct ManifestRead {
    /// The manifest: the digest that was asked for, or the one that the tag stands for.
    pub digest: Digest,
    /// Its media type, without parameters.
    pub media_type: String,
    /// The bytes, exactly as they were pushed.
    pub bytes: Bytes,
    /// Whether this may be said again.
    pub standing: Standing,
}

impl Registry {
    /// Tells what a tag or digest stands for.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`]; [`RegistryError::NameUnknown`]; [`RegistryError::Denied`].
    pub async fn stat_manifest(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<ManifestStat> {
        self.authorize(ctx, Action::See, repository)?;
        let moment = self.engine().moment();
        let (digest, record) = find(&self.view()?, repository, reference)?;
        let standing = self.manifest_standing(moment, repository, reference, &digest);
        Ok(ManifestStat { digest, media_type: record.media_type, size: record.size, standing })
    }

    /// Reads what a tag or digest stands for.
    ///
    /// # Errors
    /// As [`Registry::stat_manifest`]; [`RegistryError::Internal`] where the bytes are gone or damaged.
    pub async fn get_manifest(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<ManifestRead> {
        self.authorize(ctx, Action::Pull, repository)?;
        let moment = self.engine().moment();
        let view = self.view()?;
        let (digest, record) = find(&view, repository, reference)?;
        let bytes = view.manifest_bytes(&digest).map_err(RegistryError::store)?;
        let bytes =
            bytes.ok_or_else(|| RegistryError::corrupt(format!("manifest {digest} has lost its bytes")))?;
        self.counters().manifests_pulled.add(1);
        let standing = self.manifest_standing(moment, repository, reference, &digest);
        let standing = standing.marked(self.pull_mark(repository, &digest));
        standing.note();
        Ok(ManifestRead { digest, media_type: record.media_type, bytes, standing })
    }

    fn manifest_standing(
        &self,
        moment: Moment,
        repository: &RepositoryName,
        reference: &Reference,
        digest: &Digest,
    ) -> Standing {
        let tag = match reference {
            Reference::Tag(tag) => Some(tag),
            Reference::Digest(_) => None,
        };
        Standing::new(self, self.engine().proof_of_manifest(moment, repository, tag, digest), Kind::Manifest)
    }
}

/// The manifest that a reference stands for in one view.
pub(crate) fn find(
    view: &View,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<(Digest, ManifestRecord)> {
    let digest = match reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(tag) => view.tag(repository, tag).map_err(RegistryError::store)?.map(|tag| tag.digest),
    };
    if let Some(digest) = digest
        && let Some(record) = view.manifest(repository, &digest).map_err(RegistryError::store)?
    {
        return Ok((digest, record));
    }
    Err(missing(view, repository, reference)?)
}

/// Which error tells that a reference stands for nothing.
pub(crate) fn missing(
    view: &View,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<RegistryError> {
    Registry::require_repository(view, repository)?;
    Ok(RegistryError::ManifestUnknown { repository: repository.clone(), reference: reference.clone() })
}
