//! Names, digests, paths, queries and headers that are wrong: refused with the spec's code, and nothing is changed or told.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::image::OCI_MANIFEST;
use strata_harness::random::noise;
use strata_harness::{Algorithm, Document, Endpoint, Image, Request, Response, registry, sha256};

/// Asserts a refusal of the client's doing that carries the spec's body.
#[track_caller]
fn expect_client_error(response: Response) -> Response {
    assert!((400..500).contains(&response.status), "{response:?}");
    assert_eq!(response.error_codes().len(), 1, "{response:?}");
    response
}

/// Each endpoint that takes a repository name.
fn requests_for(name: &str) -> Vec<Request> {
    let digest = Algorithm::Sha256.unknown();
    vec![
        Request::get(format!("/v2/{name}/tags/list")),
        Request::get(format!("/v2/{name}/blobs/{digest}")),
        Request::delete(format!("/v2/{name}/blobs/{digest}")),
        Request::post(format!("/v2/{name}/blobs/uploads/")),
        Request::post(format!("/v2/{name}/blobs/uploads/?digest={digest}")).body(&b"x"[..]),
        Request::get(format!("/v2/{name}/manifests/latest")),
        Request::put(format!("/v2/{name}/manifests/latest"))
            .header("content-type", OCI_MANIFEST)
            .body(&b"{}"[..]),
        Request::delete(format!("/v2/{name}/manifests/latest")),
        Request::get(format!("/v2/{name}/referrers/{digest}")),
    ]
}

#[test]
fn names_that_are_none() {
    let registry = registry!().start();
    let too_long = ["a".repeat(127), "b".repeat(128)].join("/");
    assert_eq!(too_long.len(), 256);
    let names = [
        "UPPER",
        "a/B",
        "-a",
        "a-",
        "_a",
        "a_",
        ".a",
        "a.",
        "a..b",
        "a___b",
        "a._b",
        "a/-b",
        "a//b",
        "a/",
        "a%20b",
        "a+b",
        "a@b",
        "a:b",
        "a%00b",
        "%C3%A9",
        "%ff%fe",
        "a%2Fb",
        "a%5Cb",
        "a\\b",
        "..",
        ".",
        "a/../b",
        "a/./b",
        "%2e%2e",
        "a/%2e%2e/b",
        "~a",
        "a*",
        "a,b",
        too_long.as_str(),
    ];
    for name in names {
        for request in requests_for(name) {
            let response = expect_client_error(registry.endpoint().send(&request));
            assert_eq!(
                (response.status, response.error_codes().concat()),
                (400, "NAME_INVALID".to_owned()),
                "{response:?}"
            );
        }
    }
    // A space ends the target of a request line.
    registry.endpoint().get("/v2/a b/tags/list").expect_refused(&[400]);
    let catalog = registry.endpoint().get("/v2/_catalog").expect(200);
    assert_eq!(catalog.json()["repositories"], serde_json::json!([]));
}

#[test]
fn names_at_the_edge_of_the_grammar() {
    let registry = registry!().start();
    let longest = ["a".repeat(127), "b".repeat(127)].join("/");
    assert_eq!(longest.len(), 255);
    let deep = ["x"; 128].join("/");
    for name in [longest.as_str(), deep.as_str(), "a", "0", "a__b", "a---b", "a.b-c_d/0__1", "a/b/c/d/e/f"] {
        let repository = registry.repository(name);
        let image = Image::small(1);
        repository.push_image("latest", &image);
        repository.expect_manifest("latest", &image.manifest);
        assert_eq!(repository.tags(), ["latest"]);
    }
}

#[test]
fn digests_that_are_none() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(1, 10);
    let digest = repository.push_blob(&bytes);
    let upper = digest.to_uppercase().replace("SHA256", "sha256");
    let (short, long) = (&digest[..digest.len() - 1], format!("{digest}0"));
    let mixed = digest.replace("sha256", "sha512");
    let odd = digest.replace("sha256", "SHA256");
    let digests = [
        "sha256:",
        "sha256",
        "sha256:xyz",
        "sha257:00",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "latest",
        ":",
        "sha256:%00",
        upper.as_str(),
        short,
        long.as_str(),
        mixed.as_str(),
        odd.as_str(),
        "sha256:..",
        "sha256+b64u:abc",
    ];
    for wrong in digests {
        for method in ["GET", "DELETE"] {
            let response = registry.endpoint().send(&Request::new(method, repository.blob(wrong)));
            let response = expect_client_error(response);
            assert_eq!(
                (response.status, response.error_codes().concat()),
                (400, "DIGEST_INVALID".to_owned()),
                "{response:?}"
            );
        }
        let head = registry.endpoint().head(repository.blob(wrong));
        assert_eq!((head.status, head.body.len()), (400, 0), "{head:?}");
    }
    repository.expect_blob(&digest, &bytes);
}

#[test]
fn paths_that_climb() {
    let registry = registry!().start();
    let digest = registry.repository("a/b").push_blob(&noise(2, 10));
    let targets = [
        "/v2/../healthz".to_owned(),
        "/v2/a/b/blobs/uploads/../../../../../../etc/passwd".to_owned(),
        "/v2/a/b/blobs/uploads/..%2F..%2F..%2Fetc%2Fpasswd".to_owned(),
        "/v2/a/b/blobs/uploads/%2e%2e/%2e%2e".to_owned(),
        "/v2/a/b/manifests/..".to_owned(),
        "/v2/a/b/manifests/%2e%2e%2f%2e%2e".to_owned(),
        "/v2/a/b/blobs/sha256:..%2f..%2f..%2fLOCK".to_owned(),
        format!("/v2/a/c/../b/blobs/{digest}"),
        format!("/v2/a/c/..%2Fb/blobs/{digest}"),
        format!("/v2/a%2Fb/blobs/{digest}"),
        format!("/v2/a//b/blobs/{digest}"),
        format!("//v2/a/b/blobs/{digest}"),
        format!("/v2/a/b/blobs/{digest}/"),
        format!("/v2/a/b/blobs/{digest}%00"),
        "/v2/%".to_owned(),
        "/v2/%zz/tags/list".to_owned(),
        "/..".to_owned(),
    ];
    for target in targets {
        let response = expect_client_error(registry.endpoint().get(target));
        assert!(matches!(response.status, 400 | 404), "{response:?}");
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert!(
            !text.contains(registry.data().to_str().expect("a path in UTF-8")),
            "no path of the server: {text}"
        );
    }
}

#[test]
fn percent_encoding_that_is_allowed() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(3, 10);
    let digest = repository.push_blob(&bytes);
    let encoded = digest.replace(':', "%3A");
    registry.endpoint().get(repository.blob(&encoded)).expect(200).expect_body(&bytes);
    registry.endpoint().get(format!("/v2/%61/b/blobs/{digest}")).expect(200).expect_body(&bytes);
    let again = format!("{}?digest={encoded}", repository.uploads());
    let response = registry.endpoint().send(&Request::post(again).body(bytes));
    repository.expect_created_blob(response, &digest);
}

#[test]
fn an_absolute_target_is_the_same_target() {
    let registry = registry!().start();
    let target = format!("http://{}/v2/", registry.endpoint().address);
    registry.endpoint().get(target).expect(200).expect_body(b"{}");
}

#[test]
fn heads_that_are_too_large() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    let target = format!("/v2/a/tags/list?last={}", "x".repeat(200_000));
    endpoint.get(target).expect_refused(&[414, 431]);
    let header = Request::get("/v2/").header("x-large", "x".repeat(200_000));
    endpoint.send(&header).expect_refused(&[431]);
    let mut many = Request::get("/v2/");
    for number in 0..2000 {
        many = many.header(&format!("x-{number}"), "x");
    }
    endpoint.send(&many).expect_refused(&[431]);
    endpoint.get("/v2/").expect(200);
}

#[test]
fn a_head_of_common_size_is_fine() {
    let registry = registry!().start();
    let mut request = Request::get("/v2/").header("authorization", format!("Bearer {}", "x".repeat(8000)));
    for number in 0..50 {
        request = request.header(&format!("x-{number}"), "common");
    }
    registry.endpoint().send(&request).expect(200);
}

#[test]
fn queries_that_are_odd() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(4);
    repository.push_image("latest", &image);
    for query in
        ["?", "?&&&", "?=", "?x", "?n=1&n=2", "?%", "?%zz=%zz", "?last=%ff", "?last=%00", "?n=1&last=../.."]
    {
        let response = registry.endpoint().get(repository.target(&format!("tags/list{query}")));
        assert!(matches!(response.status, 200 | 400), "{response:?}");
        response.json();
    }
    let subject = format!("referrers/{}?artifactType=%ff", image.manifest.digest());
    let response = registry.endpoint().get(repository.target(&subject));
    assert!(matches!(response.status, 200 | 400), "{response:?}");
}

/// A path that answers with an error and repeats what the client said, for a client that says something nasty.
#[track_caller]
fn expect_harmless(endpoint: Endpoint, target: &str) {
    let response = endpoint.get(target);
    assert!((400..500).contains(&response.status), "{response:?}");
    let text = String::from_utf8(response.body.to_vec()).expect("an error body is UTF-8");
    serde_json::from_str::<serde_json::Value>(&text).expect("an error body is JSON");
    assert!(text.len() < 10_000, "{} bytes of error", text.len());
    assert!(text.bytes().all(|byte| byte >= b' ' || byte == b'\n'), "no control characters: {text:?}");
}

#[test]
fn error_bodies_are_json_whatever_is_said() {
    let registry = registry!().start();
    for nasty in ["%22%7D%5D", "%3Cscript%3E", "%0A%0D", "%1b%5B31m", "%F0%9F%A6%80", "%e2%80%ae"] {
        expect_harmless(registry.endpoint(), &format!("/v2/{nasty}/tags/list"));
        expect_harmless(registry.endpoint(), &format!("/v2/a/manifests/{nasty}"));
        expect_harmless(registry.endpoint(), &format!("/v2/a/blobs/{nasty}"));
        expect_harmless(registry.endpoint(), &format!("/v2/_catalog?n={nasty}"));
    }
    expect_harmless(registry.endpoint(), &format!("/v2/a/manifests/{}", "x".repeat(20_000)));
}

#[test]
fn a_length_that_no_body_has() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let digest = sha256(b"x");
    for length in [
        "18446744073709551615",
        "9223372036854775807",
        "99999999999999999999999",
        "-1",
        "1e3",
        "0x10",
        "+5",
        "",
    ] {
        let target = format!("{}?digest={digest}", repository.uploads());
        let mut connection = registry.endpoint().connect();
        connection
            .send_head(&Request::post(target.as_str()).header("content-length", length))
            .expect("the head is taken");
        connection.finish_sending().expect("the connection is there");
        // Either it is refused at once, or the missing body is noticed; nothing is ever set aside for such a length.
        if let Ok(response) = connection.read_response("POST", &target) {
            assert!((400..600).contains(&response.status), "{length}: {response:?}");
        }
    }
    repository.expect_no_blob(&digest);
    let document = Document::raw(OCI_MANIFEST, &b"{}"[..]);
    let huge = repository.put_manifest("latest", &document).header("content-length", "9223372036854775807");
    let mut connection = registry.endpoint().connect();
    connection.send_head(&huge).expect("the head is taken");
    let response = connection.read_response("PUT", "a huge manifest").expect("an answer");
    response.expect_error(413, "TOO_LARGE");
}
