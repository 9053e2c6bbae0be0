//! One line a request, for people or as JSON, with an id that the client gets as well; no client writes lines of its own.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::Value;
use strata_harness::random::noise;
use strata_harness::{Request, Response, TestRegistry, registry, wait};

const JSON: &str = "[log]\nformat = \"json\"\n";

/// Waits for the line of one request and gives it.
#[track_caller]
fn line_of(registry: &TestRegistry, id: &str) -> String {
    wait::until("the request to be logged", wait::SOON, || {
        registry.log().lines().find(|line| line.contains(id)).map(str::to_owned)
    })
}

#[track_caller]
fn id_of(response: &Response) -> String {
    let id = response.header("x-request-id").expect("a request id");
    assert!(!id.is_empty(), "{response:?}");
    id.to_owned()
}

/// The fields of a JSON line, wherever the writer puts them.
fn fields(line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    if value["fields"].is_object() { value["fields"].clone() } else { value }
}

#[test]
fn json_lines_tell_all_about_a_request() {
    let registry = registry!().config(JSON).start();
    let repository = registry.repository("a/b");
    let bytes = noise(1, 100_000);
    let digest = repository.push_blob(&bytes);
    let request = Request::get(repository.blob(&digest)).header("user-agent", "tester/1.0");
    let line = fields(&line_of(&registry, &id_of(&registry.endpoint().send(&request))));
    assert_eq!(line["method"], "GET");
    assert_eq!(line["status"], 200);
    assert_eq!(line["route"], "/v2/{name}/blobs/{digest}");
    assert_eq!(line["repository"], "a/b");
    assert_eq!(line["bytes_out"], 100_000);
    assert_eq!(line["remote"], "127.0.0.1");
    assert_eq!(line["user_agent"], "tester/1.0");
    assert!(line["duration_us"].is_u64(), "{line}");
    let missing = registry.endpoint().get(repository.manifest("nothing"));
    let line = fields(&line_of(&registry, &id_of(&missing)));
    assert_eq!(line["status"], 404);
    assert_eq!(line["error_code"], "MANIFEST_UNKNOWN");
    for line in registry.log().lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    }
}

#[test]
fn human_lines_are_one_a_request() {
    let registry = registry!().start();
    let response = registry.endpoint().get("/v2/");
    let id = id_of(&response);
    let line = line_of(&registry, &id);
    for part in ["GET", "200", "/v2/"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!line.contains('\u{1b}'), "no colours where nobody looks: {line}");
    assert_eq!(registry.log().matches(id.as_str()).count(), 1, "{}", registry.log());
}

#[test]
fn ids_of_requests() {
    let registry = registry!().start();
    let ask = |id: &str| {
        let request = Request::get("/v2/").header("x-request-id", id);
        id_of(&registry.endpoint().send(&request))
    };
    assert_eq!(ask("client-chose-this.42"), "client-chose-this.42");
    let too_long = "x".repeat(500);
    for odd in ["a b", "x\"y", too_long.as_str(), "{\"a\":1}"] {
        let id = ask(odd);
        assert_ne!(id, odd);
        assert!(id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    }
    let one = id_of(&registry.endpoint().get("/v2/"));
    let two = id_of(&registry.endpoint().get("/v2/"));
    assert_ne!(one, two);
    let refused = registry.endpoint().get("/v2/UPPER/tags/list");
    assert!(line_of(&registry, &id_of(&refused)).contains("NAME_INVALID"));
}

#[test]
fn no_client_writes_lines_of_its_own() {
    for config in ["", JSON] {
        let registry = registry!().config(config).start();
        let request =
            Request::get("/v2/a%0Ainjected%1b[31m/tags/list").header("user-agent", "x\" injected=\"y");
        let response = registry.endpoint().send(&request);
        line_of(&registry, &id_of(&response));
        let log = registry.log();
        assert!(!log.lines().any(|line| line.starts_with("injected")), "{log}");
        assert!(
            log.bytes().all(|byte| byte == b'\n' || (b' '..0x7f).contains(&byte)),
            "plain ASCII only: {log}"
        );
    }
}

#[test]
fn levels() {
    let registry = registry!().config("[log]\nlevel = \"error\"\n").start();
    for _ in 0..5 {
        registry.endpoint().get("/v2/").expect(200);
        registry.endpoint().get("/v2/UPPER/tags/list").expect(400);
    }
    assert!(registry.log().is_empty(), "{}", registry.log());
}

#[test]
fn who_stops_reading_the_log_stops_nothing() {
    // The log goes into a pipe that nobody reads; it is full after some hundred lines.
    let pipe = "f=$(mktemp -u); mkfifo \"$f\"; exec 9<>\"$f\"; rm \"$f\"; exec \"$0\" \"$@\" 2>&9";
    let mut registry = registry!().under(&["sh", "-c", pipe]).start();
    for _ in 0..1000 {
        registry.endpoint().get("/v2/").expect(200);
    }
    registry.stop();
}
