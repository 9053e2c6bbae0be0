//! Blobs come out: whole, in ranges, under conditions, exact to the byte whatever their size.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use strata_harness::random::noise;
use strata_harness::{Algorithm, Repository, Request, Response, registry};

/// From segments, from files, below and above every buffer.
const SIZES: [usize; 4] = [2048, 65_536, 65_537, 3_000_001];

#[track_caller]
fn ranged(repository: &Repository, digest: &str, range: &str) -> Response {
    repository.endpoint.send(&Request::get(repository.blob(digest)).header("range", range))
}

/// Asserts a single part, in `GET` and `HEAD`.
#[track_caller]
fn expect_part(repository: &Repository, digest: &str, bytes: &Bytes, range: &str, first: usize, last: usize) {
    let part = bytes.slice(first..=last);
    let response = ranged(repository, digest, range)
        .expect(206)
        .expect_header("content-range", format!("bytes {first}-{last}/{}", bytes.len()))
        .expect_header("content-length", part.len().to_string())
        .expect_header("docker-content-digest", digest)
        .expect_header("accept-ranges", "bytes")
        .expect_header("content-type", "application/octet-stream");
    response.expect_body(&part);
}

#[test]
fn one_range() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for algorithm in Algorithm::ALL {
        for size in SIZES {
            let bytes = noise(1, size);
            let digest = repository.push_blob_as(algorithm, &bytes);
            let end = size - 1;
            let parts = [
                ("bytes=500-1499", 500, 1499),
                ("bytes=0-0", 0, 0),
                ("bytes=500-", 500, end),
                ("bytes=-500", size - 500, end),
                ("bytes=2000-999999999", 2000, end),
                ("bytes=0-18446744073709551615", 0, end),
                ("bytes=0-99999999999999999999999", 0, end),
                ("bytes=-99999999999999999999999", 0, end),
                ("bytes=0-", 0, end),
                ("Bytes=1-2", 1, 2),
                (" bytes=1-2 ", 1, 2),
            ];
            for (range, first, last) in parts {
                expect_part(&repository, &digest, &bytes, range, first, last);
            }
            expect_part(&repository, &digest, &bytes, &format!("bytes={end}-{end}"), end, end);
        }
    }
}

#[test]
fn ranges_that_name_nothing() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for size in SIZES {
        let bytes = noise(2, size);
        let digest = repository.push_blob(&bytes);
        let beyond = format!("bytes={size}-");
        for range in
            ["bytes=99999999-100000000", "bytes=-0", beyond.as_str(), "bytes=500-0", "bytes=9999999-,-0"]
        {
            let response = ranged(&repository, &digest, range);
            assert_eq!(response.status, 416, "{range}: {response:?}");
            response
                .expect_error(416, "RANGE_INVALID")
                .expect_header("content-range", format!("bytes */{size}"));
        }
        // What is no range of bytes at all is as if it were not there.
        for range in [
            "items=0-1",
            "bytes",
            "bytes=",
            "bytes=a-b",
            "bytes=1",
            "bytes=--1",
            "bytes=1-2;3",
            "0-1",
            "bytes=+1-2",
        ] {
            ranged(&repository, &digest, range).expect(200).expect_body(&bytes);
        }
    }
    let empty = repository.push_blob(&Bytes::new());
    for range in ["bytes=0-0", "bytes=0-", "bytes=-1"] {
        let response = ranged(&repository, &empty, range);
        assert!(matches!(response.status, 200 | 416), "{response:?}");
    }
}

/// Takes a `multipart/byteranges` body apart: for each part its `Content-Range` and bytes.
#[track_caller]
fn parts_of(response: &Response) -> Vec<(String, Bytes)> {
    let content_type = response.header("content-type").expect("a type").to_owned();
    let boundary =
        content_type.strip_prefix("multipart/byteranges; boundary=").expect("a boundary").trim_matches('"');
    let (delimiter, end) = (format!("--{boundary}\r\n"), format!("--{boundary}--"));
    let mut rest = response.body.clone();
    let mut parts = Vec::new();
    loop {
        if let Some(blank) = rest.strip_prefix(b"\r\n") {
            rest = rest.slice_ref(blank);
        }
        if rest.starts_with(end.as_bytes()) {
            let tail = &rest[end.len()..];
            assert!(tail.is_empty() || tail == b"\r\n", "an epilogue: {tail:?}");
            return parts;
        }
        assert!(rest.starts_with(delimiter.as_bytes()), "no delimiter where a part begins");
        rest = rest.slice(delimiter.len()..);
        let head_end =
            rest.windows(4).position(|window| window == b"\r\n\r\n").expect("the part's header ends");
        let head = String::from_utf8_lossy(&rest[..head_end]).to_lowercase();
        let range = head
            .lines()
            .find_map(|line| line.strip_prefix("content-range: bytes "))
            .expect("a range")
            .to_owned();
        assert!(head.contains("content-type: application/octet-stream"), "{head}");
        let (span, _) = range.split_once('/').expect("a total");
        let (first, last) = span.split_once('-').expect("a span");
        let length = last.parse::<usize>().expect("a number") - first.parse::<usize>().expect("a number") + 1;
        rest = rest.slice(head_end + 4..);
        parts.push((range, rest.slice(..length)));
        rest = rest.slice(length..);
    }
}

#[test]
fn several_ranges() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for size in SIZES {
        let bytes = noise(3, size);
        let digest = repository.push_blob(&bytes);
        let response = ranged(&repository, &digest, "bytes=0-99, 1000-1099,-10").expect(206);
        assert_eq!(response.header("content-length"), Some(response.body.len().to_string().as_str()));
        assert_eq!(response.header("docker-content-digest"), Some(digest.as_str()));
        let expected = [(0, 99), (1000, 1099), (size - 10, size - 1)]
            .map(|(first, last)| (format!("{first}-{last}/{size}"), bytes.slice(first..=last)));
        assert_eq!(parts_of(&response), expected);
        // Ranges beyond the end are left out; one that is left over is a plain part.
        expect_part(&repository, &digest, &bytes, "bytes=7-8,99999999-", 7, 8);
        // Overlaps are sent once: an answer is never larger than the blob.
        let overlap = vec!["0-"; 100].join(",");
        let response = ranged(&repository, &digest, &format!("bytes={overlap}"));
        assert!(response.body.len() <= size + 1000, "{} bytes of {size}", response.body.len());
    }
}

#[test]
fn a_thousand_ranges() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(4, 3_000_000);
    let digest = repository.push_blob(&bytes);
    let spans: Vec<(usize, usize)> = (0..1000).map(|number| (number * 3000, number * 3000 + 4)).collect();
    let list: Vec<String> = spans.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    let response = ranged(&repository, &digest, &format!("bytes={}", list.join(",")));
    if response.status == 200 {
        response.expect(200).expect_body(&bytes);
        return;
    }
    let response = response.expect(206);
    let parts = parts_of(&response);
    assert_eq!(parts.len(), spans.len());
    for ((first, last), (range, part)) in spans.into_iter().zip(parts) {
        assert_eq!((range, part), (format!("{first}-{last}/{}", bytes.len()), bytes.slice(first..=last)));
    }
}

#[test]
fn conditions() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for size in SIZES {
        let bytes = noise(5, size);
        let digest = repository.push_blob(&bytes);
        let etag = format!("\"{digest}\"");
        let ask = |name: &str, value: &str| {
            registry.endpoint().send(&Request::get(repository.blob(&digest)).header(name, value))
        };
        let many = format!("\"other\", {etag}");
        for known in [etag.as_str(), "*", many.as_str(), digest.as_str()] {
            let response =
                ask("if-none-match", known).expect(304).expect_header("etag", &etag).expect_body(b"");
            assert!(
                response.header("content-length").is_none_or(|length| length == size.to_string()),
                "{response:?}"
            );
        }
        ask("if-none-match", "\"other\"").expect(200).expect_body(&bytes);
        ask("if-match", &etag).expect(200).expect_body(&bytes);
        let failed = ask("if-match", "\"other\"");
        assert_eq!(failed.status, 412, "{failed:?}");
        ask("if-modified-since", "Sat, 01 Jan 2050 00:00:00 GMT").expect(200).expect_body(&bytes);
        let resumed = |tag: &str| {
            let request =
                Request::get(repository.blob(&digest)).header("range", "bytes=10-").header("if-range", tag);
            registry.endpoint().send(&request)
        };
        resumed(&etag).expect(206).expect_body(&bytes[10..]);
        resumed("\"other\"").expect(200).expect_body(&bytes);
    }
}

#[test]
fn content_is_never_encoded() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for size in SIZES {
        let bytes = Bytes::from(vec![b'a'; size]);
        let digest = repository.push_blob(&bytes);
        let request = Request::get(repository.blob(&digest))
            .header("accept-encoding", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5")
            .header("accept", "application/vnd.oci.image.layer.v1.tar+gzip, */*");
        let response = registry.endpoint().send(&request).expect(200).expect_no_header("content-encoding");
        response.expect_header("content-length", size.to_string()).expect_body(&bytes);
    }
}

#[test]
fn head_takes_no_range() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(6, 100_000);
    let digest = repository.push_blob(&bytes);
    let request = Request::head(repository.blob(&digest)).header("range", "bytes=0-9");
    let response = registry.endpoint().send(&request);
    assert!(matches!(response.status, 200 | 206), "{response:?}");
    let length = if response.status == 200 { "100000" } else { "10" };
    assert_eq!(response.header("content-length"), Some(length), "{response:?}");
}

#[test]
fn what_is_not_there() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for algorithm in Algorithm::ALL {
        repository.expect_no_blob(&algorithm.unknown());
        registry.repository("never/pushed").expect_no_blob(&algorithm.unknown());
        ranged(&repository, &algorithm.unknown(), "bytes=0-1").expect_error(404, "BLOB_UNKNOWN");
    }
}

#[test]
fn the_source_of_a_mirror_may_be_named() {
    let registry = registry!().start();
    let repository = registry.repository("library/busybox");
    let bytes = noise(7, 100);
    let digest = repository.push_blob(&bytes);
    let target = format!("{}?ns=docker.io", repository.blob(&digest));
    registry.endpoint().get(target).expect(200).expect_body(&bytes);
}
