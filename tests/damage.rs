//! A data directory that is damaged or cannot be used: said clearly, and no wrong or short byte is ever served as right.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_harness::random::noise;
use strata_harness::registry::files;
use strata_harness::small_disk::SmallDisk;
use strata_harness::{Repository, Request, TestRegistry, registry, sha256};

/// Asserts that a blob is not served: it is not there, or there is an error, or a connection that ends before the promised length.
#[track_caller]
fn expect_not_served(repository: &Repository, digest: &str, range: Option<&str>) {
    let mut request = Request::get(repository.blob(digest));
    if let Some(range) = range {
        request = request.header("range", range);
    }
    if let Ok(response) = repository.endpoint.try_send(&request) {
        assert!(response.status == 404 || response.status >= 500, "{response:?}");
        assert_eq!(response.error_codes().len(), 1, "{response:?}");
    }
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).expect("the file is there");
    file.seek(SeekFrom::Start(at)).expect("a position");
    file.write_all(bytes).expect("the file can be written");
}

/// Files of the data directory whose name `matches`, as full paths.
fn find(registry: &TestRegistry, matches: impl Fn(&str) -> bool) -> Vec<(PathBuf, u64)> {
    let data = registry.data();
    let named = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(&matches);
    files(&data)
        .into_iter()
        .filter(|(path, _)| named(path))
        .map(|(path, len)| (data.join(path), len))
        .collect()
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

fn only_blob_file(registry: &TestRegistry) -> PathBuf {
    let found = registry.blob_files();
    assert_eq!(found.len(), 1, "{found:?}");
    registry.data().join(&found[0])
}

#[test]
fn a_truncated_blob_file() {
    for length in [0, 1, 999_999] {
        let mut registry = registry!().damaged_at_end().start();
        let (bytes, other) = (noise(1, 1_000_000), noise(2, 500));
        let repository = registry.repository("a/b");
        let digest = repository.push_blob(&bytes);
        repository.push_blob(&other);
        // While it is served, and after a restart.
        let file = OpenOptions::new().write(true).open(only_blob_file(&registry)).expect("the file is there");
        file.set_len(length).expect("the file can be cut");
        for _ in 0..2 {
            let repository = registry.repository("a/b");
            expect_not_served(&repository, &digest, None);
            expect_not_served(&repository, &digest, Some("bytes=999000-"));
            repository.expect_blob(&sha256(&other), &other);
            registry.restart();
        }
        registry.stop();
        let output = registry.check();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(report.contains(&digest), "the report names the blob: {report}");
    }
}

#[test]
fn a_damaged_blob_is_asked_for_again_and_healed_by_the_push() {
    for size in [1_000, 1_000_000] {
        let mut registry = registry!().start();
        let bytes = noise(30, size);
        let digest = registry.repository("a/b").push_blob(&bytes);
        registry.stop();
        for (path, _) in find(&registry, |name| has_extension(name, "seg") || !name.contains('.')) {
            if path.components().any(|part| matches!(part.as_os_str().to_str(), Some("blobs" | "segments"))) {
                let length = fs::metadata(&path).expect("the file is there").len();
                let file = OpenOptions::new().write(true).open(&path).expect("the file is there");
                file.set_len(length / 2).expect("the file can be cut");
            }
        }
        registry.start();
        let repository = registry.repository("a/b");
        // What a client asks before a push, and before a mount.
        registry.endpoint().head(repository.blob(&digest)).expect(404);
        let mount = format!("/v2/c/d/blobs/uploads/?mount={digest}&from=a/b");
        registry.endpoint().post(mount).expect(202);
        repository.push_blob(&bytes);
        repository.expect_blob(&digest, &bytes);
    }
}

#[test]
fn a_blob_file_that_is_gone() {
    let mut registry = registry!().damaged_at_end().start();
    let bytes = noise(3, 1_000_000);
    let digest = registry.repository("a/b").push_blob(&bytes);
    fs::remove_file(only_blob_file(&registry)).expect("the file is there");
    registry.restart();
    let repository = registry.repository("a/b");
    expect_not_served(&repository, &digest, None);
    repository.push_blob(&noise(4, 100_000));
    registry.stop();
    assert_eq!(registry.check().status.code(), Some(1));
}

#[test]
fn a_blob_file_with_a_byte_changed_is_found_by_check() {
    let mut registry = registry!().damaged_at_end().start();
    let digest = registry.repository("a/b").push_blob(&noise(5, 1_000_000));
    registry.stop();
    overwrite(&only_blob_file(&registry), 500_000, b"\x00\x01\x02\x03");
    let output = registry.check_with(&["--verify", "checksum"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(report.contains(&digest), "the report names the blob: {report}");
}

#[test]
fn a_segment_with_a_byte_changed() {
    let mut registry = registry!().damaged_at_end().start();
    let blobs: Vec<_> = (0..3).map(|seed| noise(10 + seed, 40_000)).collect();
    for bytes in &blobs {
        registry.repository("a/b").push_blob(bytes);
    }
    registry.stop();
    let segments = find(&registry, |name| has_extension(name, "seg"));
    let (path, length) = segments.first().expect("a segment");
    assert!(*length >= 120_000, "{segments:?}");
    // In the middle of the second blob.
    overwrite(path, 61_000, b"\xff\x00\xff\x00");
    registry.start();
    let repository = registry.repository("a/b");
    let mut refused = 0;
    for bytes in &blobs {
        let response = repository.endpoint.get(repository.blob(&sha256(bytes)));
        if response.status == 200 {
            response.expect(200).expect_body(bytes);
        } else {
            assert_eq!(response.status, 404, "{response:?}");
            refused += 1;
        }
    }
    assert_eq!(refused, 1, "one blob is damaged");
    registry.stop();
    assert_eq!(registry.check_with(&["--verify", "checksum"]).status.code(), Some(1));
}

#[test]
fn a_segment_that_was_cut() {
    let mut registry = registry!().damaged_at_end().start();
    let blobs: Vec<_> = (0..3).map(|seed| noise(20 + seed, 40_000)).collect();
    for bytes in &blobs {
        registry.repository("a/b").push_blob(bytes);
    }
    registry.stop();
    let segments = find(&registry, |name| has_extension(name, "seg"));
    let file = OpenOptions::new().write(true).open(&segments[0].0).expect("the file is there");
    file.set_len(100_000).expect("the file can be cut");
    let output = registry.check();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    // It starts and serves what is whole, or it says what is wrong.
    match registry.try_start() {
        Ok(()) => {
            let repository = registry.repository("a/b");
            expect_not_served(&repository, &sha256(&blobs[2]), None);
            repository.expect_blob(&sha256(&blobs[0]), &blobs[0]);
        }
        Err((status, log)) => {
            assert_eq!(status.code(), Some(1), "{log}");
            assert!(log.contains(".seg"), "the message names the file: {log}");
        }
    }
}

#[test]
fn what_a_crash_left_behind_is_cleared_away() {
    let mut registry = registry!().start();
    let blobs = [noise(30, 40_000), noise(31, 100), noise(32, 500_000)];
    for bytes in &blobs {
        registry.repository("a/b").push_blob(bytes);
    }
    registry.kill();
    // Bytes of an append that was never acknowledged, and a file of an upload that nobody remembers.
    let segments = find(&registry, |name| has_extension(name, "seg"));
    let (segment, length) = segments.last().expect("a segment");
    overwrite(segment, *length, &noise(33, 10_000));
    let stray = only_blob_file(&registry).with_file_name("0000000000000fff");
    fs::write(&stray, noise(34, 100_000)).expect("a file");
    for _ in 0..2 {
        registry.start();
        assert!(!stray.exists(), "{}", stray.display());
        let repository = registry.repository("a/b");
        for bytes in &blobs {
            repository.expect_blob(&sha256(bytes), bytes);
        }
        let more = noise(35, 50_000);
        repository.push_blob(&more);
        repository.expect_blob(&sha256(&more), &more);
        registry.kill();
    }
    registry.expect_sound();
}

#[test]
fn metadata_files_that_are_garbage() {
    for matches in [
        (|name: &str| name == "CURRENT") as fn(&str) -> bool,
        |name| name.starts_with("MANIFEST-"),
        |name| has_extension(name, "sst") || has_extension(name, "log"),
    ] {
        let mut registry = registry!().damaged_at_end().start();
        let bytes = noise(6, 100_000);
        let digest = registry.repository("a/b").push_blob(&bytes);
        registry.repository("a/b").push_blob(&noise(7, 100));
        registry.stop();
        let found = find(&registry, matches);
        let damaged: Vec<_> = found.iter().filter(|(_, length)| *length > 0).collect();
        assert!(!damaged.is_empty(), "{found:?}");
        for (path, length) in damaged {
            overwrite(path, 0, &noise(8, *length as usize));
        }
        // It says what is wrong and leaves everything as it is, or it serves what it can prove.
        match registry.try_start() {
            Err((status, log)) => {
                assert_eq!(status.code(), Some(1), "{log}");
                assert!(!log.contains("panicked"), "{log}");
                let data = registry.data();
                assert!(
                    log.contains(data.to_str().expect("a path in UTF-8")),
                    "the message names the directory: {log}"
                );
            }
            Ok(()) => expect_not_served(&registry.repository("a/b"), &digest, None),
        }
        registry.kill();
        let output = registry.check();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
        assert_eq!(registry.blob_files().len(), 1, "no blob is removed because the metadata cannot be read");
    }
}

#[test]
fn a_data_directory_that_is_a_file() {
    let place = tempfile::NamedTempFile::new().expect("a file");
    let (status, log) = registry!().data(place.path()).damaged_at_end().start_refused();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(place.path().to_str().expect("a path in UTF-8")), "{log}");
}

#[test]
fn a_data_directory_of_something_else() {
    let place = tempfile::tempdir().expect("a directory");
    let foreign = place.path().join("important.txt");
    fs::write(&foreign, "do not touch").expect("a file");
    let registry = registry!().data(place.path()).damaged_at_end();
    match registry.try_start() {
        Ok(mut registry) => registry.stop(),
        Err((status, log)) => assert_eq!(status.code(), Some(1), "{log}"),
    }
    assert_eq!(fs::read(&foreign).expect("the file is still there"), b"do not touch");
}

#[test]
fn a_data_directory_that_is_read_only() {
    let Some(disk) = SmallDisk::mount(64) else { return };
    let data = disk.path().join("data");
    let bytes = noise(9, 100_000);
    let mut registry =
        registry!().data(&data).config("[storage]\nreserve = \"1 MiB\"\n").damaged_at_end().start();
    registry.repository("a/b").push_blob(&bytes);
    registry.stop();
    let remount = |mode: &str| {
        let status = Command::new("mount").args(["-o", &format!("remount,{mode}")]).arg(disk.path()).status();
        assert!(status.expect("mount(8) runs").success());
    };
    remount("ro");
    let (status, log) = registry.start_refused();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(data.to_str().expect("a path in UTF-8")), "{log}");
    remount("rw");
    registry.start();
    registry.repository("a/b").expect_blob(&sha256(&bytes), &bytes);
    registry.stop();
    registry.expect_sound();
}
