//! Accounts, keys, roles and registries over the admin API: what they are, page by page; two administrators at once; limits; what is
//! refused and how; and that a secret stands in one answer and nowhere else. In open mode, where whoever is on the machine manages.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::{Value, json};
use strata_harness::operator::done;
use strata_harness::{Endpoint, Image, Request, Response, registry};

fn send(endpoint: &Endpoint, method: &str, path: &str, body: &Value) -> Response {
    let request = Request::new(method, format!("/api/v1/{path}")).header("content-type", "application/json");
    endpoint.send(&request.body(body.to_string()))
}

fn send_if(endpoint: &Endpoint, method: &str, path: &str, body: &Value, revision: &str) -> Response {
    let request = Request::new(method, format!("/api/v1/{path}")).header("content-type", "application/json");
    endpoint.send(&request.header("if-match", revision).body(body.to_string()))
}

fn get(endpoint: &Endpoint, path: &str) -> Response {
    endpoint.get(format!("/api/v1/{path}"))
}

#[track_caller]
fn made(answer: &Response) -> Value {
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn person(endpoint: &Endpoint, name: &str) -> Value {
    made(&send(endpoint, "POST", "accounts", &json!({"name": name, "kind": "person"})))
}

/// All entries of a list, two at a time.
fn all(endpoint: &Endpoint, path: &str, member: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let divider = if path.contains('?') { '&' } else { '?' };
        let page = done(&get(endpoint, &format!("{path}{divider}limit=2{cursor}")));
        let entries = page[member].as_array().expect("a list");
        assert!(entries.len() <= 2);
        found.extend(entries.iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn names(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["name"].as_str().expect("a name")).collect()
}

#[test]
fn accounts_come_change_and_go() {
    let mut registry = registry!().start();
    let endpoint = registry.endpoint();
    assert_eq!(done(&get(&endpoint, "session"))["who"], "everyone");
    for name in ["dora", "anna", "bob", "carl", "anton"] {
        let account = person(&endpoint, name);
        assert_eq!((&account["state"], &account["keys"]), (&"enabled".into(), &0.into()));
    }
    assert_eq!(names(&all(&endpoint, "accounts", "accounts")), ["anna", "anton", "bob", "carl", "dora"]);
    assert_eq!(names(&all(&endpoint, "accounts?search=an", "accounts")), ["anna", "anton"]);
    send(&endpoint, "POST", "accounts", &json!({"name": "anna", "kind": "robot"}))
        .expect_problem(409, "CONFLICT");
    let changed = done(&send(
        &endpoint,
        "PATCH",
        "accounts/anna",
        &json!({"email": "anna@example.org", "state": "disabled"}),
    ));
    assert_eq!((&changed["email"], &changed["state"]), (&"anna@example.org".into(), &"disabled".into()));
    let changed = done(&send(&endpoint, "PATCH", "accounts/anna", &json!({"email": null})));
    assert_eq!((changed.get("email"), &changed["state"]), (None, &"disabled".into()));
    assert_eq!(endpoint.delete("/api/v1/accounts/bob").status, 204);
    endpoint.delete("/api/v1/accounts/bob").expect_problem(404, "NOT_FOUND");
    get(&endpoint, "accounts/bob").expect_problem(404, "NOT_FOUND");
    registry.restart();
    let endpoint = registry.endpoint();
    assert_eq!(names(&all(&endpoint, "accounts", "accounts")), ["anna", "anton", "carl", "dora"]);
    assert_eq!(done(&get(&endpoint, "accounts/anna"))["state"], "disabled");
    // All of it is in the audit log.
    let told = done(&get(&endpoint, "audit?action=account"));
    let actions: Vec<&str> = told["entries"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    assert_eq!(actions.len(), 8, "{told}");
    assert_eq!((actions[0], &told["entries"][0]["target"]), ("account.delete", &"bob".into()));
}

#[test]
fn of_two_who_change_one_thing_the_second_is_told() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    person(&endpoint, "anna");
    let seen = get(&endpoint, "accounts/anna");
    let revision = seen.header("etag").expect("a revision").to_owned();
    let first = send_if(&endpoint, "PATCH", "accounts/anna", &json!({"email": "a@example.org"}), &revision);
    assert_eq!(first.status, 200, "{first:?}");
    assert_ne!(first.header("etag"), Some(&*revision));
    let disable = json!({"state": "disabled"});
    send_if(&endpoint, "PATCH", "accounts/anna", &disable, &revision)
        .expect_problem(412, "REVISION_MISMATCH");
    send_if(&endpoint, "DELETE", "accounts/anna", &json!({}), &revision)
        .expect_problem(412, "REVISION_MISMATCH");
    send_if(&endpoint, "PUT", "accounts/anna/roles/instance", &json!({"role": "viewer"}), &revision)
        .expect_problem(412, "REVISION_MISMATCH");
    assert_eq!(done(&get(&endpoint, "accounts/anna"))["state"], "enabled", "nothing was changed");
    send_if(&endpoint, "PATCH", "accounts/anna", &disable, "\"x\"").expect_problem(412, "REQUEST_INVALID");
    let again = first.header("etag").expect("a revision");
    assert_eq!(send_if(&endpoint, "PATCH", "accounts/anna", &disable, again).status, 200);
    let made = send(&endpoint, "POST", "registries", &json!({"name": "hy"}));
    let revision = made.header("etag").expect("a revision").to_owned();
    assert_eq!(
        send_if(&endpoint, "PATCH", "registries/hy", &json!({"anonymous_pull": true}), &revision).status,
        200
    );
    send_if(&endpoint, "PATCH", "registries/hy", &json!({"quota": 1}), &revision)
        .expect_problem(412, "REVISION_MISMATCH");
    send_if(&endpoint, "DELETE", "registries/hy", &json!({}), &revision)
        .expect_problem(412, "REVISION_MISMATCH");
}

#[test]
fn keys_are_five_and_their_secrets_are_told_once() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    person(&endpoint, "anna");
    let new = |number: usize| {
        send(&endpoint, "POST", "accounts/anna/keys", &json!({"description": format!("key {number}")}))
    };
    let keys: Vec<Value> = (0..5).map(|number| made(&new(number))).collect();
    new(5).expect_problem(409, "CONFLICT");
    let listed = get(&endpoint, "accounts/anna/keys");
    let ids: Vec<Value> =
        done(&listed)["keys"].as_array().expect("a list").iter().map(|key| key["id"].clone()).collect();
    assert_eq!(ids, keys.iter().map(|key| key["id"].clone()).collect::<Vec<_>>());
    let id = keys[0]["id"].as_str().expect("an id");
    let path = format!("accounts/anna/keys/{id}");
    let changed = send(&endpoint, "PATCH", &path, &json!({"state": "disabled", "description": "old"}));
    assert_eq!(
        (&done(&changed)["state"], &done(&changed)["description"]),
        (&"disabled".into(), &"old".into())
    );
    send(&endpoint, "PATCH", &path, &json!({"expires_at_millis": 1})).expect_problem(400, "REQUEST_INVALID");
    // No other answer, and not the log, holds a secret or anything that was made of it.
    let others = [
        &listed,
        &changed,
        &get(&endpoint, &path),
        &get(&endpoint, "accounts"),
        &get(&endpoint, "accounts/anna"),
        &get(&endpoint, "audit"),
    ];
    let texts: Vec<String> = others
        .iter()
        .map(|answer| String::from_utf8_lossy(&answer.body).into_owned())
        .chain([registry.log()])
        .collect();
    for key in &keys {
        let secret = key["secret"].as_str().expect("a secret");
        assert!(secret.starts_with("strata_") && secret.len() >= 50, "256 bits");
        assert!(texts.iter().all(|text| !text.contains(secret)));
    }
    assert!(texts.iter().all(|text| !text.contains("argon2")));
    assert_eq!(endpoint.delete(format!("/api/v1/{path}")).status, 204);
    get(&endpoint, &path).expect_problem(404, "NOT_FOUND");
    assert_eq!(new(6).status, 201, "there is room again");
    get(&endpoint, "accounts/nobody/keys").expect_problem(404, "NOT_FOUND");
    // Only keys of robots are narrowed.
    let narrow = |account: &str, actions: &[&str]| {
        let narrowing = json!({"repositories": ["hy/**"], "actions": actions});
        send(&endpoint, "POST", &format!("accounts/{account}/keys"), &json!({"narrowing": narrowing}))
    };
    made(&send(&endpoint, "POST", "accounts", &json!({"name": "ci", "kind": "robot"})));
    let narrowed = made(&narrow("ci", &["pull", "push"]));
    assert_eq!(narrowed["narrowing"], json!({"repositories": ["hy/**"], "actions": ["pull", "push"]}));
    for actions in [&["fly"][..], &[]] {
        narrow("ci", actions).expect_problem(400, "REQUEST_INVALID");
    }
    person(&endpoint, "bob");
    narrow("bob", &["pull"]).expect_problem(400, "REQUEST_INVALID");
}

#[test]
fn registries_and_their_members() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    person(&endpoint, "anna");
    person(&endpoint, "bob");
    let made_one = made(&send(
        &endpoint,
        "POST",
        "registries",
        &json!({"name": "hy", "description": "of hy", "quota": 1_000_000}),
    ));
    assert_eq!(
        (&made_one["kind"], &made_one["public"], &made_one["anonymous_pull"]),
        (&"standard".into(), &true.into(), &false.into())
    );
    send(&endpoint, "POST", "registries", &json!({"name": "hy"})).expect_problem(409, "CONFLICT");
    registry.repository("pushed/a").push_image("v1", &Image::small(1));
    assert!(names(&all(&endpoint, "registries", "registries")).contains(&"pushed"), "a push made it");
    let changed =
        done(&send(&endpoint, "PATCH", "registries/hy", &json!({"quota": null, "anonymous_pull": true})));
    assert_eq!((changed.get("quota"), &changed["anonymous_pull"]), (None, &true.into()));
    for (account, role) in [("anna", "admin"), ("bob", "viewer")] {
        let roles = done(&send(
            &endpoint,
            "PUT",
            &format!("registries/hy/members/{account}"),
            &json!({"role": role}),
        ));
        assert_eq!(roles["registries"], json!({"hy": role}));
    }
    let members = all(&endpoint, "registries/hy/members", "members");
    assert_eq!(
        members,
        [json!({"account": "anna", "role": "admin"}), json!({"account": "bob", "role": "viewer"})]
    );
    assert_eq!(done(&endpoint.delete("/api/v1/registries/hy/members/bob"))["registries"], json!({}));
    assert_eq!(done(&get(&endpoint, "accounts/anna/roles"))["registries"], json!({"hy": "admin"}));
    send(&endpoint, "PUT", "registries/hy/members/nobody", &json!({"role": "viewer"}))
        .expect_problem(404, "NOT_FOUND");
    send(&endpoint, "PUT", "registries/no/members/bob", &json!({"role": "viewer"}))
        .expect_problem(404, "NAME_UNKNOWN");
    // Content goes only where that is said.
    endpoint.delete("/api/v1/registries/pushed").expect_problem(409, "CONFLICT");
    endpoint.delete("/api/v1/registries/pushed?force=1").expect_problem(400, "REQUEST_INVALID");
    let removed = done(&endpoint.delete("/api/v1/registries/pushed?force=true"));
    assert_eq!(removed["repositories"], json!(["pushed/a"]));
    get(&endpoint, "registries/pushed").expect_problem(404, "NAME_UNKNOWN");
    done(&endpoint.delete("/api/v1/registries/hy"));
    assert_eq!(
        done(&get(&endpoint, "accounts/anna/roles"))["registries"],
        json!({}),
        "roles go with their registry"
    );
}

#[test]
fn the_last_administrator_stays() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    let role = |name: &str, role: &str| {
        send(&endpoint, "PUT", &format!("accounts/{name}/roles/instance"), &json!({"role": role}))
    };
    for name in ["anna", "bob"] {
        person(&endpoint, name);
        assert_eq!(done(&role(name, "admin"))["instance"], "admin");
    }
    assert_eq!(done(&role("bob", "viewer"))["instance"], "viewer");
    role("anna", "viewer").expect_problem(409, "CONFLICT");
    endpoint.delete("/api/v1/accounts/anna/roles/instance").expect_problem(409, "CONFLICT");
    endpoint.delete("/api/v1/accounts/anna").expect_problem(409, "CONFLICT");
    send(&endpoint, "PATCH", "accounts/anna", &json!({"state": "disabled"})).expect_problem(409, "CONFLICT");
    assert_eq!(done(&endpoint.delete("/api/v1/accounts/bob/roles/instance")).get("instance"), None);
}

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    person(&endpoint, "anna");
    let long = "a".repeat(65);
    for name in ["", "A", "a/b", "../a", "a b", "ä", "-a", "a\u{0}", &long] {
        send(&endpoint, "POST", "accounts", &json!({"name": name, "kind": "person"}))
            .expect_problem(400, "REQUEST_INVALID");
        send(&endpoint, "POST", "registries", &json!({ "name": name }))
            .expect_problem(400, "REQUEST_INVALID");
    }
    for (method, path, body) in [
        ("POST", "accounts", json!({"name": "b"})),
        ("POST", "accounts", json!({"name": "b", "kind": "god"})),
        ("POST", "accounts", json!({"name": "b", "kind": "person", "roles": {"instance": "admin"}})),
        ("POST", "accounts", json!({"name": "b", "kind": "person", "email": "no\nline"})),
        ("PATCH", "accounts/anna", json!({"name": "b"})),
        ("PATCH", "accounts/anna", json!({"state": "gone"})),
        ("PUT", "accounts/anna/roles/instance", json!({"role": "god"})),
        ("PUT", "accounts/anna/roles/instance", json!({})),
        ("POST", "accounts/anna/keys", json!({"secret": "mine"})),
        ("POST", "accounts/anna/keys", json!({"description": "x".repeat(10_000)})),
        ("POST", "registries", json!({"name": "hy", "kind": "other"})),
        ("POST", "registries", json!({"name": "hy", "quota": -1})),
        ("PATCH", "registries/hy", json!({"kind": "cache"})),
        ("POST", "accounts", json!([])),
    ] {
        send(&endpoint, method, path, &body).expect_problem(400, "REQUEST_INVALID");
    }
    let large = json!({"name": "b", "kind": "person", "email": "x".repeat(70_000)});
    send(&endpoint, "POST", "accounts", &large).expect_problem(413, "TOO_LARGE");
    let form = Request::post("/api/v1/accounts").body("name=b&kind=person");
    assert_eq!(endpoint.send(&form).status, 415);
    for (path, status, code) in [
        ("accounts/..", 400, "NAME_INVALID"),
        ("accounts/%2e%2e", 400, "NAME_INVALID"),
        ("accounts/anna%2Fkeys", 404, "EXTENSION_UNKNOWN"),
        ("accounts/anna/keys/..%2Fx", 400, "NAME_INVALID"),
        ("accounts/anna%5cx", 400, "NAME_INVALID"),
        ("accounts/%C3%A4nna", 404, "NOT_FOUND"),
        ("accounts/%ff", 400, "NAME_INVALID"),
        ("accounts/anna/keys/SK%00", 404, "NOT_FOUND"),
        ("registries/%00", 404, "NAME_UNKNOWN"),
    ] {
        let answer = get(&endpoint, path);
        assert_eq!((answer.status, &*answer.problem()), (status, code), "{path}");
    }
    get(&endpoint, &format!("accounts/{}", "a".repeat(5000))).expect_problem(404, "NOT_FOUND");
    assert_eq!(names(&all(&endpoint, "accounts", "accounts")), ["anna"]);
    assert!(done(&get(&endpoint, "accounts/anna/keys"))["keys"].as_array().is_some_and(Vec::is_empty));
}
