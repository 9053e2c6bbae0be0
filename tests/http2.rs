//! HTTP/2 in clear text: the same answers, many at once on one connection.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::http2::Client;
use strata_harness::random::noise;
use strata_harness::repository::with_query;
use strata_harness::{Image, Request, registry, sha256, wait};

#[test]
fn push_and_pull() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let mut client = Client::h2c(registry.endpoint());
    client.send(&Request::get("/v2/")).expect(200).expect_body(b"{}");
    for size in [0, 1, 65_536, 65_537, 1_048_577, 20_000_000] {
        let bytes = noise(1, size);
        let digest = sha256(&bytes);
        let started = client.send(&Request::post(repository.uploads())).expect(202);
        client.send(&Request::patch(started.location()).chunked(&bytes, 100_000)).expect(202);
        let close = Request::put(with_query(&started.location(), &format!("digest={digest}")));
        repository.expect_created_blob(client.send(&close), &digest);
        let target = repository.blob(&digest);
        let response = client.send(&Request::get(target.as_str())).expect(200).expect_body(&bytes);
        assert_eq!(response.header("content-length"), Some(size.to_string().as_str()));
        let head = client.send(&Request::head(target.as_str())).expect(200);
        strata_harness::repository::assert_same_headers(&head, &response);
        repository.expect_blob(&digest, &bytes);
        if size > 100 {
            let part = client.send(&Request::get(target).header("range", "bytes=50-99"));
            part.expect(206).expect_body(&bytes[50..100]);
        }
    }
    let image = Image::small(10);
    for blob in image.blobs() {
        repository.push_blob(blob);
    }
    client.send(&repository.put_manifest("latest", &image.manifest)).expect(201);
    let response = client.send(&Request::get(repository.manifest("latest")));
    response.expect(200).expect_body(&image.manifest.bytes);
}

#[test]
fn errors_are_the_same() {
    let registry = registry!().start();
    let mut client = Client::h2c(registry.endpoint());
    let missing = Request::get(format!("/v2/a/b/blobs/{}", sha256(b"nothing")));
    client.send(&missing).expect_error(404, "BLOB_UNKNOWN");
    client.send(&Request::get("/v2/UPPER/tags/list")).expect_error(400, "NAME_INVALID");
    let wrong = format!("/v2/a/b/blobs/uploads/?digest={}", sha256(b"nothing"));
    client.send(&Request::post(wrong).body(&b"something"[..])).expect_error(400, "DIGEST_INVALID");
}

#[test]
fn a_hundred_streams_at_once() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let blobs: Vec<_> = (0..100).map(|seed| noise(seed, 1000 * seed as usize)).collect();
    let client = Client::h2c(registry.endpoint());
    let pushes: Vec<Request> =
        blobs.iter().map(|bytes| repository.post_blob(&sha256(bytes), bytes)).collect();
    for (response, bytes) in client.send_all(&pushes).into_iter().zip(&blobs) {
        repository.expect_created_blob(response, &sha256(bytes));
    }
    let pulls: Vec<Request> =
        blobs.iter().map(|bytes| Request::get(repository.blob(&sha256(bytes)))).collect();
    for (response, bytes) in client.send_all(&pulls).into_iter().zip(&blobs) {
        response.expect(200).expect_body(bytes);
    }
}

#[test]
fn a_stream_that_is_reset_leaves_the_session_and_the_connection() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(2, 200_000);
    let mut client = Client::h2c(registry.endpoint());
    let location = client.send(&Request::post(repository.uploads())).expect(202).location();
    client.send_and_reset(&Request::patch(location.as_str()), bytes.slice(..100_000));
    let offset = wait::until("the session to be free again", wait::SOON, || {
        let status = client.send(&Request::get(location.as_str())).expect(204);
        let last: usize = status.header("range")?.strip_prefix("0-")?.parse().ok()?;
        let offset = if last == 0 { 0 } else { last + 1 };
        let rest = Request::patch(location.as_str())
            .header("content-range", format!("{offset}-199999"))
            .body(bytes.slice(offset..));
        (client.send(&rest).status == 202).then_some(offset)
    });
    assert!(offset <= 100_000);
    repository.commit(&location, &sha256(&bytes));
    repository.expect_blob(&sha256(&bytes), &bytes);
}
