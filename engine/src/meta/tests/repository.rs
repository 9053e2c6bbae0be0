//! Removing repositories, one by one: what the oracle does not look at.

use super::verbs::{at, digest, manifest, name, push_blob};
use super::{errors, memory, view};
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::{
    Batch, GcItem, MemoryStore, MetaStore, MetaView, RepositoryRemoved, Restore, View, commit,
};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use strata_types::Tag;

fn filled() -> Arc<MemoryStore> {
    let store = memory();
    push_blob(&*store, "a", "x", 1);
    at(&*store, 8, |batch, _| batch.mount_blob(&name("a/b"), &digest("x"), None)).unwrap();
    push_blob(&*store, "a", "y", 2);
    for repository in ["a", "a/b"] {
        let mut signed = manifest(repository, "m", &["x"], &["v1", "latest"]);
        signed.subject = Some((digest("subject"), Bytes::from_static(b"{}")));
        at(&*store, 9, |batch, view| batch.put_manifest(view, &signed).unwrap()).unwrap();
    }
    store
}

fn delete(batch: &mut Batch, view: &View, repository: &str) -> Option<RepositoryRemoved> {
    batch.delete_repository(view, &name(repository), UnixMillis(50)).unwrap()
}

/// Every row that names the repository, but for its past in the event log, the queue and the trash.
fn rows_of(store: &dyn MetaStore, repository: &str) -> Vec<crate::meta::key::Key> {
    let rows = view(store).raw_page(b"", None, 10_000).unwrap();
    let keys = rows.into_iter().map(|(key, _)| crate::meta::key::Key::decode(&key).unwrap());
    let debug = format!("{:?}", name(repository));
    keys.filter(|key| {
        !matches!(key, crate::meta::key::Key::Gc { .. } | crate::meta::key::Key::GcSince { .. })
    })
    .filter(|key| {
        format!("{key:?}").contains(&format!("repository: {debug},"))
            || format!("{key:?}").contains(&format!("repository: {debug} }}"))
    })
    .collect()
}

#[test]
fn a_repository_goes_with_all_that_it_has_and_nothing_else() {
    let store = filled();
    assert!(rows_of(&*store, "a").len() > 8);
    let neighbour = rows_of(&*store, "a/b");
    at(&*store, 10, |batch, view| {
        assert_eq!(delete(batch, view, "a"), Some(RepositoryRemoved { manifests: 1, tags: 2, links: 2 }));
        assert_eq!(delete(batch, view, "nowhere"), None);
    })
    .unwrap();
    assert_eq!(rows_of(&*store, "a"), []);
    assert_eq!(rows_of(&*store, "a/b"), neighbour);
    assert_eq!(errors(&view(&*store)), Vec::<String>::new());
    // The blobs are looked at again when a restore needs them no longer.
    let queued = view(&*store).gc_queue(None, 100).unwrap();
    assert!(queued.contains(&(UnixMillis(50), GcItem::Blob { digest: digest("y") })));
    let (number, _) = view(&*store).trash_page(None, 9).unwrap().remove(0);
    at(&*store, 11, |batch, view| {
        let restored = batch.restore(view, number, UnixMillis(0), false).unwrap();
        assert!(matches!(restored, Restore::Done(_)));
    })
    .unwrap();
    let tags = view(&*store).tags_of(&name("a"), &digest("m"), None, 9).unwrap();
    assert_eq!(tags.len(), 2);
    assert!(view(&*store).link(&name("a"), &digest("y")).unwrap().is_none(), "nothing restored needed it");
    assert_eq!(errors(&view(&*store)), Vec::<String>::new());
}

#[test]
fn whatever_is_pushed_meanwhile_stops_the_deletion() {
    type Fill = fn(&mut Batch, &View);
    let meanwhile: [Fill; 5] = [
        |batch, _| {
            batch.put_blob(&digest("new"), &super::verbs::file(7));
            batch.link_blob(&name("a"), &digest("new"));
        },
        |batch, view| batch.put_manifest(view, &manifest("a", "other", &[], &[])).unwrap(),
        |batch, view| {
            batch.set_tag(view, &name("a"), &Tag::parse("v2").unwrap(), &digest("m")).unwrap();
        },
        |batch, view| {
            batch.set_tag(view, &name("a"), &Tag::parse("v1").unwrap(), &digest("m")).unwrap();
        },
        |batch, view| assert!(batch.delete_tag(view, &name("a"), &Tag::parse("v1").unwrap()).unwrap()),
    ];
    for fill in meanwhile {
        let store = filled();
        let mut batch = Batch::new(UnixMillis(20));
        assert!(delete(&mut batch, &view(&*store), "a").is_some());
        at(&*store, 15, fill).unwrap();
        assert!(matches!(commit(&*store, batch), Err(EngineError::Conflict)));
        assert_eq!(errors(&view(&*store)), Vec::<String>::new());
    }
    // And a push that saw what is gone is refused.
    let store = filled();
    let mut push = Batch::new(UnixMillis(20));
    push.put_manifest(&view(&*store), &manifest("a", "late", &["x"], &["v3"])).unwrap();
    at(&*store, 15, |batch, view| assert!(delete(batch, view, "a").is_some())).unwrap();
    assert!(matches!(commit(&*store, push), Err(EngineError::Conflict)));
    assert_eq!(rows_of(&*store, "a"), []);
}

/// Counts what is read.
#[derive(Debug)]
struct Counting {
    view: Arc<dyn MetaView>,
    reads: Arc<AtomicUsize>,
}

impl MetaView for Counting {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.view.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        let rows = self.view.scan(prefix, after, limit)?;
        self.reads.fetch_add(1 + rows.len(), Ordering::Relaxed);
        Ok(rows)
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.view.last(prefix)
    }
}

#[test]
fn a_tag_costs_the_same_in_a_large_repository() {
    let cost = |tags: usize| {
        let store = memory();
        let names: Vec<String> = (0..tags).map(|number| format!("t{number}")).collect();
        for names in names.chunks(10_000) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            at(&*store, 9, |batch, view| {
                batch.put_manifest(view, &manifest("a", "m", &[], &names)).unwrap();
            })
            .unwrap();
        }
        let reads = Arc::new(AtomicUsize::new(0));
        let view = View::new(Arc::new(Counting { view: store.view().unwrap(), reads: Arc::clone(&reads) }));
        let mut batch = Batch::new(UnixMillis(10));
        assert!(batch.delete_tag(&view, &name("a"), &Tag::parse("t5").unwrap()).unwrap());
        (reads.load(Ordering::Relaxed), batch.steps.len(), batch.expectations.len())
    };
    assert_eq!(cost(100_000), cost(10));
}

#[test]
fn more_than_one_commit_takes_is_refused() {
    let store = filled();
    let mut batch = Batch::new(UnixMillis(20));
    for number in 0..=crate::limits::BATCH_STEPS_MAX {
        batch.delete(Bytes::copy_from_slice(&number.to_be_bytes()));
    }
    let refused = batch.delete_repository(&view(&*store), &name("a"), UnixMillis(50));
    assert!(matches!(refused, Err(EngineError::TooManyRows { .. })), "{refused:?}");
}
