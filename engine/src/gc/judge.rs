//! Is it needed? One entry of the queue, decided on a view, with the batch that says so only as long as the view is right.
//!
//! INVARIANT: a batch that takes an entry off the queue without removing its item expects what keeps the item, or that the item is
//! gone; one that removes expects that nothing keeps it. So whoever pushes, mounts, tags or leases at the same moment either comes
//! first, and the batch conflicts, or comes later and finds the item gone.

use super::config::GcConfig;
use super::report::{GcKind, GcRemoval};
use super::seen::{Claimed, Seen};
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::record::Record;
use crate::meta::{Batch, Expectation, GcItem, LinkRecord, Placement, View, key};
use bytes::Bytes;
use std::time::Duration;
use strata_types::{Digest, RepositoryName};

/// What is to be done about an entry.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It stays as it is; a later run looks again.
    Postpone,
    /// It is needed or gone, or will be looked at when its time has come: the batch takes the entry off, or moves it.
    Settle(Batch),
    /// It is garbage; the place is that of a blob's bytes.
    Remove(Batch, GcRemoval, Option<Placement>),
}

/// What decides.
pub(crate) struct Judge<'a> {
    pub(crate) config: &'a GcConfig,
    pub(crate) seen: &'a Seen,
    /// Claims what is to be removed; a plan only looks.
    pub(crate) claims: bool,
    pub(crate) now: UnixMillis,
}

impl Judge<'_> {
    /// Since when an item of this kind must have been queued to be due; `None`: it never is.
    pub(crate) fn due_at(&self, kind: u8) -> Option<UnixMillis> {
        let wait = match kind {
            key::GC_LINK => self.config.link_grace(),
            key::GC_MANIFEST => self.config.untagged?,
            key::GC_MANIFEST_BYTES => self.config.undo,
            // At once; those of a repository that was deleted have a later time, so that a restore finds them until then.
            _ => Duration::ZERO,
        };
        // All links count as seen at the floor.
        let early = kind == key::GC_LINK && self.seen.floor().after(self.config.grace) > self.now;
        (!early).then(|| self.now.before(wait))
    }

    pub(crate) fn judge(&self, view: &View, at: UnixMillis, item: &GcItem) -> Result<Verdict, EngineError> {
        match item {
            GcItem::Link { repository, digest } => self.link(view, at, item, (repository, digest)),
            GcItem::Manifest { repository, digest } => self.manifest(view, at, item, (repository, digest)),
            GcItem::Blob { digest } => self.blob(view, at, item, digest),
            GcItem::ManifestBytes { digest } => self.manifest_bytes(view, at, item, digest),
        }
    }

    /// Lets go of what was claimed for a removal, whether it was committed or not.
    pub(crate) fn release(&self, removal: &GcRemoval) {
        if let (true, GcKind::Link, Some(repository), Some(digest)) =
            (self.claims, removal.kind, &removal.repository, &removal.digest)
        {
            self.seen.release(repository, digest);
        }
    }

    /// A batch that takes the entry off while `keeps` holds.
    fn settled(&self, at: UnixMillis, item: &GcItem, keeps: Expectation) -> Verdict {
        let mut batch = Batch::new(self.now);
        batch.expect(keeps);
        batch.delete_gc(at, item);
        batch.set_unsynced();
        Verdict::Settle(batch)
    }

    fn link(
        &self,
        view: &View,
        at: UnixMillis,
        item: &GcItem,
        (repository, digest): (&RepositoryName, &Digest),
    ) -> Result<Verdict, EngineError> {
        let row = key::link(repository, digest);
        let Some(value) = view.raw(&row)? else {
            return Ok(self.settled(at, item, Expectation::Absent(row)));
        };
        if let Some(holder) = first(view, &key::back_edges(repository, digest))? {
            return Ok(self.settled(at, item, Expectation::Present(holder)));
        }
        let pin = key::pin(repository, digest);
        if view.raw(&pin)?.is_some() {
            return Ok(self.settled(at, item, Expectation::Present(pin)));
        }
        let link = LinkRecord::decode(value.clone())?;
        if link.created_at > at {
            // It was renewed, and queued again with that.
            return Ok(Self::link_later((repository, digest), (at, link.created_at), (row, value), false));
        }
        if view.leased(digest, self.now)? {
            return Ok(Verdict::Postpone);
        }
        let ask = if self.claims { Seen::claim } else { Seen::look };
        if let Claimed::Seen(seen) = ask(self.seen, repository, digest, self.now, self.config.grace) {
            let seen = seen.max(UnixMillis(link.created_at.0.saturating_add(1)));
            return Ok(Self::link_later((repository, digest), (at, seen), (row, value), true));
        }
        let mut batch = Batch::new(self.now);
        batch.expect(Expectation::Equals(row, value));
        batch.expect_not_held(repository, digest);
        batch.expect(Expectation::Absent(pin));
        batch.expect_not_leased(digest);
        batch.unlink_blob(repository, digest);
        batch.delete_gc(at, item);
        Ok(Verdict::Remove(batch, removal(GcKind::Link, Some(repository), digest, 0), None))
    }

    /// Looks at the link again when the grace from `until` on is over.
    fn link_later(
        (repository, digest): (&RepositoryName, &Digest),
        (at, until): (UnixMillis, UnixMillis),
        (row, value): (Bytes, Bytes),
        renew: bool,
    ) -> Verdict {
        let item = GcItem::Link { repository: repository.clone(), digest: *digest };
        let mut batch = Batch::new(until);
        batch.expect(Expectation::Equals(row.clone(), value));
        batch.delete_gc(at, &item);
        batch.queue_gc(&item);
        if renew {
            // The entry has the time of the row: whoever comes to hold the link finds it by that.
            batch.put(row, LinkRecord { created_at: until }.encode());
        }
        batch.set_unsynced();
        Verdict::Settle(batch)
    }

    /// Whether a later entry of the same item counts; the batch that takes this one off.
    fn stale(&self, view: &View, at: UnixMillis, item: &GcItem) -> Result<Option<Verdict>, EngineError> {
        let Some(since) = view.gc_since(item)?.filter(|since| since.at > at) else { return Ok(None) };
        let mut batch = Batch::new(self.now);
        batch.delete_gc_stale(at, item, since);
        batch.set_unsynced();
        Ok(Some(Verdict::Settle(batch)))
    }

    fn manifest(
        &self,
        view: &View,
        at: UnixMillis,
        item: &GcItem,
        (repository, digest): (&RepositoryName, &Digest),
    ) -> Result<Verdict, EngineError> {
        if let Some(stale) = self.stale(view, at, item)? {
            return Ok(stale);
        }
        let row = key::manifest(repository, digest);
        if view.raw(&row)?.is_none() {
            return Ok(self.settled(at, item, Expectation::Absent(row)));
        }
        let tags = key::manifest_tags(repository, digest);
        let holders = key::back_edges(repository, digest);
        for keeps in [&tags, &holders] {
            if let Some(keeper) = first(view, keeps)? {
                return Ok(self.settled(at, item, Expectation::Present(keeper)));
            }
        }
        let subject = view.edges(repository, digest)?.and_then(|edges| edges.subject());
        let subject = subject.map(|subject| key::manifest(repository, &subject));
        if let Some(subject) = &subject
            && view.raw(subject)?.is_some()
        {
            return Ok(self.settled(at, item, Expectation::Present(subject.clone())));
        }
        if view.leased(digest, self.now)? {
            return Ok(Verdict::Postpone);
        }
        let mut batch = Batch::new(self.now);
        batch.expect(Expectation::PrefixEmpty(tags));
        batch.expect(Expectation::PrefixEmpty(holders));
        batch.expect_not_leased(digest);
        if let Some(subject) = subject {
            batch.expect(Expectation::Absent(subject));
        }
        // Expects the row and its edges as they are.
        if !batch.delete_manifest(view, repository, digest)? {
            return Ok(Verdict::Postpone);
        }
        batch.delete_gc(at, item);
        Ok(Verdict::Remove(batch, removal(GcKind::Manifest, Some(repository), digest, 0), None))
    }

    fn blob(
        &self,
        view: &View,
        at: UnixMillis,
        item: &GcItem,
        digest: &Digest,
    ) -> Result<Verdict, EngineError> {
        let row = key::blob(digest);
        let Some(stored) = view.stored_blob(digest)? else {
            return Ok(self.settled(at, item, Expectation::Absent(row)));
        };
        let Some(record) = stored.served() else {
            // Its bytes are for whoever finds out what happened to them; when it is back in service, it is queued again.
            return Ok(self.settled(at, item, Expectation::Equals(row, stored.encode())));
        };
        if let Some(link) = first(view, &key::blob_repositories(digest))? {
            return Ok(self.settled(at, item, Expectation::Present(link)));
        }
        if view.leased(digest, self.now)? {
            return Ok(Verdict::Postpone);
        }
        let mut batch = Batch::new(self.now);
        batch.expect_not_leased(digest);
        batch.remove_blob(digest, &record);
        batch.delete_gc(at, item);
        let bytes = record.stored_bytes();
        Ok(Verdict::Remove(batch, removal(GcKind::Blob, None, digest, bytes), Some(record.placement)))
    }

    fn manifest_bytes(
        &self,
        view: &View,
        at: UnixMillis,
        item: &GcItem,
        digest: &Digest,
    ) -> Result<Verdict, EngineError> {
        if let Some(stale) = self.stale(view, at, item)? {
            return Ok(stale);
        }
        let row = key::manifest_bytes(digest);
        let Some(value) = view.raw(&row)? else {
            return Ok(self.settled(at, item, Expectation::Absent(row)));
        };
        if let Some(manifest) = first(view, &key::manifest_repositories(digest))? {
            return Ok(self.settled(at, item, Expectation::Present(manifest)));
        }
        if view.leased(digest, self.now)? {
            return Ok(Verdict::Postpone);
        }
        let mut batch = Batch::new(self.now);
        batch.expect_not_leased(digest);
        batch.remove_manifest_bytes(digest);
        batch.delete_gc(at, item);
        // The value is a version byte and the bytes.
        let bytes = (value.len() as u64).saturating_sub(1);
        Ok(Verdict::Remove(batch, removal(GcKind::ManifestBytes, None, digest, bytes), None))
    }
}

/// The first key of a prefix.
fn first(view: &View, prefix: &[u8]) -> Result<Option<Bytes>, EngineError> {
    Ok(view.raw_page(prefix, None, 1)?.into_iter().next().map(|(key, _)| key))
}

fn removal(kind: GcKind, repository: Option<&RepositoryName>, digest: &Digest, bytes: u64) -> GcRemoval {
    GcRemoval { kind, repository: repository.cloned(), digest: Some(*digest), bytes }
}
