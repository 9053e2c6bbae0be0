//! Cross-repository mounts: a row where the blob is readable, an ordinary session where it is not, never a failure.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::random::noise;
use strata_harness::{Algorithm, Repository, Response, registry, sha256};

#[track_caller]
fn mount(target: &Repository, digest: &str, from: &str) -> Response {
    target.endpoint.post(format!("{}?mount={digest}{from}", target.uploads()))
}

/// Asserts that a mount fell through to a session, and that the session works.
#[track_caller]
fn expect_session(target: &Repository, response: Response) {
    let response =
        response.expect(202).expect_header("range", "0-0").expect_no_header("docker-content-digest");
    let location = response.location();
    assert!(location.starts_with(&target.uploads()), "{response:?}");
    let bytes = noise(99, 100);
    target.patch(&location, &bytes);
    target.commit(&location, &sha256(&bytes));
    target.expect_blob(&sha256(&bytes), &bytes);
}

#[test]
fn mount_from_a_named_repository() {
    let registry = registry!().start();
    let source = registry.repository("a/source");
    for algorithm in Algorithm::ALL {
        for (number, size) in [0, 700, 65_536, 65_537, 3_000_000].into_iter().enumerate() {
            let bytes = noise(1, size);
            let digest = source.push_blob_as(algorithm, &bytes);
            let target = registry.repository(&format!("b/target-{number}"));
            let response = mount(&target, &digest, "&from=a/source");
            target.expect_created_blob(response, &digest);
            target.expect_blob(&digest, &bytes);
            source.expect_blob(&digest, &bytes);
        }
    }
}

#[test]
fn mount_takes_no_space() {
    let registry = registry!().start();
    let source = registry.repository("a/source");
    let digests = [source.push_blob(&noise(2, 1000)), source.push_blob(&noise(2, 1_000_000))];
    let before = registry.blob_bytes();
    for number in 0..20 {
        let target = registry.repository(&format!("b/{number}"));
        for digest in &digests {
            let response = mount(&target, digest, "&from=a%2Fsource");
            target.expect_created_blob(response, digest);
        }
    }
    assert_eq!(registry.blob_bytes(), before);
}

#[test]
fn mount_twice_and_onto_itself() {
    let registry = registry!().start();
    let source = registry.repository("a/source");
    let bytes = noise(3, 100);
    let digest = source.push_blob(&bytes);
    let target = registry.repository("b/target");
    for _ in 0..3 {
        let response = mount(&target, &digest, "&from=a/source&origin=example.com");
        target.expect_created_blob(response, &digest);
        let response = mount(&source, &digest, "&from=a/source");
        source.expect_created_blob(response, &digest);
    }
}

#[test]
fn mount_of_what_is_not_there_is_a_session() {
    let registry = registry!().start();
    let source = registry.repository("a/source");
    let digest = source.push_blob(&noise(4, 100));
    let target = registry.repository("b/target");
    let unknown = Algorithm::Sha256.unknown();
    expect_session(&target, mount(&target, &unknown, "&from=a/source"));
    expect_session(&target, mount(&target, &unknown, "&from=no/where"));
    expect_session(&target, mount(&target, &unknown, ""));
    expect_session(&target, mount(&target, &digest, "&from=no/where"));
    // A source that is no name at all cannot hold the blob either.
    expect_session(&target, mount(&target, &digest, "&from=NOT/a/Name"));
    target.expect_no_blob(&digest);
}

#[test]
fn mount_without_from() {
    let registry = registry!().start();
    let source = registry.repository("a/source");
    let bytes = noise(5, 100);
    let digest = source.push_blob(&bytes);
    let target = registry.repository("b/target");
    let response = mount(&target, &digest, "");
    if response.status == 201 {
        target.expect_created_blob(response, &digest);
        target.expect_blob(&digest, &bytes);
    } else {
        expect_session(&target, response);
    }
}

#[test]
fn mount_of_a_malformed_digest_is_a_session() {
    let registry = registry!().start();
    let target = registry.repository("b/target");
    for digest in ["sha256:123", "nonsense"] {
        let response = mount(&target, digest, "&from=a/source");
        let warning = response.header("warning").unwrap_or_default();
        assert!(warning.contains("mount was ignored"), "{response:?}");
        expect_session(&target, response);
    }
}

#[test]
fn a_mounted_blob_outlives_its_source() {
    let registry = registry!().start();
    let (source, target) = (registry.repository("a/source"), registry.repository("b/target"));
    for size in [100, 1_000_000] {
        let bytes = noise(6, size);
        let digest = source.push_blob(&bytes);
        let response = mount(&target, &digest, "&from=a/source");
        target.expect_created_blob(response, &digest);
        registry.endpoint().delete(source.blob(&digest)).expect(202);
        source.expect_no_blob(&digest);
        target.expect_blob(&digest, &bytes);
    }
}
