//! What is taken away is gone with the very next request, whatever token or key it comes with, and whether the answer is in memory.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::{Value, json};
use strata_harness::{Endpoint, Image, Request, TestRegistry, registry};

/// A registry `hy` with an image, and `ann`, who is a viewer there, with one key.
struct World {
    registry: TestRegistry,
    /// The id of her key.
    id: String,
    by_key: Endpoint,
    by_token: Endpoint,
    refresh: String,
}

impl World {
    fn new() -> World {
        let registry = registry!().accounts().start();
        let admin = registry.admin();
        ask(admin, "POST", "registries", &json!({"name": "hy"}));
        admin.repository("hy/a").push_image("v1", &Image::small(1));
        ask(admin, "POST", "accounts", &json!({"name": "ann", "kind": "person"}));
        ask(admin, "PUT", "registries/hy/members/ann", &json!({"role": "viewer"}));
        let key = ask(admin, "POST", "accounts/ann/keys", &json!({}));
        let (id, secret) = (key["id"].as_str().expect("an id"), key["secret"].as_str().expect("a secret"));
        let by_key = registry.endpoint().with_key(id, secret);
        let token = by_key.get("/token?scope=repository:hy/a:pull&offline_token=true").json();
        let by_token = registry.endpoint().with_token(token["token"].as_str().expect("a token"));
        let refresh = token["refresh_token"].as_str().expect("a refresh token").to_owned();
        let world = World { id: id.to_owned(), by_key, by_token, refresh, registry };
        // From here on all that she is given is in memory.
        for _ in 0..2 {
            world.expect([200, 200], 200);
        }
        world
    }

    /// What her token and her key get of the image, and what her refresh token is worth.
    #[track_caller]
    fn expect(&self, image: [u16; 2], refresh: u16) {
        for (who, status) in [self.by_token, self.by_key].into_iter().zip(image) {
            for request in [Request::get("/v2/hy/a/manifests/v1"), Request::head("/v2/hy/a/manifests/v1")] {
                let answer = who.send(&request);
                assert_eq!(answer.status, status, "{answer:?}");
            }
        }
        let form =
            format!("grant_type=refresh_token&service=strata&client_id=x&refresh_token={}", self.refresh);
        let form =
            Request::post("/token").header("content-type", "application/x-www-form-urlencoded").body(form);
        assert_eq!(self.registry.endpoint().send(&form).status, refresh);
    }

    #[track_caller]
    fn change(&self, method: &str, path: &str, body: &Value) {
        ask(self.registry.admin(), method, path, body);
    }
}

#[track_caller]
fn ask(admin: Endpoint, method: &str, path: &str, body: &Value) -> Value {
    let request = Request::new(method, format!("/api/v1/{path}")).header("content-type", "application/json");
    let request = if method == "DELETE" { request } else { request.body(body.to_string()) };
    let answer = admin.send(&request);
    assert!((200..300).contains(&answer.status), "{answer:?}");
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

#[test]
fn a_key_that_is_disabled_and_enabled() {
    let world = World::new();
    let key = format!("accounts/ann/keys/{}", world.id);
    for _ in 0..2 {
        world.change("PATCH", &key, &json!({"state": "disabled"}));
        world.expect([401, 401], 401);
        world.change("PATCH", &key, &json!({"state": "enabled"}));
        world.expect([200, 200], 200);
    }
}

#[test]
fn a_key_that_is_deleted() {
    let world = World::new();
    world.change("DELETE", &format!("accounts/ann/keys/{}", world.id), &Value::Null);
    world.expect([401, 401], 401);
}

#[test]
fn an_account_that_is_disabled_and_enabled() {
    let world = World::new();
    world.change("PATCH", "accounts/ann", &json!({"state": "disabled"}));
    world.expect([401, 401], 401);
    world.change("PATCH", "accounts/ann", &json!({"state": "enabled"}));
    world.expect([200, 200], 200);
}

#[test]
fn an_account_that_is_deleted() {
    let world = World::new();
    world.change("DELETE", "accounts/ann", &Value::Null);
    world.expect([401, 401], 401);
    // One of the same name is another one.
    world.change("POST", "accounts", &json!({"name": "ann", "kind": "person"}));
    world.change("PUT", "registries/hy/members/ann", &json!({"role": "viewer"}));
    world.by_token.get("/v2/hy/a/manifests/v1").expect_error(401, "UNAUTHORIZED");
}

#[test]
fn a_role_that_is_taken_away_and_given() {
    let world = World::new();
    for _ in 0..2 {
        world.change("DELETE", "registries/hy/members/ann", &Value::Null);
        world.expect([404, 404], 200);
        world.change("PUT", "registries/hy/members/ann", &json!({"role": "viewer"}));
        world.expect([200, 200], 200);
    }
    // Who pushes sees, and reads no content.
    world.change("PUT", "registries/hy/members/ann", &json!({"role": "uploader"}));
    for who in [world.by_token, world.by_key] {
        who.head("/v2/hy/a/manifests/v1").expect(200);
        who.get("/v2/hy/a/manifests/v1").expect_error(403, "DENIED");
    }
}

#[test]
fn what_is_for_everybody_and_then_is_not() {
    let world = World::new();
    let stranger = world.registry.endpoint();
    let target = "/v2/hy/a/manifests/v1";
    for _ in 0..3 {
        stranger.get(target).expect_error(401, "UNAUTHORIZED");
        world.change("PATCH", "registries/hy", &json!({"anonymous_pull": true}));
        for _ in 0..2 {
            stranger.get(target).expect(200);
            stranger.head(target).expect(200);
        }
        world.change("PATCH", "registries/hy", &json!({"anonymous_pull": false}));
    }
    stranger.get(target).expect_error(401, "UNAUTHORIZED");
}
