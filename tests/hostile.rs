//! Requests spoiled at random: whatever comes, the server lives, nobody else notices, and nothing that was stored changes.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a failed expectation is a failed test")]

use bytes::Bytes;
use strata_harness::image::OCI_MANIFEST;
use strata_harness::random::noise;
use strata_harness::{Image, Random, Repository, Request, registry, sha256};

/// Spoiled requests of one run.
const REQUESTS: u64 = 3000;

/// Good requests of every kind, as bytes.
fn templates(repository: &Repository, image: &Image) -> Vec<Vec<u8>> {
    let small = noise(1, 300);
    let digest = sha256(&small);
    let requests = [
        Request::get("/v2/"),
        Request::get(repository.target("tags/list?n=5&last=a")),
        Request::get(repository.manifest("latest")),
        Request::get(repository.blob(&sha256(&image.layers[0]))).header("range", "bytes=5-9,20-40,-7"),
        Request::get(repository.target(&format!("referrers/{digest}?artifactType=a/b"))),
        Request::get("/v2/_catalog?n=3"),
        Request::post(repository.uploads()),
        Request::post(format!("{}?mount={digest}&from=a/other", repository.uploads())),
        repository.post_blob(&digest, &small),
        Request::post(format!("{}?digest={digest}", repository.uploads())).chunked(&small, 50),
        Request::patch(repository.uploads()).header("content-range", "0-299").body(small.clone()),
        repository.put_manifest("other", &image.manifest),
        Request::delete(repository.manifest("nothing")),
        Request::put(repository.manifest("bad"))
            .header("content-type", OCI_MANIFEST)
            .body(Bytes::from_static(b"{}")),
    ];
    requests.iter().map(raw).collect()
}

fn raw(request: &Request) -> Vec<u8> {
    let mut bytes = request.head_bytes("127.0.0.1");
    match &request.body {
        strata_harness::Body::Empty => {}
        strata_harness::Body::Sized(body) => bytes.extend_from_slice(body),
        strata_harness::Body::Chunked(chunks) => {
            for chunk in chunks {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
    }
    bytes
}

/// Changes a few bytes, leaves some out, says some twice, or cuts the end.
fn spoil(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len() as u64) as usize;
        let until = (at + 1 + random.below(12) as usize).min(bytes.len());
        match random.below(6) {
            0 => bytes[at] = random.next_u64() as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => drop(bytes.drain(at..until)),
            3 => {
                let again = bytes[at..until].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let special: [&[u8]; 8] =
                    [b"\r\n", b"\0", b"%00", b"..", b"\r", b"\n\n", b"99999999999999999999", b"\xff"];
                bytes.splice(at..at, special[random.below(8) as usize].iter().copied());
            }
            _ => bytes.truncate(at),
        }
    }
}

#[test]
fn spoiled_requests() {
    let seed = 20_261_121;
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(2);
    repository.push_image("latest", &image);
    let templates = templates(&repository, &image);
    let mut open = std::collections::VecDeque::new();
    for number in 0..REQUESTS {
        let mut bytes = templates[random.below(templates.len() as u64) as usize].clone();
        spoil(&mut random, &mut bytes);
        let mut connection = registry.endpoint().connect();
        // The server may refuse and close before everything is written.
        let _ = connection.send_bytes(&bytes);
        open.push_back(connection);
        if open.len() > 50 {
            open.pop_front();
        }
        if number % 200 == 0 {
            registry.endpoint().get("/v2/").expect(200);
        }
    }
    repository.expect_manifest("latest", &image.manifest);
    for blob in image.blobs() {
        repository.expect_blob(&sha256(blob), blob);
    }
    // Whatever was made of the rest, it can be listed and read.
    let catalog = registry.endpoint().get("/v2/_catalog").expect(200);
    for name in strata_harness::repository::strings(&catalog, "repositories") {
        let found = registry.repository(&name);
        for tag in found.tags() {
            let response = registry.endpoint().get(found.manifest(&tag)).expect(200);
            assert_eq!(response.header("docker-content-digest"), Some(sha256(&response.body).as_str()));
        }
    }
}

#[test]
fn spoiled_frames_of_http2() {
    let mut random = Random::new(20_261_122);
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(3, 100_000);
    let digest = repository.push_blob(&bytes);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // SETTINGS; HEADERS of "GET /" by the static table; DATA; WINDOW_UPDATE; RST_STREAM; PING; GOAWAY; CONTINUATION.
    let frames: [&[u8]; 8] = [
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"\x00\x00\x04\x01\x05\x00\x00\x00\x01\x82\x84\x86\x41",
        b"\x00\x00\x05\x00\x01\x00\x00\x00\x01hello",
        b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\xff\xff",
        b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08",
        b"\x00\x00\x08\x06\x00\x00\x00\x00\x00pingping",
        b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00",
        b"\x00\x00\x02\x09\x04\x00\x00\x00\x01\x82\x84",
    ];
    let mut open = std::collections::VecDeque::new();
    for _ in 0..1000 {
        let mut sent = preface.to_vec();
        sent.extend_from_slice(frames[0]);
        for _ in 0..random.below(12) {
            let mut frame = frames[random.below(frames.len() as u64) as usize].to_vec();
            if random.below(3) == 0 {
                spoil(&mut random, &mut frame);
            }
            sent.extend_from_slice(&frame);
        }
        let mut connection = registry.endpoint().connect();
        // The server may refuse and close before everything is written.
        let _ = connection.send_bytes(&sent);
        open.push_back(connection);
        if open.len() > 50 {
            open.pop_front();
        }
    }
    repository.expect_blob(&digest, &bytes);
    let mut client = strata_harness::http2::Client::h2c(registry.endpoint());
    client.send(&Request::get(repository.blob(&digest))).expect(200).expect_body(&bytes);
}
