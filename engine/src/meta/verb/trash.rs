//! Undoing deletions. What a deletion leaves is written by the verbs that delete; here it is put back, or given up.

use super::ManifestPut;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::batch::{Batch, Expectation};
use crate::meta::key;
use crate::meta::record::{EventKind, GcItem, Record, Target, TrashRecord, Trashed, TrashedManifest};
use crate::meta::view::View;
use bytes::Bytes;
use strata_types::{Digest, RepositoryName, Tag};

/// What became of a wish to undo a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restore {
    /// The batch does it.
    Done(Box<TrashRecord>),
    /// There is no such deletion, or it was too long ago.
    Unknown,
    /// Something that it needs is gone. Nothing was added to the batch.
    Missing(Vec<Lost>),
    /// Tags stand for other manifests by now. Nothing was added to the batch.
    TagsTaken(Vec<(Tag, Digest)>),
}

/// What is gone that a deletion cannot be undone without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lost {
    /// The bytes of the manifest itself.
    Bytes(Digest),
    /// A blob that it holds is not in the store any more.
    Blob(Digest),
    /// A manifest that it holds, or that the tag pointed to, is not in the repository any more.
    Manifest(Digest),
}

impl Batch {
    /// Undoes the deletion `number`, unless it was before `not_before`: the manifest with its edges, its place among the referrers and
    /// the tags that went with it, or the tag. Blobs that the repository may no longer read are linked again, where the store
    /// still has them. Tags that stand for something else by now are moved only by `force`. What the repository did not have when
    /// it was deleted (a child of a sparse index) need not be there now.
    ///
    /// # Errors
    /// Errors of the view.
    pub fn restore(
        &mut self,
        view: &View,
        number: u64,
        not_before: UnixMillis,
        force: bool,
    ) -> Result<Restore, EngineError> {
        let row = key::trash(number);
        let Some(value) = view.raw(&row)? else { return Ok(Restore::Unknown) };
        let record = TrashRecord::decode(value.clone())?;
        if record.at < not_before {
            return Ok(Restore::Unknown);
        }
        let refused = match &record.what {
            Trashed::Tag(tag) => self.restore_tag(view, &record, tag, force)?,
            Trashed::Manifest(manifest) => self.restore_manifest(view, &record, manifest, force)?,
        };
        if let Some(refused) = refused {
            return Ok(refused);
        }
        self.expect(Expectation::Equals(row.clone(), value));
        self.delete(row);
        Ok(Restore::Done(Box::new(record)))
    }

    fn restore_tag(
        &mut self,
        view: &View,
        record: &TrashRecord,
        tag: &Tag,
        force: bool,
    ) -> Result<Option<Restore>, EngineError> {
        let TrashRecord { repository, digest, .. } = record;
        if !view.has_manifest(repository, digest)? {
            return Ok(Some(Restore::Missing(vec![Lost::Manifest(*digest)])));
        }
        if let Err(taken) = free_tags(view, repository, digest, std::slice::from_ref(tag), force)? {
            return Ok(Some(taken));
        }
        self.set_tag(view, repository, tag, digest)?;
        Ok(None)
    }

    fn restore_manifest(
        &mut self,
        view: &View,
        record: &TrashRecord,
        manifest: &TrashedManifest,
        force: bool,
    ) -> Result<Option<Restore>, EngineError> {
        let TrashRecord { repository, digest, .. } = record;
        let FreeTags { tags, standing } = match free_tags(view, repository, digest, &manifest.tags, force)? {
            Ok(free) => free,
            Err(taken) => return Ok(Some(taken)),
        };
        let mut found = Found::default();
        for (child, target) in &manifest.there {
            found.look_up(view, repository, child, *target)?;
        }
        let bytes = view.manifest_bytes(digest)?;
        if bytes.is_none() {
            found.lost.insert(0, Lost::Bytes(*digest));
        }
        let Some(bytes) = bytes.filter(|_| found.lost.is_empty()) else {
            return Ok(Some(Restore::Missing(found.lost)));
        };
        // RACE: a tag that is moved away meanwhile is one that is taken.
        for (row, value) in standing {
            self.expect(Expectation::Equals(row, value));
        }
        for blob in &found.unlinked {
            self.link(repository, blob, EventKind::BlobMounted);
            let item = GcItem::Link { repository: repository.clone(), digest: *blob };
            found.seen.push((self.at(), item));
        }
        let subject = manifest.edges.subject();
        let put = ManifestPut {
            repository: repository.clone(),
            digest: *digest,
            media_type: manifest.media_type.clone(),
            bytes,
            edges: manifest.held_edges(),
            required_blobs: found.linked,
            required_manifests: found.manifests,
            subject: subject.map(|subject| (subject, manifest.descriptor.clone().unwrap_or_default())),
            tags,
            attributes: manifest.attributes.clone(),
            seen: found.seen,
        };
        self.put_manifest(view, &put)?;
        Ok(None)
    }

    /// Gives up the undoing of a deletion.
    pub fn delete_trash(&mut self, number: u64) {
        self.delete(key::trash(number));
    }

    /// A row of the trash without its number, for the event that tells the deletion.
    pub(super) fn trash(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        what: Trashed,
    ) -> (Bytes, Bytes) {
        let record = TrashRecord { at: self.at(), repository: repository.clone(), digest: *digest, what };
        (key::whole(key::table::TRASH), record.encode())
    }
}

/// What a manifest needs, as it is now.
#[derive(Debug, Default)]
struct Found {
    linked: Vec<Digest>,
    /// Blobs of the store that are to be linked again.
    unlinked: Vec<Digest>,
    manifests: Vec<Digest>,
    seen: Vec<(UnixMillis, GcItem)>,
    lost: Vec<Lost>,
}

impl Found {
    fn look_up(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        digest: &Digest,
        target: Target,
    ) -> Result<(), EngineError> {
        let named = || repository.clone();
        match target {
            Target::Manifest => match view.manifest(repository, digest)? {
                Some(child) => {
                    self.manifests.push(*digest);
                    let item = GcItem::Manifest { repository: named(), digest: *digest };
                    self.seen.push((child.pushed_at, item));
                }
                None => self.lost.push(Lost::Manifest(*digest)),
            },
            Target::Link => match view.link(repository, digest)? {
                Some(link) => {
                    self.linked.push(*digest);
                    let item = GcItem::Link { repository: named(), digest: *digest };
                    self.seen.push((link.created_at, item));
                }
                None if view.blob(digest)?.is_some() => self.unlinked.push(*digest),
                None => self.lost.push(Lost::Blob(*digest)),
            },
        }
        Ok(())
    }
}

/// What is to be done about the tags of a manifest that is put back.
#[derive(Debug, Default)]
struct FreeTags {
    /// Those to be set.
    tags: Vec<Tag>,
    /// Rows of those that stand for it already.
    standing: Vec<(Bytes, Bytes)>,
}

/// Sorts the tags of a manifest, or says what stands in the way.
fn free_tags(
    view: &View,
    repository: &RepositoryName,
    digest: &Digest,
    tags: &[Tag],
    force: bool,
) -> Result<Result<FreeTags, Restore>, EngineError> {
    let (mut free, mut taken) = (FreeTags::default(), Vec::new());
    for tag in tags {
        match view.tag(repository, tag)? {
            Some(now) if now.digest == *digest => {
                free.standing.push((key::tag(repository, tag), now.encode()));
            }
            Some(now) if !force => taken.push((tag.clone(), now.digest)),
            _ => free.tags.push(tag.clone()),
        }
    }
    Ok(if taken.is_empty() { Ok(free) } else { Err(Restore::TagsTaken(taken)) })
}
