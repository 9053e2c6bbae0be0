//! Upload sessions (distribution-spec end-4a, end-5, end-6, end-13, end-14). A session is durable and belongs to one repository; one
//! request at a time writes to it.

use super::receive::{Interrupted, UploadBody, receive};
use crate::access::Action;
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::{BodyError, RegistryError};
use crate::registry::{Registry, Result};
use strata_engine::{EngineError, UploadWriter};
use strata_types::{Algorithm, Digest, RepositoryName, UploadId};

/// Where an upload session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadStatus {
    /// The session.
    pub id: UploadId,
    /// Bytes that it holds; the next chunk starts here.
    pub offset: u64,
}

impl From<strata_engine::UploadStatus> for UploadStatus {
    fn from(status: strata_engine::UploadStatus) -> Self {
        Self { id: status.id, offset: status.offset }
    }
}

/// The place of a chunk as its `Content-Range` says, its length alone as its `Content-Length` does, or its start alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRange {
    /// Offset of the first byte; `None` for wherever the session stands.
    pub start: Option<u64>,
    /// How many bytes; `None` for as many as come.
    pub len: Option<u64>,
}

impl Registry {
    /// Starts a session. The algorithm is a hint: a digest of another one at the end costs a second pass over the bytes.
    ///
    /// # Errors
    /// [`RegistryError::Denied`]; [`RegistryError::QuotaExceeded`] where the registry is full; the store's condition.
    pub async fn start_upload(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        algorithm: Algorithm,
    ) -> Result<UploadStatus> {
        let admitted =
            self.authorize(ctx, Action::Push, repository).and_then(|()| self.admit_upload(repository, None));
        self.told(ctx, pushing(repository), admitted.map(drop))?;
        let status = self.engine().start_upload(repository, algorithm).await.map_err(RegistryError::store)?;
        Ok(status.into())
    }

    /// Tells where a session stands.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`]; [`RegistryError::Denied`].
    pub async fn upload_status(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<UploadStatus> {
        self.authorize(ctx, Action::See, repository)?;
        let status = self.engine().upload_status(repository, id).await;
        status.map(UploadStatus::from).map_err(|error| of_session(error, repository, id))
    }

    /// Drops a session and what it holds.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`]; [`RegistryError::UploadBusy`] while a request writes to it; [`RegistryError::Denied`].
    pub async fn cancel_upload(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<()> {
        self.authorize(ctx, Action::Push, repository)?;
        self.engine().cancel_upload(repository, id).await.map_err(|error| of_session(error, repository, id))
    }

    /// Appends a body to a session: all of it, or the chunk that `range` announces, which must start at the session's next byte.
    ///
    /// What came of a body that ends early stays in the session, to be gone on from.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`]; [`RegistryError::ChunkOutOfOrder`] and [`RegistryError::UploadBusy`], which leave the session as
    /// it is; [`RegistryError::SizeMismatch`] and [`RegistryError::Body`]; [`RegistryError::Denied`]; the store's condition.
    pub async fn append_upload(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        range: Option<ChunkRange>,
        body: impl UploadBody,
    ) -> Result<UploadStatus> {
        self.told(ctx, pushing(repository), self.authorize(ctx, Action::Push, repository))?;
        let writer = self.receive_chunk(repository, id, range, body).await?;
        let status = writer.suspend().await;
        status.map(UploadStatus::from).map_err(|error| of_session(error, repository, id))
    }

    /// Appends the last body, which may be empty, and makes the session a blob of the repository.
    ///
    /// # Errors
    /// As [`Registry::append_upload`]; [`RegistryError::DigestMismatch`] where the content is not what the digest names, or
    /// [`RegistryError::QuotaExceeded`] where it is more than the registry may hold: both end the session.
    pub async fn finish_upload(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        range: Option<ChunkRange>,
        body: impl UploadBody,
        digest: &Digest,
    ) -> Result<Digest> {
        let finished = self.try_finish(ctx, repository, id, range, body, digest).await;
        self.told(ctx, pushing(repository), finished)
    }

    async fn try_finish(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        id: &UploadId,
        range: Option<ChunkRange>,
        body: impl UploadBody,
        digest: &Digest,
    ) -> Result<Digest> {
        self.authorize(ctx, Action::Push, repository)?;
        let writer = self.receive_chunk(repository, id, range, body).await?;
        let mut batch = self.batch(ctx);
        let admitted = match self.admit(ctx, Action::Push, &mut batch, repository) {
            Ok(admitted) => admitted,
            Err(error) => {
                suspend(writer).await;
                return Err(error);
            }
        };
        batch.link_blob(repository, digest);
        let finished = writer.finish(digest, batch).await;
        finished.map_err(|error| self.lost(ctx, repository, of_session(error, repository, id)))?;
        self.admitted(admitted);
        self.counters().blobs_pushed.add(1);
        Ok(*digest)
    }

    /// Opens the session for writing and takes the body. Where that fails, the session stays as far as it came.
    async fn receive_chunk(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
        range: Option<ChunkRange>,
        body: impl UploadBody,
    ) -> Result<UploadWriter> {
        let resumed = self.engine().resume_upload(repository, id).await;
        let mut writer = resumed.map_err(|error| of_session(error, repository, id))?;
        let offset = writer.offset();
        if let Some(start) = range.and_then(|range| range.start).filter(|start| *start != offset) {
            suspend(writer).await;
            return Err(RegistryError::ChunkOutOfOrder { start, offset });
        }
        let len = range.and_then(|range| range.len);
        let room = self.room(repository);
        let admitted =
            room.and_then(|room| room.admit(offset.saturating_add(len.unwrap_or(0))).map(|()| room));
        let room = match admitted {
            Ok(room) => room,
            Err(error) => {
                suspend(writer).await;
                return Err(error);
            }
        };
        if let Some(len) = len {
            writer.expect(len);
        }
        match receive(&mut writer, body, len, &room).await {
            Ok(()) => Ok(writer),
            Err(Interrupted::Body(error)) => {
                suspend(writer).await;
                Err(error)
            }
            Err(Interrupted::Store(error)) => Err(of_session(error, repository, id)),
        }
    }
}

/// What a push of a blob is in the audit log, in however many requests.
pub(super) const fn pushing(repository: &RepositoryName) -> Attempt<'_> {
    Attempt::on_repository("blob.push", repository)
}

/// Keeps what the session holds, for a request that has failed already: its own error is what the client is told.
async fn suspend(writer: UploadWriter) {
    if let Err(error) = writer.suspend().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "an interrupted upload could not be kept");
    }
}

fn of_session(error: EngineError, repository: &RepositoryName, id: &UploadId) -> RegistryError {
    match error {
        EngineError::UploadUnknown | EngineError::NotFound => {
            RegistryError::UploadUnknown { repository: repository.clone(), id: *id }
        }
        EngineError::UploadBusy { offset } => RegistryError::UploadBusy { offset },
        EngineError::OffsetMismatch { expected, actual } => {
            RegistryError::ChunkOutOfOrder { start: expected, offset: actual }
        }
        EngineError::DigestMismatch { expected, actual } => {
            RegistryError::DigestMismatch { expected, actual }
        }
        EngineError::TooLarge { .. } => RegistryError::Body(BodyError::TooLarge),
        other => RegistryError::store(other),
    }
}
