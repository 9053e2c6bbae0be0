//! Blobs and the links that let a repository read them.

use crate::meta::batch::{Batch, Expectation};
use crate::meta::key;
use crate::meta::record::{
    BlobRecord, EventKind, FrameRecord, GcItem, GenerationOwner, LinkRecord, Placement, Presence, Record,
    SettledRecord, TombstoneItem,
};
use bytes::Bytes;
use strata_types::{Digest, RepositoryName};

impl Batch {
    /// Names a blob that is new to the store, and where its bytes are. Expects that it is not there yet.
    pub fn put_blob(&mut self, digest: &Digest, record: &BlobRecord) {
        let row = key::blob(digest);
        self.expect(Expectation::Absent(row.clone()));
        self.put(row, record.encode());
        self.put_place(digest, &record.placement);
    }

    /// Leads from a place back to its blob.
    pub(super) fn put_place(&mut self, digest: &Digest, placement: &Placement) {
        let value = match *placement {
            Placement::File { .. } => GenerationOwner::Blob(*digest).encode(),
            Placement::Segment { length, .. } => FrameRecord { digest: *digest, length }.encode(),
        };
        self.put(place_row(placement), value);
    }

    /// Removes a blob from the store. Expects that its row is still `record` and that no repository may read it; leaves a tombstone for
    /// its bytes.
    pub fn remove_blob(&mut self, digest: &Digest, record: &BlobRecord) {
        let row = key::blob(digest);
        self.expect(Expectation::Equals(row.clone(), record.encode()));
        self.expect(Expectation::PrefixEmpty(key::blob_repositories(digest)));
        self.delete(row);
        self.delete(place_row(&record.placement));
        self.bury(&record.placement, record.size);
    }

    /// Gives the bytes of a blob another place. Expects that its row is still `record`; the old bytes are the caller's.
    pub fn move_blob(&mut self, digest: &Digest, record: &BlobRecord, placement: Placement) {
        let row = key::blob(digest);
        self.expect(Expectation::Equals(row.clone(), record.encode()));
        self.put(row, BlobRecord { placement, ..*record }.encode());
        self.delete(place_row(&record.placement));
        self.put_place(digest, &placement);
    }

    /// Leaves a tombstone for the bytes at a place that no row names any more.
    pub fn bury(&mut self, placement: &Placement, size: u64) {
        match *placement {
            Placement::File { generation } => self.put_tombstone(TombstoneItem::File { generation }, size),
            Placement::Segment { segment, offset, length } => {
                self.put_tombstone(TombstoneItem::Frame { segment, offset }, u64::from(length));
            }
        }
    }

    /// Expects that the blob is in the store, or put by this batch.
    pub fn expect_blob(&mut self, digest: &Digest) {
        self.expect(Expectation::Present(key::blob(digest)));
    }

    /// Expects that the blob's row is still what was seen: at its place, and served.
    pub fn expect_blob_as(&mut self, digest: &Digest, seen: &BlobRecord) {
        self.expect(Expectation::Equals(key::blob(digest), seen.encode()));
    }

    /// Expects that the blob may be read in the repository, or is linked by this batch.
    pub fn expect_link(&mut self, repository: &RepositoryName, digest: &Digest) {
        self.expect(Expectation::Present(key::link(repository, digest)));
    }

    /// Lets the repository read a blob that was pushed to it. Expects the blob in the store, or put by this batch.
    /// A link that is there is renewed, without an event.
    pub fn link_blob(&mut self, repository: &RepositoryName, digest: &Digest) {
        self.link(repository, digest, EventKind::BlobPushed);
    }

    /// Lets the repository read a blob without a push. With `from`, expects that it may be read there.
    pub fn mount_blob(
        &mut self,
        repository: &RepositoryName,
        digest: &Digest,
        from: Option<&RepositoryName>,
    ) {
        if let Some(from) = from {
            self.expect_link(from, digest);
        }
        self.link(repository, digest, EventKind::BlobMounted);
    }

    pub(super) fn link(&mut self, repository: &RepositoryName, digest: &Digest, kind: EventKind) {
        self.expect_blob(digest);
        self.create_repository(repository);
        let row = key::link(repository, digest);
        let record = LinkRecord { created_at: self.at() }.encode();
        let event = self.event(kind, repository, Some(*digest), None);
        // The event only where the link is new; the time in any case, because a recent link protects the blob.
        self.put_if_absent(row.clone(), record.clone(), Some(&event));
        self.put(row, record);
        self.put(key::blob_repository(digest, repository), Presence.encode());
        // Nothing references it yet: if that stays so, only this row leads the sweeper to it.
        self.queue_gc(&GcItem::Link { repository: repository.clone(), digest: *digest });
    }

    /// Takes a blob out of a repository, pinned or not, and queues it for garbage collection. Expects the link. Whether a manifest still
    /// holds the blob is the caller's question: see [`Batch::expect_not_held`].
    pub fn unlink_blob(&mut self, repository: &RepositoryName, digest: &Digest) {
        let row = key::link(repository, digest);
        self.expect(Expectation::Present(row.clone()));
        self.delete(row);
        self.delete(key::blob_repository(digest, repository));
        self.delete(key::pin(repository, digest));
        let event = self.event(EventKind::BlobDeleted, repository, Some(*digest), None);
        self.append(&event, None);
        self.queue_gc(&GcItem::Blob { digest: *digest });
    }

    /// Expects that no manifest of the repository holds the digest as config, layer or child.
    pub fn expect_not_held(&mut self, repository: &RepositoryName, digest: &Digest) {
        self.expect(Expectation::PrefixEmpty(key::back_edges(repository, digest)));
    }

    /// Moves the watermark of generations forward: each below `generation` is named by a row, or its file is gone.
    pub fn set_settled(&mut self, generation: u64) {
        self.put(key::meta(crate::meta::format::SETTLED), SettledRecord { generation }.encode());
    }
}

/// The row that leads from a place back to its blob.
pub(super) fn place_row(placement: &Placement) -> Bytes {
    match *placement {
        Placement::File { generation } => key::generation(generation),
        Placement::Segment { segment, offset, .. } => key::frame(segment, offset),
    }
}
