//! Beginning an upload, and coming back to one.

use super::checkpoint;
use super::removal::visible;
use super::session::{Hold, Taken};
use super::writer::{Upload, UploadWriter};
use super::{UploadStatus, removal};
use crate::blob::{NewFile, checksum_part};
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::ingest::Hasher;
use crate::limits::{BUFFER_BYTES, CHECKSUM_BLOCK_BYTES};
use crate::meta::{Batch, UploadRecord};
use crate::store::{Store, closed};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use strata_types::{Algorithm, RepositoryName, UploadId};
use tokio::sync::oneshot;

/// Starts a session.
pub(crate) async fn start_session(
    store: &Arc<Store>,
    repository: &RepositoryName,
    algorithm: Algorithm,
) -> Result<UploadStatus, EngineError> {
    store.gate.admit()?;
    let mut random = [0; 16];
    store.entropy.fill(&mut random)?;
    let id = UploadId::from_random(random);
    let now = store.now();
    let record = empty(store, repository, algorithm, now);
    let mut batch = Batch::new(now);
    batch.put_upload(&id, &record);
    batch.set_unsynced();
    store.commit(batch).await?;
    store.counters.sessions_started.add(1);
    Ok(UploadStatus { id, offset: 0, algorithm })
}

/// The record of a session that holds nothing.
pub(super) fn empty(
    store: &Store,
    repository: &RepositoryName,
    algorithm: Algorithm,
    now: UnixMillis,
) -> UploadRecord {
    UploadRecord {
        repository: repository.clone(),
        algorithm,
        offset: 0,
        hash: Hasher::no_state(),
        checksum: Bytes::from_static(&[0; 8]),
        generation: None,
        file_bytes: 0,
        tail: Bytes::new(),
        created_at: now,
        expires_at: now.after(store.config.upload_expiry),
    }
}

/// What a session holds: its writer's count while there is one, else what its row says.
pub(crate) async fn status(
    store: &Arc<Store>,
    repository: &RepositoryName,
    id: &UploadId,
) -> Result<UploadStatus, EngineError> {
    let live = store.sessions.offset(id).await?;
    let record = visible(store, repository, id)?.ok_or(EngineError::UploadUnknown)?;
    Ok(UploadStatus { id: *id, offset: live.unwrap_or(record.offset), algorithm: record.algorithm })
}

/// A writer that lives within one request.
pub(crate) fn ingest(
    store: &Arc<Store>,
    algorithm: Algorithm,
    size_hint: Option<u64>,
) -> Result<UploadWriter, EngineError> {
    store.gate.admit()?;
    Ok(UploadWriter::new(Upload::new(store, algorithm, size_hint, Vec::new())))
}

/// Opens a session for writing.
pub(crate) async fn resume(
    store: &Arc<Store>,
    repository: &RepositoryName,
    id: &UploadId,
) -> Result<UploadWriter, EngineError> {
    store.gate.admit()?;
    let taken = store.sessions.take(id).await;
    // One look at the row, which may weigh 64 KiB. Before anything is said: a stranger to the session must not learn whether
    // somebody writes to it.
    let record = visible(store, repository, id)?.ok_or(EngineError::UploadUnknown)?;
    let hold = match taken {
        Taken::Free(hold) => hold,
        Taken::Busy(offset) => return Err(EngineError::UploadBusy { offset }),
        Taken::Cancelled => return Err(EngineError::UploadUnknown),
    };
    resume_held(store, hold, record).await
}

/// Opens a session for writing that is taken already, and whose row this is.
pub(super) async fn resume_held(
    store: &Arc<Store>,
    hold: Hold,
    record: UploadRecord,
) -> Result<UploadWriter, EngineError> {
    let mut upload = Upload::new(store, record.algorithm, None, record.tail.to_vec());
    let Some(generation) = record.generation else {
        upload.belongs_to(hold, record);
        return Ok(UploadWriter::new(upload));
    };
    let (sender, receiver) = oneshot::channel();
    let (same, row, pending) = (Arc::clone(store), record.clone(), store.pending.enter());
    // RACE: the job keeps the session, so that no other writer is let in while it may still cut the file, also where nobody waits
    // for it any more: then only `pending` tells that it goes on.
    store.writers.run(move || {
        let reopened = reopen(&same, generation, &row);
        drop(sender.send((hold, reopened)));
        drop(pending);
    });
    let (hold, reopened) = receiver.await.map_err(|_| closed())?;
    match reopened {
        Ok(reopened) => {
            upload.continue_in(reopened, record.file_bytes);
            upload.belongs_to(hold, record);
            Ok(UploadWriter::new(upload))
        }
        Err(error) => {
            drop(upload);
            Err(give_up_if_lost(store, hold, &record, error).await)
        }
    }
}

/// A session's file, opened again.
pub(crate) struct Reopened {
    pub(crate) file: NewFile,
    /// The hash over the bytes before the tail.
    pub(crate) hasher: Hasher,
    /// The checksum of those bytes.
    pub(crate) checksum: u64,
    /// How many bytes of it are durable, the tail's included.
    pub(crate) durable: u64,
}

/// Opens the file of a session and continues its hash.
fn reopen(store: &Arc<Store>, generation: u64, record: &UploadRecord) -> Result<Reopened, EngineError> {
    let file = store.files.reopen(generation)?;
    let len = file.len()?;
    if len < record.file_bytes || !record.file_bytes.is_multiple_of(CHECKSUM_BLOCK_BYTES as u64) {
        let expected = record.file_bytes;
        return Err(EngineError::corrupt(format!(
            "the file of a session holds {len} bytes instead of {expected}"
        )));
    }
    // What a failed request left behind the last good state.
    let was_cut = file.cut(record.offset)?;
    let (hasher, checksum) = match checkpoint::continued(record) {
        Some(continued) => continued,
        None => hash_again(&file, record)?,
    };
    // A file that reaches as far as the tail holds the tail: every writer writes the same bytes there, and the first one synced
    // them before it wrote the row.
    let durable = match len >= record.offset {
        // DURABILITY: the cut is not, so whatever follows syncs the file.
        true if was_cut => 0,
        true => record.offset,
        false => record.file_bytes,
    };
    Ok(Reopened { file, hasher, checksum, durable })
}

fn hash_again(file: &NewFile, record: &UploadRecord) -> Result<(Hasher, u64), EngineError> {
    let mut hasher = Hasher::new(record.algorithm);
    let (mut checksum, mut offset) = (0_u64, 0);
    read_all(file, record.file_bytes, |part| {
        hasher.update(part);
        checksum = checksum.wrapping_add(checksum_part(part, offset));
        offset += part.len() as u64;
    })?;
    Ok((hasher, checksum))
}

/// Reads the first `len` bytes of a file, piece by piece.
pub(crate) fn read_all(file: &NewFile, len: u64, mut take: impl FnMut(&[u8])) -> Result<(), EngineError> {
    let mut buffer = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(BUFFER_BYTES)];
    let mut offset = 0;
    while offset < len {
        let count = usize::try_from(len - offset).unwrap_or(usize::MAX).min(buffer.len());
        let part = buffer.get_mut(..count).unwrap_or_default();
        file.read(part, offset)?;
        take(part);
        offset += count as u64;
    }
    Ok(())
}

/// A session whose file is gone or too short (somebody removed it) can never be finished: it is removed, and the client starts
/// anew. Any other failure leaves it.
async fn give_up_if_lost(
    store: &Arc<Store>,
    hold: Hold,
    record: &UploadRecord,
    error: EngineError,
) -> EngineError {
    let lost = match &error {
        EngineError::Corrupt { .. } => true,
        EngineError::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
        _ => false,
    };
    if !lost {
        return error;
    }
    tracing::error!(session = %hold.id(), %error, "the bytes of an upload session are gone; the session is dropped");
    match removal::remove_held(store, hold, record).await {
        Ok(()) => EngineError::UploadUnknown,
        Err(error) => error,
    }
}
