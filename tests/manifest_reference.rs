//! What a manifest refers to: what must be there, what need not, and what one error for each that is missing says.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::{Value, json};
use strata_harness::image::{
    EMPTY_JSON, OCI_EMPTY, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, artifact, descriptor, index,
};
use strata_harness::random::noise;
use strata_harness::{Algorithm, Document, Image, registry, sha256};

/// A descriptor of a blob that nobody pushed.
fn missing(media_type: &str, seed: u64) -> Value {
    descriptor(media_type, &noise(seed, 100))
}

#[test]
fn one_error_for_each_missing_blob() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::of(1, (0..5).map(|seed| noise(seed, 500)).collect());
    repository.push_blob(&image.layers[1]);
    let put = || registry.endpoint().send(&repository.put_manifest("latest", &image.manifest));
    let response = put().expect_errors(400, &["MANIFEST_BLOB_UNKNOWN"; 5]);
    let text = String::from_utf8_lossy(&response.body).into_owned();
    for blob in image.blobs() {
        let named = text.contains(&sha256(blob));
        assert_eq!(named, *blob != image.layers[1], "{} in {text}", sha256(blob));
    }
    repository.expect_no_manifest("latest");
    repository.expect_no_manifest(&image.manifest.digest());
    for blob in image.blobs() {
        repository.push_blob(blob);
    }
    put().expect(201);
    repository.expect_manifest("latest", &image.manifest);
}

#[test]
fn blobs_of_another_repository_do_not_count() {
    let registry = registry!().start();
    let image = Image::small(2);
    registry.repository("a/source").push_image("latest", &image);
    let other = registry.repository("a/other");
    let response = registry.endpoint().send(&other.put_manifest("latest", &image.manifest));
    response.expect_errors(400, &["MANIFEST_BLOB_UNKNOWN"; 3]);
    other.expect_no_manifest("latest");
}

#[test]
fn layers_that_live_elsewhere_need_not_be_here() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&EMPTY_JSON.into());
    let mut elsewhere = missing(OCI_LAYER, 30);
    elsewhere["urls"] = json!(["https://example.com/layer"]);
    let layers = [
        elsewhere,
        missing("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", 31),
        missing("application/vnd.oci.image.layer.nondistributable.v1.tar", 32),
        missing("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", 33),
        missing("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", 34),
    ];
    for (number, layer) in layers.into_iter().enumerate() {
        let value = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_EMPTY, EMPTY_JSON), "layers": [layer]});
        let document = Document::new(OCI_MANIFEST, &value);
        let tag = format!("t{number}");
        repository.push_manifest(&tag, &document);
        repository.expect_manifest(&tag, &document);
    }
}

#[test]
fn an_index_may_be_sparse_and_may_name_blobs() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(4);
    repository.push_image("child", &image);
    let sparse = index(&[missing(OCI_MANIFEST, 40), image.manifest.descriptor(), missing(OCI_INDEX, 41)]);
    repository.push_manifest("sparse", &sparse);
    repository.expect_manifest("sparse", &sparse);
    // The cache of buildkit: children that are layers and a config, under /blobs.
    let layer = noise(42, 1000);
    repository.push_blob(&layer);
    let cache = index(&[
        descriptor(OCI_LAYER, &layer),
        descriptor("application/vnd.buildkit.cacheconfig.v0", &image.config),
    ]);
    repository.push_manifest("cache", &cache);
    repository.expect_manifest("cache", &cache);
}

#[test]
fn images_may_be_sparse_where_the_configuration_says_so() {
    let registry = registry!().config("[registry]\nsparse-images = true\n").start();
    let repository = registry.repository("a/b");
    let image = Image::small(8);
    // The config tells what the image is, and is there in any case.
    let response = registry.endpoint().send(&repository.put_manifest("sparse", &image.manifest));
    response.expect_errors(400, &["MANIFEST_BLOB_UNKNOWN"]);
    repository.push_blob(&image.config);
    repository.push_manifest("sparse", &image.manifest);
    repository.expect_manifest("sparse", &image.manifest);
    for layer in &image.layers {
        repository.expect_no_blob(&sha256(layer));
    }
}

#[test]
fn a_subject_need_not_exist() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&EMPTY_JSON.into());
    for algorithm in Algorithm::ALL {
        let subject = json!({"mediaType": OCI_MANIFEST, "digest": algorithm.unknown(), "size": 1234});
        let document = artifact("a/b", Some(&subject), "dangling");
        let response = repository.push_manifest("dangling", &document);
        response.expect_header("oci-subject", algorithm.unknown());
        repository.expect_manifest("dangling", &document);
    }
}

#[test]
fn the_same_blob_many_times() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let layer = noise(5, 100);
    let image = Image::of(5, vec![layer; 50]);
    repository.push_image("latest", &image);
    repository.expect_manifest("latest", &image.manifest);
}

#[test]
fn many_layers() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let layers: Vec<_> = (0..200).map(|seed| noise(600 + seed, 50)).collect();
    let image = Image::of(6, layers);
    repository.push_image("latest", &image);
    repository.expect_manifest("latest", &image.manifest);
}

#[test]
fn descriptors_that_lie_about_the_size() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(7);
    repository.push_image("latest", &image);
    for (member, place) in [("config", None), ("layers", Some(0))] {
        for size in [json!(0), json!(1), json!(999_999_999)] {
            let lie = image.clone().edited(|value| match place {
                Some(at) => value[member][at]["size"] = size.clone(),
                None => value[member]["size"] = size.clone(),
            });
            let response = registry.endpoint().send(&repository.put_manifest("lie", &lie.manifest));
            assert_eq!(response.status, 400, "{member} {size}: {response:?}");
            let codes = response.error_codes();
            assert!(codes == ["MANIFEST_INVALID"] || codes == ["SIZE_INVALID"], "{response:?}");
            repository.expect_no_manifest("lie");
        }
    }
}
