//! Answers that leave before the body was read: the client gets them, and knows whether the connection goes on.

#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use bytes::Bytes;
use std::io::Read as _;
use strata_harness::{Connection, Request, TestRegistry, registry};

/// Sent to an upload that does not exist.
fn patch(registry: &TestRegistry) -> Request {
    let uploads = registry.repository("a/b").uploads();
    Request::patch(format!("{uploads}11111111-2222-4333-8444-555555555555"))
}

fn zeros(len: usize) -> Bytes {
    vec![0; len].into()
}

/// Asserts that the server has ended the connection, and not by a reset.
#[track_caller]
fn expect_end(connection: &Connection) {
    let read = connection.socket().read(&mut [0]).expect("an end, not a reset");
    assert_eq!(read, 0, "nothing follows the answer");
}

#[test]
fn whoever_sends_all_of_a_large_body_gets_the_answer_and_is_told_of_the_end() {
    let registry = registry!().start();
    let bytes = zeros(12_000_000);
    for request in [patch(&registry).body(bytes.clone()), patch(&registry).chunked(&bytes, 1_000_000)] {
        let mut connection = registry.endpoint().connect();
        connection.send(&request).expect("nothing is reset while the client still sends");
        let answer = connection.read_response("PATCH", "an unknown upload").expect("an answer");
        assert_eq!(answer.status, 404, "{answer:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
        expect_end(&connection);
    }
}

#[test]
fn a_small_body_that_nobody_wanted_leaves_the_connection_usable() {
    let registry = registry!().start();
    let mut connection = registry.endpoint().connect();
    for len in [1, 1000, 100_000, 256 * 1024] {
        let answer = connection.exchange(&patch(&registry).body(zeros(len))).expect("an answer");
        assert_eq!((answer.status, answer.header("connection")), (404, None), "{len} bytes: {answer:?}");
    }
    let answer = connection.exchange(&Request::get("/v2/")).expect("an answer on the same connection");
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn a_small_body_that_does_not_come_costs_the_connection_and_not_the_answer() {
    let registry = registry!().start();
    let mut connection = registry.endpoint().connect();
    connection.send_head(&patch(&registry).header("content-length", 1000)).expect("the head is taken");
    let answer = connection.read_response("PATCH", "an unknown upload").expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (404, Some("close")), "{answer:?}");
    expect_end(&connection);
}

#[test]
fn whoever_waits_to_be_told_to_go_on_is_not_told_so() {
    let registry = registry!().start();
    let mut connection = registry.endpoint().connect();
    let asked = patch(&registry).header("content-length", 1000).header("expect", "100-continue");
    connection.send_head(&asked).expect("the head is taken");
    let head = connection.read_head().expect("an answer");
    assert_eq!(head.status, 404, "{head:?}");
    assert!(head.headers.contains(&("connection".to_owned(), "close".to_owned())), "{head:?}");
}
