//! What was deleted comes back: manifests with their tags and referrers, tags, children of indexes; over restarts, by REST and by
//! the command line, and never over what came meanwhile.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::Value;
use std::process::Output;
use strata_harness::image::{EMPTY_JSON, artifact, index};
use strata_harness::operator::{done, expect_text, told, url};
use strata_harness::random::noise;
use strata_harness::{Algorithm, Endpoint, Image, Repository, Request, Response, binary, process, registry};

fn deleted(endpoint: &Endpoint, query: &str) -> Vec<Value> {
    let answer = done(&endpoint.get(format!("/api/v1/deleted{query}")));
    answer["deletions"].as_array().expect("a list").clone()
}

/// The number of the latest deletion.
fn last(endpoint: &Endpoint) -> u64 {
    deleted(endpoint, "").last().expect("a deletion")["id"].as_u64().expect("a number")
}

fn restore(endpoint: &Endpoint, id: u64, body: &'static str) -> Response {
    let request = Request::post(format!("/api/v1/deleted/{id}/restore"));
    endpoint.send(&request.header("content-type", "application/json").body(body))
}

/// Deletes a manifest or tag and says under which number.
fn delete(repository: &Repository, endpoint: &Endpoint, reference: &str) -> u64 {
    endpoint.delete(repository.manifest(reference)).expect(202);
    last(endpoint)
}

fn run(arguments: &[&str]) -> Output {
    process::run(&binary!(), arguments)
}

fn expect_image(repository: &Repository, reference: &str, image: &Image) {
    repository.expect_manifest(reference, &image.manifest);
    for blob in image.blobs() {
        repository.expect_blob(&Algorithm::Sha256.of(blob), blob);
    }
}

#[test]
fn a_manifest_comes_back_with_its_tags_after_a_restart() {
    let mut registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(1);
    repository.push_image("one", &image);
    repository.push_manifest("two", &image.manifest);
    repository.expect_manifest("one", &image.manifest);
    let digest = image.manifest.digest();
    let id = delete(&repository, &registry.endpoint(), &digest);
    repository.expect_no_manifest("one");

    registry.restart();
    let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
    repository.expect_no_manifest(&digest);
    let listed = deleted(&endpoint, "?repository=a/b");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["kind"], "manifest");
    assert_eq!(listed[0]["digest"], digest);
    assert_eq!(listed[0]["tags"], serde_json::json!(["one", "two"]));
    assert_eq!(listed[0]["size"].as_u64(), Some(image.manifest.bytes.len() as u64));
    let window = listed[0]["until_millis"].as_u64().expect("a time")
        - listed[0]["at_millis"].as_u64().expect("a time");
    assert_eq!(window, 24 * 3600 * 1000);
    assert!(deleted(&endpoint, "?repository=a/c").is_empty());

    let answer = done(&restore(&endpoint, id, ""));
    assert_eq!(answer, listed[0]);
    for reference in ["one", "two", digest.as_str()] {
        expect_image(&repository, reference, &image);
    }
    assert_eq!(repository.tags(), ["one", "two"]);
    assert!(deleted(&endpoint, "").is_empty());
    told(&restore(&endpoint, id, ""), 404, "NOT_FOUND");
    registry.restart();
    expect_image(&registry.repository("a/b"), "two", &image);
    registry.stop();
    registry.expect_sound();
}

#[test]
fn a_tag_that_moved_on_is_taken_back_by_force_only() {
    let registry = registry!().start();
    let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
    let (old, new) = (Image::small(2), Image::small(20));
    repository.push_image("v1", &old);
    let id = delete(&repository, &endpoint, "v1");
    let listed = deleted(&endpoint, "");
    assert_eq!((&listed[0]["kind"], &listed[0]["tags"]), (&"tag".into(), &serde_json::json!(["v1"])));
    repository.push_image("v1", &new);
    let refused = told(&restore(&endpoint, id, "{}"), 409, "CONFLICT");
    let detail = &refused["data"];
    assert_eq!(detail["tags"][0], serde_json::json!({"tag": "v1", "digest": new.manifest.digest()}));
    repository.expect_manifest("v1", &new.manifest);
    done(&restore(&endpoint, id, r#"{"force":true}"#));
    repository.expect_manifest("v1", &old.manifest);
    // A tag whose manifest went after it waits for that.
    let of_tag = delete(&repository, &endpoint, "v1");
    let of_manifest = delete(&repository, &endpoint, &old.manifest.digest());
    let refused = told(&restore(&endpoint, of_tag, "{}"), 409, "CONFLICT");
    assert_eq!(refused["data"]["missing"][0]["digest"], old.manifest.digest());
    let message = refused["detail"].as_str().expect("a text");
    assert!(message.contains("deleted itself is restored first"), "{message}");
    done(&restore(&endpoint, of_manifest, "{}"));
    done(&restore(&endpoint, of_tag, "{}"));
    expect_image(&repository, "v1", &old);
}

#[test]
fn indexes_children_referrers_and_long_digests_come_back() {
    let registry = registry!().start();
    let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
    let image = Image::small(3);
    repository.push_image("child", &image);
    let child = image.manifest.digest();
    let elsewhere = Image::small(30).manifest;
    let parent = index(&[image.manifest.descriptor(), elsewhere.descriptor()]);
    repository.push_manifest("parent", &parent);
    repository.push_blob(&EMPTY_JSON.into());
    let signature = artifact("application/example", Some(&image.manifest.descriptor()), "signed");
    repository.push_manifest(&signature.digest(), &signature);

    let of_index = delete(&repository, &endpoint, &parent.digest());
    let of_signature = delete(&repository, &endpoint, &signature.digest());
    let of_child = delete(&repository, &endpoint, &child);
    assert!(repository.referrers(&child, "").is_empty());
    // The child first; what the sparse index never had is not asked for.
    let refused = told(&restore(&endpoint, of_index, "{}"), 409, "CONFLICT");
    let missing = refused["data"]["missing"].as_array().expect("a list").clone();
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0]["digest"], child);
    for id in [of_child, of_index, of_signature] {
        done(&restore(&endpoint, id, "{}"));
    }
    repository.expect_manifest("parent", &parent);
    expect_image(&repository, "child", &image);
    assert_eq!(repository.referrers(&child, "").len(), 1);
    // A child alone, under an index that stayed.
    let of_child = delete(&repository, &endpoint, &child);
    done(&restore(&endpoint, of_child, "{}"));
    expect_image(&repository, &child, &image);

    let long = Algorithm::Sha512.of(&image.manifest.bytes);
    repository.push_manifest(&long, &image.manifest);
    let id = delete(&repository, &endpoint, &long);
    repository.expect_no_manifest(&long);
    done(&restore(&endpoint, id, "{}"));
    expect_image(&repository, &long, &image);
}

#[test]
fn the_command_line_lists_and_restores_with_and_without_a_server() {
    let mut registry = registry!().start();
    let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
    let image = Image::small(4);
    for tag in ["one", "two"] {
        repository.push_image(tag, &image);
    }
    let server = url(&registry);
    assert!(expect_text(&run(&["deleted", "list", "--server", &server]), 0).contains("nothing"));
    let first = delete(&repository, &endpoint, "one").to_string();
    let second = delete(&repository, &endpoint, "two").to_string();
    let listed = expect_text(&run(&["deleted", "list", "--repository", "a/b", "--server", &server]), 0);
    assert!(
        listed.contains(&format!("{first} tag a/b:one")) && listed.contains("for 23 h 59 min"),
        "{listed}"
    );
    let restored = expect_text(&run(&["deleted", "restore", &first, "--server", &server]), 0);
    assert!(restored.starts_with(&format!("restored {first} tag a/b:one")), "{restored}");
    expect_image(&repository, "one", &image);
    let unknown = expect_text(&run(&["deleted", "restore", &first, "--server", &server]), 1);
    assert!(unknown.contains("there is no deletion"), "{unknown}");

    registry.stop();
    let data = registry.data().to_str().expect("UTF-8").to_owned();
    let listed = expect_text(&run(&["deleted", "list", "--json", "--data", &data]), 0);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed["deletions"].as_array().map(Vec::len), Some(1));
    expect_text(&run(&["deleted", "restore", &second, "--data", &data]), 0);
    let unknown = expect_text(&run(&["deleted", "restore", &second, "--data", &data]), 1);
    assert!(unknown.contains("there is no deletion"), "{unknown}");
    registry.start();
    expect_image(&registry.repository("a/b"), "two", &image);
}

#[test]
fn what_is_in_quarantine_is_told_by_a_restore() {
    let registry = registry!().damaged_at_end().start();
    let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
    let layer = noise(1, 700_000);
    let image = Image::of(1, vec![layer.clone()]);
    repository.push_image("v1", &image);
    let ids: Vec<u64> = (0..2)
        .map(|_| {
            let id = delete(&repository, &endpoint, "v1");
            repository.push_manifest("v1", &image.manifest);
            id
        })
        .collect();
    let of_manifest = delete(&repository, &endpoint, &image.manifest.digest());
    std::fs::remove_file(registry.data().join(&registry.blob_files()[0])).expect("the file is there");
    let digest = Algorithm::Sha256.of(&layer);
    let recheck = Request::post(format!("/api/v1/quarantine/{digest}/recheck"));
    done(&endpoint.send(&recheck.header("content-type", "application/json").body("{}")));
    let restored = done(&restore(&endpoint, of_manifest, "{}"));
    assert_eq!(
        (restored["quarantined"][0].as_str(), restored["kind"].as_str()),
        (Some(&*digest), Some("manifest"))
    );
    endpoint.get(repository.blob(&digest)).expect(404);
    let told =
        expect_text(&run(&["deleted", "restore", &ids[0].to_string(), "--server", &url(&registry)]), 0);
    assert!(told.contains(&format!("pushed again: {digest}")), "{told}");
    repository.push_blob(&layer);
    expect_image(&repository, "v1", &image);
    let restored = done(&restore(&endpoint, ids[1], "{}"));
    assert!(restored.get("quarantined").is_none(), "{restored}");
}

#[test]
fn pages_follow_each_other() {
    let registry = registry!().start();
    let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
    let image = Image::small(5);
    repository.push_image("t0", &image);
    let ids: Vec<u64> = (0..5)
        .map(|number| {
            let tag = format!("t{number}");
            repository.push_manifest(&tag, &image.manifest);
            delete(&repository, &endpoint, &tag)
        })
        .collect();
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = done(&endpoint.get(format!("/api/v1/deleted{query}")));
        let found = page["deletions"].as_array().expect("a list");
        assert!(found.len() <= 2);
        seen.extend(found.iter().filter_map(|deletion| deletion["id"].as_u64()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&cursor={next}");
    }
    assert_eq!(seen, ids);
}

#[test]
fn where_nothing_is_kept_nothing_comes_back() {
    let registry = registry!().env("STRATA_GC_UNDO", "0s").start();
    let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
    let image = Image::small(6);
    repository.push_image("v1", &image);
    endpoint.delete(repository.manifest("v1")).expect(202);
    assert!(deleted(&endpoint, "").is_empty());
    for id in 1..30 {
        told(&restore(&endpoint, id, "{}"), 404, "NOT_FOUND");
    }
    repository.expect_no_manifest("v1");
}

#[test]
fn wrong_questions_are_refused() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    told(&endpoint.get("/api/v1/deleted?repository=A"), 400, "NAME_INVALID");
    told(&endpoint.get("/api/v1/deleted?cursor=x"), 400, "PAGINATION_NUMBER_INVALID");
    told(&restore(&endpoint, 7, "[]"), 400, "REQUEST_INVALID");
    told(&restore(&endpoint, 7, r#"{"forced":true}"#), 400, "REQUEST_INVALID");
    told(&endpoint.post("/api/v1/deleted/7/restore"), 415, "REQUEST_INVALID");
    for id in ["x", "-1", "+1", "99999999999999999999"] {
        let request = Request::post(format!("/api/v1/deleted/{id}/restore"));
        let request = request.header("content-type", "application/json");
        told(&endpoint.send(&request), 404, "NOT_FOUND");
    }
}

/// Collects garbage now.
fn collect(endpoint: &Endpoint) -> Value {
    let request = Request::post("/api/v1/gc").header("content-type", "application/json").body("{}");
    done(&endpoint.send(&request))["report"]["removed"].clone()
}

#[test]
fn what_garbage_collection_took_is_named_and_its_return_is_enough() {
    let registry = registry!().env("STRATA_GC_GRACE", "0s").env("STRATA_GC_INTERVAL", "0s").start();
    let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
    let image = Image::small(7);
    repository.push_image("v1", &image);
    let id = delete(&repository, &endpoint, &image.manifest.digest());
    assert_eq!(collect(&endpoint)["blob"]["objects"].as_u64(), Some(3));
    let refused = told(&restore(&endpoint, id, "{}"), 409, "CONFLICT");
    let missing = refused["data"]["missing"].as_array().expect("a list");
    assert_eq!(missing.len(), 3, "{refused}");
    let message = refused["detail"].as_str().expect("a text");
    assert!(message.contains("gone: blob sha256:") && message.contains("(and 2 more)"), "{message}");
    repository.expect_no_manifest("v1");
    for blob in image.blobs() {
        repository.push_blob(blob);
    }
    done(&restore(&endpoint, id, "{}"));
    expect_image(&repository, "v1", &image);
    assert!(collect(&endpoint).as_object().is_some_and(serde_json::Map::is_empty), "all of it is needed");
    expect_image(&repository, "v1", &image);
}

#[test]
fn bytes_are_kept_for_the_undo_where_that_is_wanted_and_after_a_repository_for_the_grace() {
    for (name, value) in [("STRATA_GC_UNDO_KEEPS_BYTES", "true"), ("STRATA_GC_GRACE", "1h")] {
        let registry =
            registry!().env("STRATA_GC_GRACE", "0s").env("STRATA_GC_INTERVAL", "0s").env(name, value).start();
        let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
        let image = Image::small(8);
        repository.push_image("v1", &image);
        done(&endpoint.delete("/api/v1/images/a/b"));
        let id = last(&endpoint);
        collect(&endpoint);
        done(&restore(&endpoint, id, "{}"));
        expect_image(&repository, "v1", &image);
    }
}
