//! The writer of an ingest: takes bytes where they belong, and makes content of them. What it may be asked for and how that comes out is as with
//! containerd, whose clients rely on it: a write at 0 begins anew, a commit that does not fit leaves the ingest, one of what is there removes it.

use super::ingest::{IngestStatus, of_ingest};
use super::labels::{Labels, checked};
use super::read::pinned;
use crate::access::Action;
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::quota::Room;
use crate::registry::{Registry, Result};
use bytes::Bytes;
use std::pin::pin;
use std::time::Duration;
use strata_engine::meta::PinRecord;
use strata_engine::{EngineError, IngestClaim, UploadWriter};
use strata_types::{Digest, RepositoryName};

/// How long a client may pause before its ingest gives its buffers back.
const PARK_AFTER: Duration = Duration::from_secs(1);

/// Writes an ingest; nobody else does meanwhile. Dropped before its end, it keeps what came.
#[derive(Debug)]
pub struct ContentWriter {
    registry: Registry,
    ctx: Context,
    repository: RepositoryName,
    claim: IngestClaim,
    room: Room,
    status: IngestStatus,
    /// `None` only once it was used up.
    writer: Option<UploadWriter>,
}

/// What came of an ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommittedContent {
    /// The blob.
    pub digest: Digest,
    /// Its length, bytes.
    pub size: u64,
}

impl ContentWriter {
    pub(super) async fn open(
        registry: &Registry,
        ctx: &Context,
        repository: &RepositoryName,
        claim: IngestClaim,
        room: Room,
    ) -> Result<Self> {
        let opened = registry.engine().open_ingest(repository, &claim).await;
        let (status, writer) = opened.map_err(|error| of_ingest(error, &claim.reference))?;
        Ok(Self {
            registry: registry.clone(),
            ctx: ctx.clone(),
            repository: repository.clone(),
            status: status.into(),
            claim,
            room,
            writer: Some(writer),
        })
    }

    fn ended(&self) -> RegistryError {
        RegistryError::IngestUnknown { reference: self.claim.reference.clone() }
    }

    fn writer(&mut self) -> Result<&mut UploadWriter> {
        let ended = self.ended();
        self.writer.as_mut().ok_or(ended)
    }

    fn of(&self, error: EngineError) -> RegistryError {
        of_ingest(error, &self.claim.reference)
    }

    /// Where the ingest stands.
    pub fn status(&self) -> IngestStatus {
        let offset = self.writer.as_ref().map_or(self.status.offset, UploadWriter::offset);
        IngestStatus { offset, ..self.status.clone() }
    }

    /// Says anew how many bytes it is to have; 0 says nothing.
    pub const fn set_total(&mut self, total: u64) {
        if total > 0 {
            self.status.total = total;
        }
    }

    /// Says anew what it is to become. Where that is there already, the ingest is removed.
    ///
    /// # Errors
    /// [`RegistryError::ContentExists`].
    pub async fn expect(&mut self, digest: &Digest) -> Result<()> {
        self.status.expected = Some(*digest);
        if pinned(&self.registry.view()?, &self.repository, digest)?.is_none() {
            return Ok(());
        }
        self.discard().await?;
        Err(RegistryError::ContentExists { digest: *digest })
    }

    async fn discard(&mut self) -> Result<()> {
        let Some(writer) = self.writer.take() else { return Err(self.ended()) };
        writer.discard().await.map_err(|error| self.of(error))
    }

    /// Takes bytes at an offset: at the one where it stands, or at 0, which drops what it holds. Returns where it stands then.
    ///
    /// # Errors
    /// [`RegistryError::ChunkOutOfOrder`] and [`RegistryError::QuotaExceeded`], which leave the ingest as it is;
    /// [`RegistryError::IngestUnknown`] where it was given up meanwhile; the store's condition.
    pub async fn write(&mut self, offset: u64, bytes: Bytes) -> Result<u64> {
        let stands = self.writer()?.offset();
        if offset != 0 && offset != stands {
            return Err(RegistryError::ChunkOutOfOrder { start: offset, offset: stands });
        }
        self.room.admit(offset.saturating_add(bytes.len() as u64))?;
        if offset < stands {
            self.begin_anew().await?;
        }
        let written = if bytes.is_empty() { Ok(()) } else { self.writer()?.write(bytes).await };
        written.map_err(|error| self.of(error))?;
        Ok(self.writer()?.offset())
    }

    async fn begin_anew(&mut self) -> Result<()> {
        self.discard().await?;
        let claim = IngestClaim {
            total: self.status.total,
            expected: self.status.expected,
            started_at: Some(self.status.started_at),
            ..self.claim.clone()
        };
        let opened = self.registry.engine().open_ingest(&self.repository, &claim).await;
        let (status, writer) = opened.map_err(|error| self.of(error))?;
        self.status = status.into();
        self.writer = Some(writer);
        Ok(())
    }

    /// Waits for what the client sends next. An ingest whose client pauses holds no memory.
    ///
    /// # Errors
    /// The store's condition.
    pub async fn wait<T>(&mut self, next: impl Future<Output = T> + Send) -> Result<T> {
        let mut next = pin!(next);
        if let Ok(next) = tokio::time::timeout(PARK_AFTER, next.as_mut()).await {
            return Ok(next);
        }
        if let Some(writer) = &mut self.writer {
            // A failure is told by the next write.
            if let Err(error) = writer.park().await {
                tracing::debug!(%error, "an ingest was not parked");
            }
        }
        Ok(next.await)
    }

    /// Ends the request and keeps the ingest, with all that came.
    ///
    /// # Errors
    /// [`RegistryError::IngestUnknown`] where it was given up meanwhile; the store's condition.
    pub async fn suspend(mut self) -> Result<()> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        writer.suspend().await.map(drop).map_err(|error| self.of(error))
    }

    /// Makes content of what came, with labels, if it has the length and the digest that its client said, where it said so.
    ///
    /// # Errors
    /// [`RegistryError::ContentSizeMismatch`] and [`RegistryError::ContentDigestMismatch`], which leave the ingest as it is (but where the
    /// digest is of another algorithm than the ingest was begun with); [`RegistryError::FieldInvalid`]; [`RegistryError::ContentExists`], which removes it;
    /// [`RegistryError::IngestUnknown`]; [`RegistryError::QuotaExceeded`]; [`RegistryError::Denied`]; the store's condition.
    pub async fn commit(self, labels: Labels) -> Result<CommittedContent> {
        let (registry, ctx, repository) = (self.registry.clone(), self.ctx.clone(), self.repository.clone());
        let committed = self.try_commit(labels).await;
        registry.told(&ctx, Attempt::on_repository("blob.push", &repository), committed)
    }

    async fn try_commit(mut self, labels: Labels) -> Result<CommittedContent> {
        let Some(mut writer) = self.writer.take() else { return Err(self.ended()) };
        let digest = match self.verify(&mut writer).await {
            Ok(digest) => digest,
            Err(error) => return Err(keep(writer, error).await),
        };
        let labels = match checked(labels) {
            Ok(labels) => labels,
            Err(error) => return Err(keep(writer, error).await),
        };
        if pinned(&self.registry.view()?, &self.repository, &digest)?.is_some() {
            self.writer = Some(writer);
            self.discard().await?;
            return Err(RegistryError::ContentExists { digest });
        }
        let mut batch = self.registry.batch(&self.ctx);
        let admitted = self.registry.admit(&self.ctx, Action::Push, &mut batch, &self.repository);
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return Err(keep(writer, error).await),
        };
        let at = batch.at();
        let pin = PinRecord { created_at: at, updated_at: at, labels };
        batch.link_blob(&self.repository, &digest);
        // One of a blob whose bytes are bad, which these bytes heal.
        match self.registry.view()?.pin(&self.repository, &digest).map_err(RegistryError::store)? {
            Some(seen) => batch.update_pin(&self.repository, &digest, &seen, &pin),
            None => batch.pin_blob(&self.repository, &digest, &pin),
        }
        match writer.finish(&digest, batch).await {
            Ok(record) => {
                self.registry.admitted(admitted);
                self.registry.counters().blobs_pushed.add(1);
                Ok(CommittedContent { digest, size: record.size })
            }
            Err(error) => Err(self.lost(&digest, error).await),
        }
    }

    /// The digest that the ingest is committed as.
    async fn verify(&self, writer: &mut UploadWriter) -> Result<Digest> {
        let (declared, received) = (self.status.total, writer.offset());
        if declared > 0 && declared != received {
            return Err(RegistryError::ContentSizeMismatch { declared, received });
        }
        let actual = writer.digest().await.map_err(|error| self.of(error))?;
        match self.status.expected {
            Some(expected) if expected.algorithm() != actual.algorithm() => Ok(expected),
            Some(expected) if expected != actual => {
                Err(RegistryError::ContentDigestMismatch { expected, actual })
            }
            _ => Ok(actual),
        }
    }

    /// The error of a commit. One that lost to another of the same content is told so, and its ingest removed.
    async fn lost(&self, digest: &Digest, error: EngineError) -> RegistryError {
        if matches!(error, EngineError::Conflict) {
            let view = self.registry.view();
            if let Ok(Some(_)) = view.and_then(|view| pinned(&view, &self.repository, digest)) {
                let aborted =
                    self.registry.engine().abort_ingest(&self.repository, &self.claim.reference).await;
                if let Err(error) = aborted {
                    tracing::debug!(%error, "an ingest that is not needed was not removed; it expires");
                }
                return RegistryError::ContentExists { digest: *digest };
            }
        }
        self.registry.lost(&self.ctx, &self.repository, self.of(error))
    }
}

/// Keeps what an ingest holds, for a commit that has failed already: its own error is what the client is told.
async fn keep(writer: UploadWriter, error: RegistryError) -> RegistryError {
    if let Err(error) = writer.suspend().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "an ingest could not be kept");
    }
    error
}
