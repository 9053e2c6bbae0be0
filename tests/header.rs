//! What answers say beside their body: on every path, of every kind, in `GET` and `HEAD` alike.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::random::noise;
use strata_harness::repository::assert_same_headers;
use strata_harness::{Image, Repository, Request, TestRegistry, registry, sha256};

fn filled(registry: &TestRegistry) -> (Repository, Image) {
    let repository = registry.repository("a/b");
    let image = Image::small(1);
    repository.push_image("latest", &image);
    (repository, image)
}

/// Every path that can be read, with what is there and what is not.
fn readable(repository: &Repository, image: &Image) -> Vec<String> {
    let digest = image.manifest.digest();
    let blob = sha256(image.blobs().next().expect("a blob"));
    vec![
        "/".to_owned(),
        "/healthz".to_owned(),
        "/readyz".to_owned(),
        "/v2/".to_owned(),
        "/v2/_catalog".to_owned(),
        "/v2/_oci/ext/discover".to_owned(),
        repository.target("_oci/ext/discover"),
        repository.target("tags/list"),
        repository.target(&format!("referrers/{digest}")),
        repository.manifest("latest"),
        repository.manifest(&digest),
        repository.blob(&blob),
        repository.start_upload(),
        // What is not there, and what is no request.
        repository.manifest("missing"),
        repository.blob(&sha256(b"missing")),
        "/v2/unknown/tags/list".to_owned(),
        "/v2/unknown/_oci/ext/discover".to_owned(),
        "/v2/UPPER/tags/list".to_owned(),
        "/v2/nothing".to_owned(),
        repository.uploads(),
    ]
}

#[test]
fn a_head_is_a_get_without_its_body() {
    let registry = registry!().start();
    let (repository, image) = filled(&registry);
    for target in readable(&repository, &image) {
        let get = registry.endpoint().get(target.as_str());
        let head = registry.endpoint().head(target.as_str());
        assert_eq!(head.status, get.status, "{head:?}");
        assert!(head.body.is_empty(), "{head:?}");
        assert_same_headers(&head, &get);
    }
}

#[test]
fn every_answer_of_the_api_says_its_version_and_id() {
    let registry = registry!().start();
    let (repository, image) = filled(&registry);
    for target in readable(&repository, &image) {
        for method in ["GET", "DELETE", "OPTIONS"] {
            let response = registry.endpoint().send(&Request::new(method, target.as_str()));
            assert!(response.header("x-request-id").is_some_and(|id| !id.is_empty()), "{response:?}");
            let version = target.starts_with("/v2").then_some("registry/2.0");
            assert_eq!(response.header("docker-distribution-api-version"), version, "{response:?}");
        }
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let registry = registry!().start();
    let (repository, image) = filled(&registry);
    let digest = image.manifest.digest();
    for (target, allowed) in [
        ("/v2/".to_owned(), "GET, HEAD"),
        (repository.uploads(), "POST"),
        (repository.blob(&digest), "GET, HEAD, DELETE"),
        (repository.manifest("latest"), "GET, HEAD, PUT, DELETE"),
        (repository.start_upload(), "GET, HEAD, PATCH, PUT, DELETE"),
    ] {
        let response = registry.endpoint().send(&Request::new("OPTIONS", target));
        response.expect_error(405, "UNSUPPORTED").expect_header("allow", allowed);
    }
    // A path that takes the method, for content that does not.
    let layer = sha256(image.blobs().next().expect("a blob"));
    let refused = registry.endpoint().delete(repository.blob(&layer));
    assert!(matches!(refused.status, 202 | 405), "{refused:?}");
    if refused.status == 405 {
        refused.expect_error(405, "UNSUPPORTED").expect_header("allow", "GET, HEAD, DELETE");
    }
}

#[test]
fn content_is_not_to_be_guessed_at() {
    let registry = registry!().start();
    let (repository, _) = filled(&registry);
    let page = repository.push_blob(&"<script>alert(1)</script>".into());
    for target in [repository.blob(&page), repository.manifest("latest")] {
        registry.endpoint().get(target).expect(200).expect_header("x-content-type-options", "nosniff");
    }
    let blob = registry.endpoint().get(repository.blob(&page)).expect(200);
    blob.expect_header("content-type", "application/octet-stream");
}

#[test]
fn the_source_of_a_mirror_is_echoed() {
    let registry = registry!().start();
    let (repository, image) = filled(&registry);
    let ask =
        |target: String, source: &str| registry.endpoint().get(format!("{target}?ns={source}")).expect(200);
    let manifest = repository.manifest(&image.manifest.digest());
    for source in ["docker.io", "registry.example:5000", "[::1]:5000"] {
        ask(manifest.clone(), source).expect_header("oci-namespace", source);
    }
    for odd in ["", "a%0d%0aSet-Cookie:x", "a%20b", "%3Cscript%3E", &"x".repeat(300)] {
        ask(manifest.clone(), odd).expect_no_header("oci-namespace").expect_no_header("set-cookie");
    }
    ask(repository.target("tags/list"), "docker.io").expect_header("oci-namespace", "docker.io");
}

#[test]
fn what_was_not_honoured_is_warned_about() {
    let registry = registry!().start();
    let (repository, image) = filled(&registry);
    let digest = sha256(&noise(1, 10));
    let mount = format!("{}?mount={digest}&from=NOT/a/name", repository.uploads());
    let response = registry.endpoint().post(mount).expect(202);
    let warning = response.header("warning").expect("a warning");
    assert!(warning.starts_with("299 - \"") && warning.ends_with('"'), "{warning}");

    let put = repository.put_manifest("latest", &image.manifest);
    registry.endpoint().send(&put).expect(201).expect_no_header("warning");
    let conditional = put.header("if-match", "\"sha256:0\"");
    let response = registry.endpoint().send(&conditional).expect(201);
    assert!(response.header("warning").is_some_and(|warning| warning.contains("if-match")), "{response:?}");
}

#[test]
fn locations_stand_behind_the_url_that_clients_use() {
    let registry = registry!().config("[http]\nexternal-url = \"https://registry.example\"\n").start();
    let repository = registry.repository("a/b");
    let bytes = noise(2, 100);
    let digest = sha256(&bytes);
    let started = registry.endpoint().post(repository.uploads()).expect(202);
    let location = started.header("location").expect("a location").to_owned();
    let session = location.strip_prefix("https://registry.example").expect("the URL").to_owned();
    assert!(session.starts_with(&repository.uploads()), "{location}");
    registry.endpoint().send(&Request::patch(session.as_str()).body(bytes)).expect(202);
    let closed = registry.endpoint().put(format!("{session}?digest={digest}")).expect(201);
    let blob = format!("https://registry.example{}", repository.blob(&digest));
    closed.expect_header("location", blob);
}

#[test]
fn links_stand_behind_the_url_that_clients_use() {
    let registry = registry!().config("[http]\nexternal-url = \"https://r.example/pre\"\n").start();
    let (bytes, repositories) = (noise(3, 100), ["a/b", "z/last"].map(|name| registry.repository(name)));
    for repository in &repositories {
        registry.endpoint().send(&repository.post_blob(&sha256(&bytes), &bytes)).expect(201);
    }
    let response = registry.endpoint().get("/v2/_catalog?n=1").expect(200);
    response.expect_header("link", "<https://r.example/pre/v2/_catalog?n=1&last=a%2Fb>; rel=\"next\"");
}

#[test]
fn too_many_tags_at_once() {
    let registry = registry!().start();
    let (repository, image) = filled(&registry);
    let tags: Vec<String> = (0..65).map(|number| format!("tag=t{number}")).collect();
    let mut put = repository.put_manifest(&image.manifest.digest(), &image.manifest);
    put.target = format!("{}?{}", put.target, tags.join("&"));
    registry.endpoint().send(&put).expect_error(414, "TOO_LARGE");
    assert_eq!(repository.tags(), ["latest"]);
}
