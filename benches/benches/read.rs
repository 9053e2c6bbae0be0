//! How fast is a blob found, opened and read, when the page cache has it? A small one out of a segment, 64 KiB out of a file.

mod store;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use store::{Blob, Store, fresh, must};
use strata_engine::BlobBody;

/// As many blobs as must be told apart by lookups.
const BLOBS: usize = 256;

async fn read(store: &Store, blob: &Blob, most: usize) -> usize {
    match must(store.engine.open_blob(&blob.digest).await) {
        Some(BlobBody::Bytes(bytes)) => bytes.len(),
        Some(BlobBody::File(file)) => must(file.read_at(0, most).await).len(),
        None => 0,
    }
}

fn open_and_read(criterion: &mut Criterion) {
    let store = must(Store::open());
    let mut group = criterion.benchmark_group("open_and_read");
    for (name, length, most) in [("4_kib", 4 << 10, 4 << 10), ("64_kib_of_1_mib", 1 << 20, 64 << 10)] {
        let blobs: Vec<_> = (0..BLOBS).map(|_| fresh(length)).collect();
        for blob in &blobs {
            must(store.runtime.block_on(store.ingest(blob)));
        }
        group.throughput(Throughput::Bytes(most as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bench| {
            let mut turn = blobs.iter().cycle();
            bench.iter(|| turn.next().map(|blob| store.runtime.block_on(read(&store, blob, most))));
        });
    }
    group.finish();
}

criterion_group!(benches, open_and_read);
criterion_main!(benches);
