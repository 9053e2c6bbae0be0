//! The admin API and the command line that speaks it, through the real binary: what is refused and how, and that a running
//! server and a data directory without one give the same answers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use strata_harness::operator::{expect_text, url};
use strata_harness::tls::Certificate;
use strata_harness::{Request, binary, process, registry, wait};

fn run(arguments: &[&str]) -> Output {
    process::run(&binary!(), arguments)
}

#[track_caller]
fn expect_json(output: &Output) -> Value {
    let text = expect_text(output, 0);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[track_caller]
fn expect_refused(output: &Output, code: i32, parts: &[&str]) {
    let text = expect_text(output, code);
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    assert!(text.starts_with("strata: ") || code == 2, "{text}");
}

#[test]
fn the_status_is_that_of_the_store() {
    let registry = registry!().start();
    let answer = registry.endpoint().get("/api/v1/status");
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer
        .expect_header("content-type", "application/json")
        .expect_header("cache-control", "no-store")
        .expect_no_header("docker-distribution-api-version");
    let status = answer.json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["store"].as_str().map(str::len), Some(32));
    assert_eq!(status["health"]["ready"], true);
    assert!(status["space_available"].as_u64() <= status["space_total"].as_u64(), "{status}");
    assert_eq!(registry.endpoint().head("/api/v1/status").body.len(), 0);
}

#[test]
fn wrong_paths_and_methods_are_problems() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    let code = |answer: &strata_harness::Response| (answer.status, answer.problem());
    for (path, status, word) in [
        ("/api/v1/nothing", 404, "EXTENSION_UNKNOWN"),
        ("/api/v1", 404, "EXTENSION_UNKNOWN"),
        ("/api/v2/status", 404, "EXTENSION_UNKNOWN"),
        ("/api/v1/status/", 404, "EXTENSION_UNKNOWN"),
        ("/api/v1/../status", 400, "NAME_INVALID"),
        ("/api/v1//status", 400, "NAME_INVALID"),
    ] {
        assert_eq!(code(&endpoint.get(path)), (status, word.to_owned()), "{path}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let answer = endpoint.send(&Request::new(method, "/api/v1/status"));
        assert_eq!(code(&answer), (405, "UNSUPPORTED".to_owned()));
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
}

#[test]
fn the_command_line_says_the_same_with_and_without_a_server() {
    let mut registry = registry!().start();
    let data = registry.data();
    let data = data.to_str().expect("UTF-8").to_owned();
    let mut served = expect_json(&run(&["status", "--json", "--server", &url(&registry)]));
    assert!(expect_text(&run(&["status", "--server", &url(&registry)]), 0).contains("ready"));
    // The server holds the directory.
    let refused = run(&["status", "--data", &data]);
    expect_refused(&refused, 1, &["in use", "--server"]);
    registry.stop();
    let mut alone = expect_json(&run(&["status", "--json", "--data", &data]));
    for status in [&mut served, &mut alone] {
        assert!(status["space_available"].take().is_u64());
    }
    assert_eq!(served, alone);
    expect_refused(&run(&["status", "--server", &url(&registry)]), 1, &["there is no server at http://"]);
}

#[test]
fn a_server_with_tls_is_asked_where_it_is_trusted() {
    let directory = tempfile::tempdir().expect("a directory");
    let certificate = Certificate::make(directory.path());
    let path = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let text = format!(
        "[[http.listener]]\naddress = \"127.0.0.1:0\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
        path(&certificate.certificate),
        path(&certificate.key)
    );
    let registry = registry!().config(&text).listen_by_config().start();
    assert!(url(&registry).starts_with("https://"));
    let trusted = path(&certificate.certificate);
    let status = expect_json(&run(&["status", "--json", "--server", &url(&registry), "--ca", &trusted]));
    assert_eq!(status["health"]["ready"], true);
    // Another one's certificate.
    let other = tempfile::tempdir().expect("a directory");
    let stranger = path(&Certificate::make(other.path()).certificate);
    let refused = run(&["status", "--server", &url(&registry), "--ca", &stranger]);
    expect_refused(&refused, 1, &["no TLS with the server", "certificate"]);
    assert!(!expect_text(&refused, 1).contains("there is no server"));
    // Nobody who speaks TLS.
    let plain = registry!().start();
    let secured = format!("https://{}", plain.endpoint().address);
    let refused = run(&["status", "--server", &secured, "--ca", &trusted]);
    expect_refused(&refused, 1, &["no TLS with the server", "is it http://?"]);
}

#[test]
fn what_is_no_strata_is_said_to_be_none() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let foreign = format!("http://{}", listener.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        let answers: [&[u8]; 2] = [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", b""];
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a connection");
            let read = stream.read(&mut [0; 4096]).expect("a request");
            assert!(read > 0);
            stream.write_all(answer).expect("the client reads");
        }
    });
    expect_refused(&run(&["status", "--server", &foreign]), 1, &["is no Strata", "status 200"]);
    expect_refused(&run(&["status", "--server", &foreign]), 1, &["went away"]);
    server.join().expect("the server came to its end");
}

#[test]
fn wrong_use_is_told_from_failure() {
    let directory = tempfile::tempdir().expect("a directory");
    let empty = directory.path().to_str().expect("UTF-8");
    expect_refused(&run(&["status", "--server", "localhost:5000"]), 2, &["http://HOST:PORT"]);
    let missing = run(&["status", "--server", "https://localhost", "--ca", "/nowhere/ca.pem"]);
    expect_refused(&missing, 2, &["/nowhere/ca.pem"]);
    expect_refused(&run(&["status", "--server", "http://localhost", "--data", empty]), 2, &["--data"]);
    expect_refused(&run(&["status", "--data", empty]), 1, &["it is empty"]);
    expect_refused(&run(&["status", "--data", "/nowhere/data"]), 1, &["/nowhere/data"]);
    assert_eq!(std::fs::read_dir(empty).expect("a directory").count(), 0, "a wrong path is no new store");
}

#[test]
fn requests_are_small_known_json() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    let post = |kind: &str, body: &[u8]| {
        let request = Request::post("/api/v1/gc").header("content-type", kind).body(body.to_vec());
        let answer = endpoint.send(&request);
        (answer.status, if answer.status < 400 { String::new() } else { answer.problem() })
    };
    let json = "application/json";
    for body in
        ["{", "[]", "7", "{} x", "{\"dry_run\":\"yes\"}", "{\"dryrun\":true}", "{\"dry_run\":true,\"x\":1}"]
    {
        assert_eq!(post(json, body.as_bytes()), (400, "REQUEST_INVALID".to_owned()), "{body}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        assert_eq!(post(kind, b"{\"dry_run\":true}"), (415, "REQUEST_INVALID".to_owned()), "{kind}");
    }
    assert_eq!(endpoint.post("/api/v1/gc").status, 415, "a POST without a type");
    let large = format!("{{\"dry_run\":true{}}}", " ".repeat(64 * 1024));
    assert_eq!(post(json, large.as_bytes()), (413, "TOO_LARGE".to_owned()));
    let chunked = Request::post("/api/v1/gc").header("content-type", json).chunked(&large.into(), 1000);
    assert_eq!(endpoint.send(&chunked).status, 413);
    assert_eq!(post("application/json; charset=utf-8", b"{\"dry_run\":true}"), (200, String::new()));
}

/// The plan of a run, once there is something to remove.
fn due(place: &[&str]) -> Value {
    let plan = || expect_json(&run(&[&["gc", "--dry-run", "--json"], place].concat()));
    wait::until("something is due", Duration::from_secs(20), || {
        Some(plan()).filter(|plan| plan["removals"] != Value::Array(Vec::new()))
    })
}

#[test]
fn garbage_is_planned_and_removed_on_demand() {
    let mut registry =
        registry!().env("STRATA_STORAGE_UPLOAD_EXPIRY", "1s").env("STRATA_GC_INTERVAL", "0s").start();
    let repository = registry.repository("a/b");
    repository.patch(&repository.start_upload(), &vec![7; 1000].into());
    let server = url(&registry);
    let plan = due(&["--server", &server]);
    assert_eq!(plan["counts"]["upload"], serde_json::json!({"objects": 1, "bytes": 1000}), "{plan}");
    assert_eq!(plan["removals"][0]["repository"], "a/b");
    let status = expect_json(&run(&["gc", "--status", "--json", "--server", &server]));
    assert_eq!((&status["runs"], &status["running"]), (&0.into(), &false.into()), "a dry run is no run");
    let text = expect_text(&run(&["gc", "--server", &server]), 0);
    assert!(text.starts_with("removed 1 upload: 1000 bytes"), "{text}");
    let status = expect_json(&run(&["gc", "--status", "--json", "--server", &server]));
    assert_eq!(status["removed"]["upload"]["objects"], 1, "{status}");
    assert_eq!(status["last"]["removed_bytes"], 1000);
    // The same without a server.
    let repository = registry.repository("a/b");
    repository.patch(&repository.start_upload(), &vec![7; 500].into());
    registry.stop();
    let data = registry.data();
    let data = data.to_str().expect("UTF-8");
    let plan = due(&["--data", data]);
    assert_eq!(plan["counts"]["upload"]["bytes"], 500, "{plan}");
    let report = expect_json(&run(&["gc", "--json", "--data", data]));
    assert_eq!(report["removed"]["upload"]["objects"], 1, "{report}");
    assert!(expect_text(&run(&["gc", "--dry-run", "--data", data]), 0).contains("nothing"));
}
