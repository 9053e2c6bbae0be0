//! Health, readiness and metrics.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::random::noise;
use strata_harness::{Endpoint, Image, Request, registry, sha256, wait};

/// The values of all series of a metric whose labels hold all of `labels`.
fn figures(endpoint: Endpoint, name: &str, labels: &[&str]) -> Vec<f64> {
    let response = endpoint.get("/metrics");
    assert_eq!(response.status, 200, "{response:?}");
    let text = String::from_utf8(response.body.to_vec()).expect("metrics are UTF-8");
    let matching = |line: &&str| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']));
        rest.is_some_and(|rest| labels.iter().all(|label| rest.contains(label)))
    };
    let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a value");
    text.lines().filter(matching).map(value).collect()
}

fn sum(endpoint: Endpoint, name: &str, labels: &[&str]) -> f64 {
    figures(endpoint, name, labels).iter().sum()
}

#[test]
fn a_server_that_listens_is_healthy_and_ready() {
    let registry = registry!().start();
    for target in ["/healthz", "/readyz"] {
        let get = registry.endpoint().get(target);
        assert_eq!(get.status, 200, "{get:?}");
        let head = registry.endpoint().head(target);
        assert_eq!((head.status, head.body.len()), (200, 0), "{head:?}");
    }
}

#[test]
fn metrics_are_well_formed() {
    let registry = registry!().start();
    registry.repository("a/b").push_image("latest", &Image::small(1));
    let response = registry.endpoint().get("/metrics");
    let content_type = response.header("content-type").expect("a type");
    assert!(
        content_type.starts_with("application/openmetrics-text") || content_type.starts_with("text/plain")
    );
    let text = String::from_utf8(response.body.to_vec()).expect("metrics are UTF-8");
    assert!(text.ends_with("# EOF\n"), "the end is marked");
    let mut described = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().expect("a name");
            assert!(!described.contains(&name), "{name} is there twice");
            described.push(name);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().expect("a name");
            assert!(described.iter().any(|known| name.starts_with(known)), "{name} has no type");
            let value = line.rsplit(' ').next().expect("a value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(described.len() >= 10, "{described:?}");
}

#[test]
fn requests_and_bytes_are_counted() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    let repository = registry.repository("a/b");
    let bytes = noise(2, 300_000);
    let digest = repository.push_blob(&bytes);
    for _ in 0..10 {
        endpoint.get(repository.blob(&digest)).expect(200);
        endpoint.get(repository.blob(&sha256(b"nothing"))).expect(404);
    }
    let blob = "route=\"/v2/{name}/blobs/{digest}\"";
    let counted = |labels: &[&str]| sum(endpoint, "strata_http_requests_total", labels);
    wait::until("the requests to be counted", wait::SOON, || {
        (counted(&[blob, "GET", "2xx"]) >= 10.0 && counted(&[blob, "GET", "4xx"]) >= 10.0).then_some(())
    });
    assert!(sum(endpoint, "strata_http_response_body_bytes_total", &[blob]) >= 3_000_000.0);
    assert!(sum(endpoint, "strata_http_request_body_bytes_total", &["/uploads/"]) >= 300_000.0);
    assert!(sum(endpoint, "strata_http_request_duration_seconds_count", &[blob]) >= 20.0);
    assert!(sum(endpoint, "process_resident_memory_bytes", &[]) > 1_000_000.0);
}

#[test]
fn hostile_paths_make_no_new_series() {
    let registry = registry!().start();
    let count = || figures(registry.endpoint(), "strata_http_requests_total", &[]).len();
    registry.endpoint().get("/v2/x").expect(404);
    let before = count();
    for number in 0..100 {
        registry.endpoint().get(format!("/v2/never-{number}/other")).expect(404);
        registry.endpoint().send(&Request::new(&format!("M{number}"), "/v2/"));
    }
    assert!(count() <= before + 4, "{} series after {before}", count());
}
