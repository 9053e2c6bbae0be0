//! Verbs one by one: what the oracle does not look at.

use super::{apply, errors, memory, view};
use crate::clock::UnixMillis;
use crate::entropy::SeededEntropy;
use crate::error::EngineError;
use crate::meta::record::{FormatRecord, Record, SinceRecord};
use crate::meta::{
    Batch, BlobRecord, Edge, EdgeRole, EventKind, FORMAT_VERSION, GcItem, GenerationOwner, HashState,
    LeaseId, ManifestPut, MemoryStore, MetaStore, Placement, TombstoneItem, UploadRecord, View, commit,
    digest_of, identity, key, prepare,
};
use bytes::Bytes;
use strata_types::{Algorithm, Digest, RepositoryName, Tag, UploadId};

pub(super) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(super) fn digest(text: &str) -> Digest {
    digest_of(Algorithm::Sha256, text.as_bytes())
}

pub(super) fn file(generation: u64) -> BlobRecord {
    let placement = Placement::File { generation };
    BlobRecord { size: 100_000, placement, checksum: 1, created_at: UnixMillis(1) }
}

pub(super) fn push_blob(store: &dyn MetaStore, repository: &str, text: &str, generation: u64) {
    apply(store, |batch, _| {
        batch.put_blob(&digest(text), &file(generation));
        batch.link_blob(&name(repository), &digest(text));
        Ok(())
    })
    .unwrap();
}

pub(super) fn manifest(repository: &str, text: &'static str, layers: &[&str], tags: &[&str]) -> ManifestPut {
    ManifestPut {
        repository: name(repository),
        digest: digest(text),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        bytes: Bytes::from_static(text.as_bytes()),
        edges: layers.iter().map(|layer| Edge { role: EdgeRole::Layer, digest: digest(layer) }).collect(),
        required_blobs: layers.iter().map(|layer| digest(layer)).collect(),
        required_manifests: vec![],
        subject: None,
        tags: tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect(),
        attributes: Bytes::from_static(b"kept as it is"),
        seen: vec![],
    }
}

fn queued(store: &dyn MetaStore) -> Vec<GcItem> {
    view(store).gc_queue(None, 100).unwrap().into_iter().map(|(_, item)| item).collect()
}

#[test]
fn a_store_is_prepared_once() {
    let store = memory();
    let identity = prepare(&*store, &SeededEntropy::new(2), UnixMillis(2)).unwrap();
    assert_eq!(identity, prepare(&*store, &SeededEntropy::new(3), UnixMillis(3)).unwrap());
    assert_eq!(identity.format_version, FORMAT_VERSION);
    assert_eq!(view(&*store).settled().unwrap(), 0);
    apply(&*store, |batch, _| {
        batch.set_settled(9);
        Ok(())
    })
    .unwrap();
    assert_eq!(view(&*store).settled().unwrap(), 9);
}

#[test]
fn a_store_of_format_1_becomes_one_of_this_format() {
    let store = memory();
    store.corrupt(key::meta("format"), Some(FormatRecord { version: 1 }.encode()));
    assert_eq!(identity(&view(&*store)).unwrap().unwrap().format_version, 1, "it can be read as it is");
    let item = GcItem::Blob { digest: digest("x") };
    store.corrupt(key::gc_format_1(UnixMillis(5), &item), Some(Bytes::from_static(b"\x01")));
    let opened = prepare(&*store, &SeededEntropy::new(1), UnixMillis(1)).unwrap();
    assert_eq!(opened.format_version, FORMAT_VERSION);
    assert_eq!(identity(&view(&*store)).unwrap(), Some(opened));
    // Its queue is taken over when somebody looks at it.
    assert_eq!(queued(&*store), []);
    let old = view(&*store).gc_queue_format_1(9).unwrap();
    assert_eq!(old, [(UnixMillis(5), item.clone())]);
    apply(&*store, |batch, _| {
        batch.renew_gc(UnixMillis(5), &item);
        Ok(())
    })
    .unwrap();
    assert_eq!(queued(&*store), [item]);
    assert_eq!(view(&*store).gc_queue_format_1(9).unwrap(), []);
}

#[test]
fn the_latest_entry_of_a_manifest_is_known() {
    let store = memory();
    let item = GcItem::Manifest { repository: name("a"), digest: digest("m") };
    for at in [3, 7] {
        let mut batch = Batch::new(UnixMillis(at));
        batch.queue_gc(&item);
        commit(&*store, batch).unwrap();
    }
    let since = view(&*store).gc_since(&item).unwrap().unwrap();
    assert_eq!((since.at, queued(&*store).len()), (UnixMillis(7), 2));
    let stale = |since| {
        apply(&*store, |batch, _| {
            batch.delete_gc_stale(UnixMillis(3), &item, since);
            Ok(())
        })
    };
    assert!(matches!(stale(SinceRecord { at: UnixMillis(6) }), Err(EngineError::Conflict)));
    stale(since).unwrap();
    assert_eq!(queued(&*store), std::slice::from_ref(&item));
    apply(&*store, |batch, _| {
        batch.delete_gc(UnixMillis(7), &item);
        Ok(())
    })
    .unwrap();
    assert_eq!((queued(&*store), view(&*store).gc_since(&item).unwrap()), (vec![], None));
}

#[test]
fn a_store_of_another_version_or_none_is_refused() {
    let store = memory();
    store.corrupt(key::meta("format"), Some(Bytes::from_static(b"\x01\x05\x00\x00\x00")));
    let refused = prepare(&*store, &SeededEntropy::new(1), UnixMillis(1));
    assert!(
        matches!(refused, Err(EngineError::FormatVersion { found: 5, supported: FORMAT_VERSION })),
        "{refused:?}"
    );
    store.corrupt(key::meta("format"), None);
    assert!(matches!(
        prepare(&*store, &SeededEntropy::new(1), UnixMillis(1)),
        Err(EngineError::Corrupt { .. })
    ));
}

#[test]
fn a_store_of_version_1_is_lifted_and_nothing_else_moves() {
    let store = memory();
    push_blob(&*store, "a", "x", 7);
    store.corrupt(key::meta("format"), Some(Bytes::from_static(b"\x01\x01\x00\x00\x00")));
    let rows = || view(&*store).raw_page(b"", None, 100).unwrap();
    let before = rows();
    let read_only = super::super::identity(&view(&*store)).unwrap().unwrap();
    assert_eq!(read_only.format_version, 1, "who only reads is told what is there");
    let refused = super::super::refuse_old(&view(&*store));
    assert!(
        matches!(refused, Err(EngineError::FormatOld { found: 1, current: FORMAT_VERSION })),
        "{refused:?}"
    );
    assert_eq!(rows(), before);
    let identity = prepare(&*store, &SeededEntropy::new(1), UnixMillis(1)).unwrap();
    assert_eq!(identity.format_version, FORMAT_VERSION);
    super::super::refuse_old(&view(&*store)).unwrap();
    let changed: Vec<_> = rows().into_iter().filter(|row| !before.contains(row)).collect();
    assert_eq!(changed, [(key::meta("format"), Bytes::from_static(b"\x01\x04\x00\x00\x00"))]);
    assert_eq!(rows().len(), before.len());
}

#[test]
fn a_blob_is_named_from_its_place_and_back() {
    let store = memory();
    push_blob(&*store, "a", "x", 7);
    let now = view(&*store);
    assert_eq!(now.blob(&digest("x")).unwrap(), Some(file(7)));
    assert_eq!(now.generation(7).unwrap(), Some(GenerationOwner::Blob(digest("x"))));
    assert_eq!(now.generations(7, 9).unwrap(), vec![(7, GenerationOwner::Blob(digest("x")))]);
    assert_eq!(now.generations(8, 9).unwrap(), vec![]);
    assert_eq!(now.generations(0, 9).unwrap().len(), 1);
    assert_eq!(now.last_generation().unwrap(), Some(7));
    assert_eq!((now.last_segment().unwrap(), now.last_frame(0).unwrap()), (None, None));
    for (text, segment, offset) in [("s", 1, 0), ("t", 1, 4096), ("u", 0, 99)] {
        apply(&*store, |batch, _| {
            let placement = Placement::Segment { segment, offset, length: 50 };
            batch.put_blob(
                &digest(text),
                &BlobRecord { size: 9, placement, checksum: 1, created_at: UnixMillis(1) },
            );
            Ok(())
        })
        .unwrap();
    }
    let now = view(&*store);
    assert_eq!(now.last_segment().unwrap(), Some(1));
    let (offset, frame) = now.last_frame(1).unwrap().unwrap();
    assert_eq!((offset, frame.digest, frame.length), (4096, digest("t"), 50));
    assert_eq!(now.frames(1, Some(0), 9).unwrap(), vec![(offset, frame)]);
    let stored: Vec<Digest> =
        now.stored_blobs(None, 9).unwrap().into_iter().map(|(digest, _)| digest).collect();
    let mut expected = ["x", "s", "t", "u"].map(digest).to_vec();
    expected.sort_unstable();
    assert_eq!(stored, expected);
    let again = apply(&*store, |batch, _| {
        batch.put_blob(&digest("x"), &file(8));
        Ok(())
    });
    assert!(matches!(again, Err(EngineError::Conflict)));
}

#[test]
fn only_what_is_there_can_be_linked() {
    let store = memory();
    let link = |from: Option<&str>| {
        apply(&*store, |batch, _| {
            batch.mount_blob(&name("b"), &digest("x"), from.map(name).as_ref());
            Ok(())
        })
    };
    assert!(matches!(link(None), Err(EngineError::Conflict)));
    assert_eq!(view(&*store).repository(&name("b")).unwrap(), None);
    push_blob(&*store, "a", "x", 1);
    assert!(matches!(link(Some("c")), Err(EngineError::Conflict)));
    link(Some("a")).unwrap();
    assert!(view(&*store).link(&name("b"), &digest("x")).unwrap().is_some());
    assert_eq!(view(&*store).links(&name("a"), None, 9).unwrap().len(), 1);
    assert!(queued(&*store).contains(&GcItem::Link { repository: name("b"), digest: digest("x") }));
}

#[test]
fn a_link_is_renewed_in_silence() {
    let store = memory();
    push_blob(&*store, "a", "x", 1);
    let before = view(&*store).last_event().unwrap();
    let mut batch = Batch::new(UnixMillis(99));
    batch.link_blob(&name("a"), &digest("x"));
    assert_eq!(commit(&*store, batch).unwrap().events, 0);
    assert_eq!(view(&*store).last_event().unwrap(), before);
    assert_eq!(view(&*store).link(&name("a"), &digest("x")).unwrap().unwrap().created_at, UnixMillis(99));
}

#[test]
fn a_manifest_is_checked_against_its_digest() {
    let store = memory();
    let mut put = manifest("a", "m", &[], &[]);
    put.digest = digest("other");
    let refused = apply(&*store, |batch, view| batch.put_manifest(view, &put));
    let Err(EngineError::DigestMismatch { expected, actual }) = refused else { panic!("{refused:?}") };
    assert_eq!((expected, actual), (digest("other"), digest("m")));
}

#[test]
fn the_same_manifest_again_changes_nothing_but_the_tags_time() {
    let store = memory();
    push_blob(&*store, "a", "x", 1);
    let put = manifest("a", "m", &["x"], &["latest"]);
    apply(&*store, |batch, view| batch.put_manifest(view, &put)).unwrap();
    let first = view(&*store).manifest(&name("a"), &digest("m")).unwrap().unwrap();
    assert_eq!(first.attributes, "kept as it is");
    let mut batch = Batch::new(UnixMillis(99));
    batch.set_detail(Bytes::from_static(b"ci"));
    batch.put_manifest(&view(&*store), &put).unwrap();
    let committed = commit(&*store, batch).unwrap();
    assert_eq!(committed.events, 2);
    let now = view(&*store);
    assert_eq!(now.manifest(&name("a"), &digest("m")).unwrap().unwrap(), first);
    let latest = Tag::parse("latest").unwrap();
    assert_eq!(now.tag(&name("a"), &latest).unwrap().unwrap().updated_at, UnixMillis(99));
    assert_eq!(now.tag_history(&name("a"), &latest, None, 9).unwrap().len(), 1);
    let events = now.events(committed.first_event.unwrap() - 1, 9).unwrap();
    assert_eq!(
        events.iter().map(|(_, event)| event.kind).collect::<Vec<_>>(),
        [EventKind::ManifestPushed, EventKind::TagSet]
    );
    assert!(events.iter().all(|(_, event)| event.detail == "ci" && event.at == UnixMillis(99)));
    assert!(now.has_manifest(&name("a"), &digest("m")).unwrap());
}

#[test]
fn a_manifest_and_the_unlink_of_its_layer_exclude_each_other() {
    let store = memory();
    push_blob(&*store, "a", "x", 1);
    let before = view(&*store);
    let mut push = Batch::new(UnixMillis(1));
    push.put_manifest(&before, &manifest("a", "m", &["x"], &[])).unwrap();
    let mut sweep = Batch::new(UnixMillis(1));
    sweep.expect_not_held(&name("a"), &digest("x"));
    sweep.unlink_blob(&name("a"), &digest("x"));
    for order in [[&push, &sweep], [&sweep, &push]] {
        let store = store.kill().unwrap();
        let outcomes = order.map(|batch| commit(&store, batch.clone()));
        assert!(matches!(outcomes, [Ok(_), Err(EngineError::Conflict)]), "{outcomes:?}");
        assert_eq!(errors(&view(&store)), Vec::<String>::new());
    }
}

#[test]
fn deleting_a_manifest_queues_what_it_held() {
    let store = memory();
    push_blob(&*store, "a", "x", 1);
    let put = manifest("a", "m", &["x"], &["one", "two"]);
    apply(&*store, |batch, view| batch.put_manifest(view, &put)).unwrap();
    let mut referrer = manifest("a", "signature", &[], &["sig"]);
    referrer.subject = Some((digest("m"), Bytes::from_static(b"{}")));
    apply(&*store, |batch, view| batch.put_manifest(view, &referrer)).unwrap();
    apply(&*store, |batch, view| {
        for (at, item) in view.gc_queue(None, 99)? {
            batch.delete_gc(at, &item);
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(queued(&*store), []);
    let deleted =
        apply(&*store, |batch, view| batch.delete_manifest(view, &name("a"), &digest("m"))).unwrap();
    assert!(deleted);
    assert_eq!(
        queued(&*store),
        [
            GcItem::Link { repository: name("a"), digest: digest("x") },
            GcItem::Manifest { repository: name("a"), digest: digest("signature") },
            GcItem::ManifestBytes { digest: digest("m") },
        ]
    );
    let now = view(&*store);
    let first = now.gc_queue(None, 1).unwrap().remove(0);
    assert_eq!(now.gc_queue(Some(&first), 9).unwrap().len(), 2);
    // The referrer stays listed under its subject, which is gone.
    assert_eq!(now.referrers(&name("a"), &digest("m"), None, 9).unwrap().len(), 1);
    assert_eq!(now.tags(&name("a"), None, 9).unwrap().len(), 1);
    // The bytes stay until they are collected.
    assert!(now.manifest_bytes(&digest("m")).unwrap().is_some());
    assert!(!apply(&*store, |batch, view| batch.delete_manifest(view, &name("a"), &digest("m"))).unwrap());
}

/// Applies at a moment.
pub(super) fn at(
    store: &dyn MetaStore,
    moment: u64,
    fill: impl FnOnce(&mut Batch, &View),
) -> Result<(), EngineError> {
    let mut batch = Batch::new(UnixMillis(moment));
    fill(&mut batch, &view(store));
    commit(store, batch).map(drop)
}

fn link_time(store: &dyn MetaStore, repository: &str, text: &str) -> u64 {
    view(store).link(&name(repository), &digest(text)).unwrap().unwrap().created_at.0
}

#[test]
fn what_a_push_holds_waits_for_no_sweeper() {
    let store = memory();
    push_blob(&*store, "a", "x", 1);
    apply(&*store, |batch, view| batch.put_manifest(view, &manifest("a", "child", &[], &[]))).unwrap();
    let (link, child) = (
        GcItem::Link { repository: name("a"), digest: digest("x") },
        GcItem::Manifest { repository: name("a"), digest: digest("child") },
    );
    assert_eq!(queued(&*store), [link.clone(), child.clone()]);
    let elsewhere = GcItem::Link { repository: name("b"), digest: digest("x") };
    let unheld = GcItem::Link { repository: name("a"), digest: digest("y") };
    push_blob(&*store, "a", "y", 2);
    at(&*store, 7, |batch, _| batch.mount_blob(&name("b"), &digest("x"), None)).unwrap();
    let mut put = manifest("a", "m", &["x"], &["latest"]);
    put.edges.push(Edge { role: EdgeRole::Child, digest: digest("child") });
    // What it does not hold stays queued, whatever the caller says.
    put.seen = [&link, &child, &elsewhere, &unheld].map(|item| (UnixMillis(7), item.clone())).to_vec();
    at(&*store, 8, |batch, view| batch.put_manifest(view, &put).unwrap()).unwrap();
    let mut left = [unheld, elsewhere];
    left.sort_unstable();
    assert_eq!(queued(&*store), left);
    assert_eq!(errors(&view(&*store)), Vec::<String>::new());
}

#[test]
fn a_tag_takes_its_manifest_off_the_queue() {
    let store = memory();
    at(&*store, 5, |batch, view| batch.put_manifest(view, &manifest("a", "m", &[], &[])).unwrap()).unwrap();
    let entries = |store: &dyn MetaStore| view(store).gc_queue(None, 9).unwrap();
    let item = GcItem::Manifest { repository: name("a"), digest: digest("m") };
    assert_eq!(entries(&*store), [(UnixMillis(5), item.clone())]);
    // Pushed again without one, it is as young as this push.
    at(&*store, 6, |batch, view| batch.put_manifest(view, &manifest("a", "m", &[], &[])).unwrap()).unwrap();
    assert_eq!(entries(&*store), [(UnixMillis(6), item)]);
    assert_eq!(view(&*store).manifest(&name("a"), &digest("m")).unwrap().unwrap().pushed_at, UnixMillis(6));
    at(&*store, 7, |batch, view| batch.put_manifest(view, &manifest("a", "m", &[], &["v1"])).unwrap())
        .unwrap();
    assert_eq!(entries(&*store), []);
}

#[test]
fn the_last_holder_that_goes_renews_the_link() {
    let store = memory();
    push_blob(&*store, "a", "x", 1);
    for text in ["one", "two"] {
        at(&*store, 8, |batch, view| batch.put_manifest(view, &manifest("a", text, &["x"], &[])).unwrap())
            .unwrap();
    }
    let delete = |moment, text| {
        at(&*store, moment, |batch, view| {
            assert!(batch.delete_manifest(view, &name("a"), &digest(text)).unwrap());
        })
        .unwrap();
    };
    delete(20, "one");
    assert_eq!(link_time(&*store, "a", "x"), 7, "the other one holds it");
    // However the clock was set meanwhile, the time moves on.
    delete(3, "two");
    assert_eq!(link_time(&*store, "a", "x"), 8);
    let link = GcItem::Link { repository: name("a"), digest: digest("x") };
    assert!(view(&*store).gc_queue(None, 99).unwrap().contains(&(UnixMillis(8), link)));
}

#[test]
fn of_two_holders_that_go_at_once_one_lets_go() {
    let store = memory();
    push_blob(&*store, "a", "x", 1);
    for text in ["one", "two"] {
        apply(&*store, |batch, view| batch.put_manifest(view, &manifest("a", text, &["x"], &[]))).unwrap();
    }
    let before = view(&*store);
    let mut deletes = ["one", "two"].map(|text| {
        let mut batch = Batch::new(UnixMillis(9));
        assert!(batch.delete_manifest(&before, &name("a"), &digest(text)).unwrap());
        batch
    });
    for _ in 0..2 {
        let store = store.kill().unwrap();
        let outcomes = deletes.clone().map(|batch| commit(&store, batch));
        assert!(matches!(outcomes, [Ok(_), Err(EngineError::Conflict)]), "{outcomes:?}");
        deletes.reverse();
    }
    // And a push that comes in between keeps it.
    let store = store.kill().unwrap();
    let [first, last] = deletes;
    commit(&store, first).unwrap();
    let mut delete = Batch::new(UnixMillis(9));
    let remaining =
        if view(&store).has_manifest(&name("a"), &digest("one")).unwrap() { "one" } else { "two" };
    assert!(delete.delete_manifest(&view(&store), &name("a"), &digest(remaining)).unwrap());
    apply(&store, |batch, view| batch.put_manifest(view, &manifest("a", "three", &["x"], &[]))).unwrap();
    assert!(matches!(commit(&store, delete), Err(EngineError::Conflict)));
    assert!(matches!(commit(&store, last), Err(EngineError::Conflict)), "decided on an older view");
    assert_eq!(errors(&view(&store)), Vec::<String>::new());
}

#[test]
fn a_tag_set_meanwhile_stops_the_delete_of_its_manifest() {
    let store = memory();
    apply(&*store, |batch, view| batch.put_manifest(view, &manifest("a", "m", &[], &["one"]))).unwrap();
    let mut delete = Batch::new(UnixMillis(1));
    assert!(delete.delete_manifest(&view(&*store), &name("a"), &digest("m")).unwrap());
    let two = Tag::parse("two").unwrap();
    apply(&*store, |batch, view| batch.set_tag(view, &name("a"), &two, &digest("m"))).unwrap();
    assert!(matches!(commit(&*store, delete), Err(EngineError::Conflict)));
    assert_eq!(errors(&view(&*store)), Vec::<String>::new());
}

#[test]
fn many_tags_go_with_their_manifest() {
    let store = memory();
    let tags: Vec<String> = (0..600).map(|number| format!("t{number}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    apply(&*store, |batch, view| batch.put_manifest(view, &manifest("a", "m", &[], &tags))).unwrap();
    assert_eq!(view(&*store).tags(&name("a"), None, 1000).unwrap().len(), 600);
    assert!(apply(&*store, |batch, view| batch.delete_manifest(view, &name("a"), &digest("m"))).unwrap());
    assert_eq!(view(&*store).tags(&name("a"), None, 1000).unwrap(), vec![]);
    assert_eq!(errors(&view(&*store)), Vec::<String>::new());
}

fn upload(generation: Option<u64>, file_bytes: u64) -> UploadRecord {
    UploadRecord {
        repository: name("a"),
        algorithm: Algorithm::Sha256,
        offset: file_bytes + 4,
        hash: HashState { form: 1, bytes: Bytes::from_static(&[0; 104]) },
        checksum: Bytes::new(),
        generation,
        file_bytes,
        tail: Bytes::from_static(b"tail"),
        created_at: UnixMillis(1),
        expires_at: UnixMillis(9),
    }
}

#[test]
fn an_upload_hands_its_file_to_the_blob() {
    let store = memory();
    let id = UploadId::from_bytes([1; 16]);
    let put = |record: &UploadRecord| {
        apply(&*store, |batch, _| {
            batch.put_upload(&id, record);
            Ok(())
        })
        .unwrap();
    };
    put(&upload(None, 0));
    put(&upload(Some(5), 100));
    let now = view(&*store);
    assert_eq!(now.generation(5).unwrap(), Some(GenerationOwner::Upload(id)));
    assert_eq!(now.upload(&id).unwrap(), Some(upload(Some(5), 100)));
    assert_eq!(now.uploads(None, 9).unwrap().len(), 1);
    assert_eq!(now.uploads(Some(&id), 9).unwrap().len(), 0);
    // In either order of the verbs.
    for blob_first in [true, false] {
        let store = store.kill().unwrap();
        let mut batch = Batch::new(UnixMillis(1));
        if blob_first {
            batch.put_blob(&digest("x"), &file(5));
        }
        batch.delete_upload(&id, &upload(Some(5), 100));
        if !blob_first {
            batch.put_blob(&digest("x"), &file(5));
        }
        batch.link_blob(&name("a"), &digest("x"));
        commit(&store, batch).unwrap();
        let now = view(&store);
        assert_eq!(now.upload(&id).unwrap(), None);
        assert_eq!(now.generation(5).unwrap(), Some(GenerationOwner::Blob(digest("x"))));
        assert_eq!(errors(&now), Vec::<String>::new());
    }
    let store = store.kill().unwrap();
    apply(&store, |batch, _| {
        batch.delete_upload(&id, &upload(Some(5), 100));
        Ok(())
    })
    .unwrap();
    assert_eq!(view(&store).generation(5).unwrap(), None);
}

#[test]
fn a_lease_holds_until_it_expires() {
    let store = memory();
    let (id, other) = (LeaseId([1; 16]), LeaseId([2; 16]));
    let x = digest("x");
    let put = |id, until| {
        apply(&*store, |batch, _| {
            batch.put_lease(&x, id, UnixMillis(until));
            Ok(())
        })
        .unwrap();
    };
    put(id, 10);
    put(other, 20);
    let now = view(&*store);
    assert_eq!([9, 10, 19, 20].map(|at| now.leased(&x, UnixMillis(at)).unwrap()), [true, true, true, false]);
    assert!(!now.leased(&digest("y"), UnixMillis(0)).unwrap());
    assert_eq!(now.expired_leases(UnixMillis(10), 9).unwrap(), vec![(x, id, UnixMillis(10))]);
    assert_eq!(now.expired_leases(UnixMillis(20), 1).unwrap().len(), 1);
    assert_eq!(now.expired_leases(UnixMillis(20), 0).unwrap().len(), 0);
    assert_eq!(now.leases(Some((&x, id)), 9).unwrap(), vec![(x, other, UnixMillis(20))]);
    assert_eq!(now.lease(&x, id).unwrap().unwrap().expires_at, UnixMillis(10));
    let sweep = || {
        apply(&*store, |batch, _| {
            batch.expect_not_leased(&x);
            Ok(())
        })
    };
    assert!(sweep().is_err());
    // Prolonged before the expiry is committed: it holds on.
    put(id, 30);
    let expire = |until| {
        apply(&*store, |batch, _| {
            batch.expire_lease(&x, id, UnixMillis(until));
            Ok(())
        })
    };
    assert!(matches!(expire(10), Err(EngineError::Conflict)));
    expire(30).unwrap();
    apply(&*store, |batch, _| {
        batch.delete_lease(&x, other);
        batch.delete_lease(&x, other);
        Ok(())
    })
    .unwrap();
    sweep().unwrap();
}

#[test]
fn a_manifest_may_name_thousands_of_blobs() {
    let store = memory();
    let names: Vec<String> = (0..8192).map(|number| format!("layer {number}")).collect();
    for (chunk, layers) in (0..).zip(names.chunks(128)) {
        apply(&*store, |batch, _| {
            for (number, layer) in (0..).zip(layers) {
                batch.put_blob(&digest(layer), &file(chunk * 128 + number));
                batch.link_blob(&name("a"), &digest(layer));
            }
            Ok(())
        })
        .unwrap();
    }
    let mut layers: Vec<&str> = names.iter().map(String::as_str).collect();
    // The same one again and again asks for no more.
    layers.extend(std::iter::repeat_n(names[0].as_str(), 8192));
    let put = manifest("a", "m", &layers, &["latest"]);
    let mut batch = Batch::new(UnixMillis(7));
    batch.put_manifest(&view(&*store), &put).unwrap();
    assert!(batch.expectations.len() < 8192 + 10, "{} expectations", batch.expectations.len());
    commit(&*store, batch).unwrap();
    assert_eq!(view(&*store).edges(&name("a"), &digest("m")).unwrap().unwrap().as_slice().len(), 8192);
    assert_eq!(errors(&view(&*store)), Vec::<String>::new());
    // One that is missing refuses all.
    layers.push("missing");
    let refused =
        apply(&*store, |batch, view| batch.put_manifest(view, &manifest("a", "other", &layers, &[])));
    assert!(matches!(refused, Err(EngineError::Conflict)), "{refused:?}");
}

#[test]
fn many_leases_are_looked_through() {
    let store = memory();
    apply(&*store, |batch, _| {
        for number in 0..300_u64 {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            batch.put_lease(&digest("x"), LeaseId(id), UnixMillis(if number == 299 { 50 } else { 5 }));
        }
        Ok(())
    })
    .unwrap();
    let now = view(&*store);
    assert!(now.leased(&digest("x"), UnixMillis(10)).unwrap());
    assert!(!now.leased(&digest("x"), UnixMillis(50)).unwrap());
    assert_eq!(now.expired_leases(UnixMillis(10), 1000).unwrap().len(), 299);
    assert_eq!(now.expired_leases(UnixMillis(10), 7).unwrap().len(), 7);
}

#[test]
fn tombstones_wait_in_order() {
    let store = memory();
    let items = [
        TombstoneItem::File { generation: 3 },
        TombstoneItem::File { generation: 300 },
        TombstoneItem::Frame { segment: 1, offset: 7 },
    ];
    apply(&*store, |batch, _| {
        for item in items {
            batch.put_tombstone(item, 42);
        }
        Ok(())
    })
    .unwrap();
    let now = view(&*store);
    let listed: Vec<TombstoneItem> =
        now.tombstones(None, 9).unwrap().into_iter().map(|(item, _)| item).collect();
    assert_eq!(listed, items);
    assert_eq!(now.tombstones(Some(items[1]), 9).unwrap()[0].1.length, 42);
    apply(&*store, |batch, _| {
        batch.delete_tombstone(items[0]);
        Ok(())
    })
    .unwrap();
    assert_eq!(view(&*store).tombstones(None, 9).unwrap().len(), 2);
}

#[test]
fn lists_go_on_after_what_does_not_exist() {
    let store = memory();
    let tags = ["A", "a", "b", "b.1"];
    apply(&*store, |batch, view| batch.put_manifest(view, &manifest("m/n", "m", &[], &tags))).unwrap();
    apply(&*store, |batch, _| {
        batch.create_repository(&name("m"));
        batch.create_repository(&name("m-o"));
        batch.create_repository(&name("m-o"));
        Ok(())
    })
    .unwrap();
    let now = view(&*store);
    let tags = |after| -> Vec<String> {
        now.tags(&name("m/n"), after, 9).unwrap().into_iter().map(|(tag, _)| tag.to_string()).collect()
    };
    assert_eq!(tags(None), ["A", "a", "b", "b.1"]);
    assert_eq!(tags(Some("")), ["A", "a", "b", "b.1"]);
    assert_eq!(tags(Some("aa/ not a tag")), ["b", "b.1"]);
    assert_eq!(tags(Some("b")), ["b.1"]);
    assert_eq!(tags(Some("~")), Vec::<String>::new());
    let names = |after| -> Vec<String> {
        now.repositories(after, 9).unwrap().into_iter().map(|(name, _)| name.to_string()).collect()
    };
    assert_eq!(names(None), ["m", "m-o", "m/n"]);
    assert_eq!(names(Some("m")), ["m-o", "m/n"]);
    assert_eq!(names(Some("m.")), ["m/n"]);
    assert_eq!(names(Some("Z")), ["m", "m-o", "m/n"]);
}

#[test]
fn a_batch_knows_what_it_is() {
    let mut batch = Batch::new(UnixMillis(3));
    assert!(batch.is_empty());
    assert_eq!(batch.at(), UnixMillis(3));
    batch.set_unsynced();
    batch.set_synced();
    batch.set_detail(vec![1; 70_000].into());
    batch.create_repository(&name("a"));
    assert!(!batch.is_empty());
    let store = MemoryStore::new().unwrap();
    commit(&store, batch).unwrap();
    assert_eq!(store.unsynced_writes(), 0);
    assert_eq!(view(&store).events(0, 1).unwrap()[0].1.detail.len(), 65_535);
}
