//! What garbage collection and deletions cost, counted in rows: as much as there is to remove, however much there is in all.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use strata_engine::gc::{GcKind, GcReport};
use strata_engine::meta::digest::digest_of;
use strata_engine::meta::{
    Batch, BlobRecord, CommitDone, EventFeed, Freshness, MetaStore, MetaView, Placement, commit,
};
use strata_engine::sim::World;
use strata_engine::{Engine, EngineError, Ports, UnixMillis};
use strata_proof::universe;
use strata_types::{Algorithm, Digest};

/// Blobs that one batch brings.
const BATCH: usize = 1000;
/// Rows that may be touched for each blob that goes. At present 17: read are its link's entry and row, whether something holds or leases it, its own
/// entry and row, whether a repository has or somebody leases it; written or removed are the link both ways, the event, both entries (one of them
/// comes and goes), its row, its place and the tombstone. The two looks for leases could be one for a page, and the last link of a blob could take
/// the blob along in one batch, which would save the entry that comes and goes.
const ROWS_PER_BLOB_MAX: u64 = 40;

/// A page when all rows are read.
const PAGE: usize = 10_000;

type Rows = BTreeMap<Bytes, Bytes>;

/// A metadata store that knows which rows were found by those who read.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn MetaStore>,
    found: Arc<Mutex<BTreeSet<Bytes>>>,
}

impl MetaStore for Watched {
    fn view(&self) -> Result<Arc<dyn MetaView>, EngineError> {
        Ok(Arc::new(WatchedView { inner: self.inner.view()?, found: Arc::clone(&self.found) }))
    }

    fn submit(&self, batch: Batch, done: CommitDone) {
        self.inner.submit(batch, done);
    }

    fn freshness(&self) -> &Arc<Freshness> {
        self.inner.freshness()
    }

    fn events(&self) -> &Arc<EventFeed> {
        self.inner.events()
    }

    fn poisoned(&self) -> Option<Arc<str>> {
        self.inner.poisoned()
    }

    fn close(&self) {
        self.inner.close();
    }
}

#[derive(Debug)]
struct WatchedView {
    inner: Arc<dyn MetaView>,
    found: Arc<Mutex<BTreeSet<Bytes>>>,
}

impl WatchedView {
    fn note<'a>(&self, keys: impl IntoIterator<Item = &'a Bytes>) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).extend(keys.into_iter().cloned());
    }
}

impl MetaView for WatchedView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let value = self.inner.get(key)?;
        if value.is_some() {
            self.note([&Bytes::copy_from_slice(key)]);
        }
        Ok(value)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        let rows = self.inner.scan(prefix, after, limit)?;
        self.note(rows.iter().map(|(key, _)| key));
        Ok(rows)
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        let row = self.inner.last(prefix)?;
        self.note(row.iter().map(|(key, _)| key));
        Ok(row)
    }
}

/// Every row there is.
fn rows(world: &World) -> Rows {
    let (view, mut rows) = (world.meta.view().unwrap(), Rows::new());
    loop {
        let after = rows.last_key_value().map(|(key, _): (&Bytes, _)| key.clone());
        let page = view.scan(&[], after.as_deref(), PAGE).unwrap();
        if page.is_empty() {
            return rows;
        }
        rows.extend(page);
    }
}

fn blob(number: usize) -> Digest {
    digest_of(Algorithm::Sha256, &number.to_le_bytes())
}

/// A store with so many small blobs, linked long ago; of every hundred, `garbage` are linked no more.
/// Tells also which rows are found by those who read.
fn store(blobs: usize, garbage: usize) -> (World, Engine, Arc<Mutex<BTreeSet<Bytes>>>) {
    let mut world = World::make().unwrap();
    world.config.gc.rate = 0;
    world.config.gc.interval = Duration::ZERO;
    // No segment is looked at: there are none, only rows.
    world.config.gc.segment_dead_bytes_min = u64::MAX;
    let found = Arc::<Mutex<BTreeSet<Bytes>>>::default();
    let ports = world.ports();
    let meta = Arc::new(Watched { inner: ports.meta, found: Arc::clone(&found) });
    let engine = Engine::open_with(world.config.clone(), Ports { meta, ..ports }).unwrap();
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
    (world, engine, found)
}

fn collect(engine: &Engine) -> GcReport {
    engine.sweep(u64::MAX).unwrap()
}

/// Rows of which any were read, changed or removed, and rows that came: of the whole store, each counted once however often it was touched.
#[test]
fn one_percent_of_garbage_touches_less_than_two_percent_of_the_rows() {
    let (world, engine, found) = store(20_000, 1);
    let before = rows(&world);
    found.lock().unwrap().clear();
    let report = collect(&engine);
    let read = std::mem::take(&mut *found.lock().unwrap());
    let after = rows(&world);
    assert_eq!(report.removed.of(GcKind::Blob).objects, 200);
    let changed = before.iter().filter(|(key, value)| after.get(*key) != Some(*value)).map(|(key, _)| key);
    let old: BTreeSet<&Bytes> = read.iter().filter(|key| before.contains_key(*key)).chain(changed).collect();
    let new = after.keys().filter(|key| !before.contains_key(*key)).count();
    let part = |count: usize| 100.0 * count as f64 / before.len() as f64;
    println!(
        "{} of {} rows touched ({:.2} %), {new} new ones ({:.2} %)",
        old.len(),
        before.len(),
        part(old.len()),
        part(new)
    );
    assert!(part(old.len() + new) <= 2.0);
}

#[test]
fn one_percent_of_garbage_touches_little_of_the_store() {
    let mut costs = Vec::new();
    for blobs in [2_000, 20_000] {
        let (_world, engine, _) = store(blobs, 1);
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
