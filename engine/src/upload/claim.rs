//! Ingests: sessions under names that their clients choose. Whoever comes with a name is given its session, a new one where there is
//! none that fits.
//!
//! The session's id follows from the name, so one claim in memory excludes a second writer, and the removal of a session, for
//! whatever reason, takes the ingest's row along without a look-up.

use super::UploadStatus;
use super::removal::{cancel, remove_held};
use super::session::Taken;
use super::start::{empty, resume_held, status};
use super::writer::{Upload, UploadWriter};
use crate::clock::UnixMillis;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::ingest::Hasher;
use crate::meta::{Batch, IngestRecord, UploadRecord};
use crate::store::Store;
use std::sync::Arc;
use strata_types::{Algorithm, Digest, RepositoryName, UploadId};

/// What a client says of what it brings in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestClaim {
    /// The name, at most 65,535 bytes.
    pub reference: String,
    /// How many bytes it is to have; 0: that is not known. An ingest that was begun with another number is begun anew.
    pub total: u64,
    /// What it is to become, where that is known.
    pub expected: Option<Digest>,
    /// When it was begun, of one that is begun anew; else now.
    pub started_at: Option<UnixMillis>,
}

/// Where an ingest stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestStatus {
    /// What was said when it was begun.
    pub record: IngestRecord,
    /// Bytes received.
    pub offset: u64,
    /// When its session was written down last.
    pub updated_at: UnixMillis,
}

impl Engine {
    /// Opens an ingest for writing, behind the bytes that it holds: a session under a name that the client chose, which is begun where there
    /// is none that goes on with what the claim says. One writer at a time; waits for the end of a writer that was dropped.
    ///
    /// # Errors
    /// [`EngineError::UploadBusy`]; [`EngineError::NoSpace`], [`EngineError::Poisoned`], [`EngineError::Overloaded`], [`EngineError::Io`].
    pub async fn open_ingest(
        &self,
        repository: &RepositoryName,
        claim: &IngestClaim,
    ) -> Result<(IngestStatus, UploadWriter), EngineError> {
        open(self.store(), repository, claim).await
    }

    /// The id of the session that takes the bytes of a name.
    pub fn ingest_id(repository: &RepositoryName, reference: &str) -> UploadId {
        id_of(repository, reference)
    }

    /// Where an ingest stands; while somebody writes to it, what that writer has received.
    ///
    /// # Errors
    /// [`EngineError::UploadUnknown`], also where it has expired.
    pub async fn ingest_status(
        &self,
        repository: &RepositoryName,
        id: &UploadId,
    ) -> Result<IngestStatus, EngineError> {
        status_of(self.store(), repository, id).await
    }

    /// Gives the ingest of a name up, with its session. One that is being written to goes when its writer notices.
    ///
    /// # Errors
    /// [`EngineError::UploadUnknown`]; [`EngineError::Poisoned`].
    pub async fn abort_ingest(
        &self,
        repository: &RepositoryName,
        reference: &str,
    ) -> Result<(), EngineError> {
        abort(self.store(), repository, reference).await
    }
}

/// The id of the session that takes the bytes of a name.
fn id_of(repository: &RepositoryName, reference: &str) -> UploadId {
    // No repository's name contains the byte between them.
    let name = [repository.as_str(), "\0", reference].concat();
    let hash = Hasher::digest(Algorithm::Sha256, name.as_bytes());
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(hash.as_bytes()) {
        *to = *from;
    }
    UploadId::from_name(id)
}

/// Opens the ingest of a name for writing, behind the bytes that it holds, or begins it. Waits for the end of a writer that was dropped.
async fn open(
    store: &Arc<Store>,
    repository: &RepositoryName,
    claim: &IngestClaim,
) -> Result<(IngestStatus, UploadWriter), EngineError> {
    store.gate.admit()?;
    let id = id_of(repository, &claim.reference);
    loop {
        let hold = match store.sessions.take(&id).await {
            Taken::Free(hold) => hold,
            Taken::Busy(offset) => return Err(EngineError::UploadBusy { offset }),
            Taken::Cancelled => return Err(EngineError::UploadBusy { offset: 0 }),
        };
        let (view, now) = (store.view()?, store.now());
        let session = view.upload(&id)?;
        match (view.ingest(repository, &id)?, session) {
            (Some(record), Some(session)) if goes_on(&record, &session, claim, now) => {
                let status = state(store, record, &session, session.offset);
                match resume_held(store, hold, session).await {
                    // Its bytes were lost, and so it was removed.
                    Err(EngineError::UploadUnknown) => {}
                    outcome => return outcome.map(|writer| (status, writer)),
                }
            }
            (_, Some(session)) => remove_held(store, hold, &session).await?,
            (_, None) => {
                let record = IngestRecord {
                    started_at: claim.started_at.unwrap_or(now),
                    total: claim.total,
                    expected: claim.expected,
                    reference: claim.reference.clone(),
                };
                let algorithm = claim.expected.map_or(Algorithm::Sha256, |digest| digest.algorithm());
                let session = empty(store, repository, algorithm, now);
                let mut batch = Batch::new(now);
                batch.put_ingest(&id, &record, &session);
                batch.set_unsynced();
                store.commit(batch).await?;
                store.counters.sessions_started.add(1);
                let hint = (claim.total > 0).then_some(claim.total);
                let mut upload = Upload::new(store, algorithm, hint, Vec::new());
                let status = state(store, record, &session, 0);
                upload.belongs_to(hold, session);
                return Ok((status, UploadWriter::new(upload)));
            }
        }
    }
}

/// Whether an ingest can be gone on with.
fn goes_on(record: &IngestRecord, session: &UploadRecord, claim: &IngestClaim, now: UnixMillis) -> bool {
    let is_same = record.reference == claim.reference;
    let fits = record.total == 0 || claim.total == 0 || record.total == claim.total;
    is_same && fits && session.expires_at > now
}

fn state(store: &Store, record: IngestRecord, session: &UploadRecord, offset: u64) -> IngestStatus {
    // Each state of a session that is written down says when it expires, and that by when it was written.
    let updated_at = session.expires_at.before(store.config.upload_expiry).max(record.started_at);
    IngestStatus { record, offset, updated_at }
}

/// Where the ingest of a session stands: what its writer has received while there is one.
async fn status_of(
    store: &Arc<Store>,
    repository: &RepositoryName,
    id: &UploadId,
) -> Result<IngestStatus, EngineError> {
    let UploadStatus { offset, .. } = status(store, repository, id).await?;
    let view = store.view()?;
    let (Some(record), Some(session)) = (view.ingest(repository, id)?, view.upload(id)?) else {
        return Err(EngineError::UploadUnknown);
    };
    Ok(state(store, record, &session, offset))
}

/// Gives the ingest of a name up. One that is being written to goes when its writer notices.
async fn abort(store: &Arc<Store>, repository: &RepositoryName, reference: &str) -> Result<(), EngineError> {
    cancel(store, repository, &id_of(repository, reference)).await
}
