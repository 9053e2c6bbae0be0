//! What does a range of a large blob cost, when the page cache has it? The blob is found, its file taken from the cache of open
//! files, and a piece read from somewhere in it.

mod store;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use store::{Blob, Store, fresh, must};
use strata_engine::BlobBody;

/// The blob that ranges are read of.
const BLOB_BYTES: usize = 64 << 20;
/// From one range to the next: no divisor of the blob's length, so that all of it has its turn.
const STEP_BYTES: usize = 1_000_003;

async fn read(store: &Store, blob: &Blob, offset: usize, length: usize) -> usize {
    match must(store.engine.open_blob(&blob.digest).await) {
        Some(BlobBody::File(file)) => must(file.read_at(offset as u64, length).await).len(),
        Some(BlobBody::Bytes(bytes)) => bytes.len(),
        None => 0,
    }
}

fn ranges(criterion: &mut Criterion) {
    let store = must(Store::open());
    let blob = fresh(BLOB_BYTES);
    must(store.runtime.block_on(store.ingest(&blob)));
    // A direct write leaves nothing in the page cache.
    for offset in (0..BLOB_BYTES).step_by(1 << 20) {
        store.runtime.block_on(read(&store, &blob, offset, 1 << 20));
    }
    let mut group = criterion.benchmark_group("range");
    for (name, length) in [("4_kib", 4 << 10), ("256_kib", 256 << 10), ("1_mib", 1 << 20)] {
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bench| {
            let mut offset = 0;
            bench.iter(|| {
                offset = (offset + STEP_BYTES) % (BLOB_BYTES - length);
                store.runtime.block_on(read(&store, &blob, offset, length))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, ranges);
criterion_main!(benches);
