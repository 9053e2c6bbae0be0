//! What was deleted and can be restored: tags and manifests, for as long as `gc.undo` says and their bytes are there.

use crate::access::{Action, InstanceAction};
use crate::audit::Attempt;
use crate::context::Context;
use crate::directory::Admitted;
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use strata_engine::UnixMillis;
use strata_engine::meta::{Batch, EdgeRole, Lost, Restore, TrashRecord, Trashed, View};
use strata_types::{Digest, Reference, RepositoryName, Tag};

/// Most deletions of a page.
pub const DELETIONS_MAX: usize = 1000;
/// Most blobs in quarantine that a [`Restored`] names.
pub const QUARANTINED_NAMED_MAX: usize = 100;
/// Rows that are looked through for one page, where only those of one repository are wanted.
const ROWS_MAX: usize = 10_000;

/// A deletion that can be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Its number: that of the event that tells it. Later ones are greater.
    pub number: u64,
    /// When it was.
    pub at: UnixMillis,
    /// Until when it can be undone.
    pub until: UnixMillis,
    /// Where it was.
    pub repository: RepositoryName,
    /// The manifest, or the one that the tag stood for.
    pub digest: Digest,
    /// What was deleted: the tag, or the manifest.
    pub reference: Reference,
    /// The tags that went with the manifest.
    pub tags: Vec<Tag>,
    /// Of a manifest: its media type.
    pub media_type: Option<String>,
    /// Of a manifest: its length, bytes.
    pub size: Option<u64>,
}

/// A page of deletions, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionPage {
    /// The deletions.
    pub deletions: Vec<Deletion>,
    /// Where more may follow: ask again behind this number. The next page can be empty.
    pub next: Option<u64>,
}

/// A deletion that was undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The deletion.
    pub deletion: Deletion,
    /// Blobs of the manifest that are in quarantine, at most [`QUARANTINED_NAMED_MAX`]: they are not served before somebody pushes them.
    pub quarantined: Vec<Digest>,
}

impl Deletion {
    fn new(number: u64, record: TrashRecord, until: UnixMillis) -> Self {
        let TrashRecord { at, repository, digest, what } = record;
        let deletion = Self {
            number,
            at,
            until,
            repository,
            digest,
            reference: Reference::Digest(digest),
            tags: Vec::new(),
            media_type: None,
            size: None,
        };
        match what {
            Trashed::Tag(tag) => Self { reference: Reference::Tag(tag), ..deletion },
            Trashed::Manifest(manifest) => Self {
                tags: manifest.tags,
                media_type: Some(manifest.media_type),
                size: Some(manifest.size),
                ..deletion
            },
        }
    }
}

impl Registry {
    /// Lists deletions that can be undone, of one repository or of all that the principal may see; those behind the number `after`, at
    /// most `limit` (and [`DELETIONS_MAX`]).
    ///
    /// # Errors
    /// [`RegistryError::Denied`]; the store's condition.
    pub async fn list_deleted(
        &self,
        ctx: &Context,
        repository: Option<&RepositoryName>,
        after: Option<u64>,
        limit: usize,
    ) -> Result<DeletionPage> {
        match repository {
            Some(repository) => self.authorize(ctx, Action::See, repository)?,
            None => self.authorize_instance(ctx, InstanceAction::Browse)?,
        }
        let (registry, ctx, repository) = (self.clone(), ctx.clone(), repository.cloned());
        away(move || registry.read_deleted(&ctx, repository.as_ref(), after, limit.min(DELETIONS_MAX))).await
    }

    fn read_deleted(
        &self,
        ctx: &Context,
        repository: Option<&RepositoryName>,
        after: Option<u64>,
        limit: usize,
    ) -> Result<DeletionPage> {
        const PAGE: usize = 256;
        let view = self.view()?;
        let since = self.engine().undoable_since();
        let (mut deletions, mut next, mut rows) = (Vec::new(), after, 0);
        while deletions.len() < limit && rows < ROWS_MAX {
            let page = view.trash_page(next, PAGE).map_err(RegistryError::store)?;
            let is_last = page.len() < PAGE;
            for (number, record) in page {
                if deletions.len() == limit {
                    return Ok(DeletionPage { deletions, next });
                }
                rows += 1;
                next = Some(number);
                let is_wanted = repository.is_none_or(|wanted| *wanted == record.repository)
                    && (repository.is_some() || self.shows(ctx, &record.repository))
                    && record.at >= since;
                if is_wanted {
                    deletions.push(self.deletion(number, record));
                }
            }
            if is_last {
                return Ok(DeletionPage { deletions, next: None });
            }
        }
        Ok(DeletionPage { deletions, next })
    }

    fn deletion(&self, number: u64, record: TrashRecord) -> Deletion {
        let until = record.at.after(self.engine().undo_window());
        Deletion::new(number, record, until)
    }

    /// Undoes a deletion: the manifest comes back with its tags and its place among the referrers, or the tag. Tags that stand for
    /// something else by now are moved only by `force`. That blobs of it are in quarantine is no reason against it: a push of them heals
    /// what was restored, and it is told.
    ///
    /// # Errors
    /// [`RegistryError::DeletionUnknown`]; [`RegistryError::RestoreIncomplete`] where something that it needs is gone;
    /// [`RegistryError::TagsTaken`]; [`RegistryError::Denied`]; [`RegistryError::Contended`] and the store's condition.
    pub async fn restore(&self, ctx: &Context, number: u64, force: bool) -> Result<Restored> {
        let since = self.engine().undoable_since();
        let (restored, admitted) = self
            .transact(ctx, |view, batch| {
                let admitted = self.admit_restore(ctx, view, batch, number)?;
                match batch.restore(view, number, since, force).map_err(RegistryError::store)? {
                    Restore::Done(record) => Ok((record, admitted)),
                    Restore::Unknown => Err(RegistryError::DeletionUnknown { number }),
                    Restore::Missing(lost) => Err(RegistryError::RestoreIncomplete { number, lost }),
                    Restore::TagsTaken(tags) => Err(RegistryError::TagsTaken { number, tags }),
                }
            })
            .await?;
        self.admitted(admitted);
        self.counters().deletions_undone.add(1);
        let quarantined = self.quarantined_of(&restored.repository, &restored.digest)?;
        Ok(Restored { deletion: self.deletion(number, *restored), quarantined })
    }

    /// Blobs in quarantine that a manifest holds by itself.
    fn quarantined_of(&self, repository: &RepositoryName, manifest: &Digest) -> Result<Vec<Digest>> {
        let view = self.view()?;
        let edges = view.edges(repository, manifest).map_err(RegistryError::store)?.unwrap_or_default();
        let mut quarantined = Vec::new();
        for edge in edges.as_slice() {
            if !matches!(edge.role, EdgeRole::Config | EdgeRole::Layer) {
                continue;
            }
            let stored = view.stored_blob(&edge.digest).map_err(RegistryError::store)?;
            let is_bad = stored.is_some_and(|stored| stored.quarantine.is_some());
            if is_bad && quarantined.len() < QUARANTINED_NAMED_MAX {
                quarantined.push(edge.digest);
            }
        }
        // A blob can be configuration and layer in one.
        quarantined.sort_unstable();
        quarantined.dedup();
        Ok(quarantined)
    }

    /// Refuses those who may not delete in the repository that it is about: who may, may undo it.
    fn admit_restore(&self, ctx: &Context, view: &View, batch: &mut Batch, number: u64) -> Result<Admitted> {
        match view.trash(number).map_err(RegistryError::store)? {
            Some(record) => {
                let attempt = Attempt::on_digest("deletion.restore", &record.repository, &record.digest);
                self.told(ctx, attempt, self.admit(ctx, Action::Delete, batch, &record.repository))
            }
            None => Err(RegistryError::DeletionUnknown { number }),
        }
    }
}

/// What is gone, in words.
pub(crate) fn lost_name(lost: &Lost) -> (&'static str, &Digest) {
    match lost {
        Lost::Bytes(digest) => ("bytes of manifest", digest),
        Lost::Blob(digest) => ("blob", digest),
        Lost::Manifest(digest) => ("manifest", digest),
    }
}
