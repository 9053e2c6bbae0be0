//! A view compared with the oracle: through every list and look-up.

use super::{
    BLOBS, MANIFESTS, Once, Oracle, Repository, Stored, Told, blob, manifest, manifest_bytes, record,
};
use crate::meta::{GcItem, PinRecord, Usage, View};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use strata_types::{Digest, RepositoryName, Tag};

impl Oracle {
    /// What registries use.
    fn usage(&self) -> BTreeMap<&str, Usage> {
        let blob_bytes = |digest: &Digest| {
            (0..BLOBS).find(|number| blob(*number) == *digest).map(|number| record(number).size)
        };
        let manifest_bytes = |digest: &Digest| {
            let number = (0..MANIFESTS).find(|number| manifest(*number) == *digest);
            number.map(|number| manifest_bytes(number).len() as u64)
        };
        let mut all: BTreeMap<&str, (Usage, Once)> = BTreeMap::new();
        for (name, stored) in &self.repositories {
            let (usage, once) = all.entry(name.registry()).or_default();
            usage.repositories += 1;
            usage.manifests += stored.manifests.len() as u64;
            usage.tags += stored.tags.len() as u64;
            let blobs = stored.links.iter().map(|digest| ((true, *digest), blob_bytes(digest).unwrap()));
            let manifests =
                stored.manifests.keys().map(|digest| ((false, *digest), manifest_bytes(digest).unwrap()));
            for (held, bytes) in blobs.chain(manifests) {
                usage.logical_bytes += bytes;
                once.insert(held, bytes);
            }
        }
        let sum = |(usage, once): (Usage, Once)| Usage { unique_bytes: once.values().sum(), ..usage };
        all.into_iter().map(|(registry, found)| (registry, sum(found))).collect()
    }

    /// Asserts that the view shows what registries use.
    pub(in crate::meta::tests) fn assert_usage_shown_by(&self, view: &View) {
        let usage = self.usage();
        for registry in ["a", "b", "default"] {
            let expected = usage.get(registry).copied().unwrap_or_default();
            assert_eq!(view.usage(registry).unwrap(), expected, "{registry}");
        }
    }

    /// Everything that nothing keeps.
    fn garbage(&self) -> Vec<GcItem> {
        let mut garbage = Vec::new();
        for (repository, stored) in &self.repositories {
            let free = |digest: &Digest| !self.holds(repository, digest);
            let links =
                stored.links.iter().filter(|digest| free(digest) && !stored.pins.contains_key(*digest));
            garbage
                .extend(links.map(|digest| GcItem::Link { repository: repository.clone(), digest: *digest }));
            for (digest, (_, edges, _)) in &stored.manifests {
                let named = stored.tags.values().any(|target| target == digest);
                let about = edges.subject().is_some_and(|subject| stored.manifests.contains_key(&subject));
                if free(digest) && !named && !about {
                    garbage.push(GcItem::Manifest { repository: repository.clone(), digest: *digest });
                }
            }
        }
        let linked = |digest: &Digest| self.repositories.values().any(|stored| stored.links.contains(digest));
        let blobs = self.blobs.iter().filter(|digest| !linked(digest));
        garbage.extend(blobs.map(|digest| GcItem::Blob { digest: *digest }));
        garbage
    }

    /// Asserts that the view shows the oracle's state, through every list and lookup, in pages of `limit`.
    pub(in crate::meta::tests) fn assert_shown_by(&self, view: &View, limit: usize) {
        self.assert_usage_shown_by(view);
        let names = pages(limit, |after: Option<&RepositoryName>| {
            let page = view.repositories(after.map(RepositoryName::as_str), limit).unwrap();
            page.into_iter().map(|(name, _)| name).collect()
        });
        assert_eq!(names, self.repositories.keys().cloned().collect::<Vec<_>>());
        for (repository, stored) in &self.repositories {
            stored.assert_shown_by(view, repository, limit);
        }
        for number in 0..BLOBS {
            let digest = blob(number);
            assert_eq!(view.blob(&digest).unwrap().is_some(), self.blobs.contains(&digest));
            let linked = pages(limit, |after: Option<&RepositoryName>| {
                view.blob_repositories(&digest, after, limit).unwrap()
            });
            let expected = self.repositories.iter().filter(|(_, stored)| stored.links.contains(&digest));
            assert_eq!(linked, expected.map(|(name, _)| name.clone()).collect::<Vec<_>>());
        }
        for number in 0..MANIFESTS {
            let digest = manifest(number);
            let found = pages(limit, |after: Option<&RepositoryName>| {
                view.manifest_repositories(&digest, after, limit).unwrap()
            });
            let expected =
                self.repositories.iter().filter(|(_, stored)| stored.manifests.contains_key(&digest));
            let expected: Vec<_> = expected.map(|(name, _)| name.clone()).collect();
            assert_eq!(found, expected);
            if !expected.is_empty() {
                assert_eq!(view.manifest_bytes(&digest).unwrap().unwrap(), manifest_bytes(number));
            }
        }
        let trash = pages(limit, |after: Option<&(u64, Digest)>| {
            let page = view.trash_page(after.map(|(number, _)| *number), limit).unwrap();
            page.into_iter().map(|(number, record)| (number, record.digest)).collect()
        });
        let expected = self.trash.iter().map(|(number, deletion)| (*number, deletion.digest));
        assert_eq!(trash, expected.collect::<Vec<_>>());
        let queued = pages(limit, |after| view.gc_queue(after, limit).unwrap());
        let queued: BTreeSet<GcItem> = queued.into_iter().map(|(_, item)| item).collect();
        for item in self.garbage() {
            assert!(queued.contains(&item), "{item:?} is garbage and not queued");
        }
        let told = pages(limit, |after: Option<&(u64, Told)>| {
            let page = view.events(after.map_or(0, |(number, _)| *number), limit).unwrap();
            let told =
                |event: crate::meta::Event| (event.kind, event.repository.unwrap(), event.digest, event.tag);
            page.into_iter().map(|(number, event)| (number, told(event))).collect()
        });
        assert_eq!(told, (1..).zip(self.told.iter().cloned()).collect::<Vec<_>>());
        assert_eq!(view.last_event().unwrap(), self.told.len() as u64);
    }
}

impl Repository {
    fn assert_shown_by(&self, view: &View, repository: &RepositoryName, limit: usize) {
        let tags = pages(limit, |after: Option<&(Tag, Digest)>| {
            let page = view.tags(repository, after.map(|(tag, _)| tag.as_str()), limit).unwrap();
            page.into_iter().map(|(tag, record)| (tag, record.digest)).collect()
        });
        assert_eq!(tags, self.tags.clone().into_iter().collect::<Vec<_>>());
        let links = pages(limit, |after: Option<&Digest>| {
            view.links(repository, after, limit).unwrap().into_iter().map(|(digest, _)| digest).collect()
        });
        assert_eq!(links, self.links.iter().copied().collect::<Vec<_>>());
        let pins = pages(limit, |after: Option<&(Digest, PinRecord)>| {
            view.pins(repository, after.map(|(digest, _)| digest), limit).unwrap()
        });
        assert_eq!(pins, self.pins.clone().into_iter().collect::<Vec<_>>());
        for (tag, moves) in &self.history {
            let found = pages(limit, |after: Option<&(u64, Option<Digest>)>| {
                let page = view.tag_history(repository, tag, after.map(|(event, _)| *event), limit).unwrap();
                page.into_iter().map(|(event, record)| (event, record.target)).collect()
            });
            assert_eq!(found.iter().map(|(_, target)| *target).collect::<Vec<_>>(), *moves);
        }
        let manifests = pages(limit, |after: Option<&Digest>| {
            view.manifests(repository, after, limit).unwrap().into_iter().map(|(digest, _)| digest).collect()
        });
        assert_eq!(manifests, self.manifests.keys().copied().collect::<Vec<_>>());
        for (digest, (media_type, edges, _)) in &self.manifests {
            assert_eq!(view.manifest(repository, digest).unwrap().unwrap().media_type, *media_type);
            assert_eq!(view.edges(repository, digest).unwrap().unwrap(), *edges);
            let tags =
                pages(limit, |after: Option<&Tag>| view.tags_of(repository, digest, after, limit).unwrap());
            let expected = self.tags.iter().filter(|(_, target)| *target == digest);
            assert_eq!(tags, expected.map(|(tag, _)| tag.clone()).collect::<Vec<_>>());
        }
        for child in (0..BLOBS).map(blob).chain((0..MANIFESTS).map(manifest)) {
            self.assert_edges_shown_by(view, repository, &child, limit);
        }
    }

    fn assert_edges_shown_by(&self, view: &View, repository: &RepositoryName, child: &Digest, limit: usize) {
        let holders = pages(limit, |after: Option<&(Digest, _)>| {
            view.holders(repository, child, after.map(|(digest, _)| digest), limit).unwrap()
        });
        let mut expected = Vec::new();
        for (digest, (_, edges, _)) in &self.manifests {
            let roles = edges.held().into_iter().find(|(held, _)| held == child);
            expected.extend(roles.map(|(_, roles)| (*digest, roles)));
        }
        assert_eq!(holders, expected);
        assert_eq!(view.is_held(repository, child).unwrap(), !expected.is_empty());
        let referrers = pages(limit, |after: Option<&(Digest, Bytes)>| {
            view.referrers(repository, child, after.map(|(digest, _)| digest), limit).unwrap()
        });
        let refers = |(_, edges, _): &Stored| edges.subject() == Some(*child);
        let expected = self.manifests.iter().filter(|(_, stored)| refers(stored));
        let expected = expected.map(|(digest, (_, _, descriptor))| (*digest, descriptor.clone().unwrap()));
        assert_eq!(referrers, expected.collect::<Vec<_>>());
    }
}

/// All entries of a list, page by page; each page but the last is full.
fn pages<T>(limit: usize, mut page: impl FnMut(Option<&T>) -> Vec<T>) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    loop {
        let next = page(all.last());
        assert!(next.len() <= limit);
        let full = next.len() == limit;
        all.extend(next);
        if !full {
            return all;
        }
    }
}
