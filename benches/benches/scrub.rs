//! How fast does the scrub read files that the page cache has? One thread; the whole round, with its rows.

mod store;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::time::{Duration, Instant};
use store::{Blob, Store, fresh, must};
use strata_engine::BlobBody;

const FILES: usize = 8;
const FILE_BYTES: usize = 64 << 20;

/// Reads a blob, so that the page cache has it.
async fn warm(store: &Store, blob: &Blob) {
    let Some(BlobBody::File(file)) = must(store.engine.open_blob(&blob.digest).await) else { return };
    let mut offset = 0;
    while offset < file.len() {
        offset += must(file.read_at(offset, 1 << 20).await).len() as u64;
    }
}

/// One round, as fast as it goes; the time that it took.
async fn round(store: &Store) -> Duration {
    let begun = Instant::now();
    let number = must(store.engine.scrub_start(Some(0)).await);
    loop {
        if let Some(last) = store.engine.scrub_status().last.filter(|last| last.number >= number) {
            assert_eq!(last.tally.findings(), 0, "the bench's own files are sound");
            return begun.elapsed();
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
}

fn scrub_hot_files(criterion: &mut Criterion) {
    let store = must(Store::open());
    let blobs: Vec<Blob> = (0..FILES).map(|_| fresh(FILE_BYTES)).collect();
    for blob in &blobs {
        must(store.runtime.block_on(store.ingest(blob)));
        store.runtime.block_on(warm(&store, blob));
    }
    let mut group = criterion.benchmark_group("scrub");
    group.throughput(Throughput::Bytes((FILES * FILE_BYTES) as u64)).sample_size(10);
    group.bench_function("hot_files", |bench| {
        bench.iter_custom(|count| (0..count).map(|_| store.runtime.block_on(round(&store))).sum());
    });
    group.finish();
}

criterion_group!(benches, scrub_hot_files);
criterion_main!(benches);
