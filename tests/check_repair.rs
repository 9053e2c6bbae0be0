//! `strata check --repair` on data directories that something happened to: it mends what it may, says so, and leaves the rest to the next
//! push.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use strata_harness::random::noise;
use strata_harness::{TestRegistry, registry, sha256};

fn repair(registry: &TestRegistry, code: i32) -> Value {
    let output = registry.check_with(&["--repair", "--json"]);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("a report")
}

fn repaired(report: &Value) -> usize {
    report["repaired"].as_array().expect("a list").len()
}

#[test]
fn a_sound_directory_is_left_alone() {
    let mut registry = registry!().start();
    registry.repository("a/b").push_blob(&noise(1, 200_000));
    registry.stop();
    let report = repair(&registry, 0);
    assert_eq!((repaired(&report), report["errors"].as_u64()), (0, Some(0)), "{report}");
}

#[test]
fn damage_goes_into_quarantine_and_is_healed_by_a_push() {
    let mut registry = registry!().start();
    let repository = registry.repository("a/b");
    let blobs = [noise(1, 200_000), noise(2, 300_000), noise(3, 400_000)];
    for bytes in &blobs {
        repository.push_blob(bytes);
    }
    registry.stop();
    let files = registry.blob_files();
    assert_eq!(files.len(), 3);
    let path = |number: usize| registry.data().join(&files[number]);
    let file = OpenOptions::new().write(true).open(path(0)).expect("the file is there");
    file.write_all_at(b"\x00\x01\x02\x03", 100_000).expect("it can be written");
    fs::remove_file(path(1)).expect("the file is there");
    let stray = path(2).with_file_name("0000000000000fff");
    fs::write(&stray, "of nobody").expect("it can be written");

    let output = registry.check();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stray.exists(), "without --repair nothing is changed");
    let report = repair(&registry, 1);
    assert_eq!(repaired(&report), 3, "{report}");
    assert_eq!(report["metadata"]["quarantined"], 2, "{report}");
    assert!(!stray.exists() && path(0).exists(), "damaged bytes stay");
    let again = repair(&registry, 1);
    assert_eq!(repaired(&again), 0, "{again}");

    registry.start();
    let repository = registry.repository("a/b");
    let mut missing = 0;
    for bytes in &blobs {
        let response = registry.endpoint().get(repository.blob(&sha256(bytes)));
        missing += u32::from(response.status == 404);
        repository.push_blob(bytes);
        repository.expect_blob(&sha256(bytes), bytes);
    }
    assert_eq!(missing, 2);
    registry.stop();
    let report = repair(&registry, 0);
    assert_eq!((repaired(&report), report["metadata"]["quarantined"].as_u64()), (0, Some(0)), "{report}");
}

#[test]
fn a_directory_in_use_is_not_repaired() {
    let registry = registry!().start();
    let output = registry.check_with(&["--repair"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// Puts something that is no regular file in the place of one.
fn replace(path: &Path, what: &str) {
    fs::remove_file(path).expect("the file is there");
    match what {
        "a FIFO" => mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO"),
        "a socket" => drop(UnixListener::bind(path).expect("a socket")),
        _ => fs::create_dir(path).expect("a directory"),
    }
}

#[test]
fn what_is_no_file_in_the_place_of_one_is_found_and_healed() {
    for what in ["a FIFO", "a socket", "a directory"] {
        let mut registry = registry!().damaged_at_end().start();
        let (large, small) = (noise(1, 200_000), noise(2, 5_000));
        registry.repository("a/b").push_blob(&large);
        registry.repository("a/b").push_blob(&small);
        registry.stop();
        let segments: Vec<PathBuf> = fs::read_dir(registry.data().join("segments"))
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        assert_eq!(segments.len(), 1);
        replace(&registry.data().join(&registry.blob_files()[0]), what);
        replace(&segments[0], what);
        let output = registry.check_with(&["--json"]);
        assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        for bytes in [&large, &small] {
            let place = format!("blob {}", sha256(bytes));
            let found = report["findings"].as_array().expect("a list");
            let finding = found.iter().find(|finding| finding["place"] == *place);
            let message = finding.and_then(|finding| finding["message"].as_str()).unwrap_or_default();
            assert!(message.contains("no regular file"), "{what}: {report}");
        }
        // It does not keep a server from starting, and a push heals.
        registry.start();
        let repository = registry.repository("a/b");
        for bytes in [&large, &small] {
            assert_eq!(registry.endpoint().get(repository.blob(&sha256(bytes))).status, 404, "{what}");
            repository.push_blob(bytes);
            repository.expect_blob(&sha256(bytes), bytes);
        }
        registry.stop();
        assert_eq!(registry.check().status.code(), Some(0), "{what}: {:?}", registry.check());
    }
}
