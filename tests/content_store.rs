//! Strata as the content store of a containerd, over a real socket with a real client: what is written is there and stays, ingests are gone
//! on with after a crash, and everything that a containerd relies on has its code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a failed expectation is a failed test"
)]

use serde_json::{Value, json};
use std::time::Duration;
use strata_harness::content::{commit, stat, v1, write};
use strata_harness::grpc::tonic::{Code, Status};
use strata_harness::grpc::{Grpc, run};
use strata_harness::operator::done;
use strata_harness::random::noise;
use strata_harness::{Endpoint, Request, TestRegistry, registry, sha256, sha512, wait};

fn started() -> TestRegistry {
    registry!().grpc().start()
}

/// A containerd with one namespace.
fn containerd(registry: &TestRegistry) -> Grpc {
    registry.grpc().in_namespace("default")
}

#[track_caller]
fn code<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Code {
    outcome.expect_err("a refusal").code()
}

async fn info(grpc: &Grpc, digest: &str) -> Result<v1::Info, Status> {
    let asked = v1::InfoRequest { digest: digest.to_owned() };
    Ok(grpc.content().info(asked).await?.into_inner().info.unwrap())
}

async fn abort(grpc: &Grpc, reference: &str) -> Result<(), Status> {
    grpc.content().abort(v1::AbortRequest { r#ref: reference.to_owned() }).await.map(drop)
}

async fn delete(grpc: &Grpc, digest: &str) -> Result<(), Status> {
    grpc.content().delete(v1::DeleteContentRequest { digest: digest.to_owned() }).await.map(drop)
}

async fn references(grpc: &Grpc, filters: &[&str]) -> Result<Vec<String>, Status> {
    let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
    let listed = grpc.content().list_statuses(v1::ListStatusesRequest { filters }).await?.into_inner();
    let mut names: Vec<String> = listed.statuses.into_iter().map(|status| status.r#ref).collect();
    names.sort_unstable();
    Ok(names)
}

async fn update(
    grpc: &Grpc,
    digest: &str,
    labels: &[(&str, &str)],
    paths: &[&str],
) -> Result<Vec<(String, String)>, Status> {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let info = v1::Info { digest: digest.to_owned(), labels, ..Default::default() };
    let mut asked = v1::UpdateRequest { info: Some(info), update_mask: None };
    asked.update_mask.get_or_insert_default().paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let updated = grpc.content().update(asked).await?.into_inner().info.unwrap();
    let mut labels: Vec<_> = updated.labels.into_iter().collect();
    labels.sort_unstable();
    Ok(labels)
}

fn pairs(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// No session is left in the store, nor anything of an ingest.
fn assert_no_session(registry: &mut TestRegistry) {
    registry.stop();
    let checked: Value = serde_json::from_slice(&registry.check_with(&["--json"]).stdout).expect("a report");
    assert_eq!((&checked["metadata"]["uploads"], &checked["errors"]), (&json!(0), &json!(0)), "{checked}");
}

#[test]
fn what_is_written_is_there_whole_and_in_part() {
    let mut registry = started();
    run(async {
        let grpc = containerd(&registry);
        for size in [0, 1, 60_000, 70_000, 3_000_000] {
            let content = noise(size as u64, size);
            let digest = sha256(&content);
            let done = grpc.put_content("one", &content, 500_000, &[("a", "1")]).await.expect("written");
            assert_eq!((done.digest.as_str(), done.offset), (digest.as_str(), size as i64));
            let found = info(&grpc, &digest).await.expect("it is there");
            assert_eq!((found.digest.as_str(), found.size), (digest.as_str(), size as i64));
            assert_eq!(found.labels.into_iter().collect::<Vec<_>>(), pairs(&[("a", "1")]));
            assert!(found.created_at.is_some() && found.created_at == found.updated_at);
            let (from, len) = (size / 3, size / 2);
            for (offset, asked, expected) in [
                (0, 0, &content[..]),
                (-5, -1, &content[..]),
                (
                    from as i64,
                    len as i64,
                    if len == 0 { &content[from..] } else { &content[from..from + len] },
                ),
                (from as i64, i64::MAX, &content[from..]),
                (size as i64, 0, &[]),
            ] {
                let read = grpc.get_content(&digest, offset, asked).await.expect("read");
                assert!(read == expected, "{size} bytes: {offset} {asked}");
            }
            for behind in [size as i64 + 1, i64::MAX] {
                assert_eq!(code(grpc.get_content(&digest, behind, 0).await), Code::OutOfRange);
            }
            // For everybody else a blob of a repository.
            registry.repository("default/content").expect_blob(&digest, &content);
        }
    });
    assert_no_session(&mut registry);
}

#[test]
fn an_ingest_is_gone_on_with_after_a_kill() {
    let mut registry = started();
    let content = noise(7, 5_000_000);
    let digest = sha256(&content);
    run(async {
        let grpc = containerd(&registry);
        let first = v1::WriteContentRequest { total: content.len() as i64, ..stat("default/1/layer") };
        let (mut writing, stands) = grpc.open_content(first).await.expect("begun");
        assert_eq!((stands.offset, stands.total, stands.digest.as_str()), (0, 5_000_000, ""));
        assert!(stands.started_at.is_some() && stands.updated_at.is_some());
        writing.go_on(0, &content[..3_000_001], 1 << 20).await.expect("a part");
        let live = grpc.content_status("default/1/layer").await.expect("it is there");
        assert_eq!((live.offset, live.total), (3_000_001, 5_000_000));
        writing.end().await.expect("the end");
    });
    registry.kill();
    registry.start();
    run(async {
        let grpc = containerd(&registry);
        let status = grpc.content_status("default/1/layer").await.expect("it is still there");
        assert_eq!((status.offset, status.r#ref.as_str()), (3_000_001, "default/1/layer"));
        assert_eq!(references(&grpc, &["ref~=layer"]).await.unwrap(), ["default/1/layer"]);
        // A client that is cut off in the middle.
        let (mut writing, _) = grpc.open_content(stat("default/1/layer")).await.expect("opened");
        writing.step(write(3_000_001, &content[3_000_001..3_500_000])).await.expect("a part");
        drop(writing);
        let done = loop {
            match grpc.put_content("default/1/layer", &content, 1 << 20, &[]).await {
                // As containerd does, until the server has noticed.
                Err(locked) if locked.code() == Code::Unavailable => {}
                outcome => break outcome.expect("the rest"),
            }
        };
        assert_eq!((done.digest.as_str(), done.offset), (digest.as_str(), 5_000_000));
        assert!(grpc.get_content(&digest, 0, 0).await.expect("read") == content);
        assert_eq!(code(grpc.content_status("default/1/layer").await), Code::NotFound);
    });
    assert_no_session(&mut registry);
}

#[test]
fn a_write_has_the_codes_that_containerd_relies_on() {
    let mut registry = started();
    run(async {
        let grpc = containerd(&registry);
        let content = noise(1, 100_000);
        let digest = sha256(&content);
        // Names.
        let too_long = "x".repeat(1025);
        for reference in ["", too_long.as_str()] {
            assert_eq!(code(grpc.open_content(stat(reference)).await), Code::InvalidArgument);
        }
        // One writer at a time.
        let (mut writing, _) = grpc.open_content(stat("layer")).await.expect("begun");
        assert_eq!(code(grpc.open_content(stat("layer")).await), Code::Unavailable);
        // Offsets; the refused call ends, and what came stays.
        writing.step(write(0, &content)).await.expect("written");
        for wrong in [1, 99_999, 100_001, i64::MAX, -1, i64::MIN] {
            let message = v1::WriteContentRequest { offset: wrong, ..write(0, b"x") };
            assert_eq!(code(writing.step(message).await), Code::OutOfRange, "{wrong}");
            let (again, stands) = grpc.open_content(stat("layer")).await.expect("opened");
            assert_eq!(stands.offset, 100_000);
            writing = again;
        }
        // Sizes, digests, labels, and what is no action: refused, and the ingest stays.
        let other = sha256(b"other");
        let expecting =
            |expected: &str| v1::WriteContentRequest { expected: expected.into(), ..commit(100_000) };
        let labels = [("n".repeat(96), "v".repeat(4001))].into();
        for (message, expected) in [
            (v1::WriteContentRequest { total: 99_999, ..commit(100_000) }, Code::FailedPrecondition),
            (expecting(&other), Code::FailedPrecondition),
            (expecting("sha256:abc"), Code::InvalidArgument),
            (expecting("md5:d41d8cd98f00b204e9800998ecf8427e"), Code::InvalidArgument),
            (v1::WriteContentRequest { labels, ..commit(100_000) }, Code::InvalidArgument),
            (v1::WriteContentRequest { action: 7, ..commit(100_000) }, Code::InvalidArgument),
        ] {
            assert_eq!(code(writing.step(message.clone()).await), expected, "{:?}", message.expected);
            let (again, stands) = grpc.open_content(stat("layer")).await.expect("opened");
            assert_eq!(stands.offset, 100_000);
            writing = again;
        }
        assert_eq!(code(info(&grpc, &digest).await), Code::NotFound);
        let done = writing.step(expecting(&digest)).await.expect("committed");
        assert_eq!(done.digest, digest);
        assert_eq!(code(writing.step(stat("layer")).await), Code::Unknown, "a commit ends the call");
        // What is there: before it begins, when it is said, when it shows.
        let first = v1::WriteContentRequest { expected: digest.clone(), ..stat("again") };
        assert_eq!(code(grpc.open_content(first).await), Code::AlreadyExists);
        for message in [expecting(&digest), commit(100_000)] {
            let (mut writing, stands) = grpc.open_content(stat("again")).await.expect("begun");
            assert_eq!(stands.offset, 0);
            writing.step(write(0, &content)).await.expect("written");
            assert_eq!(code(writing.step(message).await), Code::AlreadyExists);
            assert_eq!(code(grpc.content_status("again").await), Code::NotFound, "and its ingest is gone");
        }
        // Another total begins anew; a negative one says nothing.
        for (total, offset) in [(50, 50), (0, 50), (-1, 50), (50, 50), (60, 0)] {
            let first = v1::WriteContentRequest { total, ..stat("total") };
            let (mut writing, stands) = grpc.open_content(first).await.expect("opened");
            if total == 50 && stands.offset == 0 {
                writing.step(write(0, &content[..50])).await.expect("written");
            } else {
                assert_eq!(stands.offset, offset, "{total}");
            }
            writing.end().await.expect("the end");
        }
        abort(&grpc, "total").await.expect("given up");
        assert_eq!(code(abort(&grpc, "total").await), Code::NotFound);
        assert_eq!(references(&grpc, &[]).await.unwrap(), Vec::<String>::new());
    });
    assert_no_session(&mut registry);
}

#[test]
fn a_write_at_0_begins_anew_and_an_abort_ends_a_writer() {
    let mut registry = started();
    run(async {
        let grpc = containerd(&registry);
        let content = noise(2, 300_000);
        let (mut writing, _) = grpc.open_content(stat("layer")).await.expect("begun");
        writing.step(write(0, b"something else, and long")).await.expect("written");
        let answer = writing.step(write(0, &content[..200_000])).await.expect("from the beginning");
        assert_eq!(answer.offset, 200_000);
        writing.step(write(200_000, &content[200_000..])).await.expect("the rest");
        // By the digest of another algorithm, which nothing said before.
        let last = v1::WriteContentRequest { expected: sha512(&content), ..commit(300_000) };
        assert_eq!(writing.step(last).await.expect("committed").digest, sha512(&content));
        assert!(grpc.get_content(&sha512(&content), 0, 0).await.expect("read") == content);
        let (mut writing, _) = grpc.open_content(stat("layer")).await.expect("begun");
        writing.step(write(0, &content)).await.expect("written");
        abort(&grpc, "layer").await.expect("given up");
        assert_eq!(code(grpc.content_status("layer").await), Code::NotFound);
        assert_eq!(code(writing.step(commit(300_000)).await), Code::NotFound);
        assert_eq!(code(info(&grpc, &sha256(&content)).await), Code::NotFound);
    });
    assert_no_session(&mut registry);
}

#[test]
fn labels_are_set_and_found_by_filters() {
    let registry = started();
    run(async {
        let grpc = containerd(&registry);
        let mut digests = Vec::new();
        for number in 0..250 {
            let text = format!("content {number}");
            let label = number.to_string();
            let labels = [("n", label.as_str()), ("containerd.io/gc.root", "x")];
            digests.push(grpc.put_content("x", text.as_bytes(), 100, &labels).await.expect("written").digest);
        }
        let one = digests[7].clone();
        let mut sorted = digests.clone();
        sorted.sort_unstable();
        let found = async |filters: &[&str]| -> Vec<String> {
            let found = grpc.list_content(filters).await.expect("a list");
            found.into_iter().map(|info| info.digest).collect()
        };
        assert_eq!(found(&[]).await, sorted);
        assert_eq!(found(&["labels.n==7"]).await, std::slice::from_ref(&one));
        assert_eq!(found(&[&format!("digest=={one}")]).await, std::slice::from_ref(&one));
        assert_eq!(found(&["labels.\"containerd.io/gc.root\"==x,labels.n~=/^24.$/"]).await.len(), 10);
        assert_eq!(found(&["labels.n==3", "labels.n==4"]).await.len(), 2);
        assert_eq!(found(&["labels.nothing", "size==9"]).await, Vec::<String>::new());
        for wrong in ["labels.n==", "labels.n=7", "==7", "labels.\"n"] {
            assert_eq!(code(grpc.list_content(&[wrong]).await), Code::InvalidArgument, "{wrong}");
            assert_eq!(code(references(&grpc, &[wrong]).await), Code::InvalidArgument, "{wrong}");
        }
        let updated = update(&grpc, &one, &[("a", "1"), ("b", "2")], &["labels.a", "labels.n"]).await;
        assert_eq!(updated.unwrap(), pairs(&[("a", "1"), ("containerd.io/gc.root", "x")]));
        let updated = update(&grpc, &one, &[("b", "2")], &["labels"]).await;
        assert_eq!(updated.unwrap(), pairs(&[("b", "2")]));
        assert_eq!(update(&grpc, &one, &[("c", "3")], &[]).await.unwrap(), pairs(&[("c", "3")]));
        let after = info(&grpc, &one).await.unwrap();
        assert!(after.updated_at.unwrap().seconds >= after.created_at.unwrap().seconds);
        for path in ["size", "created_at", "labelz", ""] {
            assert_eq!(code(update(&grpc, &one, &[], &[path]).await), Code::InvalidArgument, "{path}");
        }
        let long = "v".repeat(4096);
        assert_eq!(code(update(&grpc, &one, &[("n", &long)], &[]).await), Code::InvalidArgument);
        let nowhere = sha256(b"nowhere");
        assert_eq!(code(update(&grpc, &nowhere, &[], &["labels"]).await), Code::NotFound);
        for wrong in ["", "x", "sha256:abc"] {
            assert_eq!(code(info(&grpc, wrong).await), Code::InvalidArgument);
            assert_eq!(code(delete(&grpc, wrong).await), Code::InvalidArgument);
            assert_eq!(code(grpc.get_content(wrong, 0, 0).await), Code::InvalidArgument);
            assert_eq!(code(update(&grpc, wrong, &[], &[]).await), Code::InvalidArgument);
        }
        assert_eq!(code(info(&grpc, &nowhere).await), Code::NotFound);
        assert_eq!(code(grpc.get_content(&nowhere, 0, 0).await), Code::NotFound);
    });
}

/// Collects when asked, at once.
const EAGER: &str = "[gc]\ngrace = \"0s\"\nuntagged = \"0s\"\nundo = \"0s\"\ninterval = \"0s\"\nrate = 0\n";

#[track_caller]
fn collect(registry: &TestRegistry) {
    let request = Request::post("/api/v1/gc").header("content-type", "application/json").body("{}");
    assert_eq!(registry.endpoint().send(&request).status, 200);
}

#[test]
fn content_stays_until_it_is_deleted_whatever_is_collected() {
    let mut registry = registry!().grpc().config(EAGER).start();
    let (kept, deleted) = (noise(1, 200_000), noise(2, 300_000));
    run(async {
        let grpc = containerd(&registry);
        for content in [&kept, &deleted] {
            grpc.put_content("x", content, 1 << 20, &[]).await.expect("written");
        }
    });
    collect(&registry);
    registry.restart();
    collect(&registry);
    assert_eq!(registry.blob_files().len(), 2);
    run(async {
        let grpc = containerd(&registry);
        assert!(grpc.get_content(&sha256(&kept), 0, 0).await.expect("it is there") == kept);
        delete(&grpc, &sha256(&deleted)).await.expect("deleted");
        assert_eq!(code(delete(&grpc, &sha256(&deleted)).await), Code::NotFound);
        assert_eq!(code(info(&grpc, &sha256(&deleted)).await), Code::NotFound);
    });
    wait::until("the bytes to go", Duration::from_secs(20), || {
        collect(&registry);
        (registry.blob_files().len() == 1).then_some(())
    });
    run(async {
        let grpc = containerd(&registry);
        assert!(grpc.get_content(&sha256(&kept), 0, 0).await.expect("it is there") == kept);
    });
    let audit = registry.endpoint().get("/api/v1/audit?action=content").json();
    assert_eq!(audit["entries"][0]["action"], "content.delete", "{audit}");
    assert_no_session(&mut registry);
}

#[test]
fn namespaces_are_registries_and_none_is_all_of_them() {
    let config = "[grpc]\ncontent-namespaces = [\"default=one\", \"k8s.io=two\"]\n";
    let registry = registry!().grpc().config(config).start();
    run(async {
        let grpc = registry.grpc();
        let (one, two) = (grpc.clone().in_namespace("default"), grpc.clone().in_namespace("k8s.io"));
        let (shared, alone) = (noise(1, 100_000), noise(2, 100));
        for side in [&one, &two] {
            side.put_content("x", &shared, 1 << 20, &[]).await.expect("written");
        }
        two.put_content("x", &alone, 1 << 20, &[]).await.expect("written");
        registry.repository("one/content").expect_blob(&sha256(&shared), &shared);
        registry.repository("two/content").expect_blob(&sha256(&alone), &alone);
        assert_eq!(code(info(&one, &sha256(&alone)).await), Code::NotFound);
        assert_eq!(registry.blob_files().len(), 1, "stored once");
        // As containerd collects its garbage.
        assert_eq!(grpc.list_content(&[]).await.expect("a list").len(), 2);
        assert!(grpc.get_content(&sha256(&alone), 0, 0).await.expect("read") == alone);
        delete(&grpc, &sha256(&shared)).await.expect("deleted everywhere");
        for side in [&one, &two] {
            assert_eq!(code(info(side, &sha256(&shared)).await), Code::NotFound);
        }
        let (writing, _) = two.open_content(stat("y")).await.expect("begun");
        writing.end().await.expect("the end");
        assert_eq!(references(&grpc, &[]).await.unwrap(), ["y"]);
        abort(&grpc, "y").await.expect("given up");
        // What is new goes into the default one, as of a containerd that names none.
        let (writing, _) = grpc.open_content(stat("z")).await.expect("begun");
        writing.end().await.expect("the end");
        assert_eq!(references(&one, &[]).await.unwrap(), ["z"]);
        abort(&one, "z").await.expect("given up");
        for unmapped in ["other", "one"] {
            let refused = grpc.clone().in_namespace(unmapped).list_content(&[]).await.expect_err("unmapped");
            assert_eq!(refused.code(), Code::FailedPrecondition);
            assert!(refused.message().contains("grpc.content-namespaces"), "{refused}");
        }
    });
}

fn send(endpoint: Endpoint, method: &str, path: &str, body: &Value) -> Value {
    let request = Request::new(method, format!("/api/v1/{path}")).header("content-type", "application/json");
    let answer = endpoint.send(&request.body(body.to_string()));
    assert!(answer.status < 300, "{answer:?}");
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

#[test]
fn roles_decide_as_they_do_for_every_repository() {
    let config = "[grpc]\ncontent-namespaces = [\"default=node\"]\n";
    let registry = registry!().accounts().grpc().config(config).start();
    send(registry.admin(), "POST", "registries", &json!({"name": "node"}));
    let account = |name: &str, role: &str| {
        send(registry.admin(), "POST", "accounts", &json!({"name": name, "kind": "robot"}));
        let key = send(registry.admin(), "POST", &format!("accounts/{name}/keys"), &json!({}));
        let path = format!("/api/v1/registries/node/members/{name}");
        let request = Request::put(path).header("content-type", "application/json");
        done(&registry.admin().send(&request.body(json!({"role": role}).to_string())));
        (key["id"].as_str().expect("an id").to_owned(), key["secret"].as_str().expect("a secret").to_owned())
    };
    let accounts = [account("boss", "admin"), account("look", "viewer"), account("load", "uploader")];
    run(async {
        let stranger = containerd(&registry);
        let [boss, viewer, uploader] =
            accounts.map(|(id, secret)| containerd(&registry).with_key(&id, &secret));
        let (content, more) = (noise(1, 1000), noise(2, 1000));
        let digest = sha256(&content);
        uploader.put_content("x", &content, 500, &[]).await.expect("an uploader writes");
        for (name, who, sees, reads, writes, deletes) in [
            ("boss", &boss, true, true, true, true),
            ("viewer", &viewer, true, true, false, false),
            ("uploader", &uploader, true, false, true, false),
            ("stranger", &stranger, false, false, false, false),
        ] {
            let refused = if name == "stranger" { Code::Unauthenticated } else { Code::PermissionDenied };
            let is = |what: &str, outcome: Result<(), Status>, may: bool| match outcome {
                Ok(()) => assert!(may, "{name}: {what}"),
                Err(status) => assert_eq!((status.code(), may), (refused, false), "{name}: {what}: {status}"),
            };
            is("info", info(who, &digest).await.map(drop), sees);
            is("list", who.list_content(&[]).await.map(drop), sees);
            is("statuses", references(who, &[]).await.map(drop), sees);
            is("read", who.get_content(&digest, 0, 0).await.map(drop), reads);
            is("write", who.open_content(stat(name)).await.map(drop), writes);
            is("update", update(who, &digest, &[("a", "1")], &[]).await.map(drop), writes);
            if !deletes {
                is("delete", delete(who, &digest).await, false);
            }
        }
        boss.put_content("z", &more, 500, &[]).await.expect("written");
        delete(&boss, &digest).await.expect("deleted");
    });
}
