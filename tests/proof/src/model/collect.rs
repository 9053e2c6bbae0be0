//! Garbage collection beside the model: nothing goes that is needed, everything goes that is not.

use super::oracle::Shelf;
use super::run::Model;
use crate::universe::{self, REPOSITORIES, manifest};
use std::time::Duration;

/// More rows than there can be of a kind.
const ALL: usize = 100;

pub(super) fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

impl Shelf {
    /// Since when nothing needs the manifest; `None` while something does.
    fn manifest_free_since(&self, number: usize) -> Option<u64> {
        let since = self.manifests.get(&number)?;
        let tagged = self.tags.values().any(|target| *target == number);
        let refers = manifest(number).subject.is_some_and(|subject| self.manifests.contains_key(&subject));
        (!tagged && !refers && !self.holds_manifest(number)).then_some(*since)
    }
}

impl Model {
    /// Collects garbage, wholly or for so many steps.
    pub(super) fn collect(&mut self, steps: Option<usize>) {
        let engine = self.engine();
        let outcome = match steps {
            None => self.runtime.block_on(engine.gc_run()),
            Some(steps) => engine.sweep(steps as u64),
        };
        let whole = match outcome {
            Ok(report) => {
                self.bytes_moved += report.bytes_moved;
                !report.stopped && !self.faulty
            }
            Err(error) => {
                assert!(self.faulty, "{error}");
                false
            }
        };
        self.forgive(whole);
        if whole {
            let now = self.now();
            self.sessions_expire(now);
            self.expect_no_blob_without_link();
        }
    }

    /// Takes off the model what a run that was not answered has collected, which must have been due.
    pub(super) fn reconcile(&mut self) {
        self.forgive(false);
    }

    fn forgive(&mut self, whole: bool) {
        for number in 0..REPOSITORIES {
            self.collect_manifests(number, whole);
            self.collect_links(number, whole);
        }
    }

    fn collect_manifests(&mut self, of: usize, whole: bool) {
        let now = self.now();
        let view = self.engine().view().expect("it is open");
        let name = universe::repository(of);
        let untagged = self.world.config.gc.untagged.map(millis);
        let before = self.oracle.shelves[of].clone();
        for number in before.manifests.keys().copied() {
            let there = view.has_manifest(&name, &manifest(number).digest).expect("rows");
            // What a manifest that goes held is held no longer, in the same run as well.
            let due = match (before.manifest_free_since(number), untagged) {
                (Some(since), Some(untagged)) => Some(since + untagged),
                _ => None,
            };
            if there {
                assert!(!(whole && due.is_some_and(|due| due < now)), "manifest {number} of {name} stays");
            } else {
                assert!(
                    due.is_some_and(|due| due <= now),
                    "manifest {number} of {name} went, due {due:?} at {now}"
                );
                self.oracle.shelves[of].delete(number, now);
            }
        }
    }

    fn collect_links(&mut self, of: usize, whole: bool) {
        let now = self.now();
        let view = self.engine().view().expect("it is open");
        let (name, grace) = (universe::repository(of), millis(self.world.config.gc.grace));
        let shelf = self.oracle.shelves[of].clone();
        for (blob, link) in &shelf.links {
            let there = view.link(&name, &universe::blob(*blob)).expect("rows").is_some();
            let held = shelf.holds_blob(*blob);
            let due = link.since.max(link.seen) + grace;
            if there {
                let stays = held || due.max(self.opened_at + grace) >= now;
                assert!(stays || !whole, "blob {blob} of {name} stays, due {due} at {now}");
            } else {
                assert!(!held && due <= now, "blob {blob} of {name} went: held {held}, due {due} at {now}");
                self.oracle.shelves[of].links.remove(blob);
            }
        }
    }

    fn expect_no_blob_without_link(&self) {
        let view = self.engine().view().expect("it is open");
        for (digest, _) in view.blobs(None, ALL).expect("rows") {
            let linked = view.blob_repositories(&digest, None, 1).expect("rows");
            let number = universe::blob_number(&digest);
            // Those of a repository that was deleted stay for a while, so that a restore finds them.
            let kept = number.and_then(|number| self.kept.get(&number)).copied();
            let is_kept = kept.is_some_and(|until| until >= self.now());
            assert!(is_kept || !linked.is_empty(), "blob {number:?} stays, kept until {kept:?}");
        }
    }
}
