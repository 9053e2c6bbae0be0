//! What programs have and clients of HTTP have not: many blobs at one look-up, an image in one call, many manifests in one commit, the feed.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::json;
use std::time::Duration;
use strata_harness::grpc::tonic::{Code, Streaming};
use strata_harness::grpc::{Grpc, refusal, run, v1};
use strata_harness::{Document, Image, Request, registry, sha256};
use v1::tag_expectation::Expected;

const REPOSITORY: &str = "demo/image";

async fn write(grpc: &Grpc, repository: &str, content: &[u8]) -> String {
    let digest = sha256(content);
    let start = v1::BlobsWriteStart { repository: repository.into(), digest, ..Default::default() };
    grpc.write(start, content, 1 << 18).await.expect("written").digest
}

async fn push(grpc: &Grpc, repository: &str, image: &Image) {
    for blob in image.blobs() {
        write(grpc, repository, blob).await;
    }
}

fn manifest(repository: &str, document: &Document, tags: Vec<v1::ExpectedTag>) -> v1::PublishManifest {
    let (content, media_type) = (document.bytes.clone(), document.media_type.clone());
    v1::PublishManifest { repository: repository.into(), content, media_type, tags, ..Default::default() }
}

fn tag(tag: &str, expected: Option<Expected>) -> v1::ExpectedTag {
    let expected = expected.map(|expected| v1::TagExpectation { expected: Some(expected) });
    v1::ExpectedTag { tag: tag.into(), expected }
}

async fn stands_for(grpc: &Grpc, repository: &str, tag: &str) -> Option<String> {
    let asked = v1::TagsGetRequest { repository: repository.into(), tag: tag.into() };
    grpc.tags().get(asked).await.ok().map(|found| found.into_inner().digest)
}

#[test]
fn missing_blobs_are_found_at_once() {
    let registry = registry!().grpc().start();
    run(async {
        let grpc = registry.grpc();
        let here = write(&grpc, REPOSITORY, b"here").await;
        write(&grpc, "demo/other", b"elsewhere").await;
        let mut digests: Vec<String> = (0..10_000).map(|number: u32| sha256(&number.to_be_bytes())).collect();
        let mut missing = digests.clone();
        digests.insert(5000, here.clone());
        digests.push(sha256(b"elsewhere"));
        missing.push(sha256(b"elsewhere"));
        let ask = |digests: Vec<String>| {
            let asked = v1::BlobsFindMissingRequest { repository: REPOSITORY.into(), digests };
            let mut blobs = grpc.blobs();
            async move { blobs.find_missing(asked).await.map(|found| found.into_inner().missing) }
        };
        assert_eq!(ask(digests).await.expect("an answer"), missing);
        assert!(ask(vec![]).await.expect("an answer").is_empty());
        let outcome = refusal(ask(vec![here, "sha256:no".into()]).await);
        assert_eq!(outcome, (Code::InvalidArgument, "DIGEST_INVALID".to_owned()));
    });
}

#[test]
fn an_image_is_resolved_in_one_call() {
    let registry = registry!().grpc().start();
    let image = Image::small(1);
    run(async {
        let grpc = registry.grpc();
        push(&grpc, REPOSITORY, &image).await;
        let index = strata_harness::image::index(&[image.manifest.descriptor()]);
        let request = v1::PublishRequest {
            manifests: vec![
                manifest(REPOSITORY, &index, vec![tag("v1", None)]),
                manifest(REPOSITORY, &image.manifest, vec![]),
            ],
            tags: vec![],
        };
        let done = grpc.publish().publish(request).await.expect("published").into_inner();
        assert_eq!(done.digests, [index.digest(), image.manifest.digest()]);
        let asked = v1::ManifestsResolveImageRequest {
            repository: REPOSITORY.into(),
            reference: "v1".into(),
            ..Default::default()
        };
        let found = grpc.manifests().resolve_image(asked).await.expect("resolved").into_inner();
        let top = found.manifest.expect("a manifest");
        assert_eq!((top.digest, &top.content[..]), (index.digest(), &index.bytes[..]));
        assert!(!found.cut && found.children.len() == 1);
        let child = &found.children[0];
        assert_eq!(child.digest, image.manifest.digest());
        assert!(child.config.as_ref().is_some_and(|config| !config.is_empty()));
        assert_eq!(child.contents.len(), image.blobs().count());
        assert!(child.contents.iter().all(|content| content.present));
        assert_eq!(child.contents[0].role(), v1::ContentRole::Config);
    });
}

#[test]
fn what_is_published_together_is_there_together_or_not_at_all() {
    let registry = registry!().grpc().start();
    let (first, second, third) = (Image::small(1), Image::small(2), Image::small(3));
    run(async {
        let grpc = registry.grpc();
        push(&grpc, "demo/a", &first).await;
        push(&grpc, "demo/b", &second).await;
        let absent = || Some(Expected::Absent(true));
        let both = |wrong: Option<Expected>| v1::PublishRequest {
            manifests: vec![
                manifest("demo/a", &first.manifest, vec![tag("v1", absent()), tag("latest", None)]),
                manifest("demo/b", &second.manifest, vec![tag("v1", wrong)]),
            ],
            tags: vec![],
        };
        let wrong = both(Some(Expected::Digest(third.manifest.digest())));
        let outcome = refusal(grpc.publish().publish(wrong).await);
        assert_eq!(outcome, (Code::Aborted, "REVISION_MISMATCH".to_owned()));
        assert_eq!(stands_for(&grpc, "demo/a", "v1").await, None);
        let mut lacking = both(None);
        lacking.manifests.push(manifest("demo/b", &third.manifest, vec![]));
        let outcome = refusal(grpc.publish().publish(lacking).await);
        assert_eq!(outcome, (Code::FailedPrecondition, "MANIFEST_BLOB_UNKNOWN".to_owned()));
        assert_eq!(stands_for(&grpc, "demo/b", "v1").await, None);
        let done = grpc.publish().publish(both(absent())).await.expect("published").into_inner();
        assert!(done.first_event > 0 && done.last_event > done.first_event);
        for (repository, tag, image) in
            [("demo/a", "v1", &first), ("demo/a", "latest", &first), ("demo/b", "v1", &second)]
        {
            assert_eq!(stands_for(&grpc, repository, tag).await, Some(image.manifest.digest()));
        }
        // Compare and swap, on one manifest.
        let swap = |expected: Expected, content: &Document| v1::ManifestsPutRequest {
            repository: "demo/a".into(),
            content: content.bytes.clone(),
            expected_tags: vec![tag("latest", Some(expected))],
            ..Default::default()
        };
        push(&grpc, "demo/a", &third).await;
        let stale = swap(Expected::Digest(second.manifest.digest()), &third.manifest);
        assert_eq!(refusal(grpc.manifests().put(stale).await).0, Code::Aborted);
        let fresh = swap(Expected::Digest(first.manifest.digest()), &third.manifest);
        let done = grpc.manifests().put(fresh).await.expect("put").into_inner();
        assert_eq!((done.digest, done.tags), (third.manifest.digest(), vec!["latest".to_owned()]));
        assert_eq!(stands_for(&grpc, "demo/a", "latest").await, Some(third.manifest.digest()));
    });
}

async fn next(feed: &mut Streaming<v1::EventsWatchResponse>) -> v1::EventsWatchResponse {
    let answer = tokio::time::timeout(Duration::from_secs(30), feed.message()).await.expect("in time");
    answer.expect("no refusal").expect("more")
}

/// The actions of the next events, and the cursor behind them.
async fn actions(feed: &mut Streaming<v1::EventsWatchResponse>) -> (Vec<String>, u64) {
    loop {
        let page = next(feed).await;
        if !page.events.is_empty() {
            return (page.events.into_iter().map(|event| event.action).collect(), page.cursor);
        }
    }
}

#[test]
fn the_feed_tells_everything_once_and_goes_on_from_a_cursor() {
    let mut registry = registry!().grpc().start();
    let cursor = run(async {
        let grpc = registry.grpc();
        let asked = v1::EventsWatchRequest { repositories: vec![REPOSITORY.into()], ..Default::default() };
        let mut feed = grpc.events().watch(asked).await.expect("a feed").into_inner();
        let begin = next(&mut feed).await;
        assert!(begin.events.is_empty() && begin.is_end);
        write(&grpc, "demo/other", b"not told").await;
        write(&grpc, REPOSITORY, b"told").await;
        let (told, cursor) = actions(&mut feed).await;
        assert!(told.contains(&"blob.push".to_owned()), "{told:?}");
        assert!(cursor > begin.cursor);
        cursor
    });
    registry.restart();
    run(async {
        let grpc = registry.grpc();
        push(&grpc, REPOSITORY, &Image::small(5)).await;
        let asked = v1::EventsWatchRequest { cursor: Some(0), until_end: true, ..Default::default() };
        let mut feed = grpc.events().watch(asked).await.expect("a feed").into_inner();
        let (mut numbers, mut last) = (Vec::new(), 0);
        while let Some(page) = feed.message().await.expect("no refusal") {
            numbers.extend(page.events.iter().map(|event| event.number));
            last = page.cursor;
        }
        assert!(numbers.is_sorted_by(|left, right| left < right) && !numbers.is_empty());
        assert!(last > cursor, "the call ends at the end of the log");
        let asked = v1::EventsWatchRequest { cursor: Some(last + 1000), ..Default::default() };
        let mut beyond = grpc.events().watch(asked).await.expect("a feed").into_inner();
        assert_eq!(beyond.message().await.expect_err("of another store").code(), Code::InvalidArgument);
    });
}

#[test]
fn a_feed_ends_when_its_key_is_taken_away() {
    let registry = registry!().accounts().grpc().start();
    let admin = registry.admin();
    let json = |path: &str, body: serde_json::Value| {
        let request = Request::post(path).header("content-type", "application/json");
        admin.send(&request.body(body.to_string())).json()
    };
    json("/api/v1/registries", json!({ "name": "demo" }));
    json("/api/v1/accounts", json!({ "name": "mira", "kind": "robot" }));
    let key = json("/api/v1/accounts/mira/keys", json!({}));
    let role =
        Request::put("/api/v1/registries/demo/members/mira").header("content-type", "application/json");
    assert_eq!(admin.send(&role.body(json!({ "role": "viewer" }).to_string())).status, 200);
    run(async {
        let (id, secret) = (key["id"].as_str().expect("an id"), key["secret"].as_str().expect("a secret"));
        let mira = registry.grpc().with_key(id, secret);
        let mut feed =
            mira.events().watch(v1::EventsWatchRequest::default()).await.expect("a feed").into_inner();
        next(&mut feed).await;
        write(&registry.grpc_admin(), REPOSITORY, b"told").await;
        let page = loop {
            let page = next(&mut feed).await;
            if !page.events.is_empty() {
                break page;
            }
        };
        assert!(
            page.events.iter().all(|event| event.account.is_empty() && event.key.is_empty()),
            "who is not told"
        );
        // Nothing else happens then.
        assert_eq!(admin.delete(format!("/api/v1/accounts/mira/keys/{id}")).status / 100, 2);
        let ended = loop {
            match tokio::time::timeout(Duration::from_secs(30), feed.message()).await.expect("in time") {
                Ok(Some(page)) => assert!(page.events.is_empty(), "{page:?}"),
                Ok(None) => panic!("ended without a word"),
                Err(status) => break status,
            }
        };
        assert_eq!(ended.code(), Code::Unauthenticated);
    });
}
