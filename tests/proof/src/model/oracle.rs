//! What a registry has promised, in the plainest words: maps of numbers. Knows nothing of how it is kept.

use crate::universe::{REPOSITORIES, manifest};
use std::collections::BTreeMap;

/// A blob that a repository may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// When it was last pushed, mounted, or let go of by the last manifest that held it.
    pub since: u64,
    /// When a client was last told that it is there.
    pub seen: u64,
}

/// A repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shelf {
    /// Blobs by number.
    pub links: BTreeMap<usize, Link>,
    /// Manifests by number, and when they were last pushed or lost a tag.
    pub manifests: BTreeMap<usize, u64>,
    /// Which manifest a tag stands for.
    pub tags: BTreeMap<usize, usize>,
}

/// All repositories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oracle {
    /// By number.
    pub shelves: [Shelf; REPOSITORIES],
}

impl Shelf {
    /// Whether a manifest holds the blob.
    pub fn holds_blob(&self, blob: usize) -> bool {
        self.manifests.keys().any(|number| manifest(*number).blobs.contains(&blob))
    }

    /// Whether an index holds the manifest.
    pub fn holds_manifest(&self, child: usize) -> bool {
        self.manifests.keys().any(|number| manifest(*number).children.contains(&child))
    }

    /// A blob came in.
    pub fn link(&mut self, blob: usize, now: u64) {
        let seen = self.links.get(&blob).map_or(0, |link| link.seen);
        self.links.insert(blob, Link { since: now, seen });
    }

    /// A client was told that the blob is there.
    pub fn see(&mut self, blob: usize, now: u64) {
        if let Some(link) = self.links.get_mut(&blob) {
            link.seen = now;
        }
    }

    /// A manifest came in.
    pub fn put(&mut self, number: usize, tag: Option<usize>, now: u64) {
        self.manifests.insert(number, now);
        if let Some(tag) = tag {
            self.set_tag(tag, number, now);
        }
    }

    /// A tag comes to stand for a manifest.
    pub fn set_tag(&mut self, tag: usize, number: usize, now: u64) {
        if let Some(left) = self.tags.insert(tag, number).filter(|left| *left != number) {
            self.manifests.insert(left, now);
        }
    }

    /// A tag goes; the manifest stays.
    pub fn untag(&mut self, tag: usize, now: u64) {
        if let Some(left) = self.tags.remove(&tag) {
            self.manifests.insert(left, now);
        }
    }

    /// A manifest goes with its tags; what nothing holds any more begins to wait.
    pub fn delete(&mut self, number: usize, now: u64) {
        self.manifests.remove(&number);
        self.tags.retain(|_, target| *target != number);
        for blob in &manifest(number).blobs {
            if !self.holds_blob(*blob)
                && let Some(link) = self.links.get_mut(blob)
            {
                link.since = now;
            }
        }
        // What it held or what refers to it may have been kept for its sake only, and begins to wait as well.
        for other in manifest(number).children.clone() {
            self.manifests.entry(other).and_modify(|since| *since = now);
        }
        for (other, since) in &mut self.manifests {
            if manifest(*other).subject == Some(number) {
                *since = now;
            }
        }
    }
}
