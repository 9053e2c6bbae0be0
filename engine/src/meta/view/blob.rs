//! Blobs, their links, and the indexes from places back to blobs.

use super::View;
use crate::error::EngineError;
use crate::meta::format::SETTLED;
use crate::meta::key::{self, Key, table};
use crate::meta::record::{
    BlobRecord, FrameRecord, GenerationOwner, LinkRecord, Presence, SettledRecord, StoredBlob,
};
use strata_types::{Digest, RepositoryName};

#[expect(clippy::missing_errors_doc, reason = "all return what MetaView::get documents")]
impl View {
    /// A blob of the store, whichever repositories may read it: ask [`View::link`] first. One in quarantine is not there.
    pub fn blob(&self, digest: &Digest) -> Result<Option<BlobRecord>, EngineError> {
        Ok(self.stored_blob(digest)?.and_then(StoredBlob::served))
    }

    /// A blob's row, also that of one in quarantine: for those who heal, move or check.
    pub fn stored_blob(&self, digest: &Digest) -> Result<Option<StoredBlob>, EngineError> {
        self.record(&key::blob(digest))
    }

    /// Blobs of the store that are served, in the order of digests.
    pub fn blobs(
        &self,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, BlobRecord)>, EngineError> {
        let (mut blobs, mut after) = (Vec::new(), after.copied());
        loop {
            let page = self.stored_blobs(after.as_ref(), limit)?;
            let full = page.len() == limit;
            for (digest, stored) in page {
                after = Some(digest);
                blobs.extend(stored.served().map(|record| (digest, record)));
                if blobs.len() == limit {
                    return Ok(blobs);
                }
            }
            if !full {
                return Ok(blobs);
            }
        }
    }

    /// Rows of blobs, in the order of digests, those in quarantine among them.
    pub fn stored_blobs(
        &self,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, StoredBlob)>, EngineError> {
        let after = after.map(key::blob);
        self.page(&key::whole(table::BLOB), after.as_deref(), limit, |key, record| match key {
            Key::Blob { digest } => Some((digest, record)),
            _ => None,
        })
    }

    /// Blobs in quarantine, in the order of digests.
    pub fn quarantined(&self, after: Option<&Digest>, limit: usize) -> Result<Vec<Digest>, EngineError> {
        let after = after.map(key::quarantine);
        let prefix = key::whole(table::QUARANTINE);
        self.page(&prefix, after.as_deref(), limit, |key, _: Presence| match key {
            Key::Quarantine { digest } => Some(digest),
            _ => None,
        })
    }

    /// Whether, and since when, a blob may be read in a repository.
    pub fn link(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<LinkRecord>, EngineError> {
        self.record(&key::link(repository, digest))
    }

    /// Blobs that may be read in a repository, in the order of digests.
    pub fn links(
        &self,
        repository: &RepositoryName,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, LinkRecord)>, EngineError> {
        let after = after.map(|after| key::link(repository, after));
        self.page(&key::links(repository), after.as_deref(), limit, |key, record| match key {
            Key::Link { digest, .. } => Some((digest, record)),
            _ => None,
        })
    }

    /// Repositories that may read a blob, by name.
    pub fn blob_repositories(
        &self,
        digest: &Digest,
        after: Option<&RepositoryName>,
        limit: usize,
    ) -> Result<Vec<RepositoryName>, EngineError> {
        let after = after.map(|after| key::blob_repository(digest, after));
        let prefix = key::blob_repositories(digest);
        self.page(&prefix, after.as_deref(), limit, |key, _: Presence| match key {
            Key::BlobRepository { repository, .. } => Some(repository),
            _ => None,
        })
    }

    /// Whose file a generation names; `None`: nobody's.
    pub fn generation(&self, generation: u64) -> Result<Option<GenerationOwner>, EngineError> {
        self.record(&key::generation(generation))
    }

    /// Named generations from `from` on, included, in order.
    pub fn generations(&self, from: u64, limit: usize) -> Result<Vec<(u64, GenerationOwner)>, EngineError> {
        let after = from.checked_sub(1).map(key::generation);
        self.page(&key::whole(table::GENERATION), after.as_deref(), limit, |key, owner| match key {
            Key::Generation { generation } => Some((generation, owner)),
            _ => None,
        })
    }

    /// The greatest generation that is named.
    pub fn last_generation(&self) -> Result<Option<u64>, EngineError> {
        let row = self.last_row::<GenerationOwner>(&key::whole(table::GENERATION))?;
        Ok(row.and_then(|(key, _)| match key {
            Key::Generation { generation } => Some(generation),
            _ => None,
        }))
    }

    /// The generation below which each is named or its file is gone.
    pub fn settled(&self) -> Result<u64, EngineError> {
        let record: Option<SettledRecord> = self.record(&key::meta(SETTLED))?;
        Ok(record.map_or(0, |record| record.generation))
    }

    /// Frames of a segment behind the offset `after`, in order.
    pub fn frames(
        &self,
        segment: u32,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, FrameRecord)>, EngineError> {
        let after = after.map(|after| key::frame(segment, after));
        self.page(&key::frames(segment), after.as_deref(), limit, |key, record| match key {
            Key::Frame { offset, .. } => Some((offset, record)),
            _ => None,
        })
    }

    /// The last named frame of a segment, with its offset.
    pub fn last_frame(&self, segment: u32) -> Result<Option<(u64, FrameRecord)>, EngineError> {
        let row = self.last_row(&key::frames(segment))?;
        Ok(row.and_then(|(key, record)| match key {
            Key::Frame { offset, .. } => Some((offset, record)),
            _ => None,
        }))
    }

    /// The greatest number of a segment with a named frame.
    pub fn last_segment(&self) -> Result<Option<u32>, EngineError> {
        let row = self.last_row::<FrameRecord>(&key::whole(table::FRAME))?;
        Ok(row.and_then(|(key, _)| match key {
            Key::Frame { segment, .. } => Some(segment),
            _ => None,
        }))
    }
}
