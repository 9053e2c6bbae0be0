//! Paths as a table, the tricks among them; then what must hold for any bytes.

use super::*;
use proptest::prelude::*;

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn check(path: &str, endpoint: Endpoint, name: &str, last: &str) {
    let route = Route::parse(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    assert_eq!((route.endpoint, route.name(), route.last()), (endpoint, name, last), "{path}");
}

#[test]
fn endpoints_without_a_repository() {
    for (path, endpoint) in [
        ("/", Endpoint::Landing),
        ("/healthz", Endpoint::Health),
        ("/readyz", Endpoint::Readiness),
        ("/metrics", Endpoint::Metrics),
        ("/token", Endpoint::Token),
        ("/v2", Endpoint::Base),
        ("/v2/", Endpoint::Base),
        ("/%762/", Endpoint::Base),
        ("/v2/_catalog", Endpoint::Catalog),
        ("/v2/_oci/ext/discover", Endpoint::Discover),
    ] {
        check(path, endpoint, "", "");
    }
}

#[test]
fn endpoints_of_a_repository() {
    let id = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
    for name in [
        "a",
        "a/b",
        "a/b/c",
        "blobs",
        "a/blobs",
        "manifests",
        "tags",
        "uploads",
        "referrers",
        "a/tags",
        "a/blobs/uploads",
        "a/manifests/blobs",
        "tags/list",
        "blobs/uploads/tags/list",
        "a/referrers/manifests",
        "v2",
        "v2/v2",
    ] {
        check(&format!("/v2/{name}/blobs/{DIGEST}"), Endpoint::Blob, name, DIGEST);
        check(&format!("/v2/{name}/manifests/{DIGEST}"), Endpoint::Manifest, name, DIGEST);
        check(&format!("/v2/{name}/manifests/v1.0"), Endpoint::Manifest, name, "v1.0");
        check(&format!("/v2/{name}/manifests/uploads"), Endpoint::Manifest, name, "uploads");
        check(&format!("/v2/{name}/manifests/list"), Endpoint::Manifest, name, "list");
        check(&format!("/v2/{name}/tags/list"), Endpoint::Tags, name, "");
        check(&format!("/v2/{name}/blobs/uploads/"), Endpoint::Uploads, name, "");
        check(&format!("/v2/{name}/blobs/uploads"), Endpoint::Uploads, name, "");
        check(&format!("/v2/{name}/blobs/uploads/{id}"), Endpoint::Upload, name, id);
        check(&format!("/v2/{name}/referrers/{DIGEST}"), Endpoint::Referrers, name, DIGEST);
        check(&format!("/v2/{name}/_oci/ext/discover"), Endpoint::RepositoryDiscover, name, "");
    }
}

#[test]
fn decodes_once() {
    check(&format!("/v2/a/blobs/{}", DIGEST.replace(':', "%3A")), Endpoint::Blob, "a", DIGEST);
    check("/v2/%61%2Db/manifests/v%2e1", Endpoint::Manifest, "a-b", "v.1");
    check("/v2/a%252Fb/manifests/x", Endpoint::Manifest, "a%2Fb", "x");
    check("/v2/a/manifests/%zz", Endpoint::Manifest, "a", "%zz");
    check("/v2/a/manifests/a%00b", Endpoint::Manifest, "a", "a\0b");
    check("/v2/a/%62lobs/uploads/", Endpoint::Uploads, "a", "");
}

#[test]
fn tricks_and_unknown_paths() {
    for (path, error) in [
        ("", PathError::Unknown),
        ("*", PathError::Unknown),
        ("//", PathError::Unknown),
        ("/v1/", PathError::Unknown),
        ("/v2x", PathError::Unknown),
        ("/V2/", PathError::Unknown),
        ("/healthz/", PathError::Unknown),
        ("/token/", PathError::Unknown),
        ("/v2/a", PathError::Unknown),
        ("/v2/a/b/c", PathError::Unknown),
        ("/v2/blobs/uploads", PathError::Unknown),
        ("/v2/tags/list", PathError::Unknown),
        ("/v2/manifests/x", PathError::Unknown),
        ("/v2/_catalog/x", PathError::Unknown),
        ("/v2/a/uploads/", PathError::Unknown),
        ("/v2/a/blobs/uploads/3fa85f64-5717-4562-b3fc-2c963f66afa6/", PathError::Unknown),
        ("/v2//", PathError::EmptySegment),
        ("/v2//a/tags/list", PathError::EmptySegment),
        ("/v2/a//tags/list", PathError::EmptySegment),
        ("/v2/a/tags/list/", PathError::Unknown),
        ("/v2/a/manifests/", PathError::Unknown),
        ("/v2/_catalog/", PathError::Unknown),
        ("/v2/a/blobs/uploads//", PathError::EmptySegment),
        ("/v2/a//blobs/uploads/", PathError::EmptySegment),
        ("/v2//blobs/uploads/", PathError::EmptySegment),
        ("/v2/../etc/passwd", PathError::DotSegment),
        ("/v2/a/../b/tags/list", PathError::DotSegment),
        ("/v2/a/./tags/list", PathError::DotSegment),
        ("/v2/a/%2e%2e/b/tags/list", PathError::DotSegment),
        ("/v2/a/manifests/..", PathError::DotSegment),
        ("/v2/a/blobs/uploads/..", PathError::DotSegment),
        ("/v2/a%2Fb/tags/list", PathError::EncodedSlash),
        ("/v2/a%2fb/tags/list", PathError::EncodedSlash),
        ("/v2/a/manifests/x%2Fy", PathError::EncodedSlash),
        ("/v2/a/manifests/..%5Cx", PathError::EncodedSlash),
        ("/v2/a%ff/tags/list", PathError::NotUtf8),
    ] {
        assert_eq!(Route::parse(path), Err(error), "{path}");
    }
}

#[test]
fn templates_are_distinct() {
    let mut templates: Vec<_> = Endpoint::ALL.iter().map(|endpoint| endpoint.template()).collect();
    templates.sort_unstable();
    templates.dedup();
    assert_eq!(templates.len(), Endpoint::ALL.len());
}

proptest! {
    #[test]
    fn any_path_is_answered(path in ".{0,80}") {
        if let Ok(route) = Route::parse(&path) {
            prop_assert!(!route.last().contains('/'));
            prop_assert!(route.name().split('/').all(|segment| segment != ".."));
        }
    }

    #[test]
    fn any_path_of_the_api_is_answered(path in "/v2/(a|b|blobs|uploads|tags|list|manifests|referrers|\\.\\.|%2f|%2e|%|/|_oci|ext|discover){0,9}") {
        if let Ok(route) = Route::parse(&path) {
            prop_assert!(!route.last().contains('/'));
            prop_assert!(route.name().split('/').all(|segment| !matches!(segment, "." | "..")));
        }
    }

    #[test]
    fn any_name_survives(name in "[a-z0-9]{1,4}(/(blobs|uploads|manifests|tags|list|referrers|[a-z0-9]{1,4})){0,6}", tag in "[a-zA-Z0-9_.-]{3,9}") {
        check(&format!("/v2/{name}/manifests/{tag}"), Endpoint::Manifest, &name, &tag);
    }
}
