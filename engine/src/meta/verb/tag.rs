//! Tags: the pointer, its index by manifest, its history and its event, in one batch.

use crate::error::EngineError;
use crate::meta::batch::{Batch, Expectation};
use crate::meta::key;
use crate::meta::record::{EventKind, GcItem, HistoryRecord, Presence, Record, TagRecord, Trashed};
use crate::meta::view::View;
use strata_types::{Digest, RepositoryName, Tag};

impl Batch {
    /// Points a tag to a manifest of the repository, which must be there or be put by this batch. Expects the tag to be as
    /// the view shows it: what the caller read there holds (compare-and-swap). A tag that points there already gets a new
    /// time and an event, but no history.
    ///
    /// # Errors
    /// Errors of the view.
    pub fn set_tag(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
    ) -> Result<(), EngineError> {
        let row = key::tag(repository, tag);
        let old_value = view.raw(&row)?;
        let old = old_value.clone().map(TagRecord::decode).transpose()?;
        self.expect_value(row.clone(), old_value);
        self.expect(Expectation::Present(key::manifest(repository, digest)));
        let moved = old.is_none_or(|old| old.digest != *digest);
        if let Some(old) = old.filter(|_| moved) {
            self.delete(key::manifest_tag(repository, &old.digest, tag));
            self.queue_gc(&GcItem::Manifest { repository: repository.clone(), digest: old.digest });
        }
        self.put(row, TagRecord { digest: *digest, updated_at: self.at() }.encode());
        self.put(key::manifest_tag(repository, digest, tag), Presence.encode());
        let event = self.event(EventKind::TagSet, repository, Some(*digest), Some(tag));
        let history = moved.then(|| self.history(repository, tag, Some(*digest)));
        self.append(&event, history);
        Ok(())
    }

    /// Removes a tag, which can be restored; the manifest stays, and is queued for garbage collection. Expects the tag to be as the view shows it.
    /// `false`: it is not there, nothing is added to the batch.
    ///
    /// # Errors
    /// Errors of the view.
    pub fn delete_tag(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<bool, EngineError> {
        let row = key::tag(repository, tag);
        let Some(value) = view.raw(&row)? else { return Ok(false) };
        let old = TagRecord::decode(value.clone())?;
        self.expect_value(row, Some(value));
        let trash = self.trash(repository, &old.digest, Trashed::Tag(tag.clone()));
        self.remove_tag(repository, tag, &old.digest, Some(trash));
        self.queue_gc(&GcItem::Manifest { repository: repository.clone(), digest: old.digest });
        Ok(true)
    }

    /// Removes all tags of a manifest, which are answered, and expects that it has no others.
    pub(super) fn delete_tags_of(
        &mut self,
        view: &View,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<Tag>, EngineError> {
        const PAGE: usize = 256;
        let (mut removed, mut seen) = (Vec::new(), Vec::new());
        let mut after: Option<Tag> = None;
        loop {
            let page = view.tags_of(repository, digest, after.as_ref(), PAGE)?;
            let full = page.len() == PAGE;
            for tag in page {
                self.remove_tag(repository, &tag, digest, None);
                seen.push(key::manifest_tag(repository, digest, &tag));
                removed.push(tag);
            }
            after = removed.last().cloned();
            if !full {
                break;
            }
        }
        // RACE: a tag set to this manifest after the view was made would dangle; the rows `y` tell.
        self.expect(Expectation::PrefixKeys(key::manifest_tags(repository, digest), seen));
        Ok(removed)
    }

    /// With the row of the trash that its event leads to, where the tag is deleted by itself.
    fn remove_tag(
        &mut self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
        trash: Option<(bytes::Bytes, bytes::Bytes)>,
    ) {
        self.delete(key::tag(repository, tag));
        self.delete(key::manifest_tag(repository, digest, tag));
        let event = self.event(EventKind::TagDeleted, repository, Some(*digest), Some(tag));
        let history = self.history(repository, tag, None);
        self.append(&event, [history].into_iter().chain(trash));
    }

    fn history(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        target: Option<Digest>,
    ) -> (bytes::Bytes, bytes::Bytes) {
        (key::tag_moves(repository, tag), HistoryRecord { target, at: self.at() }.encode())
    }
}
