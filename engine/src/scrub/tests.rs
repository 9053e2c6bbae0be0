//! Rounds on a simulated disk: what is damaged is found, what is whole is left alone, however the store moves meanwhile.

use super::round::Scrubber;
use super::status::FindingKind;
use super::{ScrubStatus, VerifyOnRead};
use crate::Engine;
use crate::disk::Disk;
use crate::disk::faulty::{Fault, Operation};
use crate::engine::Ports;
use crate::engine::tests::world::{World, block_on, content, pull, push, repository};
use crate::limits::{BUFFER_BYTES, SCRUB_PIECE_BYTES};
use crate::meta::key::{self, Key};
use crate::meta::{Batch, Damage, MetaStore, Placement, RocksConfig, RocksStore, ScrubTally};
use std::path::PathBuf;
use std::sync::Arc;
use strata_types::Digest;

/// A store with small and large blobs.
fn stored(world: &World) -> (Engine, Vec<Digest>) {
    let engine = world.open().unwrap();
    let digests = block_on(async {
        let mut digests = Vec::new();
        for seed in 0..20 {
            digests.push(push(&engine, &content(seed, 100 + 1000 * seed as usize), 60_000).await.unwrap());
        }
        for seed in 20..25 {
            let size = BUFFER_BYTES + 7000 * seed as usize;
            digests.push(push(&engine, &content(seed, size), 60_000).await.unwrap());
        }
        engine.parts().pending.wait_for_none();
        digests
    });
    (engine, digests)
}

fn scrubber(engine: &Engine) -> Scrubber {
    Scrubber::new(Arc::clone(engine.parts())).unwrap()
}

/// A whole round in steps of `budget` bytes.
fn round(scrubber: &mut Scrubber, budget: u64) -> ScrubTally {
    scrubber.start().unwrap();
    let mut steps = 0;
    while !scrubber.step(budget).unwrap().ended {
        steps += 1;
        assert!(steps < 100_000, "a round ends");
    }
    scrubber.record().last.unwrap().tally
}

/// Where a blob's bytes are: the file, and the offset of its first byte in it.
fn place(engine: &Engine, digest: &Digest) -> (PathBuf, usize) {
    match engine.view().unwrap().stored_blob(digest).unwrap().unwrap().record.placement {
        Placement::File { generation } => (crate::blob::generation::file_path(generation), 0),
        Placement::Segment { segment, offset, .. } => (crate::segment::path(segment), offset as usize + 96),
    }
}

fn flip(world: &World, engine: &Engine, digest: &Digest) {
    let (path, at) = place(engine, digest);
    assert!(world.disk.damage(&path, |bytes| bytes[at + 50] ^= 8));
}

fn damage_of(engine: &Engine, digest: &Digest) -> Option<Damage> {
    let stored = engine.view().unwrap().stored_blob(digest).unwrap().unwrap();
    stored.quarantine.map(|quarantine| quarantine.damage)
}

#[test]
fn a_sound_store_has_no_finding_whatever_the_budget() {
    let world = World::new();
    let (engine, digests) = stored(&world);
    let mut scrubber = scrubber(&engine);
    let mut tallies = Vec::new();
    for budget in [1, 5000, 1 << 20, u64::MAX] {
        tallies.push(round(&mut scrubber, budget));
        assert_eq!(scrubber.findings(), []);
    }
    let tally = tallies[0];
    assert_eq!((tally.blobs, tally.findings()), (digests.len() as u64, 0));
    let bytes: u64 = (0..20).map(|seed| 100 + 1000 * seed).sum::<u64>()
        + (20..25).map(|seed| BUFFER_BYTES as u64 + 7000 * seed).sum::<u64>();
    assert_eq!(tally.bytes, bytes);
    assert!(tally.rows > 5 * tally.blobs);
    // Only the scrub's own row came to it.
    for later in &tallies[1..] {
        assert_eq!((later.blobs, later.bytes, later.rows), (tally.blobs, tally.bytes, tally.rows));
    }
    assert_eq!(scrubber.record().number, 4);
}

#[test]
fn a_step_reads_no_more_than_its_budget_and_a_piece() {
    let world = World::new();
    let (engine, _) = stored(&world);
    let mut scrubber = scrubber(&engine);
    for budget in [1, 4096, 300_000, 1_000_000] {
        scrubber.start().unwrap();
        loop {
            let step = scrubber.step(budget).unwrap();
            assert!(step.spent < budget + SCRUB_PIECE_BYTES as u64 + 1, "{step:?} {budget}");
            if step.ended {
                break;
            }
            assert!(step.spent >= budget);
        }
    }
    assert_eq!(scrubber.step(1000).unwrap().spent, 0, "no round is under way");
}

#[test]
fn every_damage_is_found_confirmed_and_put_into_quarantine() {
    let world = World::new();
    let (engine, digests) = stored(&world);
    let (small, large, cut, gone) = (digests[3], digests[20], digests[21], digests[22]);
    flip(&world, &engine, &small);
    flip(&world, &engine, &large);
    let (path, _) = place(&engine, &cut);
    assert!(world.disk.damage(&path, |bytes| bytes.truncate(70_000)));
    world.disk.remove(&place(&engine, &gone).0).unwrap();
    let mut scrubber = scrubber(&engine);
    let tally = round(&mut scrubber, 100_000);
    assert_eq!((tally.damaged, tally.findings()), (4, 4));
    let found = [small, large, cut, gone].map(|digest| damage_of(&engine, &digest).unwrap());
    assert_eq!(found, [Damage::Content, Damage::Content, Damage::Length, Damage::Missing]);
    assert!(scrubber.findings().iter().all(|finding| finding.kind == FindingKind::Damaged));
    assert_eq!(engine.metrics().quarantined, 4);
    block_on(async {
        for digest in [&small, &large, &cut, &gone] {
            assert!(engine.open_blob(digest).await.unwrap().is_none());
        }
        for digest in digests.iter().filter(|digest| damage_of(&engine, digest).is_none()) {
            assert!(pull(&engine, digest).await.unwrap().is_some());
        }
    });
    // The next round knows them already.
    let tally = round(&mut scrubber, 100_000);
    assert_eq!((tally.damaged, tally.quarantined, tally.findings()), (0, 4, 4));
    assert!(scrubber.findings().iter().all(|finding| finding.kind == FindingKind::Quarantined));
}

#[test]
fn a_round_goes_on_after_a_kill() {
    let mut world = World::new();
    let (engine, digests) = stored(&world);
    let mut first = scrubber(&engine);
    first.start().unwrap();
    while first.record().tally.blobs < 5 {
        first.step(1000).unwrap();
    }
    first.write_down().unwrap();
    let position = first.record().position.clone().unwrap();
    drop(first);
    // What is behind the position is found, whatever happened before.
    let ahead = *digests.iter().max().unwrap();
    flip(&world, &engine, &ahead);
    world.kill(engine);
    world.config.scrub.rate = 1;
    let engine = world.open().unwrap();
    let status: ScrubStatus = engine.scrub_status();
    assert!(status.running && status.round == 1);
    let mut second = scrubber(&engine);
    assert!(second.is_running());
    assert_eq!(second.record().position, Some(position));
    assert_eq!(second.start().unwrap(), 1, "the same round");
    let tally = round(&mut second, 100_000);
    assert_eq!((tally.blobs, tally.damaged), (digests.len() as u64, 1));
}

#[test]
fn a_device_that_refuses_twice_has_lost_the_blob() {
    let world = World::new();
    let (engine, digests) = stored(&world);
    let mut scrubber = scrubber(&engine);
    for expected in [None, Some(Damage::Unreadable)] {
        scrubber.start().unwrap();
        // The first blob that is read: three attempts.
        while scrubber.record().position.as_ref().is_some_and(|position| position.first() < Some(&b'b')) {
            scrubber.step(1).unwrap();
        }
        world.faults.order(Operation::Read, Fault::Eio, 0, 3);
        let tally = round(&mut scrubber, u64::MAX);
        assert_eq!(world.faults.heal(), 3);
        let first = *digests.iter().min().unwrap();
        assert_eq!(damage_of(&engine, &first), expected);
        assert_eq!((tally.unreadable, tally.damaged), if expected.is_none() { (1, 0) } else { (0, 1) });
    }
}

#[test]
fn blobs_that_go_or_come_while_they_are_looked_at_are_no_finding() {
    let world = World::new();
    let (engine, digests) = stored(&world);
    let mut scrubber = scrubber(&engine);
    scrubber.start().unwrap();
    let mut removed = 0;
    loop {
        let step = scrubber.step(3000).unwrap();
        if step.ended {
            break;
        }
        // Removed behind the back of the page that the round is working off.
        if let Some(digest) =
            digests.get(removed).filter(|_| scrubber.record().tally.blobs as usize > removed)
        {
            let view = engine.view().unwrap();
            let record = view.blob(digest).unwrap().unwrap();
            let mut batch = Batch::new(engine.now());
            batch.quarantine_blob(digest, &record, Damage::Content);
            block_on(engine.commit(batch)).unwrap();
            assert!(block_on(engine.discard_blob(digest)).unwrap());
            block_on(push(&engine, &content(100 + removed as u64, 90_000), 90_000)).unwrap();
            removed += 1;
        }
    }
    assert!(removed > 5, "{removed}");
    assert_eq!(scrubber.record().last.unwrap().tally.findings(), 0, "{:?}", scrubber.findings());
}

#[test]
fn contradicting_rows_are_found_from_either_side() {
    let world = World::new();
    let (engine, digests) = stored(&world);
    let digest = digests[0];
    let rows = [
        Key::BlobRepository { digest, repository: repository() },
        Key::Link { repository: repository(), digest },
        Key::Repository { repository: repository() },
    ];
    let mut scrubber = scrubber(&engine);
    for row in rows {
        let value = engine.view().unwrap().raw(&row.encode()).unwrap();
        world.meta.memory.corrupt(row.encode(), None);
        let tally = round(&mut scrubber, 1 << 20);
        assert!(tally.broken > 0 && tally.damaged == 0, "{row}");
        assert!(scrubber.findings().iter().all(|finding| finding.kind == FindingKind::Broken));
        world.meta.memory.corrupt(row.encode(), value);
    }
    let queue = engine.view().unwrap().gc_queue(None, 1).unwrap().remove(0);
    world.meta.memory.corrupt(key::gc(queue.0, &queue.1), None);
    let tally = round(&mut scrubber, 1 << 20);
    assert_eq!(tally.broken, 1, "{:?}", scrubber.findings());
}

#[test]
fn the_thread_makes_a_round_when_asked() {
    let world = World::new();
    let (engine, digests) = stored(&world);
    flip(&world, &engine, &digests[21]);
    block_on(async {
        let number = engine.scrub_start(Some(0)).await.unwrap();
        assert_eq!(number, 1);
        let last = loop {
            if let Some(last) = engine.scrub_status().last {
                break last;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((last.number, last.tally.damaged), (1, 1));
        let metrics = engine.metrics();
        assert_eq!((metrics.scrub_rounds, metrics.quarantined), (1, 1));
        assert!(metrics.scrubbed_bytes > last.tally.bytes);
        engine.close();
        assert!(engine.scrub_start(None).await.is_err());
    });
}

#[test]
fn reads_are_verified_as_the_settings_say() {
    let mut verified = Vec::new();
    for mode in [VerifyOnRead::Off, VerifyOnRead::Sample, VerifyOnRead::Always] {
        let mut world = World::new();
        world.config.verify_on_read = mode;
        let engine = world.open().unwrap();
        block_on(async {
            let (small, large) = (content(1, 5000), content(2, 300_000));
            push(&engine, &small, 60_000).await.unwrap();
            let digest = push(&engine, &large, 60_000).await.unwrap();
            for _ in 0..130 {
                assert!(engine.read_blob(&digest).await.unwrap().is_some());
            }
            verified.push(engine.metrics().reads_verified);
            assert_eq!(engine.may_read_again(), mode == VerifyOnRead::Off);
            flip(&world, &engine, &digest);
            let mut served = 0;
            while served < 100 && engine.read_blob(&digest).await.unwrap().is_some() {
                served += 1;
            }
            let most = match mode {
                VerifyOnRead::Off => 100,
                VerifyOnRead::Sample => 63,
                VerifyOnRead::Always => 0,
            };
            assert!(served <= most, "{mode:?} {served}");
            assert_eq!(damage_of(&engine, &digest).is_some(), mode != VerifyOnRead::Off);
            push(&engine, &large, 60_000).await.unwrap();
        });
    }
    assert_eq!(verified, [0, 3, 130]);
}

#[test]
fn a_round_leaves_nothing_in_the_memory_of_the_metadata() {
    let dir = tempfile::tempdir().unwrap();
    let config = RocksConfig { cache_bytes: 8 << 20, memtable_bytes: 2 << 20 };
    let world = World::new();
    let open = || {
        let rocks = Arc::new(RocksStore::open(dir.path(), &config).unwrap());
        let ports = Ports { meta: rocks.clone(), ..world.ports() };
        (Engine::open_with(world.config.clone(), ports).unwrap(), rocks)
    };
    let (engine, rocks) = open();
    block_on(async {
        for seed in 0..1500 {
            push(&engine, &content(seed, 100), 60_000).await.unwrap();
        }
    });
    drop((engine, rocks));
    // Its rows are in tables now.
    let (engine, rocks) = open();
    let before = rocks.cached_bytes();
    let tally = round(&mut scrubber(&engine), u64::MAX);
    assert_eq!((tally.blobs, tally.findings()), (1500, 0));
    let after = rocks.cached_bytes();
    // What a request reads stays there, so the figure does move.
    let row = vec![key::table::BLOB];
    assert_eq!(rocks.view().unwrap().scan(&row, None, 1500).unwrap().len(), 1500);
    let kept = rocks.cached_bytes();
    assert!(after - before < 16 << 10, "a round kept {} bytes", after - before);
    assert!(kept - after > 64 << 10, "a list kept {} bytes", kept - after);
}
