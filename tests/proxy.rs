//! Behind a reverse proxy: where a request comes from is what the proxy says, if it is one that the operator has named.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::Value;
use strata_harness::{Request, TestRegistry, registry, wait};

const JSON: &str = "[log]\nformat = \"json\"\n";

/// Asks for something that is for operators on this machine alone, and gives status and logged address.
fn asked(registry: &TestRegistry, forwarded: Option<&str>) -> (u16, String) {
    let mut request = Request::get("/api/v1/status");
    if let Some(address) = forwarded {
        request = request.header("x-forwarded-for", address);
    }
    let response = registry.endpoint().send(&request);
    let id = response.header("x-request-id").expect("a request id").to_owned();
    let line = wait::until("the request to be logged", wait::SOON, || {
        registry.log().lines().find(|line| line.contains(&id)).map(str::to_owned)
    });
    let line: Value = serde_json::from_str(&line).expect("a JSON line");
    let fields = if line["fields"].is_object() { &line["fields"] } else { &line };
    (response.status, fields["remote"].as_str().expect("an address").to_owned())
}

#[test]
fn a_trusted_proxy_says_who_asks() {
    let trusting = format!("{JSON}[http]\ntrusted-proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\n");
    let registry = registry!().config(&trusting).start();
    for (forwarded, status, remote) in [
        (None, 200, "127.0.0.1"),
        (Some("192.0.2.1"), 403, "192.0.2.1"),
        (Some("127.0.0.1, 192.0.2.1, 10.1.1.1"), 403, "192.0.2.1"),
        (Some("2001:db8::1"), 403, "2001:db8::1"),
    ] {
        assert_eq!(asked(&registry, forwarded), (status, remote.to_owned()), "{forwarded:?}");
    }
}

#[test]
fn nobody_else_is_believed() {
    let registry = registry!().config(JSON).start();
    assert_eq!(asked(&registry, Some("192.0.2.1")), (200, "127.0.0.1".to_owned()));
    let elsewhere = format!("{JSON}[http]\ntrusted-proxies = \"10.0.0.0/8\"\n");
    let registry = registry!().config(&elsewhere).start();
    assert_eq!(asked(&registry, Some("192.0.2.1")), (200, "127.0.0.1".to_owned()));
}
