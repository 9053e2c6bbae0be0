//! Undoing deletions, one by one: what the oracle does not look at.

use super::verbs::{at, digest, manifest, name, push_blob};
use super::{errors, memory, view};
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::{
    Batch, Edge, EdgeRole, Lost, ManifestPut, MetaStore, Restore, TrashRecord, Trashed, commit, digest_of,
};
use bytes::Bytes;
use strata_types::{Algorithm, Tag};

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

fn put(store: &dyn MetaStore, put: &ManifestPut) {
    at(store, 10, |batch, view| batch.put_manifest(view, put).unwrap()).unwrap();
}

/// Deletes a manifest of repository `a` and says under which number.
fn delete(store: &dyn MetaStore, text: &str) -> u64 {
    at(store, 20, |batch, view| {
        assert!(batch.delete_manifest(view, &name("a"), &digest(text)).unwrap());
    })
    .unwrap();
    view(store).trash_page(None, 100).unwrap().last().unwrap().0
}

fn delete_tag(store: &dyn MetaStore, text: &str) -> u64 {
    at(store, 20, |batch, view| assert!(batch.delete_tag(view, &name("a"), &tag(text)).unwrap())).unwrap();
    view(store).trash_page(None, 100).unwrap().last().unwrap().0
}

fn restore(store: &dyn MetaStore, number: u64, force: bool) -> Restore {
    let mut batch = Batch::new(UnixMillis(30));
    let outcome = batch.restore(&view(store), number, UnixMillis(20), force).unwrap();
    assert_eq!(batch.is_empty(), !matches!(outcome, Restore::Done(_)));
    commit(store, batch).unwrap();
    assert_eq!(errors(&view(store)), Vec::<String>::new());
    outcome
}

fn is_done(outcome: &Restore) -> bool {
    matches!(outcome, Restore::Done(_))
}

#[test]
fn a_manifest_comes_back_with_all_that_belonged_to_it() {
    let store = memory();
    push_blob(&*store, "a", "x", 1);
    put(&*store, &manifest("a", "subject", &[], &["s"]));
    let mut signed = manifest("a", "m", &["x", "x"], &["v1", "latest"]);
    signed.subject = Some((digest("subject"), Bytes::from_static(b"{\"size\":1}")));
    put(&*store, &signed);
    let before = view(&*store);
    let number = delete(&*store, "m");
    let TrashRecord { at, repository, what, .. } = view(&*store).trash(number).unwrap().unwrap();
    assert_eq!((at, repository), (UnixMillis(20), name("a")));
    assert!(matches!(what, Trashed::Manifest(manifest) if manifest.tags == [tag("latest"), tag("v1")]));
    assert_eq!(view(&*store).referrers(&name("a"), &digest("subject"), None, 9).unwrap(), []);

    assert!(is_done(&restore(&*store, number, false)));
    let now = view(&*store);
    let (old, new) =
        [&before, &now].map(|view| view.manifest(&name("a"), &digest("m")).unwrap().unwrap()).into();
    assert_eq!((&old.media_type, old.size, &old.attributes), (&new.media_type, new.size, &new.attributes));
    assert_eq!(new.pushed_at, UnixMillis(30), "as young as a push");
    for view in [&before, &now] {
        assert_eq!(view.tags_of(&name("a"), &digest("m"), None, 9).unwrap(), [tag("latest"), tag("v1")]);
        assert!(view.is_held(&name("a"), &digest("x")).unwrap());
        assert_eq!(view.referrers(&name("a"), &digest("subject"), None, 9).unwrap().len(), 1);
        assert_eq!(
            view.edges(&name("a"), &digest("m")).unwrap(),
            before.edges(&name("a"), &digest("m")).unwrap()
        );
    }
    assert_eq!(restore(&*store, number, false), Restore::Unknown, "it is undone once");
    assert_eq!(now.trash_page(None, 9).unwrap(), []);
}

#[test]
fn blobs_that_the_repository_lost_are_linked_again_while_the_store_has_them() {
    let store = memory();
    push_blob(&*store, "a", "x", 1);
    put(&*store, &manifest("a", "m", &["x"], &[]));
    let number = delete(&*store, "m");
    at(&*store, 21, |batch, _| batch.unlink_blob(&name("a"), &digest("x"))).unwrap();
    assert!(is_done(&restore(&*store, number, false)));
    assert!(view(&*store).link(&name("a"), &digest("x")).unwrap().is_some());
}

#[test]
fn what_is_gone_is_named() {
    let store = memory();
    push_blob(&*store, "a", "x", 1);
    put(&*store, &manifest("a", "child", &[], &["c"]));
    let mut index = manifest("a", "index", &["x"], &["v1"]);
    index.edges.push(Edge { role: EdgeRole::Child, digest: digest("child") });
    // A sparse index: what was not there need not be there.
    index.edges.push(Edge { role: EdgeRole::Child, digest: digest("never there") });
    put(&*store, &index);
    let of_index = delete(&*store, "index");
    let of_child = delete(&*store, "child");
    let blob = crate::meta::key::blob(&digest("x"));
    let generation = crate::meta::key::generation(1);
    let (row, named) =
        (view(&*store).raw(&blob).unwrap().unwrap(), view(&*store).raw(&generation).unwrap().unwrap());
    // As the sweeper leaves it.
    at(&*store, 21, |batch, _| batch.unlink_blob(&name("a"), &digest("x"))).unwrap();
    at(&*store, 22, |batch, _| {
        batch.delete(blob.clone());
        batch.delete(generation.clone());
    })
    .unwrap();
    let mut lost = vec![Lost::Blob(digest("x")), Lost::Manifest(digest("child"))];
    let Restore::Missing(mut found) = restore(&*store, of_index, false) else { panic!("it was restored") };
    lost.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, lost);
    // The child first, then what holds it.
    assert!(is_done(&restore(&*store, of_child, false)));
    assert_eq!(restore(&*store, of_index, false), Restore::Missing(vec![Lost::Blob(digest("x"))]));
    at(&*store, 23, |batch, _| {
        batch.put(blob.clone(), row.clone());
        batch.put(generation.clone(), named.clone());
        batch.link_blob(&name("a"), &digest("x"));
    })
    .unwrap();
    assert!(is_done(&restore(&*store, of_index, false)));
    let again = delete(&*store, "index");
    at(&*store, 24, |batch, _| batch.delete(crate::meta::key::manifest_bytes(&digest("index")))).unwrap();
    assert_eq!(restore(&*store, again, false), Restore::Missing(vec![Lost::Bytes(digest("index"))]));
}

#[test]
fn a_child_comes_back_to_the_index_that_holds_it() {
    let store = memory();
    put(&*store, &manifest("a", "child", &[], &[]));
    let mut index = manifest("a", "index", &[], &["v1"]);
    index.edges.push(Edge { role: EdgeRole::Child, digest: digest("child") });
    put(&*store, &index);
    let number = delete(&*store, "child");
    assert!(is_done(&restore(&*store, number, false)));
    assert!(view(&*store).is_held(&name("a"), &digest("child")).unwrap());
}

#[test]
fn a_tag_that_stands_for_something_else_is_moved_by_force_only() {
    let store = memory();
    for (text, tags) in [("old", ["v1", "latest"].as_slice()), ("new", &[])] {
        put(&*store, &manifest("a", text, &[], tags));
    }
    let of_tag = delete_tag(&*store, "v1");
    let set = |text: &str, to: &str| {
        let (text, to) = (tag(text), digest(to));
        at(&*store, 21, |batch, view| batch.set_tag(view, &name("a"), &text, &to).unwrap()).unwrap();
    };
    set("v1", "new");
    let taken = Restore::TagsTaken(vec![(tag("v1"), digest("new"))]);
    assert_eq!(restore(&*store, of_tag, false), taken);
    assert!(is_done(&restore(&*store, of_tag, true)));
    let stands_for = |text: &str| view(&*store).tag(&name("a"), &tag(text)).unwrap().unwrap().digest;
    assert_eq!(stands_for("v1"), digest("old"));
    // A manifest: its other tags wait for the decision too.
    let of_manifest = delete(&*store, "old");
    set("latest", "new");
    assert_eq!(
        restore(&*store, of_manifest, false),
        Restore::TagsTaken(vec![(tag("latest"), digest("new"))])
    );
    assert!(is_done(&restore(&*store, of_manifest, true)));
    assert_eq!((stands_for("v1"), stands_for("latest")), (digest("old"), digest("old")));
    // Without its manifest a tag has nothing to stand for.
    let of_tag = delete_tag(&*store, "v1");
    delete(&*store, "old");
    assert_eq!(restore(&*store, of_tag, true), Restore::Missing(vec![Lost::Manifest(digest("old"))]));
}

#[test]
fn a_manifest_pushed_again_meanwhile_keeps_its_tags_and_gets_those_it_had() {
    let store = memory();
    put(&*store, &manifest("a", "m", &[], &["v1", "v2"]));
    let number = delete(&*store, "m");
    put(&*store, &manifest("a", "m", &[], &["v1", "v3"]));
    assert!(is_done(&restore(&*store, number, false)));
    let tags = view(&*store).tags_of(&name("a"), &digest("m"), None, 9).unwrap();
    assert_eq!(tags, [tag("v1"), tag("v2"), tag("v3")]);
}

#[test]
fn digests_of_any_algorithm_come_back() {
    let store = memory();
    let mut long = manifest("a", "long", &[], &["v1"]);
    long.digest = digest_of(Algorithm::Sha512, b"long");
    put(&*store, &long);
    at(&*store, 20, |batch, view| {
        assert!(batch.delete_manifest(view, &name("a"), &long.digest).unwrap());
    })
    .unwrap();
    let (number, _) = view(&*store).trash_page(None, 1).unwrap().remove(0);
    assert!(is_done(&restore(&*store, number, false)));
    assert!(view(&*store).has_manifest(&name("a"), &long.digest).unwrap());
}

#[test]
fn the_oldest_deletions_are_given_up_first() {
    let store = memory();
    let mut numbers = Vec::new();
    for (moment, text) in [(20, "one"), (30, "two"), (40, "three")] {
        put(&*store, &manifest("a", text, &[], &[]));
        at(&*store, moment, |batch, view| {
            assert!(batch.delete_manifest(view, &name("a"), &digest(text)).unwrap());
        })
        .unwrap();
        numbers = view(&*store).trash_page(None, 9).unwrap().into_iter().map(|(number, _)| number).collect();
    }
    let now = view(&*store);
    assert_eq!(now.expired_trash(UnixMillis(20), 9).unwrap(), Vec::<u64>::new());
    assert_eq!(now.expired_trash(UnixMillis(31), 9).unwrap(), numbers[..2]);
    assert_eq!(now.expired_trash(UnixMillis(99), 1).unwrap(), numbers[..1]);
    at(&*store, 50, |batch, _| batch.delete_trash(numbers[0])).unwrap();
    assert_eq!(restore(&*store, numbers[0], true), Restore::Unknown);
    assert_eq!(view(&*store).trash_page(Some(numbers[1]), 9).unwrap().len(), 1);
    // Too long ago, though still there.
    let mut batch = Batch::new(UnixMillis(50));
    let outcome = batch.restore(&view(&*store), numbers[1], UnixMillis(31), true).unwrap();
    assert_eq!(outcome, Restore::Unknown);
}

#[test]
fn a_deletion_is_undone_by_one_only_and_not_over_what_came_meanwhile() {
    let store = memory();
    put(&*store, &manifest("a", "m", &[], &["v1"]));
    let number = delete(&*store, "m");
    let before = view(&*store);
    let [first, second] = [0, 1].map(|_| {
        let mut batch = Batch::new(UnixMillis(30));
        assert!(is_done(&batch.restore(&before, number, UnixMillis(0), false).unwrap()));
        batch
    });
    let late = second.clone();
    let fresh = store.kill().unwrap();
    commit(&fresh, first).unwrap();
    assert!(matches!(commit(&fresh, second), Err(EngineError::Conflict)));
    // The tag was set to something else after the look.
    let store = fresh;
    let number = delete(&store, "m");
    let mut batch = Batch::new(UnixMillis(30));
    assert!(is_done(&batch.restore(&view(&store), number, UnixMillis(0), false).unwrap()));
    put(&store, &manifest("a", "other", &[], &["v1"]));
    assert!(matches!(commit(&store, batch), Err(EngineError::Conflict)));
    assert!(matches!(commit(&store, late), Err(EngineError::Conflict)));
}
