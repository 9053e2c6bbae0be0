//! Checks of links, blobs, the indexes of their places, and upload sessions.

use super::{Checker, Problem};
use crate::error::EngineError;
use crate::meta::key;
use crate::meta::record::{
    FrameRecord, GenerationOwner, LinkRecord, Placement, Record, StoredBlob, TombstoneItem, UploadRecord,
};
use bytes::Bytes;
use strata_types::{Digest, RepositoryName, UploadId};

impl Checker<'_> {
    pub(super) fn link(
        &mut self,
        row: &Bytes,
        repository: &RepositoryName,
        digest: &Digest,
        value: Bytes,
    ) -> Result<(), EngineError> {
        self.summary.links += 1;
        let at = LinkRecord::decode(value)?.created_at;
        self.needs(row, &key::repository(repository), "the repository")?;
        self.needs(row, &key::blob(digest), "the blob")?;
        self.needs(row, &key::blob_repository(digest, repository), "the index row")?;
        self.queued_link(row, repository, digest, at)
    }

    pub(super) fn blob(&mut self, row: &Bytes, digest: &Digest, value: Bytes) -> Result<(), EngineError> {
        let StoredBlob { record, quarantine } = StoredBlob::decode(value)?;
        if let Some(quarantine) = quarantine {
            self.summary.quarantined += 1;
            self.needs(row, &key::quarantine(digest), "the row of its quarantine")?;
            self.found(row, Problem::Quarantined { quarantine });
        } else {
            // Nothing collects a blob in quarantine, so it waits in no queue.
            self.queued_blob(row, digest)?;
        }
        self.summary.blobs += 1;
        self.summary.blob_bytes = self.summary.blob_bytes.saturating_add(record.size);
        match record.placement {
            Placement::File { generation } => {
                let owner = self.related::<GenerationOwner>(
                    row,
                    &key::generation(generation),
                    "the generation's row",
                )?;
                if owner.is_some_and(|owner| owner != GenerationOwner::Blob(*digest)) {
                    self.disagrees(row, "the generation's row");
                }
            }
            Placement::Segment { segment, offset, length } => {
                let frame =
                    self.related::<FrameRecord>(row, &key::frame(segment, offset), "the frame's row")?;
                if frame.is_some_and(|frame| frame != FrameRecord { digest: *digest, length }) {
                    self.disagrees(row, "the frame's row");
                }
                if u64::from(length) < record.size {
                    self.disagrees(row, "the length of its frame");
                }
            }
        }
        Ok(())
    }

    pub(super) fn quarantine(&mut self, row: &Bytes, digest: &Digest) -> Result<(), EngineError> {
        let stored = self.related::<StoredBlob>(row, &key::blob(digest), "the blob")?;
        if stored.is_some_and(|stored| stored.quarantine.is_none()) {
            self.disagrees(row, "the blob, which is served");
        }
        Ok(())
    }

    pub(super) fn generation(
        &mut self,
        row: &Bytes,
        generation: u64,
        value: Bytes,
    ) -> Result<(), EngineError> {
        match GenerationOwner::decode(value)? {
            GenerationOwner::Blob(digest) => {
                let blob = self.related::<StoredBlob>(row, &key::blob(&digest), "the blob")?;
                if blob.is_some_and(|blob| blob.record.placement != Placement::File { generation }) {
                    self.disagrees(row, "the blob");
                }
            }
            GenerationOwner::Upload(id) => {
                let upload = self.related::<UploadRecord>(row, &key::upload(&id), "the upload session")?;
                if upload.is_some_and(|upload| upload.generation != Some(generation)) {
                    self.disagrees(row, "the upload session");
                }
            }
        }
        Ok(())
    }

    pub(super) fn frame(
        &mut self,
        row: &Bytes,
        segment: u32,
        offset: u64,
        value: Bytes,
    ) -> Result<(), EngineError> {
        let FrameRecord { digest, length } = FrameRecord::decode(value)?;
        let blob = self.related::<StoredBlob>(row, &key::blob(&digest), "the blob")?;
        if blob.is_some_and(|blob| blob.record.placement != Placement::Segment { segment, offset, length }) {
            self.disagrees(row, "the blob");
        }
        let next = self.view.frames(segment, Some(offset), 1)?;
        if next.first().is_some_and(|(next, _)| offset.saturating_add(u64::from(length)) > *next) {
            self.disagrees(row, "the next frame, which it overlaps");
        }
        Ok(())
    }

    pub(super) fn upload(&mut self, row: &Bytes, id: &UploadId, value: Bytes) -> Result<(), EngineError> {
        self.summary.uploads += 1;
        let record = UploadRecord::decode(value)?;
        if record.file_bytes.checked_add(record.tail.len() as u64) != Some(record.offset) {
            self.disagrees(row, "its own offset");
        }
        if id.is_named() {
            self.needs(row, &key::ingest(&record.repository, id), "the ingest")?;
        }
        match record.generation {
            Some(generation) => {
                let owner = self.related::<GenerationOwner>(
                    row,
                    &key::generation(generation),
                    "the generation's row",
                )?;
                if owner.is_some_and(|owner| owner != GenerationOwner::Upload(*id)) {
                    self.disagrees(row, "the generation's row");
                }
            }
            None if record.file_bytes > 0 => self.disagrees(row, "its file, which it does not name"),
            None => {}
        }
        Ok(())
    }

    pub(super) fn tombstone(&mut self, row: &Bytes, item: TombstoneItem) -> Result<(), EngineError> {
        self.summary.tombstones += 1;
        let named = match item {
            TombstoneItem::File { generation } => self.view.raw(&key::generation(generation))?,
            TombstoneItem::Frame { segment, offset } => self.view.raw(&key::frame(segment, offset))?,
            TombstoneItem::Segment { segment } => {
                self.view.raw_last(&key::frames(segment))?.map(|(key, _)| key)
            }
        };
        if named.is_some() {
            self.disagrees(row, "the index of places, which still names the bytes");
        }
        Ok(())
    }
}
