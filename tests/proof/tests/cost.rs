//! What garbage collection and deletions cost, counted in rows: as much as there is to remove, however much there is in all.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::time::Duration;
use strata_engine::gc::GcReport;
use strata_engine::meta::digest::digest_of;
use strata_engine::meta::{Batch, BlobRecord, Placement, commit};
use strata_engine::sim::World;
use strata_engine::{Engine, UnixMillis};
use strata_proof::universe;
use strata_types::{Algorithm, Digest};

/// Blobs that one batch brings.
const BATCH: usize = 1000;
/// Rows that may be touched for each blob that goes: its link both ways, its row and place, its queue entries, its tombstone.
const ROWS_PER_BLOB_MAX: u64 = 40;

fn blob(number: usize) -> Digest {
    digest_of(Algorithm::Sha256, &number.to_le_bytes())
}

/// A store with so many small blobs, linked long ago; of every hundred, `garbage` are linked no more.
fn store(blobs: usize, garbage: usize) -> (World, Engine) {
    let mut world = World::make().unwrap();
    world.config.gc.rate = 0;
    world.config.gc.interval = Duration::ZERO;
    // No segment is looked at: there are none, only rows.
    world.config.gc.segment_dead_bytes_min = u64::MAX;
    let engine = world.open().unwrap();
    let name = universe::repository(0);
    let now = engine.now();
    for first in (0..blobs).step_by(BATCH) {
        let mut batch = Batch::new(now);
        for number in first..blobs.min(first + BATCH) {
            let placement = Placement::Segment { segment: 0, offset: number as u64 * 200, length: 200 };
            let record = BlobRecord { size: 104, placement, checksum: 0, created_at: UnixMillis(1) };
            batch.put_blob(&blob(number), &record);
            if number % 100 >= garbage {
                batch.link_blob(&name, &blob(number));
                // As a manifest does that holds it: it is no candidate any more.
                let item =
                    strata_engine::meta::GcItem::Link { repository: name.clone(), digest: blob(number) };
                batch.delete_gc(now, &item);
            } else {
                batch.link_blob(&name, &blob(number));
            }
        }
        commit(&*world.meta, batch).unwrap();
    }
    world.clock.advance(Duration::from_hours(48));
    (world, engine)
}

fn collect(engine: &Engine) -> GcReport {
    engine.sweep(u64::MAX).unwrap()
}

#[test]
fn one_percent_of_garbage_touches_little_of_the_store() {
    let mut costs = Vec::new();
    for blobs in [2_000, 20_000] {
        let (_world, engine) = store(blobs, 1);
        let report = collect(&engine);
        let garbage = (blobs / 100) as u64;
        let touched = report.rows_read + report.rows_written;
        println!("{blobs} blobs, {garbage} of them garbage: {touched} rows touched, {report:?}");
        assert!(report.removed.objects() >= garbage, "{report:?}");
        assert!(touched <= garbage * ROWS_PER_BLOB_MAX, "{touched} rows for {garbage} blobs");
        costs.push(touched / garbage);
        let again = collect(&engine);
        assert_eq!(again.removed.objects(), 0, "nothing is left of it");
    }
    let (few, many) = (costs.first().unwrap(), costs.last().unwrap());
    assert!(many <= &(few + 2), "{few} rows for a blob in a small store, {many} in a large one");
}
