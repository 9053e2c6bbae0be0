//! What does a page of a list cost? Tags of a repository that has many, from its start and from its middle; referrers of a manifest;
//! repositories; and the question whether a prefix has any row at all, which deletes ask.

mod store;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use store::{Store, fresh, must};
use strata_engine::meta::{Edge, EdgeRole, ManifestPut};
use strata_types::{Digest, RepositoryName, Tag};

/// Tags of the one repository.
const TAGS: usize = 10_000;
/// Repositories, and referrers of the one subject.
const OTHERS: usize = 1_000;
/// Entries of a page.
const PAGE: usize = 100;
/// Rows of one commit.
const AT_ONCE: usize = 500;

fn manifest(store: &Store, subject: Option<Digest>) -> ManifestPut {
    let manifest = fresh(1200);
    let descriptor = Bytes::from_static(&[b'd'; 200]);
    ManifestPut {
        repository: store.repository.clone(),
        digest: manifest.digest,
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        bytes: manifest.bytes,
        edges: vec![Edge { role: EdgeRole::Layer, digest: fresh(16).digest }],
        required_blobs: Vec::new(),
        required_manifests: Vec::new(),
        subject: subject.map(|subject| (subject, descriptor)),
        tags: Vec::new(),
        attributes: Bytes::new(),
        seen: Vec::new(),
    }
}

fn tag(number: usize) -> Tag {
    must(Tag::parse(&format!("v{number:06}")))
}

/// One manifest with all tags, and its referrers, and more repositories.
fn fill(store: &Store) -> Digest {
    let subject = manifest(store, None);
    for numbers in (0..TAGS).collect::<Vec<_>>().chunks(AT_ONCE) {
        let put =
            ManifestPut { tags: numbers.iter().map(|number| tag(*number)).collect(), ..subject.clone() };
        let mut batch = store.batch();
        must(batch.put_manifest(&must(store.engine.view()), &put));
        must(store.runtime.block_on(store.engine.commit(batch)));
    }
    let mut batch = store.batch();
    for number in 0..OTHERS {
        must(batch.put_manifest(&must(store.engine.view()), &manifest(store, Some(subject.digest))));
        batch.create_repository(&must(RepositoryName::parse(&format!("bench/other-{number:05}"))));
    }
    must(store.runtime.block_on(store.engine.commit(batch)));
    subject.digest
}

fn pages(criterion: &mut Criterion) {
    let store = must(Store::open());
    let subject = fill(&store);
    let middle = tag(TAGS / 2);
    let mut group = criterion.benchmark_group("page");
    group.bench_function("100_tags_from_the_start", |bench| {
        bench.iter(|| must(must(store.engine.view()).tags(&store.repository, None, PAGE)).len());
    });
    group.bench_function("100_tags_from_the_middle", |bench| {
        bench.iter(|| {
            must(must(store.engine.view()).tags(&store.repository, Some(middle.as_str()), PAGE)).len()
        });
    });
    group.bench_function("100_referrers", |bench| {
        bench.iter(|| {
            must(must(store.engine.view()).referrers(&store.repository, &subject, None, PAGE)).len()
        });
    });
    group.bench_function("100_repositories", |bench| {
        bench.iter(|| must(must(store.engine.view()).repositories(None, PAGE)).len());
    });
    group.bench_function("nobody_holds_it", |bench| {
        bench.iter(|| must(must(store.engine.view()).is_held(&store.repository, &subject)));
    });
    group.finish();
}

criterion_group!(benches, pages);
criterion_main!(benches);
