//! What one repository holds is not readable in another, although the store keeps it once.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::image::index;
use strata_harness::random::noise;
use strata_harness::{Algorithm, Image, Request, registry, sha256};

#[test]
fn blobs() {
    let registry = registry!().start();
    let (mine, other) = (registry.repository("a/mine"), registry.repository("a/other"));
    other.push_blob(&noise(0, 5));
    for algorithm in Algorithm::ALL {
        for size in [0, 100, 100_000] {
            let bytes = noise(1, size);
            let digest = mine.push_blob_as(algorithm, &bytes);
            other.expect_no_blob(&digest);
            registry.repository("a").expect_no_blob(&digest);
            registry.repository("a/mine/deeper").expect_no_blob(&digest);
            registry.endpoint().delete(other.blob(&digest)).expect_error(404, "BLOB_UNKNOWN");
            mine.expect_blob(&digest, &bytes);
        }
    }
}

#[test]
fn one_algorithm_does_not_answer_for_the_other() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(2, 1000);
    repository.push_blob_as(Algorithm::Sha512, &bytes);
    repository.expect_no_blob(&sha256(&bytes));
}

#[test]
fn manifests_tags_and_lists() {
    let registry = registry!().start();
    let (mine, other) = (registry.repository("a/mine"), registry.repository("a/other"));
    let image = Image::small(3);
    mine.push_image("latest", &image);
    other.push_image("other", &Image::small(30));
    other.expect_no_manifest("latest");
    other.expect_no_manifest(&image.manifest.digest());
    registry
        .endpoint()
        .delete(other.manifest(&image.manifest.digest()))
        .expect_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(other.tags(), ["other"]);
    assert_eq!(mine.tags(), ["latest"]);
    mine.expect_manifest("latest", &image.manifest);
}

#[test]
fn an_index_does_not_open_the_children_of_another_repository() {
    let registry = registry!().start();
    let (mine, other) = (registry.repository("a/mine"), registry.repository("a/other"));
    let image = Image::small(4);
    mine.push_image("latest", &image);
    let sparse = index(&[image.manifest.descriptor()]);
    other.push_manifest("sparse", &sparse);
    other.expect_no_manifest(&image.manifest.digest());
    for blob in image.blobs() {
        other.expect_no_blob(&sha256(blob));
    }
}

#[test]
fn names_that_begin_alike() {
    let registry = registry!().start();
    let names = ["a", "a/b", "a/bc", "a/b/c", "ab", "a-b", "a.b"];
    for (number, name) in names.into_iter().enumerate() {
        let image = Image::small(number as u64 * 100);
        registry.repository(name).push_image(&format!("t{number}"), &image);
    }
    for (number, name) in names.into_iter().enumerate() {
        assert_eq!(registry.repository(name).tags(), [format!("t{number}")], "{name}");
    }
    let missing = Request::get("/v2/a/b/c/d/tags/list");
    registry.endpoint().send(&missing).expect_error(404, "NAME_UNKNOWN");
}
