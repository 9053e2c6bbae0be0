//! Blobs go in by every way that clients know, at every size that is stored differently, under both algorithms.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use strata_harness::random::noise;
use strata_harness::repository::{content_range, with_query};
use strata_harness::{Algorithm, Repository, Request, Response, registry, sha256, sha512, wait};

/// Around the borders between segment and file, buffered and direct, one buffer and several.
const SIZES: [usize; 12] =
    [0, 1, 2, 4095, 65_535, 65_536, 65_537, 1_048_575, 1_048_576, 1_048_577, 8_388_608, 9_437_185];

/// A way to push `bytes`; gives the answer that made the blob.
type Way = fn(&Repository, &Bytes, &str) -> Response;

/// One `POST` with everything.
fn post(repository: &Repository, bytes: &Bytes, digest: &str) -> Response {
    repository.endpoint.send(&repository.post_blob(digest, bytes))
}

/// `POST`, then one `PUT` with everything, as containerd and oras do.
fn post_put(repository: &Repository, bytes: &Bytes, digest: &str) -> Response {
    let target = with_query(&repository.start_upload(), &format!("digest={digest}"));
    repository.endpoint.send(&Request::put(target).body(bytes.clone()))
}

/// The same with a body of unknown length.
fn post_put_chunked(repository: &Repository, bytes: &Bytes, digest: &str) -> Response {
    let target = with_query(&repository.start_upload(), &format!("digest={digest}"));
    repository.endpoint.send(&Request::put(target).chunked(bytes, 10_000))
}

/// `POST`, one `PATCH` of unknown length without any type, an empty `PUT`, as dockerd does.
fn streamed(repository: &Repository, bytes: &Bytes, digest: &str) -> Response {
    let location = repository.start_upload();
    let patch = Request::patch(location).chunked(bytes, 32_768);
    let patched = repository.endpoint.send(&patch).expect(202);
    let range = format!("0-{}", bytes.len().saturating_sub(1));
    let location = patched.expect_header("range", range).location();
    repository.endpoint.put(with_query(&location, &format!("digest={digest}")))
}

/// `POST`, one `PATCH` with a length, an empty `PUT`, as skopeo and crane do.
fn patched(repository: &Repository, bytes: &Bytes, digest: &str) -> Response {
    let location = repository.patch(&repository.start_upload(), bytes).location();
    repository.endpoint.put(with_query(&location, &format!("digest={digest}")))
}

/// Chunks that say where they belong, an empty `PUT`.
fn pieces(repository: &Repository, bytes: &Bytes, digest: &str) -> Response {
    let mut location = repository.start_upload();
    let step = bytes.len() / 5 + 1;
    for start in (0..bytes.len()).step_by(step) {
        let piece = bytes.slice(start..bytes.len().min(start + step));
        location = repository.patch_at(&location, start, &piece).location();
    }
    repository.endpoint.put(with_query(&location, &format!("digest={digest}")))
}

/// Chunks that say where they belong, the last one in the `PUT`.
fn pieces_and_last(repository: &Repository, bytes: &Bytes, digest: &str) -> Response {
    let location = repository.start_upload();
    let cut = bytes.len() * 2 / 3;
    if cut > 0 {
        repository.patch_at(&location, 0, &bytes.slice(..cut));
    }
    let mut request =
        Request::put(with_query(&location, &format!("digest={digest}"))).body(bytes.slice(cut..));
    if cut < bytes.len() {
        request = request.header("content-range", content_range(cut, bytes.len() - cut));
    }
    repository.endpoint.send(&request)
}

const WAYS: [(&str, Way); 7] = [
    ("post", post),
    ("post-put", post_put),
    ("post-put-chunked", post_put_chunked),
    ("streamed", streamed),
    ("patched", patched),
    ("pieces", pieces),
    ("pieces-and-last", pieces_and_last),
];

#[track_caller]
fn every_way_at_every_size(algorithm: Algorithm, config: &str) {
    let registry = registry!().config(config).start();
    for (seed, size) in SIZES.into_iter().enumerate() {
        for (number, (name, way)) in WAYS.into_iter().enumerate() {
            let repository = registry.repository(&format!("push/{name}"));
            // Each way pushes bytes of its own, so that none finds the blob there already.
            let bytes = if size < 2 { noise(7, size) } else { noise((seed * 100 + number) as u64, size) };
            let digest = algorithm.of(&bytes);
            let response = way(&repository, &bytes, &digest);
            repository.expect_created_blob(response, &digest);
            repository.expect_blob(&digest, &bytes);
        }
    }
}

#[test]
fn every_way_at_every_size_sha256() {
    every_way_at_every_size(Algorithm::Sha256, "");
}

#[test]
fn every_way_at_every_size_sha512() {
    every_way_at_every_size(Algorithm::Sha512, "");
}

#[test]
fn every_way_at_every_size_through_the_page_cache_with_little_memory() {
    let config =
        "[storage]\ndirect-io = \"off\"\nbuffer-memory = \"8 MiB\"\nhash-threads = 1\nio-threads = 1\n";
    every_way_at_every_size(Algorithm::Sha256, config);
}

#[test]
fn the_two_blobs_that_everyone_pushes() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let empty = repository.push_blob(&Bytes::new());
    let braces = repository.push_blob(&Bytes::from_static(b"{}"));
    assert_eq!(braces, "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    repository.expect_blob(&empty, b"");
    repository.expect_blob(&braces, b"{}");
}

#[test]
fn pushing_again_changes_nothing() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for size in [100, 100_000] {
        let bytes = noise(3, size);
        let digest = repository.push_blob(&bytes);
        let before = registry.blob_bytes();
        for (_, way) in WAYS {
            let response = way(&repository, &bytes, &digest);
            repository.expect_created_blob(response, &digest);
        }
        repository.expect_blob(&digest, &bytes);
        // The file of a push that found the blob there goes after the answer.
        wait::until("the bytes of the second copies to go", wait::SOON, || {
            (registry.blob_bytes() == before).then_some(())
        });
    }
}

#[test]
fn wrong_digest_leaves_nothing() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for size in [0, 500, 70_000, 2_000_000] {
        let bytes = noise(4, size);
        let truth = sha256(&bytes);
        for lie in [sha256(b"something else"), sha512(b"something else")] {
            for (name, way) in WAYS {
                let response = way(&repository, &bytes, &lie);
                assert_eq!(response.status, 400, "{name}: {response:?}");
                response.expect_error(400, "DIGEST_INVALID");
                repository.expect_no_blob(&lie);
                repository.expect_no_blob(&truth);
            }
        }
    }
}

#[test]
fn malformed_digests_are_refused_before_the_body_counts() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(5, 100);
    let upper = sha256(&bytes).to_uppercase().replace("SHA256", "sha256");
    let long = format!("{}0", sha256(&bytes));
    let wrong = [
        "sha256:",
        "sha256",
        "sha256:baddigeststring",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        upper.as_str(),
        long.as_str(),
        ":",
        "",
        "sha256%3A00",
    ];
    for digest in wrong {
        for (name, way) in WAYS {
            let response = way(&repository, &bytes, digest);
            assert_eq!(response.status, 400, "{name} {digest}: {response:?}");
            response.expect_error(400, "DIGEST_INVALID");
        }
    }
    repository.expect_no_blob(&sha256(&bytes));
}

#[test]
fn closing_digest_decides_over_the_algorithm_hint() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for size in [10, 70_000, 3_000_000] {
        let hints = [("", Algorithm::Sha512), ("?digest-algorithm=sha512", Algorithm::Sha256)];
        for (seed, (hint, closing)) in hints.into_iter().enumerate() {
            let bytes = noise(60 + seed as u64, size);
            let location = repository.start_upload_with(hint);
            repository.patch(&location, &bytes);
            let digest = closing.of(&bytes);
            repository.commit(&location, &digest);
            repository.expect_blob(&digest, &bytes);
        }
    }
}

#[test]
fn digest_algorithm_hint() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for algorithm in Algorithm::ALL {
        let bytes = noise(70, 200_000);
        let location = repository.start_upload_with(&format!("?digest-algorithm={}", algorithm.name()));
        repository.patch(&location, &bytes.slice(..100_000));
        repository.patch(&location, &bytes.slice(100_000..));
        repository.commit(&location, &algorithm.of(&bytes));
        repository.expect_blob(&algorithm.of(&bytes), &bytes);
    }
    for unknown in ["md5", "sha1", "SHA256", "", "sha512%20"] {
        let target = format!("{}?digest-algorithm={unknown}", repository.uploads());
        let response = registry.endpoint().post(target);
        assert_eq!(response.status, 400, "{unknown}: {response:?}");
        response.expect_error(400, "DIGEST_INVALID");
    }
}

#[test]
fn a_session_pushes_under_both_algorithms_side_by_side() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(80, 100_000);
    for algorithm in Algorithm::ALL {
        let digest = repository.push_blob_as(algorithm, &bytes);
        repository.expect_blob(&digest, &bytes);
    }
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(81, 100_000);
    let digest = sha256(&bytes);
    let mut connection = registry.endpoint().connect();
    let request = repository.post_blob(&digest, &bytes).header("expect", "100-continue");
    connection.send_head(&request).expect("the head is taken");
    assert_eq!(connection.read_head().expect("an informational answer").status, 100);
    connection.send_bytes(&bytes).expect("the body is taken");
    let response = connection.read_response("POST", &request.target).expect("an answer");
    repository.expect_created_blob(response, &digest);
    repository.expect_blob(&digest, &bytes);
}

#[test]
fn a_large_blob_on_one_connection() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(82, 64 << 20);
    let digest = sha256(&bytes);
    let mut connection = registry.endpoint().connect();
    let started = connection.exchange(&Request::post(repository.uploads())).expect("an answer").expect(202);
    let half = bytes.len() / 2;
    for range in [0..half, half..bytes.len()] {
        let chunk = Request::patch(started.location()).body(bytes.slice(range.clone()));
        let chunk = chunk.header("content-range", content_range(range.start, range.len()));
        connection.exchange(&chunk).expect("an answer").expect(202);
    }
    let close = Request::put(with_query(&started.location(), &format!("digest={digest}")));
    let response = connection.exchange(&close).expect("an answer");
    repository.expect_created_blob(response, &digest);
    repository.expect_blob(&digest, &bytes);
}
