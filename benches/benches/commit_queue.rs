//! How many durable commits a second does the queue take? One lease each, from one and from many committers, who share syncs.

mod store;

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use store::{Store, fresh, must};
use strata_engine::meta::{Batch, LeaseId};

fn commits(criterion: &mut Criterion) {
    let store = Arc::new(must(Store::open()));
    let blob = fresh(100);
    let mut group = criterion.benchmark_group("commit_durable");
    group.throughput(Throughput::Elements(1));
    for committers in [1, 16, 64] {
        group.bench_function(BenchmarkId::from_parameter(format!("{committers}_committers")), |bench| {
            bench.iter_custom(|count| {
                store.timed(count, committers, |number| {
                    let (store, digest) = (Arc::clone(&store), blob.digest);
                    async move {
                        let mut batch = Batch::new(store.engine.now());
                        batch.put_lease(&digest, LeaseId(u128::from(number).to_be_bytes()), batch.at());
                        must(store.engine.commit(batch).await);
                    }
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, commits);
criterion_main!(benches);
