//! What does it cost to let a repository read a blob that another one has? Durably, as every acknowledged write: by one client
//! and by many, who share syncs.

mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use store::{Store, fresh, must};
use strata_engine::meta::Batch;
use strata_types::RepositoryName;

fn mounts(criterion: &mut Criterion) {
    let store = Arc::new(must(Store::open()));
    let blob = fresh(4 << 10);
    must(store.runtime.block_on(store.ingest(&blob)));
    let next = Arc::new(AtomicU64::new(0));
    let mut group = criterion.benchmark_group("mount_durable");
    group.throughput(Throughput::Elements(1));
    for clients in [1, 16, 64] {
        group.bench_function(BenchmarkId::from_parameter(format!("{clients}_clients")), |bench| {
            bench.iter_custom(|count| {
                store.timed(count, clients, |_| {
                    let (store, digest) = (Arc::clone(&store), blob.digest);
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    async move {
                        let target = must(RepositoryName::parse(&format!("bench/mounted-{number:08}")));
                        let mut batch = Batch::new(store.engine.now());
                        batch.mount_blob(&target, &digest, Some(&store.repository));
                        must(store.engine.commit(batch).await);
                    }
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, mounts);
criterion_main!(benches);
