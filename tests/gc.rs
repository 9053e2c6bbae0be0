//! Garbage collection through the whole server: what was deleted gives its bytes back, what is needed stays, whoever is told keeps.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;
use strata_harness::image::{artifact, descriptor, index};
use strata_harness::registry::files;
use strata_harness::{Document, Image, Random, Request, TestRegistry, registry, sha256, wait};

/// Collects when asked, all that nothing needs.
const EAGER: &str = "[gc]\ngrace = \"0s\"\nuntagged = \"0s\"\nundo = \"0s\"\ninterval = \"0s\"\nrate = 0\n";

#[track_caller]
fn run(registry: &TestRegistry) -> Value {
    let request = Request::post("/api/v1/gc").header("content-type", "application/json").body("{}");
    let answer = registry.endpoint().send(&request);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Runs until nothing is left to be removed: the undo window of 0 ends a moment after a deletion.
fn run_out(registry: &TestRegistry) {
    wait::until("everything to be collected", Duration::from_secs(20), || {
        run(registry);
        let status = registry.endpoint().get("/api/v1/gc").json();
        (status["queued"] == 0).then_some(())
    });
}

fn size(registry: &TestRegistry) -> u64 {
    files(&registry.data()).iter().map(|(_, length)| length).sum()
}

fn random_bytes(seed: u64, len: usize) -> Bytes {
    Random::new(seed).bytes(len)
}

/// An image with one large layer and five small ones.
fn heavy(seed: u64) -> Image {
    let small = (1..6).map(|layer| random_bytes(seed * 100 + layer, 60_000));
    Image::of(seed, [random_bytes(seed * 100, 9 << 20)].into_iter().chain(small).collect())
}

#[test]
fn after_deleting_everything_the_directory_is_as_small_as_an_empty_one() {
    let mut registry = registry!().config(EAGER).start();
    registry.restart();
    let empty = size(&registry);
    let repository = registry.repository("a/b");
    for seed in 0..12 {
        repository.push_image(&format!("v{seed}"), &heavy(seed));
    }
    assert!(size(&registry) > empty + (100 << 20));
    for seed in 0..12 {
        registry.endpoint().delete(repository.manifest(&heavy(seed).manifest.digest())).expect(202);
    }
    run_out(&registry);
    assert_eq!(registry.blob_files().len(), 0);
    assert_eq!(registry.blob_bytes(), 0, "segments are gone too");
    registry.stop();
    let left = size(&registry);
    assert!(left < empty + (64 << 20), "{left} bytes are left, {empty} were there");
}

#[test]
fn what_something_names_stays_and_the_rest_goes() {
    let registry = registry!().config(EAGER).start();
    let repository = registry.repository("a/b");
    let child = Image::of(1, vec![random_bytes(1, 100_000)]);
    for blob in child.blobs() {
        repository.push_blob(blob);
    }
    repository.push_manifest(&child.manifest.digest(), &child.manifest);
    let list = index(&[child.manifest.descriptor()]);
    repository.push_manifest("latest", &list);
    let signature = artifact("application/x.signature", Some(&list.descriptor()), "by me");
    repository.push_blob(&Bytes::from_static(b"{}"));
    repository.push_manifest(&signature.digest(), &signature);
    let cached = random_bytes(2, 80_000);
    repository.push_blob(&cached);
    let cache = index(&[descriptor("application/octet-stream", &cached)]);
    repository.push_manifest("cache", &cache);
    let loose = repository.push_blob(&random_bytes(3, 90_000));
    run_out(&registry);
    repository.expect_no_blob(&loose);
    let whole = |document: &Document| repository.expect_manifest(&document.digest(), document);
    for document in [&child.manifest, &list, &signature, &cache] {
        whole(document);
    }
    for blob in child.blobs().chain([&cached]) {
        repository.expect_blob(&sha256(blob), blob);
    }
    // Both tags move to the same small thing.
    let other = artifact("application/x.other", None, "nothing else");
    for tag in ["latest", "cache"] {
        repository.push_manifest(tag, &other);
    }
    run_out(&registry);
    for document in [&child.manifest, &list, &signature, &cache] {
        repository.expect_no_manifest(&document.digest());
    }
    repository.expect_no_blob(&sha256(&cached));
    repository.expect_manifest("latest", &other);
}

#[test]
fn a_plan_says_what_a_run_does_and_the_grace_is_kept() {
    let registry = registry!().config("[gc]\ngrace = \"1h\"\ninterval = \"0s\"\n").start();
    let repository = registry.repository("a/b");
    let loose = repository.push_blob(&random_bytes(1, 90_000));
    let plan =
        Request::post("/api/v1/gc").header("content-type", "application/json").body("{\"dry_run\":true}");
    assert_eq!(registry.endpoint().send(&plan).json()["plan"]["removals"], json!([]));
    run(&registry);
    repository.expect_blob(&loose, &random_bytes(1, 90_000));
    drop(registry);
    let registry = registry!().config(EAGER).start();
    let repository = registry.repository("a/b");
    let loose = repository.push_blob(&random_bytes(1, 90_000));
    let planned = wait::until("the blob to be due", Duration::from_secs(5), || {
        let planned = registry.endpoint().send(&plan).json();
        (planned["plan"]["removals"].as_array().expect("a list").len() == 2).then_some(planned)
    });
    assert!(planned.to_string().contains(&loose), "{planned}");
    repository.expect_blob(&loose, &random_bytes(1, 90_000));
    run(&registry);
    repository.expect_no_blob(&loose);
}
