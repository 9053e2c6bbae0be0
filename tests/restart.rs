//! A restart loses nothing: content, tags, lists, and uploads that are half done.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use strata_harness::image::{EMPTY_JSON, artifact};
use strata_harness::random::noise;
use strata_harness::{Algorithm, Image, Request, TestRegistry, registry, sha256};

/// How the server ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Told,
    Killed,
}

fn restart(registry: &mut TestRegistry, end: End) {
    match end {
        End::Told => registry.stop(),
        End::Killed => registry.kill(),
    }
    registry.start();
}

#[test]
fn everything_is_there_again() {
    let mut registry = registry!().start();
    let image = Image::of(1, vec![noise(1, 100), noise(1, 65_537), noise(1, 3_000_000), Bytes::new()]);
    let subject = image.manifest.descriptor();
    let referrer = artifact("a/b", Some(&subject), "note");
    let sha512_blob = noise(2, 200_000);
    let repository = registry.repository("a/b");
    repository.push_image("latest", &image);
    repository.push_manifest("gone", &image.manifest);
    registry.endpoint().delete(repository.manifest("gone")).expect(202);
    repository.push_blob(&EMPTY_JSON.into());
    repository.push_manifest(&referrer.digest(), &referrer);
    let sha512 = repository.push_blob_as(Algorithm::Sha512, &sha512_blob);
    let removed = repository.push_blob(&noise(3, 100_000));
    registry.endpoint().delete(repository.blob(&removed)).expect(202);
    for end in [End::Told, End::Killed, End::Killed, End::Told] {
        restart(&mut registry, end);
        let repository = registry.repository("a/b");
        repository.expect_manifest("latest", &image.manifest);
        repository.expect_manifest(&image.manifest.digest(), &image.manifest);
        for blob in image.blobs() {
            repository.expect_blob(&sha256(blob), blob);
        }
        repository.expect_blob(&sha512, &sha512_blob);
        repository.expect_no_blob(&removed);
        repository.expect_no_manifest("gone");
        assert_eq!(repository.tags(), ["latest"], "{end:?}");
        let found = repository.referrers(&image.manifest.digest(), "");
        assert_eq!(found.len(), 1, "{found:?}");
        // And it goes on: something new each time.
        repository.push_blob(&noise(4, 1000));
    }
}

#[test]
fn uploads_go_on_where_they_were() {
    let mut registry = registry!().start();
    for end in [End::Told, End::Killed] {
        for algorithm in Algorithm::ALL {
            for size in [30, 60_000, 65_536, 200_000, 12_345_678] {
                let bytes = noise(5, size);
                let query = format!("?digest-algorithm={}", algorithm.name());
                let location = registry.repository("a/b").start_upload_with(&query);
                let cuts = [0, size / 3, size / 2, size];
                for pair in cuts.windows(2) {
                    let repository = registry.repository("a/b");
                    repository.patch_at(&location, pair[0], &bytes.slice(pair[0]..pair[1]));
                    restart(&mut registry, end);
                    registry.repository("a/b").expect_offset(&location, pair[1]);
                }
                let repository = registry.repository("a/b");
                let digest = algorithm.of(&bytes);
                repository.commit(&location, &digest);
                repository.expect_blob(&digest, &bytes);
                registry.endpoint().delete(repository.blob(&digest)).expect(202);
            }
        }
    }
}

#[test]
fn tiny_chunks_across_the_border_between_memory_and_file() {
    let mut registry = registry!().start();
    for end in [End::Told, End::Killed] {
        let bytes = noise(8, 65_540);
        let location = registry.repository("a/b").start_upload();
        registry.repository("a/b").patch_at(&location, 0, &bytes.slice(..65_533));
        for start in 65_533..65_540 {
            restart(&mut registry, end);
            let repository = registry.repository("a/b");
            repository.expect_offset(&location, start);
            repository.patch_at(&location, start, &bytes.slice(start..=start));
        }
        restart(&mut registry, end);
        let repository = registry.repository("a/b");
        repository.commit(&location, &sha256(&bytes));
        repository.expect_blob(&sha256(&bytes), &bytes);
        registry.endpoint().delete(repository.blob(&sha256(&bytes))).expect(202);
    }
}

#[test]
fn the_other_algorithm_decides_after_a_restart() {
    let mut registry = registry!().start();
    for end in [End::Told, End::Killed] {
        for size in [500, 100_000, 5_000_001] {
            let bytes = noise(9, size);
            let location = registry.repository("a/b").start_upload();
            registry.repository("a/b").patch_at(&location, 0, &bytes.slice(..size / 2));
            restart(&mut registry, end);
            let repository = registry.repository("a/b");
            repository.patch_at(&location, size / 2, &bytes.slice(size / 2..));
            let digest = Algorithm::Sha512.of(&bytes);
            repository.commit(&location, &digest);
            repository.expect_blob(&digest, &bytes);
            registry.endpoint().delete(repository.blob(&digest)).expect(202);
        }
    }
}

#[test]
fn a_body_that_was_cut_by_the_end_of_the_server_is_resumed() {
    let mut registry = registry!().config("[http]\ndrain = \"1s\"\n").start();
    for end in [End::Told, End::Killed] {
        let bytes = noise(10, 20_000_000);
        let location = registry.repository("a/b").start_upload();
        registry.repository("a/b").patch_at(&location, 0, &bytes.slice(..3_000_000));
        let mut connection = registry.endpoint().connect();
        let rest = Request::patch(location.as_str()).header("content-length", bytes.len() - 3_000_000);
        connection.send_head(&rest).expect("the head is taken");
        connection.send_bytes(&bytes.slice(3_000_000..15_000_000)).expect("a part is taken");
        restart(&mut registry, end);
        drop(connection);
        let repository = registry.repository("a/b");
        let status = registry.endpoint().get(location.as_str()).expect(204);
        let range = status.header("range").and_then(|range| range.strip_prefix("0-")).expect("a range");
        let offset = range.parse::<usize>().expect("a number") + 1;
        assert!((3_000_000..=15_000_000).contains(&offset), "{offset}");
        repository.patch_at(&location, offset, &bytes.slice(offset..));
        repository.commit(&location, &sha256(&bytes));
        repository.expect_blob(&sha256(&bytes), &bytes);
        registry.endpoint().delete(repository.blob(&sha256(&bytes))).expect(202);
    }
}

#[test]
fn a_cancelled_upload_stays_cancelled() {
    let mut registry = registry!().start();
    for end in [End::Told, End::Killed] {
        let repository = registry.repository("a/b");
        let location = repository.start_upload();
        repository.patch(&location, &noise(6, 500_000));
        registry.endpoint().delete(location.as_str()).expect(204);
        restart(&mut registry, end);
        registry.endpoint().get(location).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        assert!(registry.blob_files().is_empty(), "{:?}", registry.blob_files());
    }
}

#[test]
fn the_port_can_be_taken_again_at_once() {
    let mut registry = registry!().start();
    let bytes = noise(7, 100_000);
    let digest = registry.repository("a/b").push_blob(&bytes);
    // Connections that the server closed keep the port in use for the kernel.
    let kept: Vec<_> = (0..10).map(|_| registry.endpoint().connect()).collect();
    registry.stop();
    registry.start_on_same_port();
    drop(kept);
    registry.repository("a/b").expect_blob(&digest, &bytes);
}
