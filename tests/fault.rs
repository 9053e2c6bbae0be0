//! A disk that fails under a running server: it refuses writes and says so, goes on serving reads, never sends a wrong byte, and
//! after a restart everything that was acknowledged is there. Faults come from strace(1); without it the tests say so and pass.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

use std::process::Command;
use strata_harness::random::noise;
use strata_harness::{Repository, Request, TestRegistry, registry, sha256};

/// Sizes of blobs, one for each way they are stored.
const SIZES: [usize; 4] = [300, 60_000, 100_000, 2_000_000];

/// A server whose system calls `calls` fail as `fault` says (see strace(1), "Tampering"); `None` where strace cannot do it.
fn failing(calls: &str, fault: &str) -> Option<TestRegistry> {
    let trace = format!("trace={calls}");
    let inject = format!("inject={calls}:{fault}");
    let program = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let works = Command::new(program[0]).args(["-D", "-qq", "-o", "/dev/null", "true"]).status();
    if !works.is_ok_and(|status| status.success()) {
        println!("skipped: strace(1) is not there, or may not trace here");
        return None;
    }
    Some(registry!().under(&program).start())
}

/// Pushes blobs until one is refused; gives the seeds that were acknowledged.
fn push_until_refused(repository: &Repository) -> Vec<u64> {
    for seed in 0..2000 {
        let bytes = blob(seed);
        let response = repository.endpoint.send(&repository.post_blob(&sha256(&bytes), &bytes));
        if response.status != 201 {
            response.expect_error(503, "UNAVAILABLE");
            return (0..seed).collect();
        }
    }
    panic!("no sync ever failed");
}

fn blob(seed: u64) -> bytes::Bytes {
    noise(seed, SIZES[seed as usize % SIZES.len()])
}

#[track_caller]
fn expect_all(repository: &Repository, acknowledged: &[u64]) {
    for seed in acknowledged {
        repository.expect_blob(&sha256(&blob(*seed)), &blob(*seed));
    }
}

#[test]
fn a_sync_that_fails_stops_all_writes() {
    // The one that fails is of metadata or data, of a segment or a file.
    for when in [20, 33, 46] {
        let Some(mut registry) = failing("fdatasync,fsync", &format!("error=EIO:when={when}")) else {
            return;
        };
        let repository = registry.repository("a/b");
        let acknowledged = push_until_refused(&repository);
        expect_all(&repository, &acknowledged);
        // Later syncs would work again, but nobody can know what the failed one lost.
        let more = noise(9999, 100);
        let response = registry.endpoint().send(&repository.post_blob(&sha256(&more), &more));
        response.expect_error(503, "UNAVAILABLE");
        assert_eq!(registry.endpoint().get("/readyz").status, 503);
        assert_eq!(registry.endpoint().get("/healthz").status, 200);
        // Nothing that an operator can ask for writes either, and all of it says why.
        for path in ["/api/v1/gc", "/api/v1/backups"] {
            let request = Request::post(path).header("content-type", "application/json").body("{}");
            let response = registry.endpoint().send(&request);
            assert_eq!((response.status, response.problem()), (503, "UNAVAILABLE".to_owned()));
        }
        let dry = Request::post("/api/v1/gc").header("content-type", "application/json");
        assert_eq!(
            registry.endpoint().send(&dry.body("{\"dry_run\":true}")).status,
            200,
            "a plan is read only"
        );
        let status = registry.endpoint().get("/api/v1/status").json();
        assert!(status["health"]["why"].as_str().is_some_and(|why| why.contains("restart")), "{status}");
        assert!(registry.log().contains("Input/output error"), "{}", registry.log());
        registry.stop();
        registry.set_free();
        registry.start();
        let repository = registry.repository("a/b");
        expect_all(&repository, &acknowledged);
        repository.push_blob(&more);
        repository.expect_blob(&sha256(&more), &more);
        assert_eq!(registry.endpoint().get("/readyz").status, 200);
    }
}

#[test]
fn reads_that_fail_are_never_passed_on_as_content() {
    for (calls, fault) in [
        ("sendfile", "error=EIO:when=3+2"),
        ("sendfile", "retval=0:when=3+2"),
        ("preadv2,pread64", "error=EIO:when=30+4"),
        ("preadv2,pread64", "retval=10:when=30+4"),
    ] {
        let Some(registry) = failing(calls, fault) else { return };
        let repository = registry.repository("a/b");
        for seed in 0..8 {
            repository.push_blob(&blob(seed));
        }
        for round in 0..10 {
            let (seed, start) = (round % 8, round as usize * 7);
            let bytes = blob(seed);
            let request =
                Request::get(repository.blob(&sha256(&bytes))).header("range", format!("bytes={start}-"));
            // Cut short of what the head promised, or an error, or right.
            if let Ok(response) = registry.endpoint().try_send(&request) {
                if response.status == 206 {
                    response.expect(206).expect_body(&bytes[start..]);
                } else {
                    assert!(response.status >= 500, "{calls} {fault}: {response:?}");
                }
            }
        }
    }
}
