//! Transfers on one HTTP/1.1 connection: every size, pipelined, cut and resumed, slow on either side.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use std::io::Read as _;
use strata_harness::random::noise;
use strata_harness::{Request, TestRegistry, registry, sha256};

/// Around pages, segments, buffers, and one that is large.
const SIZES: [usize; 14] = [
    0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 262_144, 1_048_575, 1_048_577, 4_194_304, 10_000_019,
    67_108_864,
];

fn pushed(registry: &TestRegistry, sizes: &[usize]) -> Vec<(String, Bytes)> {
    let repository = registry.repository("a/b");
    let push = |size: &usize| {
        let bytes = noise(1, *size);
        (repository.push_blob(&bytes), bytes)
    };
    sizes.iter().map(push).collect()
}

#[test]
fn every_size_on_one_connection() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let blobs = pushed(&registry, &SIZES);
    let mut connection = registry.endpoint().connect();
    for (digest, bytes) in blobs.iter().chain(blobs.iter().rev()) {
        let response = connection.exchange(&Request::get(repository.blob(digest))).expect("an answer");
        response.expect(200).expect_header("content-length", bytes.len().to_string()).expect_body(bytes);
        let head = connection.exchange(&Request::head(repository.blob(digest))).expect("an answer");
        head.expect(200).expect_header("content-length", bytes.len().to_string());
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let blobs = pushed(&registry, &[10, 100_000, 0, 65_537, 1_000_000, 300]);
    let mut connection = registry.endpoint().connect();
    for (digest, _) in &blobs {
        connection.send(&Request::get(repository.blob(digest))).expect("the request is taken");
        connection.send(&Request::head(repository.blob(digest))).expect("the request is taken");
        connection.send(&Request::get("/v2/")).expect("the request is taken");
    }
    for (digest, bytes) in &blobs {
        let target = repository.blob(digest);
        connection.read_response("GET", &target).expect("an answer").expect(200).expect_body(bytes);
        connection.read_response("HEAD", &target).expect("an answer").expect(200);
        connection.read_response("GET", "/v2/").expect("an answer").expect(200).expect_body(b"{}");
    }
}

#[test]
fn a_download_that_was_cut_is_resumed() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for (digest, bytes) in pushed(&registry, &[70_000, 20_000_000]) {
        let mut have: Vec<u8> = Vec::new();
        let mut attempts = 0;
        while have.len() < bytes.len() {
            let mut connection = registry.endpoint().connect();
            let request =
                Request::get(repository.blob(&digest)).header("range", format!("bytes={}-", have.len()));
            connection.send(&request).expect("the request is taken");
            let head = connection.read_head().expect("a head");
            assert_eq!(head.status, 206);
            assert_eq!(head.content_length(), Some((bytes.len() - have.len()) as u64));
            let piece = (bytes.len() / 3).min(bytes.len() - have.len());
            have.extend_from_slice(&connection.read_exact(piece).expect("the bytes come"));
            attempts += 1;
        }
        assert_eq!(attempts, 4, "the download was cut thrice");
        assert_eq!(sha256(&have), digest);
    }
}

#[test]
fn a_reader_that_is_slow_gets_everything() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for (digest, bytes) in pushed(&registry, &[30_000_000]) {
        let mut connection = registry.endpoint().connect();
        connection.send(&Request::get(repository.blob(&digest))).expect("the request is taken");
        // Others are served while this one does not read.
        for _ in 0..20 {
            registry.endpoint().get("/v2/").expect(200);
        }
        let response = connection.read_response("GET", "a slow download").expect("an answer");
        response.expect(200).expect_body(&bytes);
    }
}

#[test]
fn many_slow_readers_do_not_block_anyone() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let blobs = pushed(&registry, &[16_000_000]);
    let (digest, bytes) = blobs.first().expect("one blob");
    let mut slow: Vec<_> = (0..64).map(|_| registry.endpoint().connect()).collect();
    for connection in &mut slow {
        connection.send(&Request::get(repository.blob(digest))).expect("the request is taken");
        assert_eq!(connection.read_head().expect("a head").status, 200);
    }
    for _ in 0..5 {
        repository.expect_blob(digest, bytes);
    }
    for connection in slow.iter_mut().step_by(16) {
        let body = connection.read_exact(bytes.len()).expect("the bytes come");
        assert_eq!(sha256(&body), *digest);
    }
}

#[test]
fn a_client_that_goes_away_in_the_middle_harms_nobody() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let blobs = pushed(&registry, &[10_000_000]);
    let (digest, bytes) = blobs.first().expect("one blob");
    for taken in [1, 1000, 5_000_000] {
        for _ in 0..20 {
            let mut connection = registry.endpoint().connect();
            connection.send(&Request::get(repository.blob(digest))).expect("the request is taken");
            connection.read_head().expect("a head");
            connection.read_exact(taken).expect("the bytes come");
        }
        repository.expect_blob(digest, bytes);
    }
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for (digest, bytes) in pushed(&registry, &[0, 100, 1_000_000]) {
        let mut connection = registry.endpoint().connect();
        let request = format!("GET {} HTTP/1.0\r\n\r\n", repository.blob(&digest));
        connection.send_bytes(request.as_bytes()).expect("the request is taken");
        let response = connection.read_response("GET", "over HTTP/1.0").expect("an answer");
        response.expect(200).expect_body(&bytes);
        connection.expect_closed();
    }
}

#[test]
fn connection_close_is_honoured() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for (digest, bytes) in pushed(&registry, &[100, 1_000_000]) {
        let mut connection = registry.endpoint().connect();
        let request = Request::get(repository.blob(&digest)).header("connection", "close");
        let response = connection.exchange(&request).expect("an answer");
        response.expect(200).expect_body(&bytes);
        connection.expect_closed();
    }
}

#[test]
fn a_push_and_a_pull_share_a_connection() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let mut connection = registry.endpoint().connect();
    for seed in 0..20 {
        let bytes = noise(seed, 1 << seed);
        let digest = sha256(&bytes);
        let pushed = connection.exchange(&repository.post_blob(&digest, &bytes)).expect("an answer");
        repository.expect_created_blob(pushed, &digest);
        let pulled = connection.exchange(&Request::get(repository.blob(&digest))).expect("an answer");
        pulled.expect(200).expect_body(&bytes);
    }
    let mut rest = Vec::new();
    connection.socket().set_nonblocking(true).expect("the socket is there");
    let silence = connection.socket().read_to_end(&mut rest);
    assert!(silence.is_err() && rest.is_empty(), "nothing is sent that nobody asked for");
}

#[test]
fn more_blobs_than_files_are_kept_open() {
    let registry = registry!().config("[storage]\nopen-files = 2\n").start();
    let repository = registry.repository("a/b");
    let sizes: Vec<usize> = (0..40).map(|number| 70_000 + number * 1000).collect();
    let blobs = pushed(&registry, &sizes);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let (repository, blobs) = (&repository, &blobs);
            scope.spawn(move || {
                let mut connection = repository.endpoint.connect();
                for (digest, bytes) in blobs.iter().cycle().skip(client * 5).take(80) {
                    let response =
                        connection.exchange(&Request::get(repository.blob(digest))).expect("an answer");
                    response.expect(200).expect_body(bytes);
                }
            });
        }
    });
}
