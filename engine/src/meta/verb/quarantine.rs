//! Blobs whose bytes are bad: taken out of service, put back, given new bytes, given up.
//!
//! Each verb expects the row that its caller has looked at, so that two who judge the same blob cannot both act.

use super::blob::place_row;
use crate::error::EngineError;
use crate::meta::batch::{Batch, Expectation};
use crate::meta::key;
use crate::meta::record::{
    BlobRecord, Damage, Event, EventKind, GcItem, Presence, Quarantine, Record, StoredBlob,
};
use crate::meta::view::View;
use strata_types::Digest;

/// Repositories that one batch takes a blob out of at most.
const REPOSITORIES_MAX: usize = 10_000;

impl Batch {
    /// Takes a blob out of service: its bytes are bad. They stay where they are, and so do its links. Expects that its row is still
    /// `record`.
    pub fn quarantine_blob(&mut self, digest: &Digest, record: &BlobRecord, damage: Damage) {
        let row = key::blob(digest);
        self.expect(Expectation::Equals(row.clone(), record.encode()));
        let quarantine = Some(Quarantine { at: self.at(), damage });
        self.put(row, StoredBlob { record: *record, quarantine }.encode());
        self.put(key::quarantine(digest), Presence.encode());
        self.tell_of_blob(EventKind::BlobQuarantined, digest);
    }

    /// Puts a blob back into service whose bytes are good after all. Expects that its row is still `stored`.
    pub fn release_blob(&mut self, digest: &Digest, stored: &StoredBlob) {
        let row = key::blob(digest);
        self.expect(Expectation::Equals(row.clone(), stored.encode()));
        self.put(row, stored.record.encode());
        self.delete(key::quarantine(digest));
        self.tell_of_blob(EventKind::BlobHealed, digest);
        // Nobody looked after it while it was out of service.
        self.queue_gc(&GcItem::Blob { digest: *digest });
    }

    /// Gives a blob whose bytes are bad, in quarantine or not, new ones at a new place, and leaves a tombstone for the old ones.
    /// Expects that its row is still `bad`.
    pub fn replace_blob(&mut self, digest: &Digest, bad: &StoredBlob, record: &BlobRecord) {
        let row = key::blob(digest);
        self.expect(Expectation::Equals(row.clone(), bad.encode()));
        self.put(row, record.encode());
        self.delete(key::quarantine(digest));
        self.bury_place(&bad.record);
        self.put_place(digest, &record.placement);
        self.tell_of_blob(EventKind::BlobHealed, digest);
        self.queue_gc(&GcItem::Blob { digest: *digest });
    }

    /// Gives up a blob in quarantine: the row and all links go, and a tombstone is left for the bytes. Manifests that hold it stay
    /// as they are. Expects that its row is still `stored` and that no repository links it meanwhile.
    ///
    /// # Errors
    /// [`EngineError::TooLarge`] where more repositories link it than one batch takes; errors of the view.
    pub fn discard_blob(
        &mut self,
        view: &View,
        digest: &Digest,
        stored: &StoredBlob,
    ) -> Result<(), EngineError> {
        let repositories = view.blob_repositories(digest, None, REPOSITORIES_MAX + 1)?;
        if repositories.len() > REPOSITORIES_MAX {
            return Err(EngineError::TooLarge { limit_bytes: REPOSITORIES_MAX as u64 });
        }
        let row = key::blob(digest);
        self.expect(Expectation::Equals(row.clone(), stored.encode()));
        let links = repositories.iter().map(|repository| key::blob_repository(digest, repository)).collect();
        self.expect(Expectation::PrefixKeys(key::blob_repositories(digest), links));
        for repository in &repositories {
            self.unlink_blob(repository, digest);
        }
        self.delete(row);
        self.delete(key::quarantine(digest));
        self.bury_place(&stored.record);
        Ok(())
    }

    /// Forgets where a blob's bytes are, and leaves a tombstone for them.
    fn bury_place(&mut self, record: &BlobRecord) {
        self.delete(place_row(&record.placement));
        self.bury(&record.placement, record.size);
    }

    /// Tells of a blob as such, whichever repositories link it.
    fn tell_of_blob(&mut self, kind: EventKind, digest: &Digest) {
        let event = Event {
            at: self.at(),
            kind,
            repository: None,
            digest: Some(*digest),
            tag: None,
            detail: self.detail.clone(),
        };
        self.append(&event, None);
    }
}
