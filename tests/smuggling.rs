//! Requests that two readers would frame differently: refused or closed, never answered twice, never stored.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::random::noise;
use strata_harness::{Connection, Repository, Request, TestRegistry, registry, sha256};

/// Whatever hangs is cut after a second.
const LIMITS: &str = "[http]\nheader-timeout = \"1s\"\nidle-timeout = \"1s\"\nbody-stall = \"1s\"\n";

/// What a smuggled request would do: it makes a session that nobody asked for.
const SMUGGLED: &str = "POST /v2/smuggled/x/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

/// Sends raw bytes, then reads everything until the server closes; gives the statuses of all answers.
#[track_caller]
fn statuses(registry: &TestRegistry, bytes: &[u8]) -> Vec<u16> {
    let mut connection: Connection = registry.endpoint().connect();
    // The server may refuse and close before everything is written.
    let _ = connection.send_bytes(bytes);
    let text = connection.read_to_end().expect("the server closes the connection");
    let text = String::from_utf8_lossy(&text).into_owned();
    let status = |part: &str| part.split(' ').nth(1).and_then(|code| code.parse().ok());
    text.match_indices("HTTP/1.")
        .filter_map(|(at, _)| status(&text[at..]))
        .filter(|code| *code >= 200)
        .collect()
}

fn target(repository: &Repository, body: &[u8]) -> String {
    format!("{}?digest={}", repository.uploads(), sha256(body))
}

/// Asserts that at most one answer came, and that it is a refusal.
#[track_caller]
fn expect_one_refusal(registry: &TestRegistry, what: &str, bytes: &[u8]) {
    let statuses = statuses(registry, bytes);
    assert!(statuses.len() <= 1, "{what}: {statuses:?}");
    assert!(statuses.iter().all(|status| (400..=501).contains(status)), "{what}: {statuses:?}");
}

#[test]
fn both_lengths() {
    let registry = registry!().config(LIMITS).start();
    let repository = registry.repository("a/b");
    let target = target(&repository, b"");
    let framings = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    ];
    for framing in framings {
        let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\n{framing}\r\n0\r\n\r\n{SMUGGLED}");
        let statuses = statuses(&registry, head.as_bytes());
        // RFC 9112 §6.3: chunked wins and the connection closes, or the request is refused; the rest is no request.
        assert!(statuses.len() <= 1, "{framing}: {statuses:?}");
    }
    assert!(!registry.log().contains("smuggled"), "{}", registry.log());
}

#[test]
fn lengths_that_disagree() {
    let registry = registry!().config(LIMITS).start();
    let repository = registry.repository("a/b");
    let target = target(&repository, b"abcd");
    for framing in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 5\r\n",
        "Content-Length: 4\r\nContent-Length: 0\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: 4 4\r\n",
        "Content-Length: -4\r\n",
        "Content-Length:\r\n",
    ] {
        let bytes = format!("POST {target} HTTP/1.1\r\nHost: x\r\n{framing}\r\nabcd{SMUGGLED}");
        expect_one_refusal(&registry, framing, bytes.as_bytes());
    }
    assert!(!registry.log().contains("smuggled"), "{}", registry.log());
    repository.expect_no_blob(&sha256(b"abcd"));
}

#[test]
fn codings_that_are_not_chunked() {
    let registry = registry!().config(LIMITS).start();
    let repository = registry.repository("a/b");
    let target = target(&repository, b"");
    for coding in [
        "gzip",
        "identity",
        "xchunked",
        "chunked, gzip",
        "chunked, identity",
        "gzip, identity",
        "\u{b}chunked",
    ] {
        let bytes = format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n{SMUGGLED}"
        );
        expect_one_refusal(&registry, coding, bytes.as_bytes());
    }
    assert!(!registry.log().contains("smuggled"), "{}", registry.log());
}

#[test]
fn chunks_that_are_none() {
    let registry = registry!().config(LIMITS).start();
    let repository = registry.repository("a/b");
    let target = target(&repository, b"abcd");
    let bodies = [
        "x\r\nabcd\r\n0\r\n\r\n",
        "-4\r\nabcd\r\n0\r\n\r\n",
        "+4\r\nabcd\r\n0\r\n\r\n",
        "0x4\r\nabcd\r\n0\r\n\r\n",
        "4\r\nabcdef\r\n0\r\n\r\n",
        "\r\nabcd\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nabcd\r\n0\r\n\r\n",
        "10000000000000004\r\nabcd\r\n0\r\n\r\n",
        "4abcd\r\n0\r\n\r\n",
        "4\r\nabc",
        "4\r\nabcd\r\n",
        "4\r\nabcd\r\n0\r\n",
    ];
    for body in bodies {
        let bytes = format!("POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let statuses = statuses(&registry, bytes.as_bytes());
        assert!(statuses.iter().all(|status| (400..=501).contains(status)), "{body:?}: {statuses:?}");
        repository.expect_no_blob(&sha256(b"abcd"));
    }
}

#[test]
fn chunk_extensions_and_trailers_do_not_count() {
    let registry = registry!().config(LIMITS).start();
    let repository = registry.repository("a/b");
    let body = b"abcd";
    let bytes = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
         2;a=b\r\nab\r\n2;c=\"d\"\r\ncd\r\n0\r\nContent-Length: 999\r\nX-Trailer: y\r\n\r\n",
        target(&repository, body)
    );
    assert_eq!(statuses(&registry, bytes.as_bytes()), [201]);
    repository.expect_blob(&sha256(body), body);
}

#[test]
fn chunk_extensions_and_trailers_without_end() {
    let registry = registry!().config(LIMITS).start();
    let repository = registry.repository("a/b");
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        target(&repository, b"abcd")
    );
    let extension = format!("{head}4;{}\r\nabcd\r\n0\r\n\r\n", "x".repeat(1_000_000));
    expect_one_refusal(&registry, "extension", extension.as_bytes());
    let trailers = "x: y\r\n".repeat(100_000);
    let trailer = format!("{head}4\r\nabcd\r\n0\r\n{trailers}\r\n");
    expect_one_refusal(&registry, "trailer", trailer.as_bytes());
    registry.endpoint().get("/v2/").expect(200);
}

#[test]
fn heads_that_are_none() {
    let registry = registry!().config(LIMITS).start();
    let heads = [
        "GET /v2/\r\n\r\n",
        "GET /v2/ HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET  /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nHost: x\r\n Folded: y\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\n\0: x\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nX: a\0b\r\n\r\n",
        "GET /v2/ HTTP/1.1\r\nnot a header\r\n\r\n",
        "G\x01T /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03",
        "garbage\r\n\r\n",
    ];
    for head in heads {
        expect_one_refusal(&registry, head, head.as_bytes());
    }
    registry.endpoint().get("/v2/").expect(200);
}

#[test]
fn a_body_that_nobody_reads_is_not_taken_for_a_request() {
    let registry = registry!().config(LIMITS).start();
    let repository = registry.repository("a/b");
    let digest = repository.push_blob(&noise(1, 10));
    // Bodies where none is looked at: on a GET, on a path that is refused, on a session that is unknown.
    let targets = [
        ("GET", repository.blob(&digest)),
        ("GET", "/v2/UPPER/tags/list".to_owned()),
        ("PATCH", format!("{}11111111-2222-4333-8444-555555555555", repository.uploads())),
        ("DELETE", repository.manifest("nothing")),
        ("PUT", repository.manifest("not!a!tag")),
    ];
    for (method, target) in targets {
        let mut connection = registry.endpoint().connect();
        let request = Request::new(method, target.as_str()).body(SMUGGLED.as_bytes().to_vec());
        let first = connection.exchange(&request).expect("an answer");
        assert!(first.status == 200 || first.status >= 400, "{first:?}");
        // The connection is closed, or the next answer is the one to the next request.
        if let Ok(second) = connection.exchange(&Request::get("/v2/")) {
            second.expect(200).expect_body(b"{}");
        }
    }
    assert!(!registry.log().contains("smuggled"), "{}", registry.log());
}

#[test]
fn an_answer_before_the_body_ends_the_connection_or_skips_the_body() {
    let registry = registry!().config(LIMITS).start();
    let bytes = noise(2, 3_000_000);
    for target in ["/v2/UPPER/blobs/uploads/", "/v2/a/b/blobs/uploads/?digest=nonsense"] {
        let mut connection = registry.endpoint().connect();
        let response = connection.exchange(&Request::post(target).body(bytes.clone())).expect("an answer");
        assert_eq!(response.status, 400, "{response:?}");
        if let Ok(second) = connection.exchange(&Request::get("/v2/")) {
            second.expect(200).expect_body(b"{}");
        }
    }
}

#[test]
fn a_missing_host_is_no_harm() {
    let registry = registry!().config(LIMITS).start();
    let statuses = statuses(&registry, b"GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(statuses == [200] || statuses == [400], "{statuses:?}");
}
