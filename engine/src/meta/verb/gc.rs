//! Rows for garbage collection: its queue, leases, tombstones.

use crate::clock::UnixMillis;
use crate::meta::batch::{Batch, Expectation};
use crate::meta::key::{self, table};
use crate::meta::record::{
    GcItem, LeaseId, LeaseRecord, Presence, Record, SCRUB, ScrubRecord, SinceRecord, TombstoneItem,
    TombstoneRecord,
};
use bytes::Bytes;
use strata_types::Digest;

/// Whether a row says since when such an item is queued. The row of a link does that itself; a blob waits for nothing.
const fn has_since(item: &GcItem) -> bool {
    matches!(item, GcItem::Manifest { .. } | GcItem::ManifestBytes { .. })
}

impl Batch {
    /// Asks the sweeper to look at something: it may have become garbage. Whatever is garbage has an entry, of whatever time; an
    /// entry need not be of garbage.
    pub fn queue_gc(&mut self, item: &GcItem) {
        self.put(key::gc(self.at(), item), Presence.encode());
        if has_since(item) {
            self.put(key::gc_since(item), SinceRecord { at: self.at() }.encode());
        }
    }

    /// Takes an entry off the queue.
    // RACE: an entry of the same moment may have been put again for a new reason. So whoever finds that one is not needed expects, with
    // the same batch, what keeps the item (a holder, a tag, a link), or that the item is gone.
    pub fn delete_gc(&mut self, queued_at: UnixMillis, item: &GcItem) {
        self.delete(key::gc(queued_at, item));
        if has_since(item) {
            // If it was of a later entry, that one counts without.
            self.delete(key::gc_since(item));
        }
    }

    /// Takes an entry off the queue that has been followed by a later one, which stays.
    pub fn delete_gc_stale(&mut self, queued_at: UnixMillis, item: &GcItem, since: SinceRecord) {
        self.expect(Expectation::Equals(key::gc_since(item), since.encode()));
        self.delete(key::gc(queued_at, item));
    }

    /// Gives an entry of format 1 its place in the queue.
    pub fn renew_gc(&mut self, queued_at: UnixMillis, item: &GcItem) {
        self.delete(key::gc_format_1(queued_at, item));
        self.put(key::gc(queued_at, item), Presence.encode());
    }

    /// Writes down where the scrub stands.
    pub fn put_scrub(&mut self, record: &ScrubRecord) {
        self.put(key::reserved(table::JOB, SCRUB.as_bytes()), record.encode());
    }

    /// Keeps a digest alive until a moment, or prolongs the lease.
    pub fn put_lease(&mut self, digest: &Digest, id: LeaseId, expires_at: UnixMillis) {
        self.put(key::lease(digest, id), LeaseRecord { expires_at }.encode());
    }

    /// Ends a lease. One that is not there is no error.
    pub fn delete_lease(&mut self, digest: &Digest, id: LeaseId) {
        self.delete(key::lease(digest, id));
    }

    /// Ends a lease that has run out, and expects that it was not prolonged meanwhile.
    pub fn expire_lease(&mut self, digest: &Digest, id: LeaseId, expires_at: UnixMillis) {
        let row = key::lease(digest, id);
        self.expect(Expectation::Equals(row.clone(), LeaseRecord { expires_at }.encode()));
        self.delete(row);
    }

    /// Expects that nobody holds a lease on the digest, not even one that has run out and was not removed.
    pub fn expect_not_leased(&mut self, digest: &Digest) {
        self.expect(Expectation::PrefixEmpty(key::leases(digest)));
    }

    /// Removes the bytes of a manifest, and expects that it is in no repository.
    pub fn remove_manifest_bytes(&mut self, digest: &Digest) {
        self.expect(Expectation::PrefixEmpty(key::manifest_repositories(digest)));
        self.delete(key::manifest_bytes(digest));
    }

    /// Notes that `length` bytes are to be removed. They are removed before the tombstone is.
    pub fn put_tombstone(&mut self, item: TombstoneItem, length: u64) {
        let record: Bytes = TombstoneRecord { at: self.at(), length }.encode();
        self.put(key::tombstone(item), record);
    }

    /// Notes that the bytes are gone.
    pub fn delete_tombstone(&mut self, item: TombstoneItem) {
        self.delete(key::tombstone(item));
    }
}
