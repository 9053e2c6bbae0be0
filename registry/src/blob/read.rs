//! `HEAD` and `GET` of a blob (distribution-spec end-2).

use super::body::BlobBody;
use crate::access::Action;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use crate::standing::{Kind, Standing};
use std::time::Instant;
use strata_engine::meta::{LinkRecord, View};
use strata_engine::{Engine, EngineError, Linked};
use strata_types::{Digest, RepositoryName};

/// What a `HEAD` tells about a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobStat {
    /// The blob.
    pub digest: Digest,
    /// Its length, bytes.
    pub size: u64,
}

/// A blob to be sent.
#[derive(Debug)]
pub struct BlobRead {
    /// The blob.
    pub digest: Digest,
    /// Its length, bytes.
    pub size: u64,
    /// Its content, all of it; ranges are the reader's choice.
    pub body: BlobBody,
    /// Whether this may be said again.
    pub standing: Standing,
    /// Whether the content may be sent again without asking anew: not where each read is to be verified.
    pub keepable: bool,
}

impl Registry {
    /// Tells whether a blob is in the repository, and how long it is.
    ///
    /// A blob that is damaged is not there: whoever asks before a push then sends it, and the push heals it.
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`], also where there is no such repository; [`RegistryError::Denied`].
    pub async fn stat_blob(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<BlobStat> {
        self.authorize(ctx, Action::See, repository)?;
        if self.engine().find_link(repository, digest).map_err(RegistryError::store)?.is_none() {
            return Err(unknown(repository, digest));
        }
        if self.is_readable(digest).await?
            && let Some(size) = linked_size(&self.view()?, repository, digest)?
        {
            return Ok(BlobStat { digest: *digest, size });
        }
        Err(unknown(repository, digest))
    }

    /// Whether the store has the blob and its bytes can be sent.
    pub(super) async fn is_readable(&self, digest: &Digest) -> Result<bool> {
        match self.engine().open_blob(digest).await {
            Ok(body) => Ok(body.is_some()),
            Err(EngineError::Corrupt { .. }) => Ok(false),
            Err(error) => Err(RegistryError::store(error)),
        }
    }

    /// Opens a blob of the repository.
    ///
    /// # Errors
    /// As [`Registry::stat_blob`]; [`RegistryError::Internal`] where its bytes are damaged.
    pub async fn open_blob(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<BlobRead> {
        self.authorize(ctx, Action::Pull, repository)?;
        let (moment, asked_at) = (self.engine().moment(), Instant::now());
        let Some(linked) = self.engine().find_link(repository, digest).map_err(RegistryError::store)? else {
            return Err(unknown(repository, digest));
        };
        let body = self.engine().read_blob(digest).await.map_err(RegistryError::store)?;
        let body = BlobBody::from(body.ok_or_else(|| unknown(repository, digest))?);
        self.counters().blobs_pulled.add(1);
        let proof = self.engine().proof_of_blob(moment, repository, digest);
        let standing = match linked {
            Linked::Held => Standing::new(self, proof, Kind::Blob),
            // Whoever is told of a blob that nothing holds has to be noted, and was ahead of time, for a while.
            Linked::Loose => {
                Standing::until(self, proof, Kind::Blob, asked_at + Engine::LOOSE_ANSWER_AGE_MAX)
            }
        };
        let keepable = matches!(body, BlobBody::Bytes(_)) || self.engine().may_read_again();
        Ok(BlobRead { digest: *digest, size: body.len(), body, standing, keepable })
    }
}

/// The length of a blob that the repository may read.
pub(crate) fn linked_size(view: &View, repository: &RepositoryName, digest: &Digest) -> Result<Option<u64>> {
    Ok(linked(view, repository, digest)?.map(|(_, size)| size))
}

/// The link of a blob that the repository may read, and the blob's length.
pub(crate) fn linked(
    view: &View,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<(LinkRecord, u64)>> {
    let Some(link) = view.link(repository, digest).map_err(RegistryError::store)? else { return Ok(None) };
    Ok(view.blob(digest).map_err(RegistryError::store)?.map(|blob| (link, blob.size)))
}

pub(super) fn unknown(repository: &RepositoryName, digest: &Digest) -> RegistryError {
    RegistryError::BlobUnknown { repository: repository.clone(), digest: *digest }
}
