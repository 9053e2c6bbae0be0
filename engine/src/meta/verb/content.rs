//! Pins, which keep blobs for whoever looks after them itself, and ingests under names that clients choose.

use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::batch::{Batch, Expectation};
use crate::meta::key;
use crate::meta::record::{GcItem, IngestRecord, LinkRecord, PinRecord, Presence, Record, UploadRecord};
use crate::meta::view::View;
use strata_types::{Digest, RepositoryName, UploadId};

impl Batch {
    /// Keeps a blob of the repository until it is unpinned, whether or not a manifest holds it. Expects that it is not pinned yet, and
    /// that it is linked there or by this batch.
    pub fn pin_blob(&mut self, repository: &RepositoryName, digest: &Digest, record: &PinRecord) {
        let row = key::pin(repository, digest);
        self.expect(Expectation::Absent(row.clone()));
        self.expect_link(repository, digest);
        self.put(row, record.encode());
        // A link that this batch makes is no candidate, since the pin keeps it. An older entry goes when it is looked at.
        self.delete_gc(self.at(), &GcItem::Link { repository: repository.clone(), digest: *digest });
    }

    /// Changes what is written down of a pinned blob. Expects that it is still `seen`.
    pub fn update_pin(
        &mut self,
        repository: &RepositoryName,
        digest: &Digest,
        seen: &PinRecord,
        record: &PinRecord,
    ) {
        let row = key::pin(repository, digest);
        self.expect(Expectation::Equals(row.clone(), seen.encode()));
        self.put(row, record.encode());
    }

    /// Keeps a blob of the repository no longer: if no manifest holds it, it may be collected when its grace, counted from now on, is over.
    /// `false`: it is not pinned, nothing is added to the batch.
    ///
    /// # Errors
    /// Errors of the view.
    pub fn unpin_blob(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, EngineError> {
        let (row, link) = (key::pin(repository, digest), key::link(repository, digest));
        if view.raw(&row)?.is_none() {
            return Ok(false);
        }
        self.expect(Expectation::Present(row.clone()));
        self.delete(row);
        // As when the last manifest lets go of it. Whether one holds it need not be asked: an entry need not be of garbage.
        let value = view.raw(&link)?;
        if let Some(value) = value.clone() {
            let since = LinkRecord::decode(value)?.created_at;
            // Later than before, whatever the clock says, so that the entry is one of its own.
            let released_at = UnixMillis(self.at().0.max(since.0.saturating_add(1)));
            self.put(link.clone(), LinkRecord { created_at: released_at }.encode());
            let item = GcItem::Link { repository: repository.clone(), digest: *digest };
            self.put(key::gc(released_at, &item), Presence.encode());
        }
        self.expect_value(link, value);
        Ok(true)
    }

    /// Begins an ingest: its row, and the session that takes its bytes. The session's verbs keep the two together from then on.
    pub fn put_ingest(&mut self, id: &UploadId, record: &IngestRecord, session: &UploadRecord) {
        self.put(key::ingest(&session.repository, id), record.encode());
        self.put_upload(id, session);
    }
}
