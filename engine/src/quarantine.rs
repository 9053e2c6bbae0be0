//! Blobs whose stored bytes are bad: never served, never removed by themselves, healed by good bytes.
//!
//! Found by a read on the spot (here), by [`crate::scrub`], or by a verified read. The row says it, so that it holds for every
//! reader from the commit on, after restarts too; what answers from memory rests on that row and falls with it.

use crate::Engine;
use crate::blob::{self, BlobBody, FileKey, Unopened};
use crate::error::EngineError;
use crate::limits::PAGE_ROWS;
use crate::meta::{Batch, BlobRecord, Committed, Damage, Placement, StoredBlob};
use crate::scrub::{Measure, Reading, Verdict, judge, judge_file, unreadable};
use crate::store::Store;
use crate::upload::remove_file;
use std::sync::Arc;
use strata_types::Digest;

/// What another look at a blob came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rechecked {
    /// It was in service and is sound.
    Sound,
    /// It was in quarantine and is sound: it is back in service.
    Released,
    /// Its bytes are bad: it is in quarantine, from now on or still.
    Damaged {
        /// What was found.
        damage: Damage,
        /// In words.
        what: String,
    },
    /// The device refuses to read it; it stays what it was.
    Unreadable {
        /// What the device says.
        why: String,
    },
}

impl Engine {
    /// Blobs in quarantine, in the order of digests, behind `after`.
    ///
    /// # Errors
    /// Errors of the view.
    pub fn quarantined(
        &self,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, StoredBlob)>, EngineError> {
        let view = self.view()?;
        let digests = view.quarantined(after, limit)?;
        let rows = digests.into_iter().map(|digest| Ok((digest, view.stored_blob(&digest)?)));
        rows.filter_map(|row: Result<_, EngineError>| match row {
            Ok((digest, Some(stored))) => Some(Ok((digest, stored))),
            Ok((_, None)) => None,
            Err(error) => Some(Err(error)),
        })
        .collect()
    }

    /// Reads a blob, in quarantine or not, judges it by its digest, and puts it where it belongs; `None` where the store does not
    /// have it.
    ///
    /// # Errors
    /// [`EngineError::NoSpace`], [`EngineError::Poisoned`], [`EngineError::Overloaded`].
    pub async fn recheck_blob(&self, digest: &Digest) -> Result<Option<Rechecked>, EngineError> {
        recheck(self.store(), digest).await
    }

    /// Gives up a blob in quarantine: its bytes, its row and its links in all repositories go; manifests that hold it stay. `false`: it
    /// is not in quarantine.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`], [`EngineError::Overloaded`]; [`EngineError::TooLarge`] where more repositories link it than one
    /// commit takes.
    pub async fn discard_blob(&self, digest: &Digest) -> Result<bool, EngineError> {
        discard(self.store(), digest).await
    }
}

/// Opens a blob; `None` where the store does not have it or it is in quarantine, which it is put into here where its bytes turn out
/// to be bad.
///
/// # Errors
/// [`EngineError::Corrupt`] where the bytes are bad and that could not be written down; [`EngineError::Io`].
pub(crate) async fn open_blob(store: &Arc<Store>, digest: &Digest) -> Result<Option<BlobBody>, EngineError> {
    Ok(open(store, digest).await?.map(|(_, body)| body))
}

/// Opens a blob, and returns the row that it was opened by.
async fn open(store: &Arc<Store>, digest: &Digest) -> Result<Option<(BlobRecord, BlobBody)>, EngineError> {
    let mut seen = store.view()?.blob(digest)?;
    loop {
        let Some(record) = seen else { return Ok(None) };
        let (damage, what) = match blob::open(digest, &record, &store.handles, &store.reader).await {
            Ok(body) => return Ok(Some((record, body))),
            Err(Unopened::Failed(error)) => return Err(error),
            Err(Unopened::Damaged(damage, what)) => (damage, what),
        };
        // RACE: a blob that was removed or moved between the look at its row and the open is not damaged.
        if store.view()?.blob(digest)? == seen {
            condemn(store, digest, &record, damage, &what).await?;
        }
        seen = store.view()?.blob(digest)?;
    }
}

/// Puts a blob into quarantine that a read found to be bad. Whoever was faster may have moved it, healed it, or put it there too.
async fn condemn(
    store: &Arc<Store>,
    digest: &Digest,
    record: &BlobRecord,
    damage: Damage,
    what: &str,
) -> Result<(), EngineError> {
    store.counters.corruptions.add(1);
    match put(store, digest, record, damage, what).await {
        Ok(()) | Err(EngineError::Conflict) => Ok(()),
        Err(error) => {
            tracing::error!(%digest, what, %error, "a stored blob is damaged, and that could not be written down");
            Err(EngineError::corrupt(format!("blob {digest}: {what}")))
        }
    }
}

/// As [`open_blob`], and verifies a large blob as a whole where the settings say so: from its first to its last byte, before anything
/// of it is given away.
///
/// # Errors
/// As [`open_blob`].
pub(crate) async fn read_blob(store: &Arc<Store>, digest: &Digest) -> Result<Option<BlobBody>, EngineError> {
    while let Some((record, body)) = open(store, digest).await? {
        let BlobBody::File(file) = &body else { return Ok(Some(body)) };
        if !store.config.verify_on_read.wants(store.counters.large_reads.next()) {
            return Ok(Some(body));
        }
        let (open, name) = (file.handle(), *digest);
        let work = move || judge_file(&*open, &name, &record, Measure::Checksum, Reading::Kept);
        let verdict = store.reader.wait(work).await.unwrap_or_else(unreadable);
        store.counters.reads_verified.add(1);
        match verdict {
            Verdict::Sound => return Ok(Some(body)),
            Verdict::Unreadable(error) => return Err(EngineError::io(format!("blob {digest}"), error)),
            Verdict::Damaged(damage, what) => condemn(store, digest, &record, damage, &what).await?,
        }
    }
    Ok(None)
}

/// Puts a blob into quarantine, if its row is still `record`.
///
/// # Errors
/// [`EngineError::Conflict`] where the row has changed; [`EngineError::Poisoned`], [`EngineError::NoSpace`], [`EngineError::Closed`].
pub(crate) async fn put(
    store: &Arc<Store>,
    digest: &Digest,
    record: &BlobRecord,
    damage: Damage,
    what: &str,
) -> Result<(), EngineError> {
    store.gate.admit_release()?;
    let outcome = store.commit(batch(store, digest, record, damage)).await;
    committed(store, digest, record, what, outcome)
}

/// As [`put`], for a thread of the engine's own. Blocks.
///
/// # Errors
/// As [`put`].
pub(crate) fn put_now(
    store: &Arc<Store>,
    digest: &Digest,
    record: &BlobRecord,
    damage: Damage,
    what: &str,
) -> Result<(), EngineError> {
    store.gate.admit_release()?;
    let outcome = store.commit_all([batch(store, digest, record, damage)]).pop();
    committed(store, digest, record, what, outcome.unwrap_or(Err(EngineError::Closed)))
}

fn batch(store: &Store, digest: &Digest, record: &BlobRecord, damage: Damage) -> Batch {
    let mut batch = Batch::new(store.now());
    batch.quarantine_blob(digest, record, damage);
    batch
}

fn committed(
    store: &Store,
    digest: &Digest,
    record: &BlobRecord,
    what: &str,
    outcome: Result<Committed, EngineError>,
) -> Result<(), EngineError> {
    outcome?;
    if let Placement::File { generation } = record.placement {
        store.handles.forget(FileKey::Blob(generation));
    }
    store.counters.blobs_quarantined.add(1);
    store.counters.quarantined.add(1);
    tracing::error!(%digest, what, "a stored blob is damaged; it is in quarantine and not served until it is pushed again");
    Ok(())
}

/// Reads a blob and judges it by its digest; `None` where the store does not have it.
///
/// # Errors
/// Those of a commit.
async fn recheck(store: &Arc<Store>, digest: &Digest) -> Result<Option<Rechecked>, EngineError> {
    loop {
        let Some(stored) = store.view()?.stored_blob(digest)? else { return Ok(None) };
        let verdict = judged(store, digest, &stored.record, Measure::Digest).await?;
        let outcome = match (verdict, stored.quarantine) {
            (Verdict::Unreadable(error), _) => {
                return Ok(Some(Rechecked::Unreadable { why: error.to_string() }));
            }
            (Verdict::Sound, None) => return Ok(Some(Rechecked::Sound)),
            (Verdict::Damaged(damage, what), Some(_)) => {
                return Ok(Some(Rechecked::Damaged { damage, what }));
            }
            (Verdict::Sound, Some(_)) => release(store, digest, &stored).await.map(|()| Rechecked::Released),
            (Verdict::Damaged(damage, what), None) => put(store, digest, &stored.record, damage, &what)
                .await
                .map(|()| Rechecked::Damaged { damage, what }),
        };
        match outcome {
            // It was moved, healed or judged by somebody else meanwhile.
            Err(EngineError::Conflict) => {}
            outcome => return outcome.map(Some),
        }
    }
}

async fn judged(
    store: &Arc<Store>,
    digest: &Digest,
    record: &BlobRecord,
    measure: Measure,
) -> Result<Verdict, EngineError> {
    let (disk, digest, record) = (Arc::clone(&store.files.disk), *digest, *record);
    let work = move || Ok(judge(&*disk, &digest, &record, measure, Reading::Kept));
    store.reader.wait(work).await.map_err(|error| EngineError::io("judging a blob", error))
}

async fn release(store: &Arc<Store>, digest: &Digest, stored: &StoredBlob) -> Result<(), EngineError> {
    store.gate.admit_release()?;
    let mut batch = Batch::new(store.now());
    batch.release_blob(digest, stored);
    store.commit(batch).await?;
    store.counters.blobs_healed.add(1);
    store.counters.quarantined.subtract(1);
    tracing::info!(%digest, "a blob was taken out of quarantine: its bytes are sound");
    Ok(())
}

/// Gives up a blob in quarantine: its bytes, its row and its links go. `false`: it is not in quarantine.
///
/// # Errors
/// Those of a commit; [`EngineError::TooLarge`] where too many repositories link it.
async fn discard(store: &Arc<Store>, digest: &Digest) -> Result<bool, EngineError> {
    store.gate.admit_release()?;
    loop {
        let view = store.view()?;
        let stored = view.stored_blob(digest)?;
        let Some(stored) = stored.filter(|stored| stored.quarantine.is_some()) else { return Ok(false) };
        let mut batch = Batch::new(store.now());
        batch.discard_blob(&view, digest, &stored)?;
        match store.commit(batch).await {
            Err(EngineError::Conflict) => {}
            outcome => {
                outcome?;
                store.counters.quarantined.subtract(1);
                if let Placement::File { generation } = stored.record.placement {
                    remove_file(store, generation);
                }
                tracing::warn!(%digest, "a blob in quarantine was discarded");
                return Ok(true);
            }
        }
    }
}

/// Counts the blobs in quarantine, when the store is opened.
///
/// # Errors
/// Errors of the view.
pub(crate) fn count(store: &Store) -> Result<(), EngineError> {
    let view = store.view()?;
    let mut after = None;
    loop {
        let page = view.quarantined(after.as_ref(), PAGE_ROWS)?;
        store.counters.quarantined.add(page.len() as u64);
        match page.last() {
            Some(last) if page.len() == PAGE_ROWS => after = Some(*last),
            _ => return Ok(()),
        }
    }
}
