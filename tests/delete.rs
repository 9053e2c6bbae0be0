//! Deletion of tags, manifests and blobs: at once, only what was named, and a second time there is nothing to delete.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::image::{EMPTY_JSON, artifact, index};
use strata_harness::random::noise;
use strata_harness::{Algorithm, Image, Request, registry};

#[test]
fn a_tag_goes_alone() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(1);
    repository.push_image("one", &image);
    repository.push_manifest("two", &image.manifest);
    registry.endpoint().delete(repository.manifest("one")).expect(202);
    repository.expect_no_manifest("one");
    repository.expect_manifest("two", &image.manifest);
    repository.expect_manifest(&image.manifest.digest(), &image.manifest);
    assert_eq!(repository.tags(), ["two"]);
    registry.endpoint().delete(repository.manifest("one")).expect_error(404, "MANIFEST_UNKNOWN");
    registry.endpoint().delete(repository.manifest("two")).expect(202);
    repository.expect_manifest(&image.manifest.digest(), &image.manifest);
    assert!(repository.tags().is_empty());
}

#[test]
fn a_digest_takes_its_tags_along() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let (image, other) = (Image::small(2), Image::small(20));
    repository.push_image("one", &image);
    repository.push_manifest("two", &image.manifest);
    repository.push_image("other", &other);
    let digest = image.manifest.digest();
    registry.endpoint().delete(repository.manifest(&digest)).expect(202);
    for reference in ["one", "two", digest.as_str()] {
        repository.expect_no_manifest(reference);
        registry.endpoint().delete(repository.manifest(reference)).expect_error(404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(repository.tags(), ["other"]);
    repository.expect_manifest("other", &other.manifest);
    // The blobs stay, and the same push works again.
    repository.push_manifest("one", &image.manifest);
    repository.expect_manifest("one", &image.manifest);
}

#[test]
fn a_manifest_under_both_digests() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(3);
    repository.push_image("latest", &image);
    let long = Algorithm::Sha512.of(&image.manifest.bytes);
    repository.push_manifest(&long, &image.manifest);
    registry.endpoint().delete(repository.manifest(&long)).expect(202);
    repository.expect_no_manifest(&long);
    repository.expect_manifest("latest", &image.manifest);
}

#[test]
fn children_and_parents_go_on() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(4);
    repository.push_image("child", &image);
    let parent = index(&[image.manifest.descriptor()]);
    repository.push_manifest("parent", &parent);
    registry.endpoint().delete(repository.manifest(&parent.digest())).expect(202);
    repository.expect_manifest("child", &image.manifest);
    repository.push_manifest("parent", &parent);
    registry.endpoint().delete(repository.manifest(&image.manifest.digest())).expect(202);
    repository.expect_manifest("parent", &parent);
}

#[test]
fn a_blob() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for algorithm in Algorithm::ALL {
        for size in [0, 100, 65_537, 2_000_000] {
            let bytes = noise(5, size);
            let digest = repository.push_blob_as(algorithm, &bytes);
            registry.endpoint().delete(repository.blob(&digest)).expect(202);
            repository.expect_no_blob(&digest);
            registry.endpoint().delete(repository.blob(&digest)).expect_error(404, "BLOB_UNKNOWN");
            repository.push_blob_as(algorithm, &bytes);
            repository.expect_blob(&digest, &bytes);
        }
    }
}

#[test]
fn a_blob_that_a_manifest_needs_stays() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(9);
    repository.push_image("latest", &image);
    for blob in image.blobs() {
        let target = repository.blob(&strata_harness::sha256(blob));
        registry.endpoint().delete(target).expect_error(405, "UNSUPPORTED");
        repository.expect_blob(&strata_harness::sha256(blob), blob);
    }
    registry.endpoint().delete(repository.manifest("latest")).expect(202);
    registry.endpoint().delete(repository.manifest(&image.manifest.digest())).expect(202);
    for blob in image.blobs() {
        registry.endpoint().delete(repository.blob(&strata_harness::sha256(blob))).expect(202);
        repository.expect_no_blob(&strata_harness::sha256(blob));
    }
}

#[test]
fn a_download_goes_on_when_its_blob_is_deleted() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(10, 64 << 20);
    let digest = repository.push_blob(&bytes);
    let mut connection = registry.endpoint().connect();
    connection.send(&Request::get(repository.blob(&digest))).expect("the request is taken");
    assert_eq!(connection.read_head().expect("a head").status, 200);
    let begun = connection.read_exact(1000).expect("the bytes come");
    registry.endpoint().delete(repository.blob(&digest)).expect(202);
    repository.expect_no_blob(&digest);
    let rest = connection.read_exact(bytes.len() - 1000).expect("the bytes come");
    assert_eq!(strata_harness::sha256(&[begun, rest].concat()), digest);
}

#[test]
fn what_never_was() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&EMPTY_JSON.into());
    for algorithm in Algorithm::ALL {
        let unknown = algorithm.unknown();
        registry.endpoint().delete(repository.blob(&unknown)).expect_error(404, "BLOB_UNKNOWN");
        registry.endpoint().delete(repository.manifest(&unknown)).expect_error(404, "MANIFEST_UNKNOWN");
        registry.endpoint().delete(format!("/v2/never/pushed/blobs/{unknown}")).expect(404);
        registry.endpoint().delete(format!("/v2/never/pushed/manifests/{unknown}")).expect(404);
    }
    registry.endpoint().delete(repository.blob("sha256:nonsense")).expect_error(400, "DIGEST_INVALID");
}

#[test]
fn other_repositories_keep_theirs() {
    let registry = registry!().start();
    let image = Image::small(6);
    let (one, two) = (registry.repository("a/one"), registry.repository("a/two"));
    for repository in [&one, &two] {
        repository.push_image("latest", &image);
    }
    registry.endpoint().delete(one.manifest(&image.manifest.digest())).expect(202);
    for blob in image.blobs() {
        registry.endpoint().delete(one.blob(&strata_harness::sha256(blob))).expect(202);
    }
    one.expect_no_manifest("latest");
    two.expect_manifest("latest", &image.manifest);
    for blob in image.blobs() {
        one.expect_no_blob(&strata_harness::sha256(blob));
        two.expect_blob(&strata_harness::sha256(blob), blob);
    }
}

#[test]
fn push_and_delete_at_once_end_in_one_of_both() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(7);
    repository.push_image("latest", &image);
    let digest = image.manifest.digest();
    for _ in 0..20 {
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (repository, image, digest) = (&repository, &image, &digest);
                scope.spawn(move || {
                    let request = match number % 2 {
                        0 => repository.put_manifest("latest", &image.manifest),
                        _ => Request::delete(repository.manifest(digest)),
                    };
                    let status = repository.endpoint.send(&request).status;
                    assert!(matches!(status, 201 | 202 | 404), "{status}");
                });
            }
        });
        // A tag never names what is not there.
        let by_tag = registry.endpoint().get(repository.manifest("latest")).status;
        let by_digest = registry.endpoint().get(repository.manifest(&digest)).status;
        assert_eq!(by_tag, by_digest);
        assert_eq!(repository.tags().len(), usize::from(by_tag == 200));
    }
}

#[test]
fn a_deleted_referrer_leaves_its_subject() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(8);
    repository.push_image("latest", &image);
    repository.push_blob(&EMPTY_JSON.into());
    let document = artifact("a/b", Some(&image.manifest.descriptor()), "note");
    repository.push_manifest(&document.digest(), &document);
    registry.endpoint().delete(repository.manifest(&document.digest())).expect(202);
    repository.expect_manifest("latest", &image.manifest);
}
