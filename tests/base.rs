//! The base endpoint, the paths around it, and methods that a path does not take.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::random::noise;
use strata_harness::{Image, Request, registry};

#[test]
fn base_answers_an_empty_object() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    for target in ["/v2/", "/v2"] {
        let get = endpoint
            .get(target)
            .expect(200)
            .expect_header("content-type", "application/json")
            .expect_body(b"{}");
        let head = endpoint.head(target).expect(200).expect_body(b"");
        strata_harness::repository::assert_same_headers(&head, &get);
    }
}

#[test]
fn root_tells_a_newcomer_where_he_is() {
    let registry = registry!().start();
    let response = registry.endpoint().get("/");
    assert_eq!(response.status, 200, "{response:?}");
    assert!(!response.body.is_empty(), "{response:?}");
}

#[test]
fn paths_that_are_nothing() {
    let registry = registry!().start();
    let targets = [
        "/v1/",
        "/v2x",
        "/v2/x",
        "/v2/a/b",
        "/v2/a/tags",
        "/v2/a/tags/other",
        "/v2/a/blob/sha256:00",
        "/v2/_other",
        "/v2/_oci/ext",
        "/nothing",
        "/v2/a/uploads/",
    ];
    for target in targets {
        let response = registry.endpoint().get(target);
        assert_eq!(response.status, 404, "{response:?}");
        assert_eq!(response.error_codes().len(), 1, "{response:?}");
    }
}

#[test]
fn methods_that_a_path_does_not_take() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let digest = repository.push_blob(&noise(1, 10));
    let wrong = [
        ("POST", "/v2/".to_owned()),
        ("DELETE", "/v2/_catalog".to_owned()),
        ("GET", repository.uploads()),
        ("PUT", repository.blob(&digest)),
        ("PATCH", repository.blob(&digest)),
        ("POST", repository.manifest("latest")),
        ("PATCH", repository.manifest("latest")),
        ("DELETE", repository.target("tags/list")),
        ("PUT", repository.target(&format!("referrers/{digest}"))),
        ("BREW", "/v2/".to_owned()),
    ];
    for (method, target) in wrong {
        let response =
            registry.endpoint().send(&Request::new(method, target)).expect_error(405, "UNSUPPORTED");
        assert!(response.header("allow").is_some_and(|allowed| !allowed.is_empty()), "{response:?}");
    }
    repository.expect_blob(&digest, &noise(1, 10));
}

#[test]
fn repository_names_may_look_like_endpoints() {
    let registry = registry!().start();
    let names = [
        "blobs",
        "blobs/uploads",
        "a/manifests/b",
        "tags/list",
        "v2",
        "referrers/x",
        "uploads/blobs/manifests",
    ];
    for (number, name) in names.into_iter().enumerate() {
        let repository = registry.repository(name);
        let image = Image::small(number as u64 * 10);
        repository.push_image("latest", &image);
        repository.expect_manifest("latest", &image.manifest);
        for blob in image.blobs() {
            repository.expect_blob(&strata_harness::sha256(blob), blob);
        }
        assert_eq!(repository.tags(), ["latest"]);
    }
}

#[test]
fn head_answers_as_get_does() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(90);
    repository.push_image("latest", &image);
    let digest = image.manifest.digest();
    let upload = repository.start_upload();
    let targets = [
        "/".to_owned(),
        "/v2/_catalog".to_owned(),
        "/v2/_oci/ext/discover".to_owned(),
        repository.target("tags/list"),
        repository.target("tags/list?n=1"),
        repository.target(&format!("referrers/{digest}")),
        repository.target("_oci/ext/discover"),
        repository.manifest("nothing"),
        repository.target("tags/list?n=x"),
        "/v2/UPPER/tags/list".to_owned(),
        upload,
    ];
    for target in targets {
        let get = registry.endpoint().get(target.as_str());
        let head = registry.endpoint().head(target.as_str());
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{head:?}");
        strata_harness::repository::assert_same_headers(&head, &get);
    }
}
