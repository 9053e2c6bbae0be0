//! Bad bytes are never served, are noticed for good, and are healed by good ones.

use super::world::{World, audit, block_on, content, digest, pull, push, repository};
use crate::disk::Disk;
use crate::disk::faulty::{Fault, Operation};
use crate::meta::{Batch, Damage, EventKind, GcItem, Placement, TombstoneItem};
use crate::quarantine::Rechecked;
use crate::{Engine, Health};
use std::path::PathBuf;
use strata_types::Digest;

fn blob_file(world: &World) -> PathBuf {
    world.disk.files().into_iter().find(|path| path.starts_with("blobs")).unwrap()
}

fn events(engine: &Engine, kind: EventKind) -> Vec<Digest> {
    let events = engine.view().unwrap().events(0, 1000).unwrap();
    events
        .into_iter()
        .filter(|(_, event)| event.kind == kind)
        .map(|(_, event)| event.digest.unwrap())
        .collect()
}

fn damage_of(engine: &Engine, digest: &Digest) -> Option<Damage> {
    let stored = engine.view().unwrap().stored_blob(digest).unwrap().unwrap();
    stored.quarantine.map(|quarantine| quarantine.damage)
}

#[test]
fn damaged_bytes_are_never_served_and_put_into_quarantine_by_the_read_that_finds_them() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let small = push(&engine, &content(1, 5000), 5000).await.unwrap();
        let neighbour = push(&engine, &content(2, 5000), 5000).await.unwrap();
        let large = push(&engine, &content(3, 100_000), 5000).await.unwrap();
        let other = push(&engine, &content(4, 100_000), 5000).await.unwrap();
        for digest in [&small, &neighbour, &large, &other] {
            assert!(engine.open_blob(digest).await.unwrap().is_some());
        }
        let proof = engine.proof_of_blob(engine.moment(), &repository(), &small);
        let segment = crate::segment::path(0);
        world.disk.damage(&segment, |bytes| bytes[200] ^= 1);
        assert!(proof.holds());
        assert!(engine.open_blob(&small).await.unwrap().is_none());
        assert!(!proof.holds(), "what was answered from memory falls");
        assert!(engine.open_blob(&neighbour).await.unwrap().is_some());
        world.disk.damage(&segment, |bytes| bytes.truncate(6000));
        assert!(engine.open_blob(&neighbour).await.unwrap().is_none());
        // The files are open already; somebody cuts one and lengthens the other.
        let files: Vec<PathBuf> =
            world.disk.files().into_iter().filter(|path| path.starts_with("blobs")).collect();
        world.disk.damage(&files[0], |bytes| bytes.truncate(99_999));
        world.disk.damage(&files[1], |bytes| bytes.resize(100_001, 0));
        for digest in [&large, &other] {
            assert!(engine.open_blob(digest).await.unwrap().is_none());
            assert!(engine.view().unwrap().blob(digest).unwrap().is_none());
        }
        let damages = [&small, &neighbour, &large, &other].map(|digest| damage_of(&engine, digest).unwrap());
        assert_eq!(damages, [Damage::Content, Damage::Length, Damage::Length, Damage::Length]);
        assert_eq!(events(&engine, EventKind::BlobQuarantined), [small, neighbour, large, other]);
        let metrics = engine.metrics();
        assert_eq!((metrics.corruptions, metrics.blobs_quarantined, metrics.quarantined), (4, 4, 4));
        assert_eq!(engine.quarantined(None, 10).unwrap().len(), 4);
        assert_eq!(engine.health(), Health::Ready);
    });
    // It holds after a restart, although a file is whole again.
    drop(engine);
    world.disk.damage(&blob_file(&world), |bytes| bytes.resize(100_000, 0));
    let engine = world.open().unwrap();
    assert_eq!(engine.metrics().quarantined, 4);
    assert_eq!(block_on(pull(&engine, &digest(&content(3, 100_000)))).unwrap(), None);
}

#[test]
fn a_changed_bit_of_a_large_file_is_healed_by_a_push_after_it_was_noticed() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let bytes = content(1, 300_000);
        let digest = push(&engine, &bytes, 60_000).await.unwrap();
        let file = blob_file(&world);
        world.disk.damage(&file, |bytes| bytes[200_000] ^= 4);
        // A file of the right length is all that a push looks at.
        push(&engine, &bytes, 60_000).await.unwrap();
        assert_ne!(pull(&engine, &digest).await.unwrap().unwrap(), bytes, "the damage is there");
        let rechecked = engine.recheck_blob(&digest).await.unwrap().unwrap();
        assert!(matches!(rechecked, Rechecked::Damaged { damage: Damage::Content, .. }), "{rechecked:?}");
        assert!(engine.open_blob(&digest).await.unwrap().is_none());
        assert!(world.disk.files().contains(&file), "its bytes stay for whoever wants to see them");
        push(&engine, &bytes, 60_000).await.unwrap();
        assert_eq!(pull(&engine, &digest).await.unwrap().unwrap(), bytes);
        engine.parts().pending.wait_for_none();
        assert!(!world.disk.files().contains(&file), "the bad bytes are gone");
        assert_eq!(engine.recheck_blob(&digest).await.unwrap(), Some(Rechecked::Sound));
        assert_eq!(events(&engine, EventKind::BlobHealed), [digest]);
        let metrics = engine.metrics();
        assert_eq!((metrics.blobs_quarantined, metrics.blobs_healed, metrics.quarantined), (1, 1, 0));
        audit(&world, &engine, &[digest]).await;
    });
}

#[test]
fn a_healed_frame_leaves_a_tombstone() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let bytes = content(1, 5000);
        let digest = push(&engine, &bytes, 5000).await.unwrap();
        world.disk.damage(&crate::segment::path(0), |bytes| bytes[300] ^= 1);
        assert!(engine.open_blob(&digest).await.unwrap().is_none());
        push(&engine, &bytes, 5000).await.unwrap();
        assert_eq!(pull(&engine, &digest).await.unwrap().unwrap(), bytes);
        let tombstones = engine.view().unwrap().tombstones(None, 9).unwrap();
        let [(TombstoneItem::Frame { segment: 0, offset: 0 }, record)] = tombstones[..] else {
            panic!("{tombstones:?}")
        };
        assert_eq!(record.length, 5096);
    });
}

#[test]
fn what_turns_out_to_be_sound_is_put_back() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let bytes = content(1, 300_000);
        let digest = push(&engine, &bytes, 60_000).await.unwrap();
        let file = blob_file(&world);
        world.disk.damage(&file, |bytes| bytes.truncate(4096));
        assert!(engine.open_blob(&digest).await.unwrap().is_none());
        let still = engine.recheck_blob(&digest).await.unwrap();
        assert!(matches!(still, Some(Rechecked::Damaged { damage: Damage::Length, .. })), "{still:?}");
        let whole = bytes.to_vec();
        world.disk.damage(&file, |bytes| *bytes = whole);
        assert!(engine.open_blob(&digest).await.unwrap().is_none(), "nobody has looked again");
        assert_eq!(engine.recheck_blob(&digest).await.unwrap(), Some(Rechecked::Released));
        assert_eq!(pull(&engine, &digest).await.unwrap().unwrap(), bytes);
        assert_eq!(engine.metrics().quarantined, 0);
        assert_eq!(engine.recheck_blob(&self::digest(b"unknown")).await.unwrap(), None);
        audit(&world, &engine, &[digest]).await;
    });
}

#[test]
fn what_is_given_up_goes_with_its_links() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let bytes = content(1, 300_000);
        let digest = push(&engine, &bytes, 60_000).await.unwrap();
        assert!(!engine.discard_blob(&digest).await.unwrap(), "it is in service");
        world.disk.remove(&blob_file(&world)).unwrap();
        engine.parts().handles.forget(crate::blob::FileKey::Blob(match placement(&engine, &digest) {
            Placement::File { generation } => generation,
            Placement::Segment { .. } => panic!("a large blob"),
        }));
        assert!(engine.open_blob(&digest).await.unwrap().is_none());
        assert_eq!(damage_of(&engine, &digest), Some(Damage::Missing));
        assert!(engine.discard_blob(&digest).await.unwrap());
        assert!(!engine.discard_blob(&digest).await.unwrap());
        let view = engine.view().unwrap();
        assert!(
            view.stored_blob(&digest).unwrap().is_none()
                && view.link(&repository(), &digest).unwrap().is_none()
        );
        assert_eq!(events(&engine, EventKind::BlobDeleted), [digest]);
        engine.parts().pending.wait_for_none();
        audit(&world, &engine, &[]).await;
        push(&engine, &bytes, 60_000).await.unwrap();
        assert_eq!(pull(&engine, &digest).await.unwrap().unwrap(), bytes);
        audit(&world, &engine, &[digest]).await;
    });
}

fn placement(engine: &Engine, digest: &Digest) -> Placement {
    engine.view().unwrap().stored_blob(digest).unwrap().unwrap().record.placement
}

#[test]
fn a_device_that_refuses_to_read_condemns_nothing() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        for bytes in [content(1, 300_000), content(2, 5000)] {
            let digest = push(&engine, &bytes, 60_000).await.unwrap();
            world.faults.order(Operation::Read, Fault::Eio, 0, 3);
            let refused = engine.recheck_blob(&digest).await.unwrap();
            assert!(matches!(refused, Some(Rechecked::Unreadable { .. })), "{refused:?}");
            world.faults.order(Operation::Read, Fault::Eio, 0, 2);
            world.faults.order(Operation::Read, Fault::Short, 3, 5);
            assert_eq!(engine.recheck_blob(&digest).await.unwrap(), Some(Rechecked::Sound));
            world.faults.heal();
            assert_eq!(damage_of(&engine, &digest), None);
        }
    });
}

#[test]
fn a_quarantine_that_cannot_be_written_down_still_serves_nothing() {
    let mut world = World::new();
    // Near enough that free space is asked for every time.
    world.config.reserve_bytes = 600_000;
    world.disk.set_capacity(Some(1_000_000));
    let engine = world.open().unwrap();
    block_on(async {
        let digest = push(&engine, &content(1, 300_000), 60_000).await.unwrap();
        world.disk.damage(&blob_file(&world), |bytes| bytes.truncate(4096));
        world.disk.set_capacity(Some(4096));
        for _ in 0..2 {
            assert!(engine.open_blob(&digest).await.is_err());
        }
        assert_eq!(damage_of(&engine, &digest), None);
        world.disk.set_capacity(None);
        assert!(engine.open_blob(&digest).await.unwrap().is_none());
        assert_eq!(damage_of(&engine, &digest), Some(Damage::Length));
    });
}

/// A push that finds the blob in service commits while the blob is put into quarantine: its bytes must not be thrown away.
#[test]
fn a_push_that_crosses_a_quarantine_heals() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let bytes = content(1, 300_000);
        let digest = push(&engine, &bytes, 60_000).await.unwrap();
        for round in 0..20 {
            let file = match placement(&engine, &digest) {
                Placement::File { generation } => crate::blob::generation::file_path(generation),
                Placement::Segment { .. } => panic!("a large blob"),
            };
            world.disk.damage(&file, |bytes| bytes[7] ^= 1);
            let (pushed, _) = tokio::join!(push(&engine, &bytes, 60_000), engine.recheck_blob(&digest));
            assert_eq!(pushed.unwrap(), digest);
            // Whichever came first: either the push healed it, or the next one does.
            if pull(&engine, &digest).await.unwrap().is_none() {
                push(&engine, &bytes, 60_000).await.unwrap();
            }
            let served = pull(&engine, &digest).await.unwrap().unwrap();
            assert!(engine.metrics().quarantined == 0, "{round}");
            assert_eq!(served, bytes, "{round}");
        }
        engine.parts().pending.wait_for_none();
        audit(&world, &engine, &[digest]).await;
    });
}

#[test]
fn a_released_or_healed_blob_is_looked_after_again() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let bytes = content(1, 300_000);
        let digest = push(&engine, &bytes, 60_000).await.unwrap();
        world.disk.damage(&blob_file(&world), |bytes| bytes[7] ^= 1);
        engine.recheck_blob(&digest).await.unwrap();
        let mut unlink = Batch::new(engine.now());
        unlink.unlink_blob(&repository(), &digest);
        engine.commit(unlink).await.unwrap();
        world.disk.damage(&blob_file(&world), |bytes| bytes[7] ^= 1);
        world.clock.advance(std::time::Duration::from_secs(10));
        assert_eq!(engine.recheck_blob(&digest).await.unwrap(), Some(Rechecked::Released));
        let now = engine.now();
        let queued = engine.view().unwrap().gc_queue(None, 100).unwrap();
        assert!(queued.contains(&(now, GcItem::Blob { digest })), "{queued:?}");
    });
}
