//! A disk that fills up in the middle of a push: an error with a code, nothing half visible, reads and deletes go on, and when
//! space returns everything works again. Needs root to mount a small file system; says so and passes where that is missing.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::random::noise;
use strata_harness::repository::with_query;
use strata_harness::small_disk::SmallDisk;
use strata_harness::{Image, Random, Repository, Request, Response, TestRegistry, registry, sha256, wait};

/// A server whose data directory is on a disk of 96 MiB, 4 MiB of which it leaves alone.
fn started(disk: &SmallDisk, reserve: &str) -> TestRegistry {
    let config = format!("[storage]\nreserve = \"{reserve}\"\nmetadata-memory = \"8 MiB\"\n");
    registry!().data(&disk.path().join("data")).config(&config).start()
}

#[track_caller]
fn expect_no_space(response: Response) {
    assert!(matches!(response.status, 500 | 507), "{response:?}");
    assert_eq!(response.error_codes().len(), 1, "{response:?}");
    let status = response.status;
    response.expect_error(status, if status == 507 { "NO_SPACE" } else { "UNKNOWN" });
}

/// Pushes files until one is refused; gives what was acknowledged and what was not.
fn push_until_refused(repository: &Repository, size: usize) -> (Vec<u64>, u64) {
    let mut done = Vec::new();
    for seed in 0..200 {
        let bytes = noise(seed, size);
        let response = repository.endpoint.send(&repository.post_blob(&sha256(&bytes), &bytes));
        if response.status == 201 {
            done.push(seed);
        } else {
            expect_no_space(response);
            return (done, seed);
        }
    }
    panic!("the disk never became full");
}

#[test]
fn pushes_into_a_disk_that_fills_up() {
    let Some(disk) = SmallDisk::mount(96) else { return };
    for (number, reserve) in ["4 MiB", "1 MiB"].into_iter().enumerate() {
        let mut registry = started(&disk, reserve);
        let repository = registry.repository(&format!("full/{number}"));
        let image = Image::small(100 + number as u64);
        repository.push_image("latest", &image);
        let size = 7_000_000;
        let (done, refused) = push_until_refused(&repository, size);
        assert!(done.len() > 3, "{} blobs fit", done.len());
        let expect_all = |repository: &Repository| {
            for seed in &done {
                repository.expect_blob(&sha256(&noise(*seed, size)), &noise(*seed, size));
            }
            repository.expect_no_blob(&sha256(&noise(refused, size)));
            repository.expect_manifest("latest", &image.manifest);
            assert_eq!(repository.tags(), ["latest"]);
        };
        expect_all(&repository);
        // What was refused holds no space after a moment.
        wait::until("the refused bytes to be gone", wait::SOON, || {
            (registry.blob_files().len() == done.len()).then_some(())
        });
        registry.restart();
        expect_all(&registry.repository(&format!("full/{number}")));
        registry.stop();
        std::fs::remove_dir_all(registry.data()).expect("the data can be removed");
    }
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let Some(disk) = SmallDisk::mount(96) else { return };
    let registry = started(&disk, "4 MiB");
    let mut random = Random::new(1);
    let repository = registry.repository("a/b");
    let (image, later) = (Image::small(1), Image::small(50));
    repository.push_image("latest", &image);
    let kept = noise(2, 1_000_000);
    repository.push_blob(&kept);
    for blob in later.blobs() {
        repository.push_blob(blob);
    }
    let half_done = noise(3, 3_000_000);
    let location = repository.start_upload();
    repository.patch_at(&location, 0, &half_done.slice(..1_000_000));

    let ballast = disk.fill(3 * 1024 * 1024);
    let refused = noise(4, 2_000_000);
    // The server looks at the free space now and then; small things fit until it does.
    let small = wait::until("the server to see the full disk", wait::SOON, || {
        let small = noise(random.next_u64(), 100);
        let response = registry.endpoint().send(&repository.post_blob(&sha256(&small), &small));
        (response.status != 201).then(|| {
            expect_no_space(response);
            small
        })
    });
    expect_no_space(registry.endpoint().send(&repository.post_blob(&sha256(&refused), &refused)));
    let rest = Request::patch(location.as_str()).header("content-range", "1000000-2999999");
    expect_no_space(registry.endpoint().send(&rest.body(half_done.slice(1_000_000..))));
    repository.expect_no_blob(&sha256(&refused));
    repository.expect_no_blob(&sha256(&small));
    repository.expect_manifest("latest", &image.manifest);
    repository.expect_blob(&sha256(&kept), &kept);
    assert_eq!(registry.endpoint().get("/healthz").status, 200);
    registry.endpoint().delete(repository.blob(&sha256(&kept))).expect(202);

    // Nearly nothing is left: whatever is answered now, it is the truth.
    disk.fill(512 * 1024);
    let deleted = registry.endpoint().delete(repository.manifest("latest"));
    if deleted.status == 202 {
        repository.expect_no_manifest("latest");
    } else {
        expect_no_space(deleted);
        repository.expect_manifest("latest", &image.manifest);
    }
    expect_no_space(registry.endpoint().send(&repository.post_blob(&sha256(&small), &small)));
    expect_no_space(registry.endpoint().send(&repository.put_manifest("later", &later.manifest)));
    repository.expect_no_manifest("later");

    std::fs::remove_file(ballast).expect("the ballast can be removed");
    wait::until("the server to see the space", wait::SOON, || {
        let response = registry.endpoint().send(&repository.post_blob(&sha256(&refused), &refused));
        (response.status == 201).then_some(())
    });
    repository.expect_blob(&sha256(&refused), &refused);
    repository.push_blob(&small);
    repository.push_manifest("later", &later.manifest);
    repository.expect_manifest("later", &later.manifest);
    // The upload goes on where the disk became full.
    let status = registry.endpoint().get(location.as_str()).expect(204);
    let last: usize = status
        .header("range")
        .and_then(|range| range.strip_prefix("0-"))
        .expect("a range")
        .parse()
        .expect("a number");
    let offset = last + 1;
    assert!((1_000_000..=half_done.len()).contains(&offset), "{offset}");
    if offset < half_done.len() {
        repository.patch_at(&location, offset, &half_done.slice(offset..));
    }
    repository.commit(&location, &sha256(&half_done));
    repository.expect_blob(&sha256(&half_done), &half_done);
}

#[test]
fn one_upload_that_is_larger_than_the_disk() {
    let Some(disk) = SmallDisk::mount(96) else { return };
    let registry = started(&disk, "4 MiB");
    let repository = registry.repository("a/b");
    let bytes = noise(6, 120_000_000);
    let digest = sha256(&bytes);
    let location = repository.start_upload();
    let streamed = Request::patch(location.as_str()).chunked(&bytes, 1_000_000);
    expect_no_space(registry.endpoint().send(&streamed));
    // The free space that the server knows of is a moment old.
    let second = wait::until("a session to be possible again", wait::SOON, || {
        let response = registry.endpoint().post(repository.uploads());
        (response.status == 202).then(|| response.location())
    });
    let target = with_query(&second, &format!("digest={digest}"));
    expect_no_space(registry.endpoint().send(&Request::put(target).body(bytes.clone())));
    expect_no_space(registry.endpoint().send(&repository.post_blob(&digest, &bytes)));
    repository.expect_no_blob(&digest);
    // Giving up frees the space for others.
    registry.endpoint().delete(location).expect(204);
    let small = noise(7, 10_000_000);
    wait::until("the space to be free again", wait::SOON, || {
        let response = registry.endpoint().send(&repository.post_blob(&sha256(&small), &small));
        (response.status == 201).then_some(())
    });
    repository.expect_blob(&sha256(&small), &small);
}

#[test]
fn a_start_on_a_full_disk_says_so_or_serves() {
    let Some(disk) = SmallDisk::mount(96) else { return };
    let mut registry = started(&disk, "4 MiB");
    let bytes = noise(8, 1_000_000);
    registry.repository("a/b").push_blob(&bytes);
    registry.stop();
    let ballast = disk.fill(0);
    let (status, log) = match registry.try_start() {
        Ok(()) => {
            registry.repository("a/b").expect_blob(&sha256(&bytes), &bytes);
            registry.stop();
            std::fs::remove_file(ballast).expect("the ballast can be removed");
            registry.start();
            registry.repository("a/b").expect_blob(&sha256(&bytes), &bytes);
            return;
        }
        Err(refusal) => refusal,
    };
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("Make room"), "the message says what to do: {log}");
    std::fs::remove_file(ballast).expect("the ballast can be removed");
    registry.start();
    registry.repository("a/b").expect_blob(&sha256(&bytes), &bytes);
}

/// Asks the admin API to do something; gives status and code.
fn post(registry: &TestRegistry, path: &str) -> (u16, String) {
    let request = Request::post(path).header("content-type", "application/json").body("{}");
    let response = registry.endpoint().send(&request);
    let code = if response.status < 400 { String::new() } else { response.problem() };
    (response.status, code)
}

fn readiness(registry: &TestRegistry) -> (u16, String) {
    let response = registry.endpoint().get("/readyz");
    (response.status, String::from_utf8_lossy(&response.body).into_owned())
}

#[test]
fn below_the_reserve_what_takes_away_goes_on() {
    let Some(disk) = SmallDisk::mount(128) else { return };
    // Marks at 24 MiB for what grows, 6 MiB for deletions, 4 MiB for garbage collection.
    let config = "[storage]\nreserve = \"24 MiB\"\nmetadata-memory = \"8 MiB\"\n[gc]\ninterval = \"0s\"\n";
    let mut registry = registry!().data(&disk.path().join("data")).config(config).start();
    let repository = registry.repository("a/b");
    let images: Vec<Image> = (0..4).map(|number| Image::small(number * 10)).collect();
    for (number, image) in images.iter().enumerate() {
        repository.push_image(&number.to_string(), image);
    }
    let lone = noise(77, 500_000);
    repository.push_blob(&lone);
    assert_eq!(readiness(&registry), (200, "ready\n".to_owned()));

    let ballast = disk.fill(16 << 20);
    let full = |registry: &TestRegistry| {
        wait::until("the server to see the full disk", wait::SOON, || {
            let (status, text) = readiness(registry);
            assert_eq!(status, 200, "pulls go on, so it stays in its load balancer: {text}");
            text.contains("takes no pushes").then_some(())
        });
    };
    full(&registry);
    // All that grows is refused, with a word about what to do.
    let more = noise(78, 100);
    let response = registry.endpoint().send(&repository.post_blob(&sha256(&more), &more));
    let response = response.expect_error(507, "NO_SPACE");
    assert!(response.json()["errors"][0]["message"].as_str().is_some_and(|text| text.contains("Delete")));
    registry.endpoint().post(repository.uploads()).expect_error(507, "NO_SPACE");
    registry
        .endpoint()
        .send(&repository.put_manifest("again", &images[3].manifest))
        .expect_error(507, "NO_SPACE");
    let mount = format!("/v2/c/d/blobs/uploads/?mount={}&from=a/b", sha256(&images[3].layers[0]));
    registry.endpoint().post(mount).expect_error(507, "NO_SPACE");
    assert_eq!(post(&registry, "/api/v1/backups"), (507, "NO_SPACE".to_owned()), "a checkpoint needs room");
    // What takes away is not.
    registry.endpoint().delete(repository.manifest("0")).expect(202);
    registry.endpoint().delete(repository.manifest(&images[1].manifest.digest())).expect(202);
    registry.endpoint().delete(repository.blob(&sha256(&lone))).expect(202);
    assert_eq!(post(&registry, "/api/v1/gc").0, 200);
    repository.expect_no_manifest("1");
    repository.expect_manifest("2", &images[2].manifest);
    let status = registry.endpoint().get("/api/v1/status").json();
    let health = &status["health"];
    assert_eq!(health["ready"], true, "as /readyz says: {status}");
    assert!(health["why"].as_str().is_some_and(|why| why.contains("kept in reserve")), "{status}");
    let server = format!("http://{}", registry.endpoint().address);
    let told = strata_harness::process::run(&strata_harness::binary!(), &["status", "--server", &server]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("\nready, but takes no pushes: ") && told.contains("kept in reserve"), "{told}");
    // Nor is a start.
    registry.restart();
    full(&registry);
    let repository = registry.repository("a/b");
    repository.expect_manifest("2", &images[2].manifest);
    repository.expect_no_manifest("0");

    disk.fill(5 << 20);
    registry.endpoint().delete(repository.manifest("2")).expect_error(507, "NO_SPACE");
    repository.expect_manifest("2", &images[2].manifest);
    assert_eq!(post(&registry, "/api/v1/gc").0, 200, "garbage collection gives back");
    disk.fill(3 << 20);
    assert_eq!(post(&registry, "/api/v1/gc"), (507, "NO_SPACE".to_owned()));
    repository.expect_manifest("3", &images[3].manifest);

    std::fs::remove_file(ballast).expect("the ballast can be removed");
    wait::until("the server to see the space", wait::SOON, || {
        (readiness(&registry) == (200, "ready\n".to_owned())).then_some(())
    });
    repository.push_image("new", &Image::small(90));
    registry.endpoint().delete(repository.manifest("2")).expect(202);
    assert_eq!(post(&registry, "/api/v1/gc").0, 200);
}
