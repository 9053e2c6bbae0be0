//! TLS from files: both protocols, beside a listener in clear text, with a certificate that is replaced while it runs.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use rustix::process::Signal;
use strata_harness::http2::Client;
use strata_harness::random::noise;
use strata_harness::tls::Certificate;
use strata_harness::{Request, TestRegistry, registry, sha256, wait};
use tempfile::TempDir;

/// A server with one listener in clear text and one that speaks TLS.
fn started(directory: &TempDir) -> (TestRegistry, Certificate) {
    started_with(directory, "certificate-check = \"off\"\n")
}

/// The same with more settings of `[http]`.
fn started_with(directory: &TempDir, settings: &str) -> (TestRegistry, Certificate) {
    let certificate = Certificate::make(directory.path());
    let config = format!(
        "[http]\n{settings}[[http.listener]]\naddress = \"127.0.0.1:0\"\n[[http.listener]]\naddress = \"127.0.0.1:0\"\n\
         certificate = \"{}\"\nkey = \"{}\"\n",
        certificate.certificate.display(),
        certificate.key.display()
    );
    (registry!().config(&config).listen_by_config().listeners(2).start(), certificate)
}

#[test]
fn push_and_pull_by_both_protocols() {
    let directory = TempDir::new().expect("a directory");
    let (registry, certificate) = started(&directory);
    let plain = registry.endpoints().iter().find(|endpoint| !endpoint.tls).expect("a plain listener");
    let secure = registry.endpoints().iter().find(|endpoint| endpoint.tls).expect("a TLS listener");
    let repository = plain.repository("a/b");
    for (protocols, agreed) in
        [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)]
    {
        let mut client = Client::tls(*secure, certificate.client(protocols)).expect("a TLS connection");
        assert_eq!(client.protocol.as_deref(), agreed);
        for size in [0, 1, 65_536, 65_537, 1_048_577, 10_000_000] {
            let bytes = noise(protocols.len() as u64, size);
            let digest = sha256(&bytes);
            repository.expect_created_blob(client.send(&repository.post_blob(&digest, &bytes)), &digest);
            let response = client.send(&Request::get(repository.blob(&digest)));
            response.expect(200).expect_body(&bytes).expect_header("content-length", size.to_string());
            repository.expect_blob(&digest, &bytes);
        }
    }
}

#[test]
fn an_answer_that_leaves_before_the_body_was_read_says_whether_the_connection_goes_on() {
    let directory = TempDir::new().expect("a directory");
    let (registry, certificate) = started(&directory);
    let secure = registry.endpoints().iter().find(|endpoint| endpoint.tls).expect("a TLS listener");
    let unknown = format!("{}11111111-2222-4333-8444-555555555555", registry.repository("a/b").uploads());
    let mut client = Client::tls(*secure, certificate.client(&["http/1.1"])).expect("a TLS connection");
    for (size, said) in [(1000, None), (100_000, None), (12_000_000, Some("close"))] {
        let answer = client.send(&Request::patch(unknown.as_str()).body(noise(1, size)));
        assert_eq!((answer.status, answer.header("connection")), (404, said), "{size} bytes: {answer:?}");
    }
}

#[test]
fn clear_text_on_a_tls_port_is_refused_and_the_port_goes_on() {
    let directory = TempDir::new().expect("a directory");
    let (registry, certificate) = started(&directory);
    let secure = registry.endpoints().iter().find(|endpoint| endpoint.tls).expect("a TLS listener");
    for garbage in [&b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0u8; 100], b"\x16\x03\x01\xff\xff"] {
        let mut connection = secure.connect();
        // The server may close before everything is written.
        let _ = connection.send_bytes(garbage);
        connection.finish_sending().ok();
        let answer = connection.read_to_end().expect("the server closes the connection");
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "clear text must not be served on a TLS port");
    }
    let mut client = Client::tls(*secure, certificate.client(&["h2"])).expect("a TLS connection");
    client.send(&Request::get("/v2/")).expect(200);
}

#[test]
fn a_new_certificate_is_taken_up_while_connections_go_on() {
    let directory = TempDir::new().expect("a directory");
    let (registry, old) = started(&directory);
    let secure = registry.endpoints().iter().find(|endpoint| endpoint.tls).expect("a TLS listener");
    let mut before = Client::tls(*secure, old.client(&["h2"])).expect("a TLS connection");
    before.send(&Request::get("/v2/")).expect(200);
    let new = Certificate::make(directory.path());
    assert!(Client::tls(*secure, new.client(&["h2"])).is_err(), "the new certificate is not in use yet");
    registry.process().signal(Signal::HUP);
    let mut after = wait::until("the new certificate to be in use", wait::SOON, || {
        Client::tls(*secure, new.client(&["h2"])).ok()
    });
    after.send(&Request::get("/v2/")).expect(200);
    before.send(&Request::get("/v2/")).expect(200);
    assert!(Client::tls(*secure, old.client(&["h2"])).is_err(), "the old certificate is not in use any more");
}

#[test]
fn a_certificate_that_changes_is_followed_without_a_signal() {
    let directory = TempDir::new().expect("a directory");
    let (registry, old) = started_with(&directory, "certificate-check = \"1s\"\n");
    let secure = registry.endpoints().iter().find(|endpoint| endpoint.tls).expect("a TLS listener");
    let mut before = Client::tls(*secure, old.client(&["h2"])).expect("a TLS connection");
    // The key has yet to follow: the pair does not fit, and the old one stays.
    let elsewhere = TempDir::new().expect("a directory");
    let new = Certificate::make(elsewhere.path());
    std::fs::copy(&new.certificate, &old.certificate).expect("a file");
    wait::until("the change to be seen", wait::SOON, || {
        registry.log().contains("the old one stays in use").then_some(())
    });
    Client::tls(*secure, old.client(&["h2"])).expect("a TLS connection");
    std::fs::copy(&new.key, &old.key).expect("a file");
    let mut after = wait::until("the new certificate to be in use", wait::SOON, || {
        Client::tls(*secure, new.client(&["h2"])).ok()
    });
    after.send(&Request::get("/v2/")).expect(200);
    before.send(&Request::get("/v2/")).expect(200);
}

#[test]
fn a_certificate_that_cannot_be_read_is_said_at_start() {
    let directory = TempDir::new().expect("a directory");
    let certificate = Certificate::make(directory.path());
    let broken = directory.path().join("broken.pem");
    std::fs::write(&broken, "not a certificate").expect("a file");
    let missing = directory.path().join("missing.pem");
    for path in [&broken, &missing] {
        let config = format!(
            "[http]\ncertificate = \"{}\"\nkey = \"{}\"\n",
            path.display(),
            certificate.key.display()
        );
        let (status, log) = registry!().config(&config).start_refused();
        assert!(!status.success());
        assert!(log.contains(path.to_str().expect("a path in UTF-8")), "the message names the file: {log}");
    }
}

#[test]
fn a_broken_certificate_at_reload_keeps_the_old_one() {
    let directory = TempDir::new().expect("a directory");
    let (registry, certificate) = started(&directory);
    let secure = registry.endpoints().iter().find(|endpoint| endpoint.tls).expect("a TLS listener");
    std::fs::write(&certificate.certificate, "not a certificate").expect("a file");
    let before = registry.log().len();
    registry.process().signal(Signal::HUP);
    wait::until("the failure to be logged", wait::SOON, || {
        registry.log()[before..].contains("certificate.pem").then_some(())
    });
    let mut client = Client::tls(*secure, certificate.client(&["h2"])).expect("a TLS connection");
    client.send(&Request::get("/v2/")).expect(200);
}
