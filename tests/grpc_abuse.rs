//! Calls that ask for too much, and calls that are given up: exact codes, and nothing is left of them, counted in the store itself.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;
use strata_harness::content::{self, commit, stat, write};
use strata_harness::grpc::tonic::{Code, Request, Status};
use strata_harness::grpc::{Grpc, channel, refusal, run, v1, write_messages};
use strata_harness::random::noise;
use strata_harness::{TestRegistry, registry, sha256, wait};

const REPOSITORY: &str = "demo/image";

fn start(digest: &str) -> v1::BlobsWriteStart {
    v1::BlobsWriteStart { repository: REPOSITORY.into(), digest: digest.into(), ..Default::default() }
}

fn text(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("v{number}")).collect()
}

async fn missing(grpc: &Grpc, count: usize) -> Result<usize, Status> {
    let digests = (0..count).map(|number| format!("sha256:{number:064x}")).collect();
    let asked = v1::BlobsFindMissingRequest { repository: REPOSITORY.into(), digests };
    Ok(grpc.blobs().find_missing(asked).await?.into_inner().missing.len())
}

#[test]
fn what_is_repeated_too_often_is_refused_with_its_code() {
    let registry = registry!().grpc().start();
    run(async {
        let grpc = registry.grpc();
        let config = Bytes::from_static(b"{}");
        grpc.write(start(&sha256(&config)), &config, 10).await.expect("written");
        assert_eq!(missing(&grpc, 50_000).await.expect("they fit"), 50_000);
        let too_large = text(Code::InvalidArgument, "TOO_LARGE");
        assert_eq!(refusal(missing(&grpc, 70_000).await), too_large);

        let put = |tags| v1::ManifestsPutRequest {
            repository: REPOSITORY.into(),
            content: config.clone(),
            tags,
            ..Default::default()
        };
        assert_eq!(refusal(grpc.manifests().put(put(names(65))).await), too_large);
        let expected_tags =
            names(65).into_iter().map(|tag| v1::ExpectedTag { tag, expected: None }).collect();
        let expecting = v1::ManifestsPutRequest { expected_tags, ..put(Vec::new()) };
        assert_eq!(refusal(grpc.manifests().put(expecting).await), too_large);

        let manifest = v1::PublishManifest { repository: REPOSITORY.into(), ..Default::default() };
        let tag = |tag: String| v1::PublishTag {
            repository: REPOSITORY.into(),
            digest: sha256(&config),
            tag: Some(v1::ExpectedTag { tag, expected: None }),
        };
        let publish = |manifests, tags: usize| v1::PublishRequest {
            manifests: vec![manifest.clone(); manifests],
            tags: names(tags).into_iter().map(tag).collect(),
        };
        for (manifests, tags) in [(1001, 0), (0, 1001), (60_000, 0), (0, 60_000)] {
            let outcome = refusal(grpc.publish().publish(publish(manifests, tags)).await);
            assert_eq!(outcome, too_large, "{manifests} manifests, {tags} tags");
        }
        let large = v1::PublishManifest { content: noise(1, 34 << 20), ..manifest.clone() };
        let asked = v1::PublishRequest { manifests: vec![large], tags: Vec::new() };
        assert_eq!(refusal(grpc.publish().publish(asked).await), too_large);

        let invalid = text(Code::InvalidArgument, "REQUEST_INVALID");
        let none = v1::EventsWatchRequest::default;
        for asked in [
            v1::EventsWatchRequest { registries: names(1001), ..none() },
            v1::EventsWatchRequest { repositories: names(1001), ..none() },
            v1::EventsWatchRequest { actions: names(1001), ..none() },
        ] {
            assert_eq!(refusal(grpc.events().watch(asked).await), invalid);
        }
        // Whoever asked too much is served as everybody is.
        assert_eq!(missing(&grpc, 1).await.expect("an answer"), 1);
    });
}

#[test]
fn a_containerd_that_asks_too_much_is_refused_and_its_ingest_stays() {
    let registry = registry!().grpc().start();
    run(async {
        let grpc = registry.grpc().in_namespace("default");
        let bytes = noise(1, 1000);
        let invalid = text(Code::InvalidArgument, "REQUEST_INVALID");
        let filters = |count: usize| vec!["labels.a==b".to_owned(); count];
        for count in [65, 200_000] {
            let asked = content::v1::ListContentRequest { filters: filters(count) };
            assert_eq!(refusal(grpc.content().list(asked).await), invalid, "{count} filters");
            let asked = content::v1::ListStatusesRequest { filters: filters(count) };
            assert_eq!(refusal(grpc.content().list_statuses(asked).await), invalid, "{count} filters");
        }
        let (mut writing, _) = grpc.open_content(stat("layer")).await.expect("begun");
        writing.step(write(0, &bytes)).await.expect("written");
        let labels = names(257).into_iter().map(|name| (name, "x".to_owned())).collect();
        let last = content::v1::WriteContentRequest { labels, ..commit(bytes.len()) };
        assert_eq!(refusal(writing.step(last).await), invalid);
        let done = grpc.put_content("layer", &bytes, 1000, &[]).await.expect("it is gone on with");
        assert_eq!(done.digest, sha256(&bytes));
        let labels = names(257).into_iter().map(|name| (name, "x".to_owned())).collect();
        let info = content::v1::Info { digest: done.digest.clone(), labels, ..Default::default() };
        let asked = content::v1::UpdateRequest { info: Some(info), update_mask: None };
        assert_eq!(refusal(grpc.content().update(asked).await), invalid);
        let piece = content::v1::WriteContentRequest { data: noise(2, 5 << 20), ..write(0, b"") };
        let (mut writing, _) = grpc.open_content(stat("large")).await.expect("begun");
        assert_eq!(refusal(writing.step(piece).await), text(Code::InvalidArgument, "TOO_LARGE"));
        let none = grpc.content_status("no such").await.expect_err("there is none");
        assert_eq!(none.code(), Code::NotFound);
    });
}

/// What the store itself says that it has, after its server has ended.
fn counted(registry: &mut TestRegistry) -> Value {
    registry.stop();
    serde_json::from_slice(&registry.check_with(&["--json"]).stdout).expect("a report")
}

async fn session(grpc: &Grpc) -> String {
    let asked = v1::BlobsStartWriteRequest { repository: REPOSITORY.into(), ..Default::default() };
    grpc.blobs().start_write(asked).await.expect("a session").into_inner().session
}

/// How a writer ends that does not come to its end.
#[derive(Debug, Clone, Copy)]
enum Given {
    /// The client goes away.
    Away,
    /// The client's time is over.
    Late,
}

/// Writers that have sent two pieces, and then are given up.
async fn give_up(registry: &TestRegistry, starts: Vec<v1::BlobsWriteStart>, how: Given) {
    let content = noise(7, 1 << 20);
    let mut writers = Vec::new();
    for start in starts {
        let (sender, messages) = channel();
        for message in write_messages(start, &content, 1 << 19) {
            sender.send(message).expect("sent");
        }
        let mut request = Request::new(messages);
        if matches!(how, Given::Late) {
            request.set_timeout(Duration::from_millis(300));
        }
        let client = registry.grpc();
        writers.push((sender, tokio::spawn(async move { client.blobs().write(request).await })));
    }
    for (sender, writer) in writers {
        match how {
            Given::Away => writer.abort(),
            Given::Late => {
                let outcome = writer.await.expect("no panic").expect_err("its time is over");
                assert!(matches!(outcome.code(), Code::DeadlineExceeded | Code::Cancelled), "{outcome:?}");
            }
        }
        drop(sender);
    }
}

#[test]
fn nothing_is_left_of_what_was_given_up() {
    let mut registry = registry!().grpc().start();
    run(async {
        let grpc = registry.grpc();
        let whole = || (0..4).map(|number| start(&sha256(format!("never {number}").as_bytes()))).collect();
        let mut sessions = Vec::new();
        for how in [Given::Away, Given::Late] {
            give_up(&registry, whole(), how).await;
            let mut starts = Vec::new();
            for _ in 0..4 {
                let id = session(&grpc).await;
                starts.push(v1::BlobsWriteStart { session: id.clone(), ..start("") });
                sessions.push(id);
            }
            give_up(&registry, starts, how).await;
        }
        // Sessions outlive whoever wrote in them, until they are dropped.
        for id in sessions {
            let asked = v1::BlobsWriteStatusRequest { repository: REPOSITORY.into(), session: id.clone() };
            let status = grpc.blobs().write_status(asked).await.expect("it is there").into_inner();
            assert!(status.offset <= 1 << 20, "{status:?}");
            let cancel = v1::BlobsCancelWriteRequest { repository: REPOSITORY.into(), session: id };
            grpc.blobs().cancel_write(cancel).await.expect("dropped");
        }
        // The same of a containerd: an ingest whose writer goes away, and one that is at work, are aborted.
        let containerd = registry.grpc().in_namespace("default");
        let content = noise(8, 1 << 20);
        for number in 0..4 {
            let name = format!("ingest-{number}");
            let (mut writing, _) = containerd.open_content(stat(&name)).await.expect("begun");
            writing.step(write(0, &content)).await.expect("written");
            let live = (number % 2 == 0).then_some(writing);
            let abort = content::v1::AbortRequest { r#ref: name.clone() };
            containerd.content().abort(abort).await.expect("aborted");
            assert_eq!(
                containerd.content_status(&name).await.expect_err("it is gone").code(),
                Code::NotFound
            );
            drop(live);
        }
    });
    let bound = Duration::from_secs(20);
    wait::until("every file of theirs to be gone", bound, || registry.blob_files().is_empty().then_some(()));
    let report = counted(&mut registry);
    let metadata = &report["metadata"];
    for none in ["uploads", "leases", "blobs", "links", "pins", "tombstones"] {
        assert_eq!(metadata[none], 0, "{none}: {report}");
    }
    assert_eq!((&report["unnamed_files"], &report["errors"]), (&0.into(), &0.into()), "{report}");
}
