//! What is needed and what is not.

use super::world::{Garden, Unlimited, name, named};
use crate::engine::tests::world::{block_on as run, content, pull};
use crate::gc::report::GcKind;
use crate::gc::{GcConfig, run::run as collect};
use crate::meta::{EdgeRole, GcItem, LeaseId, TombstoneItem, key};
use crate::{EngineError, Linked};
use bytes::Bytes;
use std::time::Duration;
use strata_types::{Digest, Tag};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

fn eager() -> GcConfig {
    GcConfig {
        grace: Duration::ZERO,
        undo: Duration::ZERO,
        untagged: Some(Duration::ZERO),
        ..GcConfig::default()
    }
}

#[test]
fn a_blob_that_nothing_holds_goes_after_the_grace_and_not_before() {
    let garden = Garden::new(GcConfig::default());
    let (small, large) = (garden.blob(1, 3000), garden.blob(2, 200_000));
    garden.later(Duration::from_secs(3599));
    assert_eq!(garden.collect_as_planned().removed.objects(), 0);
    garden.audit(&[small, large]);
    garden.later(SECOND);
    let report = garden.collect_as_planned();
    for kind in [GcKind::Link, GcKind::Blob] {
        assert_eq!(report.removed.of(kind).objects, 2, "{kind:?}");
    }
    assert_eq!(report.removed.of(GcKind::File).bytes, 200_000);
    assert_eq!(report.removed.bytes(), 200_000 + 3096);
    assert!(!garden.has(&small) && !garden.has(&large));
    assert_eq!(garden.view().gc_queue(None, 9).unwrap(), []);
    assert!(!garden.world.disk.files().iter().any(|path| path.starts_with("blobs")));
    assert_eq!(garden.collect_as_planned().removed.objects(), 0);
    // And can come again.
    let again = garden.blob(2, 200_000);
    assert!(again == large && garden.has(&large));
}

#[test]
fn what_a_manifest_holds_stays_and_is_let_go_of_with_its_own_grace() {
    let garden = Garden::new(GcConfig { undo: HOUR * 3, ..GcConfig::default() });
    let (config, layer, loose) = (garden.blob(1, 300), garden.blob(2, 100_000), garden.blob(3, 70_000));
    let held = [(EdgeRole::Config, config), (EdgeRole::Layer, layer)];
    let image = garden.manifest("image", &held, None, &["v1"]);
    assert_eq!(garden.engine.find_link(&name(), &layer).unwrap(), Some(Linked::Held));
    garden.later(HOUR * 2);
    garden.collect_as_planned();
    assert!(garden.has(&config) && garden.has(&layer) && !garden.has(&loose));
    garden.delete_manifest(&image);
    garden.later(Duration::from_secs(3599));
    assert_eq!(garden.collect_as_planned().removed.objects(), 0);
    garden.later(SECOND * 2);
    let report = garden.collect_as_planned();
    assert_eq!(report.removed.of(GcKind::Blob).objects, 2);
    assert!(garden.view().manifest_bytes(&image).unwrap().is_some(), "the deletion can still be undone");
    garden.later(HOUR * 2);
    let report = garden.collect_as_planned();
    assert_eq!(report.removed.of(GcKind::ManifestBytes).bytes, "image".len() as u64);
    assert!(garden.view().manifest_bytes(&image).unwrap().is_none());
}

#[test]
fn blobs_stay_as_long_as_a_deletion_can_be_undone_if_so_set() {
    let gc = GcConfig { undo: HOUR * 5, undo_keeps_bytes: true, ..GcConfig::default() };
    let garden = Garden::new(gc);
    let layer = garden.blob(1, 70_000);
    let image = garden.manifest("image", &[(EdgeRole::Layer, layer)], None, &["v1"]);
    garden.delete_manifest(&image);
    garden.later(Duration::from_secs(5 * 3600 - 1));
    assert_eq!(garden.collect_as_planned().removed.objects(), 0);
    garden.later(SECOND * 2);
    assert_eq!(garden.collect_as_planned().removed.of(GcKind::Blob).objects, 1);
}

#[test]
fn untagged_manifests_go_by_policy_only_and_never_what_something_names() {
    for untagged in [None, Some(HOUR * 24)] {
        let garden = Garden::new(GcConfig { untagged, undo: Duration::ZERO, ..GcConfig::default() });
        let layer = garden.blob(1, 70_000);
        let child = garden.manifest("child", &[(EdgeRole::Layer, layer)], None, &[]);
        let index = garden.manifest("index", &[(EdgeRole::Child, child)], None, &["latest"]);
        let signature = garden.manifest("signature", &[], Some(index), &[]);
        let cached = garden.blob(2, 80_000);
        let cache = garden.manifest("cache", &[(EdgeRole::Child, cached)], None, &["cache"]);
        let old = garden.manifest("old", &[], None, &[]);
        garden.later(HOUR * 25);
        let report = garden.collect_as_planned();
        assert_eq!(report.removed.of(GcKind::Manifest).objects, u64::from(untagged.is_some()));
        let there = |digest: &Digest| garden.view().has_manifest(&name(), digest).unwrap();
        assert_eq!(there(&old), untagged.is_none());
        assert!(there(&child) && there(&index) && there(&signature) && garden.has(&cached));
        // The tag moves on; what it left behind goes, from the top down.
        for (tag, digest) in [("latest", index), ("cache", cache)] {
            let tag = Tag::parse(tag).unwrap();
            garden
                .commit(|batch, view| {
                    assert!(there(&digest) && batch.delete_tag(view, &name(), &tag).unwrap());
                })
                .unwrap();
        }
        garden.later(HOUR * 23);
        assert_eq!(garden.collect_as_planned().removed.of(GcKind::Manifest).objects, 0);
        for _ in 0..4 {
            garden.later(HOUR * 24);
            garden.collect_as_planned();
        }
        let gone = untagged.is_some();
        for digest in [child, index, signature, cache] {
            assert_eq!(there(&digest), !gone);
        }
        assert_eq!((garden.has(&layer), garden.has(&cached)), (!gone, !gone));
        garden.audit(&[]);
    }
}

#[test]
fn a_manifest_that_was_tagged_in_between_has_its_time_anew() {
    let garden = Garden::new(GcConfig { untagged: Some(HOUR * 24), ..GcConfig::default() });
    let image = garden.manifest("image", &[], None, &["v1"]);
    let tag = Tag::parse("v1").unwrap();
    let untag =
        || garden.commit(|batch, view| assert!(batch.delete_tag(view, &name(), &tag).unwrap())).unwrap();
    untag();
    garden.later(HOUR);
    garden.commit(|batch, view| batch.set_tag(view, &name(), &tag, &image).unwrap()).unwrap();
    garden.later(HOUR * 20);
    untag();
    garden.later(HOUR * 4);
    let removed = garden.collect_as_planned().removed;
    assert_eq!(removed.of(GcKind::Manifest).objects, 0, "25 hours after the first time");
    assert!(garden.view().has_manifest(&name(), &image).unwrap());
    garden.later(HOUR * 20);
    assert_eq!(garden.collect_as_planned().removed.of(GcKind::Manifest).objects, 1);
    assert_eq!(garden.view().gc_queue(None, 9).unwrap().len(), 1, "its bytes, which can be restored");
}

#[test]
fn without_any_grace_all_goes_in_one_run() {
    let garden = Garden::new(eager());
    let (layer, kept) = (garden.blob(1, 70_000), garden.blob(2, 5));
    let child = garden.manifest("child", &[(EdgeRole::Layer, layer)], None, &[]);
    let inner = garden.manifest("inner", &[(EdgeRole::Child, child)], None, &[]);
    garden.manifest("outer", &[(EdgeRole::Child, inner)], None, &[]);
    garden.manifest("kept", &[(EdgeRole::Layer, kept)], None, &["kept"]);
    garden.later(SECOND);
    let few = garden.plan(3);
    assert!(few.cut && few.removals.len() == 3, "{few:?}");
    assert_eq!(few.removals[..], garden.plan(100).removals[..3]);
    let report = garden.collect_as_planned();
    assert_eq!(report.removed.of(GcKind::Manifest).objects, 3);
    assert_eq!(report.removed.of(GcKind::ManifestBytes).objects, 3);
    assert_eq!(report.removed.of(GcKind::Blob).objects, 1);
    garden.audit(&[kept]);
}

#[test]
fn a_client_that_was_told_keeps_a_blob_for_the_grace() {
    let garden = Garden::new(GcConfig::default());
    let blob = garden.blob(1, 70_000);
    garden.later(Duration::from_secs(3599));
    assert_eq!(garden.engine.find_link(&name(), &blob).unwrap(), Some(Linked::Loose));
    garden.later(SECOND * 10);
    assert_eq!(garden.collect_as_planned().removed.objects(), 0);
    // Whoever holds it now finds the entry by the time of the row.
    garden.manifest("image", &[(EdgeRole::Layer, blob)], None, &["v1"]);
    assert_eq!(garden.view().gc_queue(None, 9).unwrap(), []);
    garden.delete_manifest(&named("image"));
    garden.later(HOUR * 2);
    assert_eq!(garden.collect_as_planned().removed.of(GcKind::Blob).objects, 1);
    assert_eq!(garden.engine.find_link(&name(), &blob).unwrap(), None);
}

#[test]
fn after_a_start_everything_counts_as_seen() {
    let mut garden = Garden::new(GcConfig::default());
    let blob = garden.blob(1, 70_000);
    garden.later(HOUR * 5);
    let Garden { mut world, engine } = garden;
    world.kill(engine);
    let engine = world.open().unwrap();
    garden = Garden { world, engine };
    garden.later(Duration::from_secs(3599));
    assert_eq!(garden.collect_as_planned().removed.objects(), 0);
    garden.later(SECOND);
    assert_eq!(garden.collect_as_planned().removed.of(GcKind::Blob).objects, 1);
    assert!(!garden.has(&blob));
}

#[test]
fn a_lease_keeps_what_it_is_on_until_it_runs_out() {
    let garden = Garden::new(eager());
    let blob = garden.blob(1, 70_000);
    let until = garden.engine.now().after(HOUR);
    garden.commit(|batch, _| batch.put_lease(&blob, LeaseId([1; 16]), until)).unwrap();
    garden.later(SECOND);
    let report = garden.collect_as_planned();
    assert_eq!((report.removed.objects(), report.postponed), (0, 1));
    garden.later(HOUR);
    let report = garden.collect();
    assert_eq!(report.removed.of(GcKind::Lease).objects, 1);
    assert_eq!(report.removed.of(GcKind::Blob).objects, 1);
    garden.audit(&[]);
}

#[test]
fn a_queue_of_format_1_is_taken_over() {
    let garden = Garden::new(eager());
    let blob = garden.blob(1, 70_000);
    let (at, item) = garden.view().gc_queue(None, 1).unwrap().remove(0);
    let memory = &garden.world.meta.memory;
    memory.corrupt(key::gc(at, &item), None);
    memory.corrupt(key::gc_format_1(at, &item), Some(Bytes::from_static(b"\x01")));
    // Entries that mean nothing any more.
    let gone = GcItem::Link { repository: name(), digest: named("gone") };
    memory.corrupt(key::gc_format_1(at, &gone), Some(Bytes::from_static(b"\x01")));
    garden.later(SECOND);
    assert_eq!(garden.collect_as_planned().removed.of(GcKind::Blob).objects, 1);
    assert!(!garden.has(&blob));
    garden.audit(&[]);
}

#[test]
fn what_a_crash_left_between_row_and_file_is_finished() {
    let garden = Garden::new(eager());
    let (left, kept) = (garden.blob(1, 70_000), garden.blob(2, 70_000));
    garden.manifest("image", &[(EdgeRole::Layer, kept)], None, &["v1"]);
    let record = garden.view().blob(&left).unwrap().unwrap();
    let crate::meta::Placement::File { generation } = record.placement else { panic!("it is large") };
    garden
        .commit(|batch, _| {
            batch.unlink_blob(&name(), &left);
        })
        .unwrap();
    garden.commit(|batch, _| batch.remove_blob(&left, &record)).unwrap();
    let tombstone = |garden: &Garden| garden.view().tombstones(None, 9).unwrap();
    assert_eq!(tombstone(&garden)[0].0, TombstoneItem::File { generation });
    let report = garden.collect();
    assert_eq!((report.removed.of(GcKind::File).objects, tombstone(&garden).len()), (1, 0));
    garden.audit(&[kept]);
}

#[test]
fn a_reader_goes_on_with_a_blob_that_is_removed() {
    let garden = Garden::new(eager());
    let bytes = content(1, 300_000);
    let blob = garden.push(&bytes);
    let Some(crate::BlobBody::File(file)) = run(garden.engine.open_blob(&blob)).unwrap() else {
        panic!("it is large")
    };
    let before = garden.engine.metrics().files_open;
    garden.later(SECOND);
    garden.collect();
    assert_eq!(run(pull(&garden.engine, &blob)).unwrap(), None);
    assert_eq!(run(file.read_at(150_000, 1000)).unwrap(), bytes.slice(150_000..151_000));
    assert_eq!(garden.engine.metrics().files_open, before - 1, "nothing else holds its space");
}

#[test]
fn it_goes_on_below_the_reserve_and_not_in_a_poisoned_store() {
    let garden = Garden::new(eager());
    let (one, two) = (garden.blob(1, 70_000), garden.blob(2, 90_000));
    garden.manifest("image", &[(EdgeRole::Layer, two)], None, &["v1"]);
    garden.later(SECOND);
    let used = 70_000 + 90_000;
    garden.world.disk.set_capacity(Some(used + garden.world.config.reserve_bytes / 4));
    assert!(matches!(
        run(crate::engine::tests::world::push(&garden.engine, &content(3, 70_000), 9000)),
        Err(EngineError::NoSpace)
    ));
    garden.collect();
    assert!(!garden.has(&one));
    garden.delete_manifest(&named("image"));
    garden.later(SECOND);
    drop(garden.engine.parts().gate.poison("a test"));
    let refused = collect(garden.engine.parts(), &mut Unlimited);
    assert!(matches!(refused, Err(EngineError::Poisoned { .. })), "{refused:?}");
    assert!(garden.has(&two));
}

#[test]
fn a_run_costs_what_there_is_to_remove() {
    let garden = Garden::new(eager());
    let held: Vec<_> = (0..400).map(|seed| (EdgeRole::Layer, garden.blob(seed, 40))).collect();
    for (number, layers) in held.chunks(20).enumerate() {
        garden.manifest(&format!("image {number}"), layers, None, &[&format!("v{number}")]);
    }
    let rows = (400 * 5 + 20 * 26) as u64;
    garden.later(SECOND);
    let idle = garden.collect();
    assert!(idle.rows_read < 10 && idle.rows_written == 0, "{idle:?}");
    for seed in 1000..1004 {
        garden.blob(seed, 40);
    }
    garden.later(SECOND);
    let report = garden.collect();
    assert_eq!(report.removed.of(GcKind::Blob).objects, 4);
    let touched = report.rows_read + report.rows_written;
    assert!(touched * 100 <= rows * 5, "{touched} of {rows} rows for one blob in a hundred");
}
