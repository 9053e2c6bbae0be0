//! Deletions that are undone, and repositories that go as a whole.

use super::run::Model;
use super::session::Session;
use crate::universe::{self, BLOBS, REPOSITORIES, TAGS};
use strata_engine::meta::{Lost, View};
use strata_registry::{Deletion, RegistryError};
use strata_types::{Reference, RepositoryName, Tag};

/// More deletions than there can be.
const ALL: usize = 1000;

fn repository_number(name: &RepositoryName) -> usize {
    (0..REPOSITORIES)
        .find(|number| universe::repository(*number) == *name)
        .expect("a repository of the universe")
}

fn tag_number(name: &Tag) -> usize {
    (0..TAGS).find(|number| universe::tag(*number) == *name).expect("a tag of the universe")
}

impl Model {
    /// Undoes one of the deletions that are listed.
    pub(super) fn restore(&mut self, number: usize, force: bool) {
        let registry = self.registry();
        let listed = self.runtime.block_on(registry.list_deleted(&self.ctx, None, None, ALL));
        let listed = listed.expect("rows").deletions;
        if listed.is_empty() {
            return;
        }
        let deletion = &listed[number % listed.len()];
        let restored = self.runtime.block_on(registry.restore(&self.ctx, deletion.number, force));
        match restored {
            Ok(done) => {
                assert_eq!(done.deletion.number, deletion.number);
                self.restored(deletion);
            }
            Err(RegistryError::RestoreIncomplete { lost, .. }) => {
                let view = self.engine().view().expect("it is open");
                for lost in lost {
                    assert!(is_lost(&view, &deletion.repository, &lost), "{lost:?} is there");
                }
            }
            Err(RegistryError::TagsTaken { tags, .. }) => {
                let shelf = &self.oracle.shelves[repository_number(&deletion.repository)];
                let taken = |tag: &Tag| shelf.tags.contains_key(&tag_number(tag));
                assert!(!force && tags.iter().all(|(tag, _)| taken(tag)), "{tags:?}");
            }
            Err(error) => assert!(self.excused(&error)),
        }
    }

    fn restored(&mut self, deletion: &Deletion) {
        let now = self.now();
        let of = repository_number(&deletion.repository);
        let number = universe::manifest_number(&deletion.digest).expect("a manifest of the universe");
        let shelf = &mut self.oracle.shelves[of];
        let tags: Vec<usize> = match &deletion.reference {
            Reference::Tag(tag) => {
                assert!(shelf.manifests.contains_key(&number), "a tag without its manifest");
                vec![tag_number(tag)]
            }
            Reference::Digest(_) => {
                for blob in &universe::manifest(number).blobs {
                    if !shelf.links.contains_key(blob) {
                        shelf.link(*blob, now);
                    }
                }
                shelf.put(number, None, now);
                deletion.tags.iter().map(tag_number).collect()
            }
        };
        for tag in tags {
            shelf.set_tag(tag, number, now);
        }
    }

    pub(super) fn delete_repository(&mut self, of: usize) {
        let (registry, name) = (self.registry(), universe::repository(of));
        let there = || self.engine().view().expect("it is open").repository(&name).expect("rows").is_some();
        let before = there();
        match self.runtime.block_on(registry.delete_repository(&self.ctx, &name)) {
            Ok(removed) => {
                assert!(before, "a repository that is not there");
                let shelf = &self.oracle.shelves[of];
                let expected = (shelf.manifests.len(), shelf.tags.len(), shelf.links.len());
                let removed = (removed.manifests as usize, removed.tags as usize, removed.blobs as usize);
                assert_eq!(removed, expected, "manifests, tags and blobs of {name}");
            }
            Err(RegistryError::NameUnknown(_)) => assert!(!before, "a repository is gone"),
            Err(error) => assert!(self.excused(&error)),
        }
        // The uploads are cancelled behind the removal: if that fails, the repository is gone all the same.
        if before && !there() {
            let gc = &self.world.config.gc;
            let kept = if gc.undo_keeps_bytes { gc.undo } else { gc.grace.min(gc.undo) };
            let until = self.now() + super::collect::millis(kept);
            for blob in self.oracle.shelves[of].links.keys() {
                self.kept.insert(*blob, until);
            }
            self.oracle.shelves[of] = super::oracle::Shelf::default();
            self.sessions.retain(|session: &Session| session.repository() != of);
        }
    }
}

fn is_lost(view: &View, repository: &RepositoryName, lost: &Lost) -> bool {
    match lost {
        Lost::Bytes(digest) => view.manifest_bytes(digest).expect("rows").is_none(),
        Lost::Blob(digest) => {
            assert!((0..BLOBS).any(|blob| universe::blob(blob) == *digest));
            view.blob(digest).expect("rows").is_none()
        }
        Lost::Manifest(digest) => !view.has_manifest(repository, digest).expect("rows"),
    }
}
