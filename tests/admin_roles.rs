//! Every operation of the admin API with accounts: tried by an administrator of the instance, an administrator, a viewer and a stranger of
//! the registry that it is about, and by nobody. The list of operations is the server's own, so that one without a row here fails.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::{Value, json};
use std::collections::BTreeSet;
use strata_harness::operator::done;
use strata_harness::{Endpoint, Image, Request, Response, registry};

/// Who tries: the instance's administrator, then three accounts with that role in `hy`, and one who shows nothing.
const WHO: [&str; 5] = ["boss", "owner", "viewer", "stranger", "nobody"];

/// What comes of it, in the order of [`WHO`].
type Statuses = [u16; 5];

/// Of the instance: whoever manages or looks after it, or watches it.
const fn instance(done: u16) -> Statuses {
    [done, 403, 403, 403, 401]
}

/// What everybody with an account may ask, and is answered with what he may see.
const KNOWN: Statuses = [200, 200, 200, 200, 401];
/// What is seen in a registry.
const SEEN: Statuses = [200, 200, 200, 404, 401];

/// What changes the content of a registry.
const fn content(done: u16) -> Statuses {
    [done, done, 403, 404, 401]
}

/// Blobs that are nowhere, and a manifest that is.
const NOWHERE: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// Method, template, path, body, what comes of it. In a path, `WHO` is who tries: each has things of his own to change and to delete. `V1` is
/// a manifest, `KEY` a key and `GONE` a deletion that are there for him. What is deleted stands behind what is looked at.
type Row = (&'static str, &'static str, &'static str, Value, Statuses);

/// Nothing is asked for but what the path says.
fn none() -> Value {
    json!({})
}

/// Accounts, keys, roles and registries.
fn directory_rows() -> Vec<Row> {
    vec![
        ("GET", "session", "session", none(), [200; 5]),
        ("GET", "accounts", "accounts", none(), instance(200)),
        ("POST", "accounts", "accounts", json!({"name": "new-WHO", "kind": "robot"}), instance(201)),
        ("GET", "accounts/{account}", "accounts/v-WHO", none(), instance(200)),
        ("PATCH", "accounts/{account}", "accounts/v-WHO", json!({"email": "a@example.org"}), instance(200)),
        ("GET", "accounts/{account}/keys", "accounts/v-WHO/keys", none(), instance(200)),
        ("POST", "accounts/{account}/keys", "accounts/v-WHO/keys", none(), instance(201)),
        ("GET", "accounts/{account}/keys/{key}", "accounts/v-WHO/keys/KEY", none(), instance(200)),
        (
            "PATCH",
            "accounts/{account}/keys/{key}",
            "accounts/v-WHO/keys/KEY",
            json!({"description": "x"}),
            instance(200),
        ),
        ("DELETE", "accounts/{account}/keys/{key}", "accounts/v-WHO/keys/KEY", none(), instance(204)),
        ("GET", "accounts/{account}/roles", "accounts/v-WHO/roles", none(), instance(200)),
        (
            "PUT",
            "accounts/{account}/roles/instance",
            "accounts/v-WHO/roles/instance",
            json!({"role": "viewer"}),
            instance(200),
        ),
        (
            "DELETE",
            "accounts/{account}/roles/instance",
            "accounts/v-WHO/roles/instance",
            none(),
            instance(200),
        ),
        ("GET", "registries", "registries", none(), KNOWN),
        ("POST", "registries", "registries", json!({"name": "new-WHO"}), instance(201)),
        ("GET", "registries/{registry}", "registries/hy", none(), SEEN),
        ("PATCH", "registries/{registry}", "registries/hy", json!({"description": "WHO"}), instance(200)),
        ("GET", "registries/{registry}/members", "registries/hy/members", none(), instance(200)),
        (
            "PUT",
            "registries/{registry}/members/{account}",
            "registries/hy/members/v-WHO",
            json!({"role": "viewer"}),
            instance(200),
        ),
        (
            "DELETE",
            "registries/{registry}/members/{account}",
            "registries/hy/members/v-WHO",
            none(),
            instance(200),
        ),
        ("GET", "signing-keys", "signing-keys", none(), instance(200)),
        ("POST", "signing-keys", "signing-keys", none(), instance(201)),
        ("DELETE", "registries/{registry}", "registries/r-WHO", none(), instance(200)),
        ("DELETE", "accounts/{account}", "accounts/v-WHO", none(), instance(204)),
    ]
}

/// Images, artifacts and tags, and what was deleted of them.
fn image_rows() -> Vec<Row> {
    vec![
        ("GET", "images", "images", none(), KNOWN),
        ("GET", "images/{name}", "images/hy/WHO", none(), SEEN),
        ("GET", "images/{name}/artifacts", "images/hy/WHO/artifacts", none(), SEEN),
        ("GET", "images/{name}/artifacts/{reference}", "images/hy/WHO/artifacts/V1", none(), SEEN),
        ("GET", "images/{name}/tags", "images/hy/WHO/tags", none(), SEEN),
        ("GET", "images/{name}/tags/{tag}", "images/hy/WHO/tags/v1", none(), SEEN),
        ("GET", "images/{name}/tags/{tag}/history", "images/hy/WHO/tags/v1/history", none(), SEEN),
        // A registry that one does not see is, for one who brings something, one that is not there.
        (
            "PUT",
            "images/{name}/tags/{tag}",
            "images/hy/WHO/tags/v2",
            json!({"digest": "V1"}),
            [201, 201, 403, 403, 401],
        ),
        ("DELETE", "images/{name}/tags/{tag}", "images/hy/WHO/tags/v1", none(), content(204)),
        ("GET", "deleted", "deleted?repository=hy/WHO", none(), SEEN),
        ("POST", "deleted/{id}/restore", "deleted/GONE/restore", none(), content(200)),
        ("DELETE", "images/{name}/artifacts/{reference}", "images/hy/WHO/artifacts/V1", none(), content(204)),
        ("DELETE", "images/{name}", "images/hy/other-WHO", none(), content(200)),
    ]
}

/// What looks after the store.
fn store_rows() -> Vec<Row> {
    vec![
        ("GET", "audit", "audit", none(), instance(200)),
        ("GET", "openapi.json", "openapi.json", none(), [200; 5]),
        ("GET", "status", "status", none(), instance(200)),
        ("GET", "gc", "gc", none(), instance(200)),
        ("POST", "gc", "gc", none(), instance(200)),
        ("GET", "scrub", "scrub", none(), instance(200)),
        ("POST", "scrub", "scrub", none(), instance(202)),
        ("GET", "quarantine", "quarantine", none(), instance(200)),
        ("POST", "quarantine/recheck", "quarantine/recheck", none(), instance(200)),
        ("PUT", "quarantine/{digest}", "quarantine/NOWHERE", none(), instance(404)),
        ("DELETE", "quarantine/{digest}", "quarantine/NOWHERE", none(), instance(404)),
        ("POST", "quarantine/{digest}/recheck", "quarantine/NOWHERE/recheck", none(), instance(404)),
        ("GET", "backups", "backups", none(), instance(200)),
        ("POST", "backups", "backups", none(), instance(200)),
        ("PUT", "backups/{id}", "backups/none", none(), instance(404)),
        ("DELETE", "backups/{id}", "backups/none", none(), instance(404)),
    ]
}

fn send(who: Endpoint, method: &str, path: &str, body: &Value) -> Response {
    let request = Request::new(method, format!("/api/v1/{path}"));
    if method == "GET" {
        return who.send(&request);
    }
    who.send(&request.header("content-type", "application/json").body(body.to_string()))
}

#[track_caller]
fn make(admin: Endpoint, path: &str, body: &Value) -> Value {
    let answer = send(admin, "POST", path, body);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

/// Makes an account with a key, and gives the id of the key and the listener asked with it.
fn account(admin: Endpoint, at: Endpoint, name: &str) -> (String, Endpoint) {
    make(admin, "accounts", &json!({"name": name, "kind": "person"}));
    let key = make(admin, &format!("accounts/{name}/keys"), &json!({}));
    let (id, secret) = (key["id"].as_str().expect("an id"), key["secret"].as_str().expect("a secret"));
    (id.to_owned(), at.with_key(id, secret))
}

/// Somebody, and what is there for him to be tried on.
struct Actor {
    name: &'static str,
    by: Endpoint,
    key: String,
    manifest: String,
    deletion: String,
}

impl Actor {
    fn new(admin: Endpoint, at: Endpoint, number: usize, name: &'static str) -> Self {
        let (_, by) = account(admin, at, name);
        match name {
            "boss" => {
                done(&send(admin, "PUT", "accounts/boss/roles/instance", &json!({"role": "admin"})));
            }
            "owner" | "viewer" => {
                let role = if name == "owner" { "admin" } else { "viewer" };
                done(&send(admin, "PUT", &format!("registries/hy/members/{name}"), &json!({"role": role})));
            }
            _ => {}
        }
        let (key, _) = account(admin, at, &format!("v-{name}"));
        make(admin, "registries", &json!({"name": format!("r-{name}")}));
        let (repository, image) = (admin.repository(&format!("hy/{name}")), Image::small(number as u64));
        for tag in ["v1", "old"] {
            repository.push_image(tag, &image);
        }
        admin.repository(&format!("hy/other-{name}")).push_image("v1", &image);
        admin.delete(repository.manifest("old")).expect(202);
        let deleted = done(&admin.get(format!("/api/v1/deleted?repository=hy/{name}")));
        let deletion = deleted["deletions"][0]["id"].to_string();
        let by = if name == "nobody" { at } else { by };
        Self { name, by, key, manifest: image.manifest.digest(), deletion }
    }

    fn fill(&self, text: &str) -> String {
        let places = [
            ("WHO", self.name),
            ("KEY", &self.key),
            ("V1", &self.manifest),
            ("GONE", &self.deletion),
            ("NOWHERE", NOWHERE),
        ];
        places.into_iter().fold(text.to_owned(), |text, (place, value)| text.replace(place, value))
    }
}

#[test]
fn every_operation_knows_who_may() {
    let registry = registry!().accounts().start();
    let (admin, at) = (registry.admin(), registry.endpoint());
    make(admin, "registries", &json!({"name": "hy"}));
    let actors: Vec<Actor> =
        WHO.into_iter().enumerate().map(|(number, name)| Actor::new(admin, at, number, name)).collect();
    let rows = [directory_rows(), image_rows(), store_rows()].concat();
    // No operation without a row, and no row without an operation.
    let description = done(&at.get("/api/v1/openapi.json"));
    let described: BTreeSet<(String, String)> = description["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .flat_map(|(template, operations)| {
            let path = template.trim_start_matches("/api/v1/");
            let methods = operations.as_object().expect("operations").keys();
            methods.map(move |method| (method.to_uppercase(), path.to_owned()))
        })
        .collect();
    let tried: BTreeSet<(String, String)> =
        rows.iter().map(|(method, template, ..)| ((*method).to_owned(), (*template).to_owned())).collect();
    assert_eq!(described, tried);
    let mut wrong = Vec::new();
    // The administrator last: what the others may not do is there until he does it.
    for (index, actor) in actors.iter().enumerate().rev() {
        for (method, _, path, body, statuses) in &rows {
            let (path, body) = (actor.fill(path), actor.fill(&body.to_string()));
            let body = serde_json::from_str(&body).expect("JSON");
            let answer = send(actor.by, method, &path, &body);
            if answer.status != statuses[index] {
                wrong.push(format!(
                    "{}: {method} {path}: {} and not {}",
                    actor.name, answer.status, statuses[index]
                ));
            } else if answer.status >= 400 {
                let code = answer.problem();
                let expected: &[&str] = match answer.status {
                    401 => &["UNAUTHORIZED"],
                    403 => &["DENIED"],
                    _ => &["NAME_UNKNOWN", "NOT_FOUND", "BLOB_UNKNOWN"],
                };
                assert!(expected.contains(&&*code), "{}: {method} {path}: {code}", actor.name);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // A stranger's lists hold nothing.
    for (path, member) in [("registries", "registries"), ("images", "images"), ("deleted", "deletions")] {
        let seen = |who: usize| {
            done(&send(actors[who].by, "GET", path, &json!({})))[member].as_array().expect("a list").len()
        };
        assert_eq!((seen(3), seen(2) > 0), (0, true), "{path}");
    }
}

#[test]
fn everybody_looks_after_his_own_keys_and_no_others() {
    let registry = registry!().accounts().start();
    let (admin, at) = (registry.admin(), registry.endpoint());
    let (id, anna) = account(admin, at, "anna");
    let (others, _) = account(admin, at, "bob");
    let keys: Vec<String> = (0..4)
        .map(|_| make(anna, "accounts/anna/keys", &json!({}))["id"].as_str().expect("an id").to_owned())
        .collect();
    let sixth = send(anna, "POST", "accounts/anna/keys", &json!({}));
    sixth.expect_problem(409, "CONFLICT");
    let listed = done(&anna.get("/api/v1/accounts/anna/keys"));
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(5));
    let path = |key: &str| format!("accounts/anna/keys/{key}");
    done(&send(anna, "PATCH", &path(&keys[0]), &json!({"state": "disabled"})));
    assert_eq!(send(anna, "DELETE", &path(&keys[1]), &json!({})).status, 204);
    // With the key itself as the last deed.
    assert_eq!(send(anna, "DELETE", &path(&id), &json!({})).status, 204);
    assert_eq!(anna.get("/api/v1/session").status, 401);
    let anna = {
        let key = make(admin, "accounts/anna/keys", &json!({}));
        at.with_key(key["id"].as_str().expect("an id"), key["secret"].as_str().expect("a secret"))
    };
    for (method, path, body) in [
        ("GET", "accounts/bob/keys".to_owned(), json!({})),
        ("POST", "accounts/bob/keys".to_owned(), json!({})),
        ("PATCH", format!("accounts/bob/keys/{others}"), json!({"state": "disabled"})),
        ("DELETE", format!("accounts/bob/keys/{others}"), json!({})),
        ("PATCH", "accounts/anna".to_owned(), json!({"email": "a@example.org"})),
        ("PUT", "accounts/anna/roles/instance".to_owned(), json!({"role": "admin"})),
    ] {
        send(anna, method, &path, &body).expect_problem(403, "DENIED");
    }
    // A key that is not his is not under his name either.
    send(anna, "DELETE", &path(&others), &json!({})).expect_problem(404, "NOT_FOUND");
    // A token for images is none for keys.
    let token = done(&anna.get("/token?service=strata&scope=repository:hy/a:pull"));
    let narrow = at.with_token(token["token"].as_str().expect("a token"));
    send(narrow, "POST", "accounts/anna/keys", &json!({})).expect_refused(&[401, 403]);
}
