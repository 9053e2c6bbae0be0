//! The store beside the model: after each step what it lists, at the end every byte of it.

use super::run::Model;
use super::step::Step;
use crate::universe::{self, BLOBS, MANIFESTS, REPOSITORIES, TAGS};
use std::collections::BTreeSet;
use strata_types::Digest;

/// More rows than there can be of a kind.
const ALL: usize = 100;

impl Model {
    /// Asserts that the store lists what the model holds.
    pub(super) fn compare(&mut self) {
        let view = self.engine().view().expect("it is open");
        for number in 0..REPOSITORIES {
            let (name, shelf) = (universe::repository(number), &self.oracle.shelves[number]);
            let links: BTreeSet<Digest> =
                view.links(&name, None, ALL).expect("rows").into_iter().map(|(digest, _)| digest).collect();
            let expected: BTreeSet<Digest> = shelf.links.keys().map(|blob| universe::blob(*blob)).collect();
            assert!(links == expected, "{name} has the blobs {:?}, not {:?}", numbers(&links), shelf.links);
            let manifests: BTreeSet<usize> = view
                .manifests(&name, None, ALL)
                .expect("rows")
                .iter()
                .filter_map(|(digest, _)| universe::manifest_number(digest))
                .collect();
            let expected: BTreeSet<usize> = shelf.manifests.keys().copied().collect();
            assert_eq!(manifests, expected, "manifests of {name}");
            for tag in 0..TAGS {
                let found = view.tag(&name, &universe::tag(tag)).expect("rows");
                let found = found.and_then(|record| universe::manifest_number(&record.digest));
                assert_eq!(found, shelf.tags.get(&tag).copied(), "tag {tag} of {name}");
            }
        }
    }

    /// Ends the sequence: everything that was promised is there byte by byte, and nothing else is.
    pub fn finish(mut self) {
        self.step(Step::Restart);
        self.end_sessions();
        self.compare();
        self.step(Step::Restart);
        for number in 0..REPOSITORIES {
            for blob in 0..BLOBS {
                self.step(Step::Pull { repository: number, blob });
            }
            for manifest in 0..MANIFESTS {
                let there = self.oracle.shelves[number].manifests.contains_key(&manifest);
                let bytes = self.engine().view().expect("it is open");
                let bytes = bytes.manifest_bytes(&universe::manifest(manifest).digest).expect("rows");
                assert!(!there || bytes.as_ref() == Some(&universe::manifest(manifest).bytes), "{manifest}");
            }
            for tag in 0..TAGS {
                self.step(Step::Get { repository: number, tag });
            }
        }
        let found = self.world.audit(&self.engine()).expect("a check");
        assert!(found.is_empty(), "{found:#?}");
    }
}

fn numbers(digests: &BTreeSet<Digest>) -> Vec<Option<usize>> {
    digests.iter().map(universe::blob_number).collect()
}
