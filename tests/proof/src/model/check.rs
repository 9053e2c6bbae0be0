//! The store beside the model: after each step what it lists, at the end every byte of it.

use super::oracle::Oracle;
use super::run::Model;
use super::step::Step;
use crate::universe::{self, BLOBS, MANIFESTS, REPOSITORIES, TAGS};
use std::collections::{BTreeMap, BTreeSet};
use strata_engine::meta::Usage;

/// More rows than there can be of a kind.
const ALL: usize = 100;

/// What the store lists of a repository, by numbers.
struct Listed {
    links: BTreeSet<usize>,
    manifests: BTreeSet<usize>,
    tags: BTreeMap<usize, usize>,
}

impl Model {
    /// Asserts that the store lists what the model holds.
    pub(super) fn compare(&mut self) {
        let listed = self.listed();
        for (number, (found, shelf)) in listed.iter().zip(&self.oracle.shelves).enumerate() {
            let name = universe::repository(number);
            assert_eq!(found.links, shelf.links.keys().copied().collect(), "blobs of {name}");
            assert_eq!(found.manifests, shelf.manifests.keys().copied().collect(), "manifests of {name}");
            assert_eq!(found.tags, shelf.tags, "tags of {name}");
        }
        self.compare_usage();
    }

    /// Asserts that each registry uses what its repositories hold.
    fn compare_usage(&self) {
        let view = self.engine().view().expect("it is open");
        let mut expected: BTreeMap<String, (Usage, BTreeSet<(bool, usize)>)> = BTreeMap::new();
        let bytes = |(is_blob, number): (bool, usize)| {
            let bytes =
                if is_blob { universe::content(number) } else { universe::manifest(number).bytes.clone() };
            bytes.len() as u64
        };
        for (number, shelf) in self.oracle.shelves.iter().enumerate() {
            let name = universe::repository(number);
            let (usage, once) = expected.entry(name.registry().to_owned()).or_default();
            // An empty repository stays, which the model does not remember.
            usage.repositories += u64::from(view.repository(&name).expect("rows").is_some());
            usage.manifests += shelf.manifests.len() as u64;
            usage.tags += shelf.tags.len() as u64;
            let blobs = shelf.links.keys().map(|blob| (true, *blob));
            for held in blobs.chain(shelf.manifests.keys().map(|manifest| (false, *manifest))) {
                usage.logical_bytes += bytes(held);
                once.insert(held);
            }
        }
        for (registry, (mut usage, once)) in expected {
            usage.unique_bytes = once.into_iter().map(bytes).sum();
            assert_eq!(view.usage(&registry).expect("rows"), usage, "usage of {registry}");
        }
    }

    /// Whether the store lists what `oracle` holds.
    pub(super) fn shows(&self, oracle: &Oracle) -> bool {
        self.listed().iter().zip(&oracle.shelves).all(|(found, shelf)| {
            found.links == shelf.links.keys().copied().collect()
                && found.manifests == shelf.manifests.keys().copied().collect()
                && found.tags == shelf.tags
        })
    }

    fn listed(&self) -> Vec<Listed> {
        let view = self.engine().view().expect("it is open");
        let list = |number: usize| {
            let name = universe::repository(number);
            let links = view.links(&name, None, ALL).expect("rows");
            let manifests = view.manifests(&name, None, ALL).expect("rows");
            let tags = view.tags(&name, None, ALL).expect("rows");
            let tag_number = |tag| (0..TAGS).find(|number| universe::tag(*number) == tag);
            Listed {
                links: links.iter().filter_map(|(digest, _)| universe::blob_number(digest)).collect(),
                manifests: manifests
                    .iter()
                    .filter_map(|(digest, _)| universe::manifest_number(digest))
                    .collect(),
                tags: tags
                    .into_iter()
                    .filter_map(|(tag, row)| {
                        Some((tag_number(tag)?, universe::manifest_number(&row.digest)?))
                    })
                    .collect(),
            }
        };
        (0..REPOSITORIES).map(list).collect()
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
