//! Answers from memory: the same as those from the store, and gone the moment the store says otherwise.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use strata_harness::random::{Random, noise};
use strata_harness::{Connection, Image, Request, Response, TestRegistry, registry};

/// What differs between two answers to the same request.
const OF_THE_MOMENT: [&str; 2] = ["date", "x-request-id"];

/// A request that never becomes whole is soon given up.
const IMPATIENT: &str = "[http]\nheader-timeout = \"1s\"\nidle-timeout = \"1s\"\nbody-stall = \"1s\"\n";

/// The end of a conversation, where the server can tell that it is one.
const LAST: &str = "GET /v2/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// Requests answered from memory so far.
fn from_memory(registry: &TestRegistry) -> u64 {
    let text = String::from_utf8_lossy(&registry.endpoint().get("/metrics").body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("strata_http_hot_answers_total "));
    line.expect("the counter is there").parse().expect("a number")
}

fn settled(response: &Response) -> (u16, Vec<(String, String)>, Bytes) {
    let mut headers = response.headers.clone();
    headers.retain(|(name, _)| !OF_THE_MOMENT.contains(&name.as_str()));
    headers.sort();
    (response.status, headers, response.body.clone())
}

#[test]
fn an_answer_from_memory_is_the_answer() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let mut targets: Vec<String> = Vec::new();
    for size in [0, 1, 4096, 65_536, 65_537, 3_000_000] {
        targets.push(repository.blob(&repository.push_blob(&noise(size as u64, size))));
    }
    let image = Image::of(7, vec![noise(8, 100), noise(9, 70_000)]);
    repository.push_image("v1", &image);
    targets.push(repository.manifest("v1"));
    targets.push(repository.manifest(&image.manifest.digest()));
    for target in targets {
        // A manifest's HEAD is kept by itself, a blob's with its content.
        for method in ["HEAD", "GET", "HEAD"] {
            let request = Request::new(method, target.as_str());
            let first = registry.endpoint().send(&request).expect(200);
            let before = from_memory(&registry);
            let second = registry.endpoint().send(&request);
            let is_first_of_blob = method == "HEAD" && target.contains("/blobs/");
            assert!(from_memory(&registry) > before || is_first_of_blob, "{method} {target}");
            assert_eq!(settled(&first), settled(&second), "{method} {target}");
            assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
            let named = registry.endpoint().send(&request.clone().header("x-request-id", "mine-7"));
            assert_eq!(settled(&first), settled(&named));
            named.expect_header("x-request-id", "mine-7");
            // Whatever changes the answer goes the long way.
            let before = from_memory(&registry);
            let etag = first.header("etag").expect("an entity tag").to_owned();
            registry.endpoint().send(&request.clone().header("if-none-match", etag)).expect(304);
            assert_eq!(from_memory(&registry), before);
            // Credentials do not: nobody is asked for any.
            let with_credentials = request.clone().header("authorization", "Basic eDp5");
            assert_eq!(settled(&first), settled(&registry.endpoint().send(&with_credentials)));
            assert!(from_memory(&registry) > before || is_first_of_blob);
            let twice = with_credentials.header("authorization", "Basic eDp5");
            assert_eq!(settled(&first), settled(&registry.endpoint().send(&twice)));
        }
    }
}

#[test]
fn nothing_is_kept_where_no_memory_is_given() {
    let registry = registry!().env("STRATA_HTTP_HOT_MEMORY", "0").start();
    let repository = registry.repository("a/b");
    let bytes = noise(1, 4096);
    let digest = repository.push_blob(&bytes);
    for _ in 0..3 {
        repository.expect_blob(&digest, &bytes);
    }
    assert_eq!(from_memory(&registry), 0);
}

#[test]
fn every_change_ends_what_memory_says() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let images: Vec<Image> = (0..2).map(Image::small).collect();
    let digests: Vec<String> = images.iter().map(|image| image.manifest.digest()).collect();
    for round in 0..3 {
        for (image, digest) in images.iter().zip(&digests) {
            repository.push_image("v1", image);
            for _ in 0..2 {
                repository.expect_manifest("v1", &image.manifest);
                repository.expect_manifest(digest, &image.manifest);
            }
        }
        registry.endpoint().delete(repository.manifest("v1")).expect(202);
        repository.expect_no_manifest("v1");
        repository.expect_manifest(&digests[1], &images[1].manifest);
        registry.endpoint().delete(repository.manifest(&digests[1])).expect(202);
        repository.expect_no_manifest(&digests[1]);
        repository.expect_manifest(&digests[0], &images[0].manifest);
        for size in [500, 500_000] {
            let bytes = noise(100 + round, size);
            let digest = repository.push_blob(&bytes);
            repository.expect_blob(&digest, &bytes);
            repository.expect_blob(&digest, &bytes);
            registry.endpoint().delete(repository.blob(&digest)).expect(202);
            repository.expect_no_blob(&digest);
            repository.push_blob(&bytes);
            repository.expect_blob(&digest, &bytes);
        }
    }
}

/// A tag that moves while many read it: nobody who asks after a push was acknowledged is told of an earlier one.
#[test]
fn no_answer_is_older_than_the_last_push_that_was_acknowledged() {
    const MOVES: usize = 200;
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let images: Vec<Image> = (0..8).map(Image::small).collect();
    for image in &images {
        repository.push_image("v1", image);
    }
    let digests: Vec<String> = images.iter().map(|image| image.manifest.digest()).collect();
    let (acknowledged, is_over) = (AtomicU64::new(images.len() as u64 - 1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let (acknowledged, is_over, digests) = (&acknowledged, &is_over, &digests);
            let endpoint = registry.endpoint();
            let request = if reader == 0 { Request::head } else { Request::get }(repository.manifest("v1"));
            scope.spawn(move || {
                let mut connection = endpoint.connect();
                while !is_over.load(Ordering::SeqCst) {
                    let before = acknowledged.load(Ordering::SeqCst);
                    let response = connection.exchange(&request).expect("an answer").expect(200);
                    let after = acknowledged.load(Ordering::SeqCst);
                    let digest = response.header("docker-content-digest").expect("a digest");
                    // The push after the last one that was acknowledged may be visible already.
                    let allowed =
                        (before..=after + 1).any(|at| digests[at as usize % digests.len()] == digest);
                    assert!(allowed, "{digest} between {before} and {after}");
                }
            });
        }
        for at in images.len()..images.len() + MOVES {
            repository.push_manifest("v1", &images[at % images.len()].manifest);
            acknowledged.store(at as u64, Ordering::SeqCst);
        }
        is_over.store(true, Ordering::SeqCst);
    });
    assert!(from_memory(&registry) > 0);
}

#[test]
fn requests_in_one_piece_are_answered_in_their_order() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let (small, large) = (noise(1, 3000), noise(2, 200_000));
    let (small_blob, large_blob) =
        (repository.blob(&repository.push_blob(&small)), repository.blob(&repository.push_blob(&large)));
    let get = |target: &str, more: &str| format!("GET {target} HTTP/1.1\r\nhost: x\r\n{more}\r\n");
    let body = "POST /v2/a/b/blobs/uploads/?digest=sha256:00 HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nGET /v2/ ";
    let requests = [
        get(&small_blob, ""),
        get(&small_blob, ""),
        get(&large_blob, ""),
        get(&small_blob, ""),
        get(&small_blob, "range: bytes=0-9\r\n"),
        body.to_owned(),
        get(&small_blob, ""),
        get("/v2/a/b/manifests/none", ""),
        get(&small_blob, ""),
    ];
    let expected: [(u16, Option<&[u8]>); 9] = [
        (200, Some(&small)),
        (200, Some(&small)),
        (200, Some(&large)),
        (200, Some(&small)),
        (206, Some(&small[..10])),
        (400, None),
        (200, Some(&small)),
        (404, None),
        (200, Some(&small)),
    ];
    registry.endpoint().get(small_blob.as_str()).expect(200);
    let all = requests.concat();
    // In one piece, and cut anywhere.
    for cut in [all.len(), 1, 20, 24, 90, 200, all.len() / 2, all.len() - 1] {
        let mut connection: Connection = registry.endpoint().connect();
        let (first, second) = all.as_bytes().split_at(cut);
        connection.send_bytes(first).expect("the server reads");
        connection.send_bytes(second).expect("the server reads");
        for (status, content) in expected {
            let response = connection.read_response("GET", "").expect("an answer").expect(status);
            if let Some(content) = content {
                response.expect_body(content);
            }
        }
    }
}

#[test]
fn a_connection_comes_back_to_memory_after_what_memory_cannot_answer() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let (small, large) = (noise(1, 3000), noise(2, 200_000));
    let known = Request::get(repository.blob(&repository.push_blob(&small)));
    let large = Request::get(repository.blob(&repository.push_blob(&large)));
    registry.endpoint().send(&known).expect(200);
    let mut connection = registry.endpoint().connect();
    let upload = repository.post_blob(&strata_harness::sha256(b"new"), &Bytes::from_static(b"new"));
    for (other, status, comes_back) in [
        (Request::get("/v2/a/b/manifests/none"), 404, true),
        (large.clone(), 200, true),
        (large.header("range", "bytes=5-80000"), 206, true),
        (Request::post(repository.uploads()), 202, true),
        (known.clone().header("connection", "keep-alive, x"), 200, false),
        // Where a body ends is hyper's to know: the connection stays there for one exchange more.
        (upload, 201, false),
    ] {
        connection.exchange(&other).expect("an answer").expect(status);
        let before = from_memory(&registry);
        connection.exchange(&known).expect("an answer").expect(200).expect_body(&small);
        assert_eq!(from_memory(&registry) - before, u64::from(comes_back), "after {other:?}");
        connection.exchange(&known).expect("an answer").expect(200).expect_body(&small);
        assert_eq!(from_memory(&registry) - before, u64::from(comes_back) + 1, "after {other:?}");
    }
}

/// A small answer that follows large ones has to wait for its turn at the socket; the connection waits with it.
#[test]
fn no_answer_is_lost_between_hyper_and_memory() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let (small, large) = (noise(1, 3000), noise(2, 200_000));
    let known = Request::get(repository.blob(&repository.push_blob(&small)));
    let large_blob = Request::get(repository.blob(&repository.push_blob(&large)));
    registry.endpoint().send(&known).expect(200);
    // With this field the connection stays with hyper.
    let stays = large_blob.header("connection", "keep-alive, x");
    let last = [Request::get("/v2/"), Request::get("/v2/a/b/tags/list"), known];
    for count in 1..=12 {
        for in_one_piece in [false, true] {
            let mut connection = registry.endpoint().connect();
            let requests: Vec<Request> =
                std::iter::repeat_n(stays.clone(), count).chain(last.iter().cloned()).collect();
            if in_one_piece {
                let all: Vec<u8> = requests.iter().flat_map(|request| request.head_bytes("x")).collect();
                connection.send_bytes(&all).expect("the server reads");
            }
            for (at, request) in requests.iter().enumerate() {
                if !in_one_piece {
                    connection.send_bytes(&request.head_bytes("x")).expect("the server reads");
                }
                let response =
                    connection.read_response("GET", &request.target).expect("an answer").expect(200);
                match at.checked_sub(count) {
                    None => drop(response.expect_body(&large)),
                    Some(0) => drop(response.expect_body(b"{}")),
                    Some(1) => assert!(response.json().get("tags").is_some(), "{response:?}"),
                    Some(_) => drop(response.expect_body(&small)),
                }
            }
        }
    }
}

#[test]
fn a_head_longer_than_allowed_is_refused_for_what_is_in_memory_too() {
    let registry = registry!().config("[http]\nheader-size = \"8 KiB\"\n").start();
    let repository = registry.repository("a/b");
    let known = Request::get(repository.blob(&repository.push_blob(&noise(1, 3000))));
    registry.endpoint().send(&known).expect(200);
    registry.endpoint().send(&known.clone().header("accept", "a".repeat(4000))).expect(200);
    let mut connection = registry.endpoint().connect();
    connection.send_head(&known.header("accept", "a".repeat(12_000))).expect("the server reads");
    assert_eq!(connection.read_head().expect("an answer").status, 431);
}

/// A client that asks for more than its socket takes, and reads late.
#[test]
fn a_peer_that_does_not_read_gets_everything_in_the_end() {
    const REQUESTS: usize = 200;
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(1, 65_536);
    let target = repository.blob(&repository.push_blob(&bytes));
    registry.endpoint().get(target.as_str()).expect(200);
    let mut connection = registry.endpoint().connect();
    let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n");
    connection.send_bytes(request.repeat(REQUESTS).as_bytes()).expect("the requests fit");
    for _ in 0..REQUESTS {
        connection.read_response("GET", &target).expect("an answer").expect(200).expect_body(&bytes);
    }
    assert!(from_memory(&registry) >= REQUESTS as u64 / 2);
}

/// Large blobs in a row, of which no socket holds more than a part.
#[test]
fn large_blobs_leave_one_after_the_other() {
    const REQUESTS: usize = 12;
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let blobs: Vec<Bytes> =
        [65_537, 2_500_000, 9_000_001, 1 << 20].iter().map(|size| noise(3, *size)).collect();
    let requests: Vec<Request> =
        blobs.iter().map(|bytes| Request::get(repository.blob(&repository.push_blob(bytes)))).collect();
    for request in &requests {
        registry.endpoint().send(request).expect(200);
    }
    let before = from_memory(&registry);
    let mut connection = registry.endpoint().connect();
    let all: Vec<u8> =
        requests.iter().cycle().take(REQUESTS).flat_map(|request| request.head_bytes("x")).collect();
    connection.send_bytes(&all).expect("the requests fit");
    for bytes in blobs.iter().cycle().take(REQUESTS) {
        connection.read_response("GET", "").expect("an answer").expect(200).expect_body(bytes);
    }
    assert_eq!(from_memory(&registry) - before, REQUESTS as u64);
}

#[test]
fn a_file_that_was_cut_is_not_begun() {
    let registry = registry!().damaged_at_end().start();
    let repository = registry.repository("a/b");
    let target = repository.blob(&repository.push_blob(&noise(1, 1_000_000)));
    let before = from_memory(&registry);
    for _ in 0..3 {
        registry.endpoint().get(target.as_str()).expect(200);
    }
    assert_eq!(from_memory(&registry) - before, 2);
    let path = registry.data().join(&registry.blob_files()[0]);
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("the file is there");
    file.set_len(999_999).expect("the file can be cut");
    registry.endpoint().get(target.as_str()).expect(404);
    registry.endpoint().head(target).expect(404);
}

/// What is kept of large blobs are not open files: those are as many as they may be, whatever is asked for.
#[test]
fn answers_of_files_keep_no_file_open() {
    const FILES: usize = 4;
    let registry = registry!().config(&format!("[storage]\nopen-files = {FILES}\n")).start();
    let repository = registry.repository("a/b");
    let blobs: Vec<Bytes> = (0..40).map(|seed| noise(seed, 70_000)).collect();
    let targets: Vec<String> =
        blobs.iter().map(|bytes| repository.blob(&repository.push_blob(bytes))).collect();
    let mut connection = registry.endpoint().connect();
    for _ in 0..3 {
        for (target, bytes) in targets.iter().zip(&blobs) {
            let request = Request::get(target.as_str());
            for _ in 0..2 {
                connection.exchange(&request).expect("an answer").expect(200).expect_body(bytes);
            }
        }
    }
    assert!(from_memory(&registry) > 0, "a file that is open is sent at once");
    let id = registry.process().id();
    let is_blob = |path: std::path::PathBuf| path.to_string_lossy().contains("/blobs/");
    let open = std::fs::read_dir(format!("/proc/{id}/fd"))
        .expect("the descriptors can be listed")
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|path| is_blob(path.clone()))
        .count();
    assert!(open <= FILES, "{open} files of blobs are open");
}

#[test]
fn who_takes_nothing_of_a_large_blob_is_cut_off() {
    let registry = registry!().config("[http]\nwrite-stall = \"1s\"\n").start();
    let repository = registry.repository("a/b");
    let request = Request::get(repository.blob(&repository.push_blob(&noise(1, 64 << 20))));
    registry.endpoint().send(&request).expect(200);
    let before = from_memory(&registry);
    let mut stuck = registry.endpoint().connect();
    stuck.send(&request).expect("the request is taken");
    assert_eq!(stuck.read_head().expect("a head").status, 200);
    assert_eq!(from_memory(&registry) - before, 1);
    strata_harness::wait::until("the stuck one to be cut off", std::time::Duration::from_secs(20), || {
        let text = String::from_utf8_lossy(&registry.endpoint().get("/metrics").body).into_owned();
        text.lines()
            .any(|line| line.starts_with("strata_http_write_stalls_total") && line.ends_with(" 1"))
            .then_some(())
    });
    assert!(stuck.read_exact(64 << 20).is_err());
    registry.endpoint().send(&request).expect(200);
}

#[test]
fn large_blobs_are_not_kept_where_the_kernel_does_not_send() {
    let registry = registry!().env("STRATA_HTTP_ZERO_COPY", "off").start();
    let repository = registry.repository("a/b");
    let bytes = noise(1, 300_000);
    let request = Request::get(repository.blob(&repository.push_blob(&bytes)));
    let mut connection = registry.endpoint().connect();
    for _ in 0..4 {
        connection.exchange(&request).expect("an answer").expect(200).expect_body(&bytes);
    }
    assert_eq!(from_memory(&registry), 0);
}

/// Requests put together at random, to a server that answers from memory and to one that never does.
#[test]
fn with_and_without_memory_all_answers_are_the_same() {
    let with = registry!().config(IMPATIENT).start();
    let without = registry!().config(IMPATIENT).env("STRATA_HTTP_HOT_MEMORY", "0").start();
    let (bytes, image) = (noise(1, 700), Image::small(1));
    for registry in [&with, &without] {
        let repository = registry.repository("a/b");
        repository.push_blob(&bytes);
        repository.push_image("v1", &image);
    }
    let blob = with.repository("a/b").blob(&strata_harness::sha256(&bytes));
    let targets = [
        blob.clone(),
        blob.clone(),
        blob.clone(),
        "/v2/a/b/manifests/v1".to_owned(),
        "/v2/a/b/manifests/v1".to_owned(),
        format!("{blob}?ns=docker.io"),
        blob.replace("sha256:", "sha256%3A"),
        blob.replace("/v2/", "//v2/"),
        "/v2/a/b/manifests/v1".to_owned(),
        "/v2/a/b/manifests/v2".to_owned(),
        "/v2/".to_owned(),
        "*".to_owned(),
    ];
    let methods = ["GET", "GET", "GET", "HEAD", "DELETE", "get", "OPTIONS"];
    let versions = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", ""];
    let harmless = ["host: x\r\n", "Accept: */*\r\n", "user-agent: a\tb\r\n", "connection: keep-alive\r\n"];
    let fields = [
        harmless[0],
        harmless[0],
        harmless[0],
        harmless[1],
        harmless[1],
        harmless[1],
        harmless[2],
        harmless[2],
        harmless[3],
        harmless[3],
        "connection: close\r\n",
        "range: bytes=1-2\r\n",
        "if-none-match: *\r\n",
        "content-length: 0\r\n",
        "content-length: 3\r\n",
        "transfer-encoding: chunked\r\n",
        "expect: 100-continue\r\n",
        "x-request-id: a b\r\n",
        "x: \u{0}\r\n",
        "no colon\r\n",
        " folded: x\r\n",
        "accept:\n",
    ];
    let ends = ["\r\n", "\r\n", "\r\n", "\r\n", "\n", "", "abc", "0\r\n\r\n"];
    let mut random = Random::new(7);
    let mut pick = |options: usize| usize::try_from(random.below(options as u64)).expect("small");
    let texts: Vec<String> = (0..250)
        .map(|_| {
            let mut text = String::new();
            for _ in 0..=pick(3) {
                // A DELETE of what is there would change what the next one finds.
                let (method, target) = (methods[pick(methods.len())], &targets[pick(targets.len())]);
                let target = if method == "DELETE" { "/v2/a/b/manifests/none" } else { target };
                text += &[method, " ", target, " ", versions[pick(versions.len())], "\r\n"].concat();
                for _ in 0..pick(4) {
                    text += fields[pick(fields.len())];
                }
                text += ends[pick(ends.len())];
            }
            text + LAST
        })
        .collect();
    std::thread::scope(|scope| {
        for share in texts.chunks(10) {
            let (with, without) = (&with, &without);
            scope.spawn(move || {
                for text in share {
                    let [first, second] = [with, without].map(|registry| answers(registry, text.as_bytes()));
                    assert_eq!(first, second, "{text:?}");
                }
            });
        }
    });
    let kept = from_memory(&with);
    assert!(kept >= 5, "of the requests only {kept} were of the kind that is kept");
}

/// Everything that comes back for `bytes`, without what is of the moment.
fn answers(registry: &TestRegistry, bytes: &[u8]) -> Vec<String> {
    let mut connection = registry.endpoint().connect();
    // The server may close before everything is written.
    let _ = connection.send_bytes(bytes);
    let text = connection.read_to_end().unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut lines: Vec<String> = text
        .split("\r\n")
        .filter(|line| !OF_THE_MOMENT.iter().any(|name| line.starts_with(&format!("{name}: "))))
        .map(str::to_owned)
        .collect();
    // Fields may come in any order.
    lines.sort();
    lines
}
