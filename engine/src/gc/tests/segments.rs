//! The bytes of small blobs come back.

use super::world::{Garden, name};
use crate::engine::tests::world::{block_on as run, content, pull};
use crate::gc::GcConfig;
use crate::gc::report::GcKind;
use crate::meta::{Batch, EdgeRole, TombstoneItem};
use std::time::Duration;
use strata_types::Digest;

const SECOND: Duration = Duration::from_secs(1);

fn eager() -> GcConfig {
    let (grace, undo) = (Duration::ZERO, Duration::ZERO);
    GcConfig {
        grace,
        undo,
        untagged: Some(Duration::ZERO),
        segment_dead_bytes_min: 1000,
        ..GcConfig::default()
    }
}

fn segments(garden: &Garden) -> usize {
    garden.world.disk.files().iter().filter(|path| path.starts_with("segments")).count()
}

/// Ten blobs of which every third is held.
fn mixed(garden: &Garden) -> Vec<Digest> {
    let all: Vec<Digest> = (0..10).map(|seed| garden.blob(seed, 3000)).collect();
    let held: Vec<Digest> = all.iter().copied().step_by(3).collect();
    let edges: Vec<_> = held.iter().map(|digest| (EdgeRole::Layer, *digest)).collect();
    garden.manifest("image", &edges, None, &["v1"]);
    garden.later(SECOND);
    held
}

#[test]
fn what_lives_moves_and_the_segment_goes() {
    let garden = Garden::new(eager());
    let held = mixed(&garden);
    let before = garden.view().blob(&held[0]).unwrap().unwrap();
    let report = garden.collect();
    assert_eq!(report.removed.of(GcKind::Blob).objects, 6);
    assert_eq!((report.bytes_moved, report.removed.of(GcKind::Segment).objects), (4 * 3000, 1));
    assert_eq!(report.removed.of(GcKind::Segment).bytes, 10 * 3096);
    assert_eq!(segments(&garden), 1);
    assert_eq!(garden.view().tombstones(None, 9).unwrap(), []);
    // Whoever has the old row in his hands finds the new one.
    assert_ne!(garden.view().blob(&held[0]).unwrap().unwrap(), before);
    for (number, digest) in held.iter().enumerate() {
        assert_eq!(run(pull(&garden.engine, digest)).unwrap(), Some(content(number as u64 * 3, 3000)));
    }
    garden.audit(&held);
    assert_eq!(garden.collect().bytes_moved, 0);
}

#[test]
fn a_segment_without_a_living_frame_is_not_read() {
    let mut garden = Garden::new(eager());
    for seed in 0..4 {
        garden.blob(seed, 3000);
    }
    garden.later(SECOND);
    let report = garden.collect();
    assert_eq!((report.bytes_moved, report.removed.of(GcKind::Segment).objects), (0, 1));
    assert_eq!(segments(&garden), 0);
    garden.blob(9, 3000);
    let Garden { mut world, engine } = garden;
    world.kill(engine);
    let engine = world.open().unwrap();
    garden = Garden { world, engine };
    garden.audit(&[]);
    assert_eq!(segments(&garden), 1);
}

#[test]
fn a_damaged_frame_keeps_its_segment() {
    let garden = Garden::new(eager());
    let held = mixed(&garden);
    let path = crate::segment::path(0);
    assert!(garden.world.disk.damage(&path, |bytes| bytes[200] ^= 1));
    garden.collect();
    garden.later(SECOND);
    garden.collect();
    assert!(garden.world.disk.files().contains(&path));
    assert_eq!(run(pull(&garden.engine, &held[0])).unwrap(), None, "it is not served");
    for digest in &held[1..] {
        assert!(run(pull(&garden.engine, digest)).unwrap().is_some());
    }
}

#[test]
fn a_frame_on_the_way_to_its_row_keeps_its_segment() {
    let garden = Garden::new(eager());
    let store = garden.engine.parts();
    let digest = garden.blob(1, 3000);
    garden.later(SECOND);
    let payload = content(2, 3000);
    let (sender, placed) = std::sync::mpsc::channel();
    store.appender.append(crate::segment::Append {
        digest: crate::engine::tests::world::digest(&payload),
        checksum: crate::blob::checksum(&payload),
        payload,
        placed: Box::new(move |place| sender.send(place.unwrap()).unwrap()),
    });
    let place = placed.recv().unwrap();
    garden.collect();
    assert!(!garden.has(&digest) && segments(&garden) == 1);
    assert!(!store.appender.is_settled(0));
    drop(place);
    garden.collect();
    assert_eq!(segments(&garden), 0);
}

#[test]
fn what_a_start_cuts_off_takes_its_tombstones_along() {
    let config = GcConfig { segment_dead_bytes_min: u64::MAX, ..eager() };
    let garden = Garden::new(config);
    let kept = garden.blob(1, 3000);
    garden.manifest("image", &[(EdgeRole::Layer, kept)], None, &["v1"]);
    garden.blob(2, 3000);
    garden.later(SECOND);
    garden.collect();
    let dead = TombstoneItem::Frame { segment: 0, offset: 3096 };
    assert_eq!(garden.view().tombstones(None, 9).unwrap()[0].0, dead);
    let Garden { mut world, engine } = garden;
    world.kill(engine);
    let garden = Garden { engine: world.open().unwrap(), world };
    assert_eq!(garden.view().tombstones(None, 9).unwrap(), []);
    // Another blob stands there now.
    let next = garden.blob(3, 3000);
    let mut batch = Batch::new(garden.engine.now());
    batch.expect_link(&name(), &next);
    garden.audit(&[kept, next]);
}
