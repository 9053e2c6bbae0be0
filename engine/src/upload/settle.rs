//! The end of a request that leaves its session behind, by will or because the client went away.
//!
//! Runs on the engine's threads to its end, whoever still waits for it. The session stays taken until then.

use super::checkpoint;
use super::writer::{Large, Session, Upload, is_direct};
use super::{UploadStatus, removal};
use crate::blob::NewFile;
use crate::blob::checksum_part;
use crate::disk::DIRECT_ALIGNMENT;
use crate::error::EngineError;
use crate::ingest::Hasher;
use crate::sync::lock;
use std::io::IoSlice;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Receives what the session holds in the end.
pub(crate) type Answer = Option<oneshot::Sender<Result<UploadStatus, EngineError>>>;

/// Writes the state of an upload's session, in the background, and answers.
pub(crate) fn start(upload: Box<Upload>, answer: Answer) {
    if let Some(session) = &upload.session {
        session.hold.settle();
    }
    let pending = upload.store.pending.enter();
    let flow = Arc::clone(&upload.flow);
    flow.when_idle(move || {
        let threads = Arc::clone(&upload.store.writers);
        threads.run(move || {
            let _pending = pending;
            settle(*upload, answer);
        });
    });
}

fn settle(mut upload: Upload, answer: Answer) {
    let Some(session) = upload.session.take() else {
        return tell(answer, Err(EngineError::UploadUnknown));
    };
    let (store, offset) = (Arc::clone(&upload.store), upload.offset);
    let pending = store.pending.enter();
    if session.hold.is_cancelled() {
        drop(upload);
        return removal::remove_session(&store, session, move |_| {
            tell(answer, Err(EngineError::UploadUnknown));
            drop(pending);
        });
    }
    // A request that brought nothing leaves the row as it is, but for its expiry.
    let prepared = upload.flow.check().and_then(|()| prepare(&mut upload, &session));
    let (record, file) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            fall_back(&session, upload.large.as_ref().map(|large| &*large.file));
            drop(upload);
            session.hold.release();
            return tell(answer, Err(error));
        }
    };
    drop(upload);
    let held = Arc::clone(&session);
    checkpoint::commit(&store, &session, file, record, move |outcome| {
        let id = *held.hold.id();
        // The session is free before anybody is told.
        held.hold.release();
        tell(answer, outcome.map(|record| UploadStatus { id, offset, algorithm: record.algorithm }));
        drop(pending);
    });
}

type Prepared = (crate::meta::UploadRecord, Option<Arc<NewFile>>);

/// Makes durable what the upload has, and says so in a record.
fn prepare(upload: &mut Upload, session: &Session) -> Result<Prepared, EngineError> {
    let tail = std::mem::take(&mut upload.tail);
    let Some(large) = &mut upload.large else {
        return Ok((session.record_at(&upload.store, None, tail, (Hasher::no_state(), 0)), None));
    };
    let rest = write_rest(large, &tail, upload.size_hint)?;
    sync(large, upload.offset)?;
    let hash = large.lane.with(|hasher| {
        hasher.update(rest.aligned());
        hasher.export()
    });
    let hash = hash.ok_or_else(crate::store::closed)?;
    let checksum = large.stretch.checksum().wrapping_add(checksum_part(rest.aligned(), large.sent));
    let file_bytes = large.sent + rest.aligned().len() as u64;
    let record = session.record_at(
        &upload.store,
        Some((&large.file, file_bytes)),
        rest.tail().to_vec(),
        (hash, checksum),
    );
    Ok((record, Some(Arc::clone(&large.file))))
}

/// The bytes that were not sent off: those of the buffer, or the tail.
pub(crate) struct Rest {
    bytes: RestBytes,
    aligned: usize,
}

enum RestBytes {
    Buffer(crate::ingest::Buffer),
    Tail(Vec<u8>),
}

impl Rest {
    pub(crate) fn all(&self) -> &[u8] {
        match &self.bytes {
            RestBytes::Buffer(buffer) => buffer.filled(),
            RestBytes::Tail(tail) => tail,
        }
    }

    /// The whole blocks at the front.
    pub(crate) fn aligned(&self) -> &[u8] {
        self.all().get(..self.aligned).unwrap_or_default()
    }

    fn tail(&self) -> &[u8] {
        self.all().get(self.aligned..).unwrap_or_default()
    }
}

/// Writes all bytes that were not sent off, also those behind the last whole block (the next writer writes the same bytes
/// again), and returns them. Nothing must be under way. Hashes nothing.
pub(crate) fn write_rest(
    large: &mut Large,
    tail: &[u8],
    size_hint: Option<u64>,
) -> Result<Rest, EngineError> {
    let bytes = match large.buffer.take() {
        Some(buffer) => RestBytes::Buffer(buffer),
        None => RestBytes::Tail(tail.to_vec()),
    };
    let mut rest = Rest { bytes, aligned: 0 };
    rest.aligned = rest.all().len() - rest.all().len() % DIRECT_ALIGNMENT;
    if large.sent + rest.all().len() as u64 > large.durable {
        large.file.write(&mut [IoSlice::new(rest.all())], large.sent, is_direct(large.sent, size_hint))?;
    }
    Ok(rest)
}

/// Makes the first `offset` bytes of the file durable, if they are not yet.
pub(crate) fn sync(large: &mut Large, offset: u64) -> Result<(), EngineError> {
    if offset > large.durable {
        large.file.sync()?;
        large.durable = offset;
    }
    Ok(())
}

/// After a failure the session is what its row says; what came behind that is cut off, to give the space back.
pub(crate) fn fall_back(session: &Session, file: Option<&NewFile>) {
    let Some(file) = file.filter(|file| file.is_named()) else { return };
    let durable = lock(&session.record).offset;
    if let Err(error) = file.cut(durable) {
        // The next writer cuts it again.
        tracing::warn!(session = %session.hold.id(), %error, "the file of a failed upload was not cut back");
    }
}

fn tell(answer: Answer, outcome: Result<UploadStatus, EngineError>) {
    if let Some(answer) = answer {
        // Whoever asked may be gone.
        drop(answer.send(outcome));
    }
}
