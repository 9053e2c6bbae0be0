//! What do manifests cost the metadata store? Put with five layers and a tag, get by tag, a tag that moves to and fro.

mod store;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use store::{Blob, Store, fresh, must};
use strata_engine::meta::{Batch, Edge, EdgeRole, ManifestPut};
use strata_types::{Digest, Tag};

/// As large as the manifest of an image of five layers is.
const MANIFEST_BYTES: usize = 1200;

fn put(store: &Store, manifest: &Blob, layers: &[Digest], tag: &Tag) -> ManifestPut {
    ManifestPut {
        repository: store.repository.clone(),
        digest: manifest.digest,
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        bytes: manifest.bytes.clone(),
        edges: layers.iter().map(|layer| Edge { role: EdgeRole::Layer, digest: *layer }).collect(),
        required_blobs: layers.to_vec(),
        required_manifests: Vec::new(),
        subject: None,
        tags: vec![tag.clone()],
        attributes: Bytes::new(),
        seen: Vec::new(),
    }
}

fn commit(store: &Store, fill: impl FnOnce(&mut Batch)) {
    let mut batch = store.batch();
    fill(&mut batch);
    must(store.runtime.block_on(store.engine.commit(batch)));
}

fn manifests(criterion: &mut Criterion) {
    let store = must(Store::open());
    let layers: Vec<_> = (0..5).map(|_| fresh(100)).collect();
    for layer in &layers {
        must(store.runtime.block_on(store.ingest(layer)));
    }
    let layers: Vec<_> = layers.iter().map(|layer| layer.digest).collect();
    let tag = must(Tag::parse("latest"));
    let mut group = criterion.benchmark_group("manifest");

    group.bench_function("put_durable", |bench| {
        bench.iter_with_setup(
            || put(&store, &fresh(MANIFEST_BYTES), &layers, &tag),
            |manifest| {
                let view = must(store.engine.view());
                commit(&store, |batch| must(batch.put_manifest(&view, &manifest)));
            },
        );
    });
    group.bench_function("get_by_tag", |bench| {
        bench.iter(|| {
            let view = must(store.engine.view());
            let target = must(view.tag(&store.repository, &tag)).map(|record| record.digest);
            target.and_then(|digest| must(view.manifest_bytes(&digest)))
        });
    });
    group.bench_function("get_by_tag_absent", |bench| {
        let absent = must(Tag::parse("absent"));
        bench.iter(|| must(must(store.engine.view()).tag(&store.repository, &absent)).is_some());
    });
    let pair: Vec<_> = (0..2).map(|_| fresh(MANIFEST_BYTES)).collect();
    for manifest in &pair {
        let view = must(store.engine.view());
        let manifest = put(&store, manifest, &layers, &tag);
        commit(&store, |batch| must(batch.put_manifest(&view, &manifest)));
    }
    group.bench_function("move_tag_durable", |bench| {
        let mut turn = pair.iter().cycle();
        bench.iter(|| {
            let view = must(store.engine.view());
            if let Some(target) = turn.next() {
                commit(&store, |batch| must(batch.set_tag(&view, &store.repository, &tag, &target.digest)));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, manifests);
criterion_main!(benches);
