//! The audit log over the admin API: pushes and deletions are in it, filters and pages find them, and it can be had as JSON lines.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::{Value, json};
use strata_harness::operator::done;
use strata_harness::random::noise;
use strata_harness::{Endpoint, Image, Request, Response, TestRegistry, registry, sha256, wait};

fn audit(endpoint: &Endpoint, query: &str) -> Vec<Value> {
    done(&endpoint.get(format!("/api/v1/audit{query}")))["entries"].as_array().expect("a list").clone()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().expect("an action")).collect()
}

#[test]
fn pushes_and_deletions_are_told_newest_first() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    let (hy, other) = (registry.repository("hy/a"), registry.repository("zz/b"));
    hy.push_image("v1", &Image::small(1));
    other.push_image("v1", &Image::small(2));
    endpoint.delete(hy.manifest("v1")).expect(202);

    let all = audit(&endpoint, "");
    assert_eq!((&all[0]["action"], &all[0]["tag"]), (&"tag.delete".into(), &"v1".into()));
    assert_eq!(all[0]["repository"], "hy/a");
    assert_eq!(all[0]["result"], "done");
    assert_eq!(all[0]["remote"], "127.0.0.1");
    assert!(all[0]["request"].as_str().is_some_and(|id| !id.is_empty()));
    let numbers: Vec<u64> = all.iter().filter_map(|entry| entry["id"].as_u64()).collect();
    assert!(numbers.is_sorted_by(|left, right| left > right), "{numbers:?}");

    let pushed = audit(&endpoint, "?action=manifest.push");
    assert_eq!(actions(&pushed), ["manifest.push", "manifest.push"]);
    assert_eq!(audit(&endpoint, "?action=tag&registry=hy").len(), 2);
    assert_eq!(audit(&endpoint, "?repository=zz%2Fb&action=manifest").len(), 1);
    assert!(audit(&endpoint, "?account=nobody").is_empty() && audit(&endpoint, "?result=refused").is_empty());
    let last = all[0]["at_millis"].as_u64().expect("a time");
    assert!(audit(&endpoint, &format!("?from={}", last + 1)).is_empty());
    assert_eq!(audit(&endpoint, &format!("?until={}", last + 1)).len(), all.len());
    assert!(audit(&endpoint, &format!("?from={last}")).contains(&all[0]));

    // Page by page, and as lines, it is the same.
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = done(&endpoint.get(format!("/api/v1/audit?limit=2{cursor}")));
        paged.extend(page["entries"].as_array().expect("a list").iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all);
    let (mut lines, mut target) = (Vec::new(), "/api/v1/audit?format=jsonl&limit=3".to_owned());
    loop {
        let page = endpoint.get(target.as_str());
        assert_eq!((page.status, page.header("content-type")), (200, Some("application/jsonl")));
        let text = std::str::from_utf8(&page.body).expect("UTF-8");
        lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a document")));
        match page.next_page() {
            Some(next) => target = next,
            None => break,
        }
    }
    lines.reverse();
    assert_eq!(lines, all, "from the beginning");
}

fn send(endpoint: Endpoint, method: &str, path: &str, body: &Value) -> Response {
    let request = Request::new(method, format!("/api/v1/{path}")).header("content-type", "application/json");
    endpoint.send(&request.body(body.to_string()))
}

#[track_caller]
fn make(admin: Endpoint, path: &str, body: &Value) -> Value {
    let answer = send(admin, "POST", path, body);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

/// What was refused, as the log tells it: action, target, result.
fn refusals(admin: Endpoint, account: &str) -> Vec<[String; 3]> {
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let is_refusal = |entry: &&Value| entry["result"] != "done";
    let entries = audit(&admin, &format!("?account={account}&limit=1000"));
    let mut found: Vec<_> = entries
        .iter()
        .filter(is_refusal)
        .map(|entry| ["action", "target", "result"].map(|name| text(entry, name)))
        .collect();
    found.sort();
    found
}

/// A registry `hy` with `hy/a:v1` and room for little more, and `vera`, who may look at it: the id of her key, its secret, and the
/// listener asked with it.
fn with_viewer(registry: &TestRegistry, image: &Image) -> (String, String, Endpoint) {
    let admin = registry.admin();
    make(admin, "registries", &json!({"name": "hy", "quota": 200_000}));
    admin.repository("hy/a").push_image("v1", image);
    make(admin, "accounts", &json!({"name": "vera", "kind": "person"}));
    let key = make(admin, "accounts/vera/keys", &json!({}));
    let (id, secret) = (key["id"].as_str().expect("an id"), key["secret"].as_str().expect("a secret"));
    done(&send(admin, "PUT", "registries/hy/members/vera", &json!({"role": "viewer"})));
    (id.to_owned(), secret.to_owned(), registry.endpoint().with_key(id, secret))
}

#[track_caller]
fn denied(answer: &Response) {
    assert_eq!(answer.status, 403, "{answer:?}");
}

/// Tries all that a viewer may not.
fn try_all(vera: Endpoint, secret: &str, session: &str, image: &Image) {
    let (layer, digest) = (sha256(&image.layers[0]), image.manifest.digest());
    let repository = vera.repository("hy/a");
    for _ in 0..3 {
        denied(&vera.post("/v2/hy/a/blobs/uploads/"));
    }
    denied(&vera.put(format!("{session}?digest={layer}")));
    denied(&vera.send(&repository.post_blob(&layer, &image.layers[0])));
    denied(&vera.post(format!("/v2/hy/b/blobs/uploads/?mount={layer}&from=hy/a")));
    denied(&vera.send(&repository.put_manifest("v2", &image.manifest)));
    denied(&send(vera, "PUT", "images/hy/a/tags/v3", &json!({"digest": digest})));
    denied(&vera.delete(repository.manifest("v1")));
    denied(&vera.delete(repository.manifest(&digest)));
    denied(&vera.delete(repository.blob(&layer)));
    denied(&vera.delete("/api/v1/images/hy/a"));
    denied(&send(vera, "POST", "accounts", &json!({"name": "eve", "kind": "person"})));
    denied(&send(vera, "POST", "accounts", &json!({"name": secret, "kind": "person"})));
    denied(&send(vera, "PATCH", "registries/hy", &json!({"quota": null})));
    denied(&send(vera, "PUT", "registries/hy/members/vera", &json!({"role": "admin"})));
    denied(&send(vera, "DELETE", &format!("accounts/admin/keys/{secret}"), &json!({})));
    denied(&send(vera, "POST", "gc", &json!({})));
    assert_eq!(vera.delete("/v2/none/a/manifests/v1").status, 404);
}

#[test]
fn what_was_refused_is_told_with_who_and_why() {
    let registry = registry!().accounts().start();
    let (admin, at, image) = (registry.admin(), registry.endpoint(), Image::small(1));
    let (id, secret, vera) = with_viewer(&registry, &image);
    let (layer, digest) = (sha256(&image.layers[0]), image.manifest.digest());
    let session = admin.post("/v2/hy/a/blobs/uploads/").expect(202).location();
    try_all(vera, &secret, &session, &image);
    // Not refused: what is not there, what is seen and read, and what nobody with a name has asked for.
    assert_eq!(admin.delete("/v2/hy/none/manifests/v1").status, 404);
    assert_eq!(vera.get("/v2/hy/none/manifests/v1").status, 404);
    assert_eq!(at.post("/v2/hy/a/blobs/uploads/").status, 401);
    assert_eq!(at.delete("/v2/hy/a/manifests/v1").status, 401);
    let large = noise(7, 300_000);
    let pushed = admin.send(&admin.repository("hy/a").post_blob(&sha256(&large), &large));
    pushed.expect_error(403, "DENIED");
    let expected = [
        ["account.create", "", "denied"],
        ["account.create", "eve", "denied"],
        ["blob.delete", &format!("hy/a@{layer}"), "denied"],
        ["blob.mount", &format!("hy/b@{layer}"), "denied"],
        ["blob.push", "hy/a", "denied"],
        ["gc.run", "", "denied"],
        ["key.delete", "", "denied"],
        ["manifest.delete", &format!("hy/a@{digest}"), "denied"],
        ["manifest.push", "hy/a:v2", "denied"],
        ["registry.change", "hy", "denied"],
        ["repository.delete", "hy/a", "denied"],
        ["role.set", "vera@hy", "denied"],
        ["tag.delete", "hy/a:v1", "denied"],
        ["tag.delete", "none/a:v1", "denied"],
        ["tag.set", "hy/a:v3", "denied"],
    ];
    // What is alike may have come to two entries where it came in two stretches of time.
    wait::until("the refusals are told", wait::SOON, || {
        let mut told = refusals(admin, "vera");
        told.dedup();
        (told == expected && !refusals(admin, "admin").is_empty()).then_some(())
    });
    assert_eq!(refusals(admin, "admin"), [["blob.push", "hy/a", "over quota"]]);
    let pushes = audit(&admin, "?account=vera&action=blob.push&result=denied");
    let count: u64 = pushes.iter().map(|entry| entry["count"].as_u64().unwrap_or(1)).sum();
    assert_eq!((count, pushes.len() < 5), (5, true), "{pushes:?}");
    assert_eq!((&pushes[0]["key"], &pushes[0]["remote"]), (&id.into(), &"127.0.0.1".into()));
    assert_eq!(pushes[0]["repository"], "hy/a");
    let all = audit(&admin, "?limit=1000");
    assert!(!json!(all).to_string().contains("strata_"), "no secret");
}

#[test]
fn nobody_fills_the_log_by_being_refused() {
    let mut registry = registry!().accounts().start();
    let (_, _, vera) = with_viewer(&registry, &Image::small(1));
    for number in 0..200 {
        denied(&vera.delete(format!("/v2/hy/a/manifests/t{number}")));
    }
    let metrics = registry.admin().get("/metrics");
    let text = std::str::from_utf8(&metrics.body).expect("UTF-8");
    let line = text.lines().find(|line| line.starts_with("strata_audit_refusals_dropped_total"));
    let dropped = line.and_then(|line| line.rsplit_once(' ')).expect("the metric").1;
    let dropped: usize = dropped.parse().expect("a number");
    assert!(dropped > 0);
    // What is in memory is written before the end, and nothing is told twice.
    registry.restart();
    let told = refusals(registry.admin(), "vera").len();
    assert_eq!(told + dropped, 200);
}

#[test]
fn what_was_done_to_a_registry_is_found_by_its_name() {
    let registry = registry!().accounts().start();
    let admin = registry.admin();
    for name in ["hy", "other"] {
        make(admin, "registries", &json!({"name": name}));
    }
    make(admin, "accounts", &json!({"name": "vera", "kind": "person"}));
    done(&send(admin, "PATCH", "registries/hy", &json!({"description": "of hy"})));
    done(&send(admin, "PUT", "registries/hy/members/vera", &json!({"role": "viewer"})));
    done(&send(admin, "PUT", "accounts/vera/roles/instance", &json!({"role": "viewer"})));
    done(&send(admin, "PUT", "registries/other/members/vera", &json!({"role": "viewer"})));
    done(&send(admin, "DELETE", "registries/hy/members/vera", &json!({})));
    admin.repository("hy/a").push_blob(&noise(1, 10));
    assert_eq!(send(admin, "DELETE", "registries/hy?force=true", &json!({})).status, 200);
    let entries = audit(&admin, "?registry=hy");
    let told = [
        "registry.delete",
        "repository.delete",
        "blob.delete",
        "blob.push",
        "repository.create",
        "role.remove",
        "role.set.viewer",
        "registry.change",
        "registry.create",
    ];
    let mut actions = actions(&entries);
    assert!(told.iter().all(|action| actions.contains(action)), "{actions:?}");
    actions.retain(|action| !told.contains(action));
    assert!(actions.is_empty(), "{actions:?}");
}

#[test]
fn wrong_questions_are_refused() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    for (query, code) in [
        ("?from=yesterday", "REQUEST_INVALID"),
        ("?until=-1", "REQUEST_INVALID"),
        ("?format=csv", "REQUEST_INVALID"),
        ("?cursor=x", "PAGINATION_NUMBER_INVALID"),
        ("?limit=0", "PAGINATION_NUMBER_INVALID"),
    ] {
        endpoint.get(format!("/api/v1/audit{query}")).expect_problem(400, code);
    }
}
