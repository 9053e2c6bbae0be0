//! Leases, the queue of garbage collection, tombstones.

use super::View;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::key::{self, Key, table};
use crate::meta::record::{
    GcItem, LeaseId, LeaseRecord, Presence, SCRUB, ScrubRecord, SinceRecord, TombstoneItem, TombstoneRecord,
};
use strata_types::Digest;

/// An entry of the queue as it is listed: when it was queued, and what.
pub type Queued = (UnixMillis, GcItem);

/// A lease as it is listed: on what, its id, until when.
pub type Lease = (Digest, LeaseId, UnixMillis);

#[expect(clippy::missing_errors_doc, reason = "all return what MetaView::get documents")]
impl View {
    /// Where the scrub stands; `None` before its first round.
    pub fn scrub(&self) -> Result<Option<ScrubRecord>, EngineError> {
        self.record(&key::reserved(table::JOB, SCRUB.as_bytes()))
    }

    /// A lease.
    pub fn lease(&self, digest: &Digest, id: LeaseId) -> Result<Option<LeaseRecord>, EngineError> {
        self.record(&key::lease(digest, id))
    }

    /// Whether a lease keeps the digest alive at `now`.
    pub fn leased(&self, digest: &Digest, now: UnixMillis) -> Result<bool, EngineError> {
        const PAGE: usize = 64;
        let prefix = key::leases(digest);
        let mut after = None;
        loop {
            let rows = self.raw_page(&prefix, after.as_deref(), PAGE)?;
            let full = rows.len() == PAGE;
            for (key, value) in rows {
                use crate::meta::record::Record;
                if LeaseRecord::decode(value)?.expires_at > now {
                    return Ok(true);
                }
                after = Some(key);
            }
            if !full {
                return Ok(false);
            }
        }
    }

    /// All leases, in the order of digests and ids.
    pub fn leases(&self, after: Option<(&Digest, LeaseId)>, limit: usize) -> Result<Vec<Lease>, EngineError> {
        let after = after.map(|(digest, id)| key::lease(digest, id));
        self.page(&key::whole(table::LEASE), after.as_deref(), limit, |key, record: LeaseRecord| match key {
            Key::Lease { digest, id } => Some((digest, id, record.expires_at)),
            _ => None,
        })
    }

    /// Leases that have run out by `now`, at most `limit`. Looks at all leases until it has so many.
    pub fn expired_leases(&self, now: UnixMillis, limit: usize) -> Result<Vec<Lease>, EngineError> {
        const PAGE: usize = 256;
        let mut expired = Vec::new();
        let mut after: Option<(Digest, LeaseId)> = None;
        loop {
            let page = self.leases(after.as_ref().map(|(digest, id)| (digest, *id)), PAGE)?;
            after = page.last().map(|(digest, id, _)| (*digest, *id));
            let full = page.len() == PAGE;
            let room = limit - expired.len();
            expired.extend(page.into_iter().filter(|(_, _, expires_at)| *expires_at <= now).take(room));
            if !full || expired.len() == limit {
                return Ok(expired);
            }
        }
    }

    /// What is queued for garbage collection, by kind, oldest first, with the time it was queued.
    pub fn gc_queue(
        &self,
        after: Option<&(UnixMillis, GcItem)>,
        limit: usize,
    ) -> Result<Vec<Queued>, EngineError> {
        let mut queued = Vec::new();
        for kind in [key::GC_LINK, key::GC_MANIFEST, key::GC_BLOB, key::GC_MANIFEST_BYTES] {
            queued.extend(self.gc_queue_of(kind, after, limit - queued.len())?);
        }
        Ok(queued)
    }

    /// What of one kind (its code) is queued for garbage collection, oldest first, with the time it was queued.
    pub fn gc_queue_of(
        &self,
        kind: u8,
        after: Option<&Queued>,
        limit: usize,
    ) -> Result<Vec<Queued>, EngineError> {
        let after = after.map(|(at, item)| key::gc(*at, item));
        let prefix = key::gc_kind(kind);
        // Behind the last entry of this kind, a list of all goes on with the next one.
        if after.as_ref().is_some_and(|after| **after > *prefix && !after.starts_with(&prefix)) {
            return Ok(Vec::new());
        }
        self.page(&prefix, after.as_deref(), limit, |key, _: Presence| match key {
            Key::Gc { at, item } => Some((at, item)),
            _ => None,
        })
    }

    /// Whether there is this entry.
    pub fn is_queued(&self, at: UnixMillis, item: &GcItem) -> Result<bool, EngineError> {
        self.holds(&key::gc(at, item))
    }

    /// What a store of format 1 had queued and was not looked at since.
    pub fn gc_queue_format_1(&self, limit: usize) -> Result<Vec<Queued>, EngineError> {
        self.page(&key::gc_format_1_all(), None, limit, |key, _: Presence| match key {
            Key::GcFormat1 { at, item } => Some((at, item)),
            _ => None,
        })
    }

    /// Since when an item is queued, where that is written down.
    pub fn gc_since(&self, item: &GcItem) -> Result<Option<SinceRecord>, EngineError> {
        self.record(&key::gc_since(item))
    }

    /// Stored bytes that wait to be removed.
    pub fn tombstones(
        &self,
        after: Option<TombstoneItem>,
        limit: usize,
    ) -> Result<Vec<(TombstoneItem, TombstoneRecord)>, EngineError> {
        let after = after.map(key::tombstone);
        self.page(&key::whole(table::TOMBSTONE), after.as_deref(), limit, |key, record| match key {
            Key::Tombstone { item } => Some((item, record)),
            _ => None,
        })
    }
}
