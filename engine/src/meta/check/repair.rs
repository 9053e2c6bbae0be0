//! What can be mended of a row that a check complains about, without a guess: rows that follow from others are put where they are
//! missing and taken away where they follow from nothing; what nothing keeps is queued.
//!
//! Never touched: links, manifests, tags, edges, bytes. A row of those that is lost is lost, and what still points to it is what
//! somebody may need to bring it back. For a store that nobody else writes to.

use super::finding::{Finding, Problem};
use crate::error::EngineError;
use crate::meta::batch::Batch;
use crate::meta::key::{self, Key};
use crate::meta::record::{
    BackEdge, Edges, FrameRecord, GcItem, GenerationOwner, LinkRecord, Placement, Presence, Record,
    RepositoryRecord, StoredBlob, TombstoneItem,
};
use crate::meta::view::View;
use bytes::Bytes;
use strata_types::{Digest, RepositoryName, UploadId};

/// Adds to the batch what mends a finding, and says what that is; `None` where nothing does.
///
/// # Errors
/// Errors of the view.
pub(crate) fn mend(
    view: &View,
    finding: &Finding,
    batch: &mut Batch,
) -> Result<Option<&'static str>, EngineError> {
    let Ok(row) = Key::decode(&finding.row) else { return Ok(None) };
    Mender { view, batch, row: &finding.row }.mend(&row, &finding.problem)
}

struct Mender<'a> {
    view: &'a View,
    batch: &'a mut Batch,
    row: &'a Bytes,
}

type Mended = Result<Option<&'static str>, EngineError>;

impl Mender<'_> {
    fn mend(&mut self, row: &Key, problem: &Problem) -> Mended {
        match problem {
            Problem::Missing { row: missing, .. } => match Key::decode(missing) {
                Ok(missing) => self.missing(row, &missing),
                Err(_) => Ok(None),
            },
            Problem::Disagrees { .. } => self.disagrees(row),
            Problem::NotQueued => Ok(self.not_queued(row)),
            _ => Ok(None),
        }
    }

    fn missing(&mut self, row: &Key, missing: &Key) -> Mended {
        match (row, missing) {
            (_, Key::Repository { repository }) => {
                let record = RepositoryRecord { created_at: self.batch.at() };
                self.batch.put(key::repository(repository), record.encode());
                Ok(Some("the row of the repository was put"))
            }
            (Key::Link { .. }, Key::BlobRepository { .. })
            | (Key::Manifest { .. }, Key::ManifestRepository { .. })
            | (Key::Tag { .. }, Key::ManifestTag { .. })
            | (Key::Blob { .. }, Key::Quarantine { .. }) => {
                self.batch.put(missing.encode(), Presence.encode());
                Ok(Some("the row of the other direction was put"))
            }
            (Key::Pin { repository, digest }, Key::Link { .. }) => self.pin(repository, digest),
            (Key::Upload { id }, Key::Ingest { .. }) => self.nameless(id),
            (Key::Blob { digest }, Key::Generation { .. } | Key::Frame { .. }) => self.place(digest),
            (Key::Edges { repository, digest }, Key::BackEdge { .. }) => self.back_edges(repository, digest),
            (
                Key::BlobRepository { .. }
                | Key::ManifestRepository { .. }
                | Key::ManifestTag { .. }
                | Key::Ingest { .. }
                | Key::Quarantine { .. },
                _,
            ) => Ok(Some(self.take_away())),
            (Key::BackEdge { repository, parent, .. }, Key::Edges { .. })
            | (Key::Referrer { repository, referrer: parent, .. }, Key::Edges { .. }) => {
                self.without_edges(repository, parent)
            }
            _ => Ok(None),
        }
    }

    fn disagrees(&mut self, row: &Key) -> Mended {
        match row {
            Key::ManifestTag { .. } | Key::Quarantine { .. } | Key::Ingest { .. } => {
                Ok(Some(self.take_away()))
            }
            Key::Tombstone { .. } => {
                self.batch.delete(self.row.clone());
                Ok(Some("the tombstone of bytes that a row names was taken away"))
            }
            // The edges themselves are the truth.
            Key::BackEdge { repository, parent, .. } if self.edges(repository, parent)?.is_some() => {
                Ok(Some(self.take_away()))
            }
            Key::Referrer { repository, referrer, .. } if self.edges(repository, referrer)?.is_some() => {
                Ok(Some(self.take_away()))
            }
            Key::Edges { repository, digest } => self.back_edges(repository, digest),
            _ => Ok(None),
        }
    }

    fn not_queued(&mut self, row: &Key) -> Option<&'static str> {
        let item = match row {
            Key::Link { repository, digest } => {
                // The row and its entry have one time.
                let record = LinkRecord { created_at: self.batch.at() };
                self.batch.put(self.row.clone(), record.encode());
                GcItem::Link { repository: repository.clone(), digest: *digest }
            }
            Key::Manifest { repository, digest } => {
                GcItem::Manifest { repository: repository.clone(), digest: *digest }
            }
            Key::Blob { digest } => GcItem::Blob { digest: *digest },
            Key::ManifestBytes { digest } => GcItem::ManifestBytes { digest: *digest },
            _ => return None,
        };
        self.batch.queue_gc(&item);
        Some("it was queued for garbage collection")
    }

    fn take_away(&mut self) -> &'static str {
        self.batch.delete(self.row.clone());
        "the row, which follows from nothing, was taken away"
    }

    /// A back edge or a referrer row that no edges stand behind. Where there is the manifest still, its edges are what is lost, and the row
    /// protects what it held.
    fn without_edges(&mut self, repository: &RepositoryName, parent: &Digest) -> Mended {
        Ok(if self.view.has_manifest(repository, parent)? { None } else { Some(self.take_away()) })
    }

    fn edges(&self, repository: &RepositoryName, digest: &Digest) -> Result<Option<Edges>, EngineError> {
        let value = self.view.raw(&key::edges(repository, digest))?;
        Ok(value.and_then(|value| Edges::decode(value).ok()))
    }

    fn back_edges(&mut self, repository: &RepositoryName, digest: &Digest) -> Mended {
        let Some(edges) = self.edges(repository, digest)? else { return Ok(None) };
        for (child, roles) in edges.held() {
            self.batch.put(key::back_edge(repository, &child, digest), BackEdge { roles }.encode());
        }
        Ok(Some("the rows of the other direction were put"))
    }

    /// What is pinned can be read, so a pin says that there was a link; unless the blob is gone, which nobody is to be told is there.
    fn pin(&mut self, repository: &RepositoryName, digest: &Digest) -> Mended {
        if self.view.stored_blob(digest)?.is_none() {
            return Ok(Some(self.take_away()));
        }
        let record = LinkRecord { created_at: self.batch.at() };
        self.batch.put(key::link(repository, digest), record.encode());
        self.batch.put(key::blob_repository(digest, repository), Presence.encode());
        Ok(Some("the link of what is pinned was put"))
    }

    /// The session of an ingest whose name is lost: nobody could come back to it.
    fn nameless(&mut self, id: &UploadId) -> Mended {
        let Some(record) = self.view.upload(id)? else { return Ok(None) };
        self.batch.delete_upload(id, &record);
        if let Some(generation) = record.generation {
            self.batch.put_tombstone(TombstoneItem::File { generation }, record.file_bytes);
        }
        Ok(Some("the session, to which no name leads, was taken away"))
    }

    /// From a blob's place back to it, unless the place is somebody else's.
    fn place(&mut self, digest: &Digest) -> Mended {
        let Some(StoredBlob { record, .. }) = self.view.stored_blob(digest)? else { return Ok(None) };
        let (row, value) = match record.placement {
            Placement::File { generation } => {
                (key::generation(generation), GenerationOwner::Blob(*digest).encode())
            }
            Placement::Segment { segment, offset, length } => {
                (key::frame(segment, offset), FrameRecord { digest: *digest, length }.encode())
            }
        };
        if self.view.raw(&row)?.is_some() {
            return Ok(None);
        }
        self.batch.put(row, value);
        Ok(Some("the row of its place was put"))
    }
}
