//! SIGTERM: what is being answered is answered, nothing new is taken, and the process is gone within its bound.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use rustix::process::Signal;
use std::time::{Duration, Instant};
use strata_harness::http2::Client;
use strata_harness::random::noise;
use strata_harness::{Connection, Request, TestRegistry, registry, sha256, wait};

/// Longer than anything in these tests, shorter than a person waits.
const BOUND: Duration = Duration::from_secs(20);

/// Waits until new connections are refused.
#[track_caller]
fn wait_refusing(registry: &TestRegistry) {
    let address = registry.endpoint().address;
    wait::until("new connections to be refused", BOUND, || match Connection::open(address) {
        Err(_) => Some(()),
        Ok(mut connection) => connection.exchange(&Request::get("/readyz")).is_err().then_some(()),
    });
}

/// Waits until `count` requests are being answered, the one that asks included.
#[track_caller]
fn wait_in_flight(registry: &TestRegistry, count: u32) {
    wait::until("the request to be in the works", BOUND, || {
        let metrics = registry.endpoint().get("/metrics");
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        let line = format!("strata_http_requests_in_flight {count}");
        text.lines().any(|found| found == line).then_some(())
    });
}

#[test]
fn a_download_in_flight_comes_to_its_end() {
    for (signal, is_known) in [(Signal::TERM, false), (Signal::INT, false), (Signal::TERM, true)] {
        let mut registry = registry!().start();
        let repository = registry.repository("a/b");
        // More than the sockets' buffers hold.
        let bytes = noise(1, 64 << 20);
        let digest = repository.push_blob(&bytes);
        if is_known {
            repository.expect_blob(&digest, &bytes);
        }
        let mut connection = registry.endpoint().connect();
        connection.send(&Request::get(repository.blob(&digest))).expect("the request is taken");
        assert_eq!(connection.read_head().expect("a head").status, 200);
        let begun = connection.read_exact(1000).expect("the bytes come");
        registry.process().signal(signal);
        wait_refusing(&registry);
        let rest = connection.read_exact(bytes.len() - 1000).expect("the bytes come");
        assert_eq!(sha256(&[begun, rest].concat()), digest);
        connection.expect_closed();
        registry.wait_stopped(BOUND);
    }
}

#[test]
fn an_upload_in_flight_is_acknowledged_and_kept() {
    let mut registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(2, 5_000_000);
    let digest = sha256(&bytes);
    let mut connection = registry.endpoint().connect();
    let request = repository.post_blob(&digest, &bytes);
    connection.send_head(&request).expect("the head is taken");
    connection.send_bytes(&bytes.slice(..2_000_000)).expect("a part is taken");
    wait_in_flight(&registry, 2);
    registry.process().signal(Signal::TERM);
    wait_refusing(&registry);
    connection.send_bytes(&bytes.slice(2_000_000..)).expect("the rest is taken");
    let response = connection.read_response("POST", &request.target).expect("an answer");
    repository.expect_created_blob(response, &digest);
    registry.wait_stopped(BOUND);
    registry.start();
    registry.repository("a/b").expect_blob(&digest, &bytes);
}

#[test]
fn streams_of_http2_come_to_their_end() {
    let mut registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(6, 3_000_000);
    let digest = sha256(&bytes);
    let client = Client::h2c(registry.endpoint());
    let (feeder, answer) = client.feed(&Request::post(format!("{}?digest={digest}", repository.uploads())));
    feeder.send(bytes.slice(..1_000_000));
    wait_in_flight(&registry, 2);
    registry.process().signal(Signal::TERM);
    wait_refusing(&registry);
    feeder.send(bytes.slice(1_000_000..));
    drop(feeder);
    repository.expect_created_blob(client.answer(answer).expect("an answer"), &digest);
    registry.wait_stopped(BOUND);
    registry.start();
    registry.repository("a/b").expect_blob(&digest, &bytes);
}

#[test]
fn connections_without_a_request_are_closed_at_once() {
    let mut registry = registry!().start();
    let mut idle: Vec<Connection> = (0..20).map(|_| registry.endpoint().connect()).collect();
    for connection in idle.iter_mut().step_by(2) {
        connection.exchange(&Request::get("/v2/")).expect("an answer").expect(200);
    }
    let start = Instant::now();
    registry.stop();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    for connection in idle {
        connection.expect_closed();
    }
}

#[test]
fn a_client_that_is_stuck_is_cut_at_the_bound() {
    let mut registry = registry!().config("[http]\ndrain = \"1s\"\n").start();
    let repository = registry.repository("a/b");
    let blob = noise(3, 64 << 20);
    let digest = repository.push_blob(&blob);
    // One that does not read, one that does not write.
    let mut reader = registry.endpoint().connect();
    reader.send(&Request::get(repository.blob(&digest))).expect("the request is taken");
    reader.read_head().expect("a head");
    let bytes = noise(4, 1_000_000);
    let location = repository.start_upload();
    let mut writer = registry.endpoint().connect();
    writer
        .send_head(&Request::patch(location.as_str()).header("content-length", bytes.len()))
        .expect("the head is taken");
    writer.send_bytes(&bytes.slice(..300_000)).expect("a part is taken");
    let start = Instant::now();
    registry.process().signal(Signal::TERM);
    registry.wait_stopped(BOUND);
    assert!(start.elapsed() >= Duration::from_secs(1), "the bound is waited for: {:?}", start.elapsed());
    drop((reader, writer));
    // What came of the upload is kept.
    registry.start();
    let repository = registry.repository("a/b");
    let status = registry.endpoint().get(location.as_str()).expect(204);
    let last: usize = status
        .header("range")
        .and_then(|range| range.strip_prefix("0-"))
        .expect("a range")
        .parse()
        .expect("a number");
    let offset = if last == 0 { 0 } else { last + 1 };
    assert!(offset <= 300_000, "{offset}");
    repository.patch_at(&location, offset, &bytes.slice(offset..));
    repository.commit(&location, &sha256(&bytes));
    repository.expect_blob(&sha256(&bytes), &bytes);
}

#[test]
fn a_second_signal_does_not_break_the_first() {
    let mut registry = registry!().start();
    registry.repository("a/b").push_blob(&noise(5, 100));
    registry.process().signal(Signal::TERM);
    // The process may be gone before the second one.
    if registry.process().try_signal(Signal::TERM) {
        wait_refusing(&registry);
    }
    registry.wait_ended(BOUND);
    registry.start();
    registry.repository("a/b").expect_blob(&sha256(&noise(5, 100)), &noise(5, 100));
}
