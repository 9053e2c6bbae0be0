//! A blob in one request, without a session (distribution-spec end-4b).

use super::receive::{Interrupted, UploadBody, receive};
use super::session::pushing;
use crate::access::Action;
use crate::context::Context;
use crate::error::{BodyError, RegistryError};
use crate::quota::Room;
use crate::registry::{Registry, Result};
use strata_engine::EngineError;
use strata_engine::meta::Batch;
use strata_types::{Digest, RepositoryName};

impl Registry {
    /// Stores the body as a blob of the repository. `declared` is the length that the request announced.
    ///
    /// Nothing of a body that ends early is kept.
    ///
    /// # Errors
    /// [`RegistryError::DigestMismatch`]; [`RegistryError::SizeMismatch`] and [`RegistryError::Body`]; [`RegistryError::Denied`];
    /// [`RegistryError::QuotaExceeded`]; the store's condition.
    pub async fn put_blob(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
        declared: Option<u64>,
        body: impl UploadBody,
    ) -> Result<Digest> {
        let put = self.try_put_blob(ctx, repository, digest, declared, body).await;
        self.told(ctx, pushing(repository), put)
    }

    async fn try_put_blob(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        digest: &Digest,
        declared: Option<u64>,
        body: impl UploadBody,
    ) -> Result<Digest> {
        self.authorize(ctx, Action::Push, repository)?;
        let room = self.admit_upload(repository, Some((digest, declared.unwrap_or(0))))?;
        let link = |batch: &mut Batch| {
            let admitted = self.admit(ctx, Action::Push, batch, repository)?;
            batch.link_blob(repository, digest);
            Ok(admitted)
        };
        let received = receive_whole(self, ctx, digest, Sent { body, declared, room }, link).await;
        let admitted = received.map_err(|error| self.lost(ctx, repository, error))?;
        self.admitted(admitted);
        self.counters().blobs_pushed.add(1);
        Ok(*digest)
    }
}

/// A body, the length that its request announced, and how much of it may come.
pub(crate) struct Sent<B> {
    pub(crate) body: B,
    pub(crate) declared: Option<u64>,
    pub(crate) room: Room,
}

/// Stores the body as a blob, and commits what `fill` says together with it.
pub(crate) async fn receive_whole<T>(
    registry: &Registry,
    ctx: &Context,
    digest: &Digest,
    sent: Sent<impl UploadBody>,
    fill: impl FnOnce(&mut Batch) -> Result<T>,
) -> Result<T> {
    let Sent { body, declared, room } = sent;
    let mut writer = registry.engine().ingest(digest.algorithm(), declared).map_err(of_ingest)?;
    receive(&mut writer, body, declared, &room).await.map_err(|interrupted| match interrupted {
        Interrupted::Body(error) => error,
        Interrupted::Store(error) => of_ingest(error),
    })?;
    let mut batch = registry.batch(ctx);
    let filled = fill(&mut batch)?;
    writer.finish(digest, batch).await.map_err(of_ingest)?;
    Ok(filled)
}

fn of_ingest(error: EngineError) -> RegistryError {
    match error {
        EngineError::DigestMismatch { expected, actual } => {
            RegistryError::DigestMismatch { expected, actual }
        }
        EngineError::TooLarge { .. } => RegistryError::Body(BodyError::TooLarge),
        other => RegistryError::store(other),
    }
}
