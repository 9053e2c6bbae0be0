//! Calls that are wrong: each gets its exact code, nothing is lost, and nothing is left behind.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use std::time::Duration;
use strata_harness::grpc::tonic::Code;
use strata_harness::grpc::{Grpc, channel, refusal, run, stream, v1, write_messages};
use strata_harness::http2::Client;
use strata_harness::random::noise;
use strata_harness::{Endpoint, Request, TestRegistry, registry, sha256, wait};
use v1::blobs_write_request::Part;

const REPOSITORY: &str = "demo/image";

fn start(digest: &str) -> v1::BlobsWriteStart {
    v1::BlobsWriteStart { repository: REPOSITORY.into(), digest: digest.into(), ..Default::default() }
}

async fn session(grpc: &Grpc) -> String {
    let asked = v1::BlobsStartWriteRequest { repository: REPOSITORY.into(), ..Default::default() };
    grpc.blobs().start_write(asked).await.expect("a session").into_inner().session
}

async fn offset(grpc: &Grpc, session: &str) -> u64 {
    let asked = v1::BlobsWriteStatusRequest { repository: REPOSITORY.into(), session: session.into() };
    grpc.blobs().write_status(asked).await.expect("a status").into_inner().offset
}

async fn send(grpc: &Grpc, parts: Vec<Option<Part>>) -> (Code, String) {
    let messages = parts.into_iter().map(|part| v1::BlobsWriteRequest { part });
    refusal(grpc.blobs().write(stream::iter(messages.collect::<Vec<_>>())).await)
}

#[expect(clippy::unnecessary_wraps, reason = "a message may have no part, and these are lists of parts")]
fn data(bytes: &'static [u8]) -> Option<Part> {
    Some(Part::Data(Bytes::from_static(bytes)))
}

/// The value of one of the server's figures.
fn figure(registry: &TestRegistry, name: &str) -> u64 {
    let metrics = registry.endpoint().get("/metrics");
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    line.and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}

fn expect_figure(registry: &TestRegistry, name: &str, value: u64) {
    let bound = Duration::from_secs(20);
    wait::until(&format!("{name} to be {value}"), bound, || (figure(registry, name) == value).then_some(()));
}

#[test]
fn messages_out_of_order_are_refused_and_a_session_stays_as_it_is() {
    let registry = registry!().grpc().start();
    run(async {
        let grpc = registry.grpc();
        let digest = sha256(b"abc");
        let finish = |digest: &str| Some(Part::Finish(v1::BlobsWriteFinish { digest: digest.into() }));
        let begin = |digest: &str| Some(Part::Start(start(digest)));
        let invalid = |reason: &str| (Code::InvalidArgument, reason.to_owned());
        for (parts, expected) in [
            (vec![], invalid("REQUEST_INVALID")),
            (vec![None], invalid("REQUEST_INVALID")),
            (vec![data(b"abc")], invalid("REQUEST_INVALID")),
            (vec![begin(&digest), begin(&digest)], invalid("REQUEST_INVALID")),
            (vec![begin(&digest), data(b"abc"), finish(&digest)], invalid("REQUEST_INVALID")),
            (vec![begin(&digest), None], invalid("REQUEST_INVALID")),
            (vec![begin(""), data(b"abc")], invalid("DIGEST_INVALID")),
            (vec![begin("sha256:no"), data(b"abc")], invalid("DIGEST_INVALID")),
            (vec![begin(&digest), data(b"abd")], invalid("DIGEST_INVALID")),
        ] {
            let what = format!("{parts:?}");
            assert_eq!(send(&grpc, parts).await, expected, "{what}");
        }
        let id = session(&grpc).await;
        let part = |offset, size| {
            Some(Part::Start(v1::BlobsWriteStart { session: id.clone(), offset, size, ..start("") }))
        };
        for (parts, reason) in [
            (vec![part(0, None), finish(&digest), data(b"abc")], "REQUEST_INVALID"),
            (vec![part(0, None), finish("sha256:no")], "DIGEST_INVALID"),
            (vec![part(0, None), begin("")], "REQUEST_INVALID"),
        ] {
            assert_eq!(send(&grpc, parts).await, invalid(reason));
            assert_eq!(offset(&grpc, &id).await, 0);
        }
        // Lying totals: what came is kept, up to what was announced.
        assert_eq!(send(&grpc, vec![part(0, Some(5)), data(b"abc")]).await, invalid("SIZE_INVALID"));
        assert_eq!(offset(&grpc, &id).await, 3);
        assert_eq!(send(&grpc, vec![part(3, Some(2)), data(b"defg")]).await, invalid("SIZE_INVALID"));
        assert_eq!(offset(&grpc, &id).await, 5);
        // Wrong offsets.
        for wrong in [0, 4, 6, u64::MAX] {
            let outcome = send(&grpc, vec![part(wrong, None), data(b"x")]).await;
            assert_eq!(outcome, (Code::OutOfRange, "RANGE_INVALID".to_owned()), "{wrong}");
        }
        // Nothing was lost: it goes on, and a digest that was not known at the start ends it.
        let whole = sha256(b"abcdefg");
        let messages =
            [part(5, None), data(b"fg"), finish(&whole)].map(|part| v1::BlobsWriteRequest { part });
        let written = grpc.blobs().write(stream::iter(messages)).await.expect("written").into_inner();
        assert_eq!((written.digest, written.offset), (whole, 7));
        let unknown = v1::BlobsWriteStart { session: "0".repeat(32), ..start("") };
        let outcome = refusal(grpc.write(unknown, b"x", 1).await);
        assert_eq!(outcome, (Code::NotFound, "BLOB_UPLOAD_UNKNOWN".to_owned()));
    });
    expect_figure(&registry, "strata_store_uploads_open", 0);
}

#[test]
fn two_writers_at_one_session_are_told_apart() {
    let registry = registry!().grpc().start();
    run(async {
        let grpc = registry.grpc();
        let id = session(&grpc).await;
        let begin = v1::BlobsWriteStart { session: id.clone(), ..start("") };
        let (sender, messages) = channel();
        sender.send(write_messages(begin.clone(), b"abc", 3).remove(0)).expect("a start");
        let client = grpc.clone();
        let first = tokio::spawn(async move { client.blobs().write(messages).await });
        // Until the first one has the session. Not by asking for it: whoever asks has it for a moment, and would be in its way.
        wait_open(&registry, 1);
        let outcome = refusal(grpc.write(begin.clone(), b"xyz", 3).await);
        assert_eq!(outcome, (Code::Aborted, "RANGE_INVALID".to_owned()));
        sender.send(v1::BlobsWriteRequest { part: data(b"abc") }).expect("data");
        drop(sender);
        let written = first.await.expect("no panic").expect("the first one writes").into_inner();
        assert_eq!(written.offset, 3);
        // Whoever may push may cancel it; a writer is told at its next word.
        let (sender, messages) = channel();
        let again = v1::BlobsWriteStart { offset: 3, ..begin };
        sender.send(write_messages(again, b"", 1).remove(0)).expect("a start");
        let client = grpc.clone();
        let writer = tokio::spawn(async move { client.blobs().write(messages).await });
        let cancel = v1::BlobsCancelWriteRequest { repository: REPOSITORY.into(), session: id.clone() };
        grpc.blobs().cancel_write(cancel.clone()).await.expect("cancelled");
        drop(sender);
        let outcome = refusal(writer.await.expect("no panic"));
        assert_eq!(outcome, (Code::NotFound, "BLOB_UPLOAD_UNKNOWN".to_owned()));
        assert_eq!(refusal(grpc.blobs().cancel_write(cancel).await).0, Code::NotFound);
    });
    expect_figure(&registry, "strata_store_uploads_open", 0);
}

#[test]
fn what_is_too_large_is_refused_and_the_connection_goes_on() {
    let registry = registry!().grpc().start();
    run(async {
        let grpc = registry.grpc();
        let large = noise(1, 5 << 20);
        let asked = v1::ManifestsPutRequest {
            repository: REPOSITORY.into(),
            content: large.clone(),
            tags: vec!["v1".into()],
            ..Default::default()
        };
        let outcome = refusal(grpc.manifests().put(asked).await);
        assert_eq!(outcome, (Code::InvalidArgument, "TOO_LARGE".to_owned()));
        let outcome = refusal(grpc.write(start(&sha256(&large)), &large, 5 << 20).await);
        assert_eq!(outcome, (Code::InvalidArgument, "TOO_LARGE".to_owned()));
        // A manifest of its own limit fits into a message, one that is larger does not become one.
        let asked = |len, tags: usize| v1::ManifestsPutRequest {
            repository: REPOSITORY.into(),
            content: Bytes::from(vec![b' '; len]),
            tags: (0..tags).map(|number| format!("v{number}")).collect(),
            ..Default::default()
        };
        let outcome = refusal(grpc.manifests().put(asked(4 << 20, 1)).await);
        assert_eq!(outcome, (Code::InvalidArgument, "MANIFEST_INVALID".to_owned()));
        let outcome = refusal(grpc.manifests().put(asked((4 << 20) + 1, 1)).await);
        assert_eq!(outcome, (Code::InvalidArgument, "TOO_LARGE".to_owned()));
        let outcome = refusal(grpc.manifests().put(asked(2, 100_000)).await);
        assert_eq!(outcome, (Code::InvalidArgument, "TOO_LARGE".to_owned()));
        let outcome = refusal(grpc.manifests().put(asked(2, 0)).await);
        assert_eq!(outcome, (Code::InvalidArgument, "MANIFEST_INVALID".to_owned()));
        grpc.write(start(&sha256(&large)), &large, 1 << 20).await.expect("in smaller pieces it is taken");
    });
}

#[test]
fn a_client_that_goes_away_leaves_nothing_behind() {
    let registry = registry!().grpc().start();
    let content = noise(2, 8 << 20);
    let digest = sha256(&content);
    run(async {
        let grpc = registry.grpc();
        grpc.write(start(&digest), &content, 1 << 20).await.expect("written");
        // Writers in the middle, with a session and without.
        let id = session(&grpc).await;
        let mut writers = Vec::new();
        let mut kept = Vec::new();
        for number in 0..8 {
            let (sender, messages) = channel();
            let begin = if number == 0 {
                v1::BlobsWriteStart { session: id.clone(), ..start("") }
            } else {
                start(&sha256(b"never"))
            };
            for message in write_messages(begin, &content[..1 << 20], 1 << 18) {
                sender.send(message).expect("sent");
            }
            let client = grpc.clone();
            writers.push(tokio::spawn(async move { client.blobs().write(messages).await }));
            kept.push(sender);
        }
        // Readers that take one piece and no more.
        let mut readers = Vec::new();
        for _ in 0..8 {
            let asked = v1::BlobsReadRequest {
                repository: REPOSITORY.into(),
                digest: digest.clone(),
                ..Default::default()
            };
            // Each on a connection of its own: what one does not take holds back the others of its connection.
            let mut pieces = registry.grpc().blobs().read(asked).await.expect("a reader").into_inner();
            assert!(pieces.message().await.expect("a piece").is_some());
            readers.push(pieces);
        }
        wait_open(&registry, 8);
        for writer in writers {
            writer.abort();
        }
        drop((kept, readers, grpc));
    });
    expect_figure(&registry, "strata_store_uploads_open", 0);
    expect_figure(&registry, "strata_grpc_requests_in_flight", 0);
    // The session goes on from wherever it came to.
    run(async {
        let grpc = registry.grpc();
        let asked = v1::BlobsStatRequest { repository: REPOSITORY.into(), digest: sha256(b"never") };
        assert_eq!(refusal(grpc.blobs().stat(asked).await).0, Code::NotFound);
    });
}

/// Waits until so many writers are at work.
fn wait_open(registry: &TestRegistry, count: u64) {
    let name = "strata_store_uploads_open";
    let bound = Duration::from_secs(20);
    wait::until("all uploads to be open", bound, || (figure(registry, name) >= count).then_some(()));
}

#[test]
fn what_is_not_grpc_is_told_so() {
    let registry = registry!().grpc().start();
    let strata_harness::grpc::GrpcAddress::Tcp(address) = registry.grpc_addresses()[0].clone() else {
        panic!("a port")
    };
    let mut client = Client::h2c(Endpoint::new(address, false));
    let check = "/grpc.health.v1.Health/Check";
    assert_eq!(client.send(&Request::get(check)).status, 405);
    assert_eq!(
        client.send(&Request::post(check).header("content-type", "application/json").body("{}")).status,
        415
    );
    assert_eq!(
        client.send(&Request::post(check).header("content-type", "application/grpc-web").body("")).status,
        415
    );
    let call = |path: &str, body: &'static [u8]| {
        Request::post(path)
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers")
            .body(body)
    };
    let healthy = client.send(&call(check, &[0, 0, 0, 0, 0]));
    assert_eq!((healthy.status, &healthy.body[..]), (200, &[0, 0, 0, 0, 2, 8, 1][..]));
    let unknown = client.send(&call("/no.such.Service/Method", &[0, 0, 0, 0, 0]));
    assert_eq!((unknown.status, unknown.header("grpc-status")), (200, Some("12")));
    let method = client.send(&call("/strata.registry.v1.Blobs/Eat", &[0, 0, 0, 0, 0]));
    assert_eq!(method.header("grpc-status"), Some("12"));
    // A message that is none, one that is said to be compressed, one that is said to be of four gigabytes.
    for (body, code) in [
        (&[0, 0, 0, 0, 2, 0xff, 0xff][..], "3"),
        (&[1, 0, 0, 0, 0], "3"),
        (&[0, 0xff, 0xff, 0xff, 0xff, 1], "3"),
        // Only the beginning of one, and none at all.
        (&[0, 0, 0, 0, 9, 10], "3"),
        (&[], "3"),
    ] {
        let refused = client.send(&call("/strata.registry.v1.Blobs/Stat", body));
        assert_eq!(refused.header("grpc-status"), Some(code), "{body:?}: {refused:?}");
        assert!(refused.header("grpc-status-details-bin").is_some(), "{body:?}: {refused:?}");
    }
    assert!(
        unknown.header("grpc-status-details-bin").is_some()
            && method.header("grpc-status-details-bin").is_some()
    );
    // Nothing of that is the server's fault.
    let codes = ["error_code=\"REQUEST_INVALID\"", "error_code=\"EXTENSION_UNKNOWN\""];
    let log = wait::until("the log to name the codes", wait::SOON, || {
        Some(registry.log()).filter(|log| codes.iter().all(|code| log.contains(code)))
    });
    assert!(!log.contains("ERROR"), "{log}");
    // Another protocol is shown the door, and the next connection is served.
    assert!(Endpoint::new(address, false).try_send(&Request::get("/v2/")).is_err());
    let again = Client::h2c(Endpoint::new(address, false)).send(&call(check, &[0, 0, 0, 0, 0]));
    assert_eq!(again.status, 200);
}
