//! What messages take in memory: nothing while their writer waits for its client, and what strangers announce is not taken from those who are known.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use serde_json::json;
use std::time::Duration;
use strata_harness::grpc::tonic::Code;
use strata_harness::grpc::{GrpcAddress, channel, refusal, run, v1, write_messages};
use strata_harness::http2::Client;
use strata_harness::random::noise;
use strata_harness::{Endpoint, Request, registry, sha256, wait};

const PUT: &str = "/strata.registry.v1.Manifests/Put";
/// Nearly the largest message.
const ANNOUNCED: u32 = 4 << 20;

#[test]
fn what_strangers_announce_takes_no_room_from_others() {
    let registry = registry!().accounts().env("STRATA_GRPC_MESSAGE_MEMORY", "32 MiB").grpc().start();
    let request = Request::post("/api/v1/registries").header("content-type", "application/json");
    assert_eq!(registry.admin().send(&request.body(json!({ "name": "demo" }).to_string())).status, 201);
    let GrpcAddress::Tcp(address) = registry.grpc_addresses()[0].clone() else { panic!("a port") };
    let strangers = Client::h2c(Endpoint::new(address, false));
    let call = Request::post(PUT).header("content-type", "application/grpc").header("te", "trailers");
    let mut head = vec![0];
    head.extend_from_slice(&ANNOUNCED.to_be_bytes());
    head.push(10);
    let announced = Bytes::from(head);
    let announce = |call: &Request| {
        let (feeder, answer) = strangers.feed(call);
        feeder.send(announced.clone());
        (feeder, answer)
    };
    let status = |call: &Request| {
        let (_feeder, answer) = announce(call);
        strangers.answer(answer).expect("an answer").header("grpc-status").map(str::to_owned)
    };
    // Until one more is refused, instead of waiting until its time is over.
    let timed = call.clone().header("grpc-timeout", "300m");
    let mut held = Vec::new();
    wait::until("the room of strangers to be taken", Duration::from_secs(20), || {
        held.extend((0..10).map(|_| announce(&call)));
        (status(&timed).as_deref() == Some("14")).then_some(())
    });
    run(async {
        // As large as can be: what is wrong with it is told by whoever has read it.
        let large = |repository: &str| v1::ManifestsPutRequest {
            repository: repository.into(),
            content: Bytes::from(vec![b' '; ANNOUNCED as usize - 1000]),
            tags: vec!["v1".into()],
            ..Default::default()
        };
        let outcome = refusal(registry.grpc_admin().manifests().put(large("demo/a")).await);
        assert_eq!(outcome, (Code::InvalidArgument, "MANIFEST_INVALID".to_owned()));
        // What is small is always taken, also of strangers.
        let small = v1::TagsListRequest { repository: "demo/a".into(), ..Default::default() };
        assert_eq!(refusal(registry.grpc().tags().list(small).await).0, Code::Unauthenticated);
    });
    drop(held);
    // Their room is there again.
    wait::until("the room of strangers to be free", Duration::from_secs(20), || {
        (status(&timed).as_deref() == Some("4")).then_some(())
    });
}

#[test]
fn writers_that_wait_take_no_room() {
    let registry = registry!().env("STRATA_GRPC_MESSAGE_MEMORY", "8 MiB").grpc().start();
    let content = noise(1, 1 << 20);
    run(async {
        let grpc = registry.grpc();
        let start = |text: &[u8]| v1::BlobsWriteStart {
            repository: "demo/a".into(),
            digest: sha256(text),
            ..Default::default()
        };
        // One after another, each until its message is in the store, which is more than all room together.
        let mut writers = Vec::new();
        for number in 1..=20 {
            let (sender, messages) = channel();
            for message in write_messages(start(b"never"), &content, 1 << 20) {
                sender.send(message).expect("sent");
            }
            let client = grpc.clone();
            writers.push((sender, tokio::spawn(async move { client.blobs().write(messages).await })));
            let what = format!("strata_store_uploads_open {number}\n");
            wait::until("the writer to be at work", Duration::from_secs(20), || {
                let metrics = registry.endpoint().get("/metrics");
                String::from_utf8_lossy(&metrics.body).contains(&what).then_some(())
            });
        }
        grpc.write(start(&content), &content, 1 << 20).await.expect("there is room");
        assert!(writers.iter().all(|(_, writer)| !writer.is_finished()), "none was refused");
        for (_, writer) in writers {
            writer.abort();
        }
    });
}
