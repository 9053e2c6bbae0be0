//! The store's own facts: format version, identity, watermark. Written when a store is made, read at every open.

use super::batch::{Batch, Expectation};
use super::key;
use super::record::{FormatRecord, Record, SettledRecord, StoreIdRecord};
use super::store::MetaStore;
use super::usage::recount;
use super::view::View;
use crate::clock::UnixMillis;
use crate::entropy::Entropy;
use crate::error::EngineError;
use std::sync::mpsc;

/// The version of the format that this program writes and reads.
pub const FORMAT_VERSION: u32 = 4;
/// The oldest version that this program reads, and makes its own when it opens a store. What differs is in `docs/format.md`: rows of
/// earlier versions mean the same today.
const FORMAT_VERSION_MIN: u32 = 1;

/// The first version that keeps what registries use.
pub(crate) const USAGE_SINCE: u32 = 3;

/// Names of the facts, behind `!`.
pub(crate) const FORMAT: &str = "format";
pub(crate) const LOG_BEGINS: &str = "log-begins";
pub(crate) const SETTLED: &str = "settled";
pub(crate) const STORE_ID: &str = "store-id";

/// What a store says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreIdentity {
    /// The random number that tells it from others.
    pub store_id: [u8; 16],
    /// Its format version.
    pub format_version: u32,
}

/// Reads the identity of a store; a store without any row is given one, one of an older format becomes one of this format.
///
/// # Errors
/// [`EngineError::FormatVersion`] where it is another version's, [`EngineError::Corrupt`] where the rows are missing or
/// wrong although there are others, [`EngineError::ReadOnly`] where an empty store may not be written.
pub fn prepare(
    store: &dyn MetaStore,
    entropy: &dyn Entropy,
    now: UnixMillis,
) -> Result<StoreIdentity, EngineError> {
    let view = View::new(store.view()?);
    if let Some(identity) = identity(&view)? {
        if identity.format_version < USAGE_SINCE {
            recount(store, now)?;
        }
        if identity.format_version != FORMAT_VERSION {
            let mut batch = Batch::new(now);
            batch.put(key::meta(FORMAT), FormatRecord { version: FORMAT_VERSION }.encode());
            commit(store, batch)?;
        }
        return Ok(StoreIdentity { format_version: FORMAT_VERSION, ..identity });
    }
    let mut store_id = [0; 16];
    entropy.fill(&mut store_id)?;
    let mut batch = Batch::new(now);
    batch.expect(Expectation::PrefixEmpty(bytes::Bytes::new()));
    batch.put(key::meta(FORMAT), FormatRecord { version: FORMAT_VERSION }.encode());
    batch.put(key::meta(STORE_ID), StoreIdRecord(store_id).encode());
    batch.put(key::meta(SETTLED), SettledRecord { generation: 0 }.encode());
    commit(store, batch)?;
    Ok(StoreIdentity { store_id, format_version: FORMAT_VERSION })
}

/// The identity of a store; `None` where it has no row at all.
///
/// # Errors
/// As [`prepare`].
pub fn identity(view: &View) -> Result<Option<StoreIdentity>, EngineError> {
    let Some(format) = view.raw(&key::meta(FORMAT))? else {
        return if view.is_empty()? {
            Ok(None)
        } else {
            Err(EngineError::corrupt("the metadata store has rows, but none that names its format version"))
        };
    };
    let found = FormatRecord::decode(format)?.version;
    if !(FORMAT_VERSION_MIN..=FORMAT_VERSION).contains(&found) {
        return Err(EngineError::FormatVersion { found, supported: FORMAT_VERSION });
    }
    let store_id = view.raw(&key::meta(STORE_ID))?;
    let store_id = store_id.ok_or_else(|| EngineError::corrupt("the metadata store has no store id"))?;
    Ok(Some(StoreIdentity { store_id: StoreIdRecord::decode(store_id)?.0, format_version: found }))
}

/// Refuses a store that opening would [turn](prepare) into one of another format.
///
/// # Errors
/// [`EngineError::FormatOld`]; as [`prepare`].
pub(crate) fn refuse_old(view: &View) -> Result<(), EngineError> {
    match identity(view)? {
        Some(StoreIdentity { format_version: found, .. }) if found != FORMAT_VERSION => {
            Err(EngineError::FormatOld { found, current: FORMAT_VERSION })
        }
        _ => Ok(()),
    }
}

/// Submits a batch and waits. For opening, closing and tools; requests use the engine's async commit.
///
/// # Errors
/// The batch's answer.
pub fn commit(store: &dyn MetaStore, batch: Batch) -> Result<super::Committed, EngineError> {
    let (answer, answered) = mpsc::sync_channel(1);
    store.submit(
        batch,
        Box::new(move |outcome| {
            // The receiver waits below; it cannot be gone.
            let _ = answer.send(outcome);
        }),
    );
    answered.recv().unwrap_or_else(|_| Err(EngineError::poisoned("the commit queue dropped a batch")))
}
