//! Kill -9 at random points of a push storm, and of pushes, pulls and deletions beside garbage collection: what was acknowledged is there
//! and right, nothing else is visible.
//!
//! `STRATA_CRASH_ROUNDS` says how often (10 and 30 times if it does not), `STRATA_CRASH_SEED` repeats a run.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use strata_harness::ledger::{Ledger, Piece};
use strata_harness::mixed::Mixed;
use strata_harness::small_disk::SmallDisk;
use strata_harness::storm::{Storm, held};
use strata_harness::{Random, Request, registry, wait};

/// Clients at once.
const CLIENTS: u64 = 6;
/// Most changes that are acknowledged before the server is killed.
const CHANGES_MAX: u64 = 250;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Nothing is collected meanwhile, so that a thousand rounds on one store would fill a small disk.
const ROUNDS_ON_A_STORE: usize = 100;

#[test]
fn kill_at_random_points_of_a_push_storm() {
    let rounds = setting("STRATA_CRASH_ROUNDS").unwrap_or(10);
    let seed = setting("STRATA_CRASH_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("the clock is past 1970").as_nanos() as u64
    });
    println!("STRATA_CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    for first in (0..rounds).step_by(ROUNDS_ON_A_STORE) {
        storm_on_a_store(first..rounds.min(first + ROUNDS_ON_A_STORE as u64), &mut random);
    }
}

/// These rounds of the storm, on a store that is empty before them.
#[expect(clippy::print_stdout, reason = "the report of a long run")]
fn storm_on_a_store(rounds: Range<u64>, random: &mut Random) {
    // What the storm deletes stays in its file, so that files can be counted.
    let mut registry = registry!().config("[gc]\ninterval = \"0s\"\n").start();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    for round in rounds.clone() {
        let before = held(&ledger).acknowledged;
        let changes = random.below(CHANGES_MAX);
        let storm = Storm::start(registry.endpoint(), &ledger, random.next_u64(), CLIENTS);
        wait::until("the storm to get going", Duration::from_mins(1), || {
            (storm.acknowledged() >= before + changes || !held(&ledger).surprises.is_empty()).then_some(())
        });
        // Somewhere within the next request, too.
        let moment = Duration::from_micros(random.below(8000));
        wait::pace(moment);
        registry.kill();
        storm.join();
        registry.start();
        let mut ledger = held(&ledger);
        println!("round {round}: killed after {} changes", ledger.acknowledged - before);
        let last = round + 1 == rounds.end;
        let sample = if last { 1 } else { 1 + round - rounds.start };
        ledger.verify(registry.endpoint(), random, sample);
        ledger.push_one_more(registry.endpoint(), Piece { seed: random.next_u64(), len: 100_000 });
        // Sessions are all committed by now: each file left is a blob that someone was promised.
        let blobs = ledger.file_blobs();
        let left = wait::within(wait::SOON, || (registry.blob_files().len() == blobs).then_some(()));
        assert!(left.is_some(), "round {round}: {blobs} blobs in files {:?}", registry.blob_files());
    }
}

/// No grace: whatever nothing holds may go at once, in the middle of a push.
const COLLECTING: &str = "[gc]\ngrace = \"0s\"\ninterval = \"1s\"\nundo = \"0s\"\nrate = 0\n[storage]\nmetadata-memory = \"16 MiB\"\n";

#[test]
fn kill_at_random_points_of_mixed_load_beside_garbage_collection() {
    let rounds = setting("STRATA_CRASH_ROUNDS").unwrap_or(30);
    let seed = setting("STRATA_CRASH_SEED").unwrap_or(3);
    println!("STRATA_CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    let mut registry = registry!().config(COLLECTING).start();
    let mut load = Mixed::new(seed, CLIENTS);
    let mut read = 0;
    for round in 0..rounds {
        let before = load.counts.changes();
        let changes = random.below(60);
        let scrub =
            Request::post("/api/v1/scrub").header("content-type", "application/json").body("{\"rate\":0}");
        assert_eq!(registry.endpoint().send(&scrub).status, 202, "a round of the scrub begins");
        load.start(registry.endpoint());
        wait::until("the load to get going", Duration::from_mins(1), || {
            (load.counts.changes() >= before + changes || !load.surprises().is_empty()).then_some(())
        });
        // Every fourth round lives long enough that a run of garbage collection is in the middle of its work.
        let most = if round % 4 == 0 { 1_200_000 } else { 20_000 };
        wait::pace(Duration::from_micros(random.below(most)));
        registry.kill();
        load.join();
        registry.start();
        let whole = load.verify(registry.endpoint());
        read += whole;
        println!(
            "round {round}: killed after {} changes, {whole} images whole",
            load.counts.changes() - before
        );
    }
    println!("{rounds} rounds, {read} images read whole after a kill, nothing lost: {:?}", load.counts);
    load.delete_all(registry.endpoint());
    let collect = Request::post("/api/v1/gc").header("content-type", "application/json").body("{}");
    assert_eq!(registry.endpoint().send(&collect).status, 200);
    assert_eq!(load.verify(registry.endpoint()), 0);
    // What is left in files are uploads that nobody finished.
    registry.restart();
}

#[test]
fn kill_during_recovery_and_start_up() {
    let seed = setting("STRATA_CRASH_SEED").unwrap_or(1);
    let mut random = Random::new(seed);
    let mut registry = registry!().start();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let storm = Storm::start(registry.endpoint(), &ledger, seed, CLIENTS);
    wait::until("the storm to get going", Duration::from_mins(1), || {
        (storm.acknowledged() >= 100).then_some(())
    });
    registry.kill();
    storm.join();
    for _ in 0..10 {
        registry.start_and_kill_within(Duration::from_micros(random.below(30_000)));
    }
    registry.start();
    held(&ledger).verify(registry.endpoint(), &mut random, 1);
}

#[test]
fn kill_while_the_disk_is_full() {
    let Some(disk) = SmallDisk::mount(160) else { return };
    let seed = setting("STRATA_CRASH_SEED").unwrap_or(2);
    let mut random = Random::new(seed);
    let config = "[storage]\nreserve = \"24 MiB\"\nmetadata-memory = \"8 MiB\"\n";
    let mut registry = registry!().data(&disk.path().join("data")).config(config).start();
    let ballast = disk.fill(48 << 20);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    held(&ledger).expect_full_disk();
    let storm = Storm::start(registry.endpoint(), &ledger, seed, CLIENTS);
    wait::until("the disk to be full", Duration::from_mins(1), || {
        let ledger = held(&ledger);
        (ledger.without_space >= Some(100) || !ledger.surprises.is_empty()).then_some(())
    });
    registry.kill();
    storm.join();
    // It comes back on the full disk, too, and serves what there is.
    registry.start();
    registry.endpoint().get("/v2/").expect(200);
    registry.kill();
    std::fs::remove_file(ballast).expect("the ballast can be removed");
    registry.start();
    held(&ledger).verify(registry.endpoint(), &mut random, 1);
}
