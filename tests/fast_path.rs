//! Each fast path can be switched off, is given up where the file system refuses it, and says so at start; pushes and pulls are
//! the same either way. The capability tests of pushing, pulling, crashes and damage run a second time with all of them off
//! (`STRATA_TEST_FAST_PATHS=off`, see `dev/test`).

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use strata_harness::random::noise;
use strata_harness::registry::FAST_PATHS;
use strata_harness::small_disk::SmallDisk;
use strata_harness::{Builder, Request, TestRegistry, registry, sha256, wait};

/// One for each way that blobs are stored, written and sent: in a segment, in a file through the page cache, in one past it.
const SIZES: [usize; 5] = [0, 300, 65_536, 1_000_001, 12_000_007];

/// What was chosen at the last start, by setting: whether the path is taken, and why.
#[track_caller]
fn chosen(registry: &TestRegistry) -> BTreeMap<String, (bool, String)> {
    let log = wait::until("the start to be logged", wait::SOON, || {
        Some(registry.log()).filter(|log| log.contains("\"serving\""))
    });
    let lines = log.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    lines
        .filter(|line: &Value| line["message"] == "fast path")
        .map(|line| {
            let text = |field: &str| line[field].as_str().expect("a text").to_owned();
            (text("setting"), (line["taken"].as_bool().expect("yes or no"), text("why")))
        })
        .collect()
}

fn logging_json() -> Builder {
    registry!().config("[log]\nformat = \"json\"\n")
}

/// Pushes blobs of every size whole and in sessions, pulls them whole and in part, and again after a kill.
#[track_caller]
fn expect_pushes_and_pulls(registry: &mut TestRegistry) {
    for (seed, size) in SIZES.into_iter().enumerate() {
        let repository = registry.repository("a/b");
        repository.push_blob(&noise(seed as u64, size));
        let in_session = noise(100 + seed as u64, size);
        let mut location = repository.start_upload();
        for half in [in_session.slice(..size / 2), in_session.slice(size / 2..)] {
            location = repository.patch(&location, &half).expect(202).location();
        }
        repository.commit(&location, &sha256(&in_session)).expect(201);
    }
    for restarted in [false, true] {
        if restarted {
            registry.kill();
            registry.start();
        }
        let repository = registry.repository("a/b");
        for (seed, size) in SIZES.into_iter().enumerate() {
            for bytes in [noise(seed as u64, size), noise(100 + seed as u64, size)] {
                repository.expect_blob(&sha256(&bytes), &bytes);
                if size > 10 {
                    let request = Request::get(repository.blob(&sha256(&bytes))).header("range", "bytes=7-");
                    registry.endpoint().send(&request).expect(206).expect_body(&bytes[7..]);
                }
            }
        }
    }
}

fn on(disk: &SmallDisk, arguments: &[&str]) -> TestRegistry {
    let data: &Path = &disk.path().join("data");
    arguments.iter().fold(logging_json().data(data), |builder, argument| builder.argument(argument)).start()
}

#[test]
fn all_of_them_can_be_switched_off() {
    let builder =
        FAST_PATHS.iter().fold(logging_json(), |builder, (variable, off)| builder.env(variable, off));
    let mut registry = builder.start();
    let chosen = chosen(&registry);
    assert_eq!(chosen.len(), FAST_PATHS.len(), "the harness knows every fast path there is: {chosen:?}");
    for (setting, choice) in chosen {
        assert_eq!(choice, (false, "switched off".to_owned()), "{setting}");
    }
    expect_pushes_and_pulls(&mut registry);
    let metrics = registry.endpoint().get("/metrics");
    assert_eq!(metrics.status, 200);
    let sent = "strata_http_sent_zero_copy_bytes";
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let line = text.lines().find(|line| line.starts_with(sent)).expect("the counter is shown");
    assert!(line.ends_with(" 0"), "{line}");
}

#[test]
fn a_file_system_without_direct_writes_takes_blobs_through_the_page_cache() {
    let Some(disk) = SmallDisk::mount_ramfs() else { return };
    let mut registry = on(&disk, &["--storage-reserve=0 B", "--storage-direct-io=auto"]);
    let (taken, why) = chosen(&registry)["storage.direct-io"].clone();
    assert!(!taken && why.contains("the file system refuses it"), "{why}");
    expect_pushes_and_pulls(&mut registry);
}

#[test]
fn memory_and_layered_file_systems_work_whatever_they_refuse() {
    for disk in [SmallDisk::mount(256), SmallDisk::mount_overlay()].into_iter().flatten() {
        let mut registry = on(&disk, &["--storage-reserve=8 MiB"]);
        assert_eq!(chosen(&registry).len(), FAST_PATHS.len(), "{}", registry.log());
        expect_pushes_and_pulls(&mut registry);
    }
}

#[test]
fn without_io_uring_threads_read_and_write() {
    let mut registry = logging_json().without_io_uring().env("STRATA_STORAGE_IO", "io-uring").start();
    let (taken, why) = chosen(&registry)["storage.io"].clone();
    assert!(!taken && why.contains("Operation not permitted"), "{why}");
    expect_pushes_and_pulls(&mut registry);
}

#[test]
fn io_uring_can_take_all_that_it_can_do() {
    let mut registry = logging_json().env("STRATA_STORAGE_IO", "io-uring").start();
    let (taken, why) = chosen(&registry)["storage.io"].clone();
    if !taken {
        return println!("skipped: {why}");
    }
    expect_pushes_and_pulls(&mut registry);
}
