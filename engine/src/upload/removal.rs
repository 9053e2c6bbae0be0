//! Giving a session up: cancelled, expired, or its bytes were not what they were said to be.
//!
//! Row first, then file: a tombstone committed with the row's removal makes sure that the file goes even if the process ends in
//! between.

use super::session::{Hold, Taken};
use super::writer::Session;
use crate::blob::{FileKey, generation::file_path};
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::limits::UPLOADS_PER_PAGE;
use crate::meta::{Batch, TombstoneItem, UploadRecord};
use crate::store::{Store, closed};
use crate::sync::lock;
use std::sync::Arc;
use strata_types::{RepositoryName, UploadId};
use tokio::sync::oneshot;

/// Removes the session of a writer that was given up. Nothing may be under way for it, and no handle on its file be left.
pub(crate) fn remove_session(
    store: &Arc<Store>,
    session: Arc<Session>,
    then: impl FnOnce(Result<(), EngineError>) + Send + 'static,
) {
    let record = lock(&session.record).clone();
    let id = *session.hold.id();
    remove_row(store, id, &record, move |outcome| {
        // The session is free before anybody is told.
        session.hold.release();
        then(outcome);
    });
}

/// Removes the row of a session that nobody writes to, and its file.
fn remove_row(
    store: &Arc<Store>,
    id: UploadId,
    record: &UploadRecord,
    then: impl FnOnce(Result<(), EngineError>) + Send + 'static,
) {
    let mut batch = Batch::new(store.now());
    batch.delete_upload(&id, record);
    let generation = record.generation;
    if let Some(generation) = generation {
        batch.put_tombstone(TombstoneItem::File { generation }, record.file_bytes);
    }
    let same = Arc::clone(store);
    store.counters.uploads_abandoned.add(1);
    store.submit(batch, move |outcome| {
        if let (Ok(_), Some(generation)) = (&outcome, generation) {
            remove_file(&same, generation);
        }
        then(outcome.map(|_| ()));
    });
}

/// Removes a file that a committed tombstone names, then the tombstone, in the background.
pub(crate) fn remove_file(store: &Arc<Store>, generation: u64) {
    store.handles.forget(FileKey::Blob(generation));
    let same = Arc::clone(store);
    let pending = store.pending.enter();
    store.files.discard(generation, true, move || {
        let mut batch = Batch::new(same.now());
        batch.delete_tombstone(TombstoneItem::File { generation });
        batch.set_unsynced();
        same.submit(batch, move |outcome| {
            if let Err(error) = outcome {
                // The next start removes it.
                tracing::debug!(path = %file_path(generation).display(), %error, "a tombstone stays");
            }
            drop(pending);
        });
    });
}

/// Cancels a session. One that is being written to is dropped when its writer notices.
pub(crate) async fn cancel(
    store: &Arc<Store>,
    repository: &RepositoryName,
    id: &UploadId,
) -> Result<(), EngineError> {
    store.gate.check()?;
    if visible(store, repository, id)?.is_none() {
        return Err(EngineError::UploadUnknown);
    }
    let hold = loop {
        match store.sessions.take(id).await {
            Taken::Free(hold) => break hold,
            Taken::Cancelled => return Err(EngineError::UploadUnknown),
            Taken::Busy(_) if store.sessions.cancel(id) => return Ok(()),
            // The writer went away between the two questions.
            Taken::Busy(_) => {}
        }
    };
    let record = visible(store, repository, id)?.ok_or(EngineError::UploadUnknown)?;
    remove_held(store, hold, &record).await
}

/// Cancels all sessions of some repositories that were begun by a moment; says how many.
pub(crate) async fn cancel_all(
    store: &Arc<Store>,
    repositories: &[RepositoryName],
    begun_by: UnixMillis,
) -> Result<u64, EngineError> {
    let (mut after, mut count) = (None, 0);
    loop {
        let page = store.view()?.uploads(after.as_ref(), UPLOADS_PER_PAGE)?;
        let full = page.len() == UPLOADS_PER_PAGE;
        after = page.last().map(|(id, _)| *id);
        let is_meant = |record: &UploadRecord| {
            record.created_at <= begun_by && repositories.contains(&record.repository)
        };
        for (id, record) in page.iter().filter(|(_, record)| is_meant(record)) {
            match cancel(store, &record.repository, id).await {
                Ok(()) => count += 1,
                // It came to its end meanwhile.
                Err(EngineError::UploadUnknown) => {}
                Err(error) => return Err(error),
            }
        }
        if !full {
            return Ok(count);
        }
    }
}

/// Removes all sessions that have expired and that nobody writes to; says how many, and how many bytes they held.
pub(crate) async fn expire(store: &Arc<Store>) -> Result<(u64, u64), EngineError> {
    store.gate.check()?;
    let mut after = None;
    let (mut count, mut bytes) = (0, 0);
    loop {
        let page = store.view()?.uploads(after.as_ref(), UPLOADS_PER_PAGE)?;
        let full = page.len() == UPLOADS_PER_PAGE;
        after = page.last().map(|(id, _)| *id);
        for (id, record) in page {
            if record.expires_at > store.now() {
                continue;
            }
            // A busy one is alive, whatever its row says.
            let Taken::Free(hold) = store.sessions.take(&id).await else { continue };
            // It may have been written to between the page and here.
            let Some(record) = store.view()?.upload(&id)? else { continue };
            if record.expires_at <= store.now() {
                remove_held(store, hold, &record).await?;
                count += 1;
                bytes += record.offset;
            }
        }
        if !full {
            return Ok((count, bytes));
        }
    }
}

pub(crate) async fn remove_held(
    store: &Arc<Store>,
    hold: Hold,
    record: &UploadRecord,
) -> Result<(), EngineError> {
    let (sender, receiver) = oneshot::channel();
    let pending = store.pending.enter();
    let id = *hold.id();
    hold.settle();
    remove_row(store, id, record, move |outcome| {
        drop(hold);
        drop(sender.send(outcome));
        drop(pending);
    });
    receiver.await.unwrap_or_else(|_| Err(closed()))
}

/// The row of a session, if it is that of `repository` and has not expired.
pub(crate) fn visible(
    store: &Store,
    repository: &RepositoryName,
    id: &UploadId,
) -> Result<Option<UploadRecord>, EngineError> {
    let record = store.view()?.upload(id)?;
    Ok(record.filter(|record| record.repository == *repository && record.expires_at > store.now()))
}
