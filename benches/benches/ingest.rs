//! How fast are blobs taken in, durably? 4 KiB ones by one and by many writers (they share syncs), one of 64 MiB as a stream.

mod store;

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use store::{Store, fresh, must};

fn small(criterion: &mut Criterion) {
    let store = Arc::new(must(Store::open()));
    let mut group = criterion.benchmark_group("ingest_4_kib");
    group.throughput(Throughput::Elements(1));
    for writers in [1, 16, 64] {
        group.bench_function(BenchmarkId::from_parameter(format!("{writers}_writers")), |bench| {
            bench.iter_custom(|count| {
                // Made before the clock starts: noise and digests are not the engine's work.
                let blobs: Vec<_> = (0..count).map(|_| fresh(4 << 10)).collect();
                store.timed(count, writers, |number| {
                    let (store, blob) = (Arc::clone(&store), blobs.get(number as usize).cloned());
                    async move {
                        if let Some(blob) = blob {
                            must(store.ingest(&blob).await);
                        }
                    }
                })
            });
        });
    }
    group.finish();
}

fn large(criterion: &mut Criterion) {
    let store = Arc::new(must(Store::open()));
    let mut group = criterion.benchmark_group("ingest_64_mib");
    group.throughput(Throughput::Bytes(64 << 20)).sample_size(10);
    for writers in [1, 4] {
        group.bench_function(BenchmarkId::from_parameter(format!("{writers}_writers")), |bench| {
            bench.iter_custom(|count| {
                let blobs: Vec<_> = (0..count).map(|_| fresh(64 << 20)).collect();
                store.timed(count, writers, |number| {
                    let (store, blob) = (Arc::clone(&store), blobs.get(number as usize).cloned());
                    async move {
                        if let Some(blob) = blob {
                            must(store.ingest(&blob).await);
                        }
                    }
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, small, large);
criterion_main!(benches);
