//! One data directory, one process: the second is told which one is there, and nothing happens to the first.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::random::noise;
use strata_harness::{registry, sha256};

#[test]
fn a_second_process_is_refused() {
    let registry = registry!().start();
    let bytes = noise(1, 100_000);
    let digest = registry.repository("a/b").push_blob(&bytes);
    for _ in 0..3 {
        let (status, log) = registry!().data(&registry.data()).start_refused();
        assert_eq!(status.code(), Some(1), "{log}");
        let id = registry.process().id().to_string();
        assert!(log.contains(&id), "the message names the process {id}: {log}");
        let data = registry.data();
        assert!(
            log.contains(data.to_str().expect("a path in UTF-8")),
            "the message names the directory: {log}"
        );
        assert!(!log.contains("panicked"), "{log}");
    }
    registry.repository("a/b").expect_blob(&digest, &bytes);
    registry.repository("a/b").push_blob(&noise(2, 100));
}

#[test]
fn check_keeps_away_from_a_directory_in_use() {
    let registry = registry!().start();
    registry.repository("a/b").push_blob(&noise(3, 100_000));
    let output = registry.check();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&registry.process().id().to_string()), "the message names the process: {said}");
    registry.repository("a/b").push_blob(&noise(4, 100));
}

#[test]
fn a_process_that_was_killed_leaves_no_lock() {
    let mut registry = registry!().start();
    let bytes = noise(5, 100);
    registry.repository("a/b").push_blob(&bytes);
    for _ in 0..3 {
        registry.kill();
        registry.start();
        registry.repository("a/b").expect_blob(&sha256(&bytes), &bytes);
    }
}

#[test]
fn an_address_in_use_is_said() {
    let registry = registry!().start();
    let address = registry.endpoint().address.to_string();
    let config = format!("[http]\nlisten = [\"{address}\"]\n");
    let (status, log) = registry!().config(&config).listen_by_config().start_refused();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(&address), "the message names the address: {log}");
    registry.endpoint().get("/v2/").expect(200);
}
