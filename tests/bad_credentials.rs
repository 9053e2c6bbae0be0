//! Bad input at the door, over the wire: tokens that are signed well and say something wrong, scopes and names with junk in them, headers
//! larger than any, keys beyond the limit, refresh tokens of somewhere else, two administrators at once. Each is told clearly, changes
//! nothing and tells an outsider nothing.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::path::Path;
use std::thread;
use strata_engine::{Engine, EngineConfig};
use strata_harness::operator::done;
use strata_harness::{ADMIN, Endpoint, Image, Request, Response, TestRegistry, registry};

const FORM: &str = "application/x-www-form-urlencoded";

/// What signs the tokens of a store that no server uses at the moment: the parts of a token are put together with it as they should not be.
struct Forge {
    pair: Ed25519KeyPair,
    header: Value,
    claims: Value,
}

impl Forge {
    /// With the parts of a token that the store has made.
    fn new(data: &Path, token: &str) -> Self {
        let engine = Engine::open(EngineConfig::new(data)).expect("the store opens");
        let rows = engine.view().expect("a view").settings(b"signing/", None, 2).expect("the rows");
        engine.close();
        let [(_, row)] = &rows[..] else { panic!("one key: {rows:?}") };
        let row: Value = serde_json::from_slice(row).expect("a row");
        let pkcs8 = STANDARD.decode(row["pkcs8"].as_str().expect("a key")).expect("Base64");
        let part = |part: Option<&str>| {
            let part = URL_SAFE_NO_PAD.decode(part.expect("three parts")).expect("Base64");
            serde_json::from_slice(&part).expect("JSON")
        };
        let mut parts = token.split('.');
        let (header, claims) = (part(parts.next()), part(parts.next()));
        Self { pair: Ed25519KeyPair::from_pkcs8(&pkcs8).expect("a key pair"), header, claims }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// A token with one member of its claims changed; null takes it away.
    fn with(&self, name: &str, value: Value) -> String {
        self.sign(&self.header, &changed(&self.claims, name, value))
    }

    fn with_header(&self, name: &str, value: Value) -> String {
        self.sign(&changed(&self.header, name, value), &self.claims)
    }
}

fn changed(of: &Value, name: &str, value: Value) -> Value {
    let mut changed = of.clone();
    let members = changed.as_object_mut().expect("an object");
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.to_owned(), value)
    };
    changed
}

fn token_of(who: Endpoint, scope: &str) -> Value {
    done(&who.get(format!("/token?service=strata&offline_token=true&scope={scope}")))
}

/// A server, a token of its administrator for everything, and what it is forged with.
fn with_forge() -> (TestRegistry, String, Forge) {
    let mut registry = registry!().accounts().start();
    let token = token_of(registry.admin(), "registry:admin:*");
    let token = token["token"].as_str().expect("a token").to_owned();
    registry.stop();
    let forge = Forge::new(&registry.data(), &token);
    registry.start();
    (registry, token, forge)
}

#[test]
fn tokens_that_are_signed_well_and_say_something_wrong() {
    let (registry, good, forge) = with_forge();
    let at = registry.endpoint();
    // So that a refusal below is for the change and not for how it was made.
    let again = forge.sign(&forge.header, &forge.claims);
    for token in [&good, &again] {
        done(&at.with_token(token).get("/api/v1/accounts"));
    }
    let now = forge.claims["iat"].as_u64().expect("a time");
    let day = 24 * 60 * 60;
    let table = [
        ("expired", forge.with("exp", json!(now - 61))),
        ("expired long ago", forge.with("exp", json!(0))),
        ("of tomorrow", forge.with("nbf", json!(now + day))),
        ("made tomorrow", forge.with("iat", json!(now + day))),
        ("for more than twelve hours", forge.with("exp", json!(now + day))),
        ("for ever", forge.with("exp", json!(u64::MAX))),
        ("without an end", forge.with("exp", Value::Null)),
        ("without a beginning", forge.with("nbf", Value::Null)),
        ("with times that are none", forge.with("exp", json!("later"))),
        ("for another service", forge.with("aud", json!("registry.docker.io"))),
        ("for several others", forge.with("aud", json!(["a", "b"]))),
        ("for no service", forge.with("aud", Value::Null)),
        ("of another store", forge.with("iss", json!("strata:00"))),
        ("of nobody", forge.with("sub", Value::Null)),
        ("of another account", forge.with("sub", json!("root"))),
        ("of a key that is not there", forge.with("key", json!("SKAAAAAAAAAAAAAAAAAA"))),
        (
            "for what there is not",
            forge.with("access", json!([{"type": "x", "name": "y", "actions": ["z"]}])),
        ),
        ("with a name of another kind", forge.with("access", json!("all"))),
        ("alg none", forge.with_header("alg", json!("none"))),
        ("alg None", forge.with_header("alg", json!("None"))),
        ("alg HS256", forge.with_header("alg", json!("HS256"))),
        ("alg RS256", forge.with_header("alg", json!("RS256"))),
        ("no alg", forge.with_header("alg", Value::Null)),
        ("wrong kid", forge.with_header("kid", json!("AAAAAAAAAAAAAAAA"))),
        ("kid with a path", forge.with_header("kid", json!("../../signing"))),
        ("no kid", forge.with_header("kid", Value::Null)),
        ("alg none and no signature", {
            let token = forge.with_header("alg", json!("none"));
            token[..=token.rfind('.').expect("a dot")].to_owned()
        }),
    ];
    let mut words = Vec::new();
    for (name, token) in table {
        let forged = at.with_token(&token);
        let oci = forged.get("/v2/").expect_error(401, "UNAUTHORIZED");
        let said = oci.header("www-authenticate").unwrap_or_default();
        assert!(said.ends_with(",error=\"invalid_token\""), "{name}: {said}");
        words.push(oci.body);
        for target in ["/api/v1/accounts", "/api/v1/session"] {
            assert_eq!(forged.get(target).problem(), "UNAUTHORIZED", "{name}: {target}");
        }
        assert_eq!(forged.delete("/api/v1/accounts/admin").status, 401, "{name}");
        assert_eq!(forged.get("/token").status, 401, "{name}: not even for another token");
    }
    words.dedup();
    assert_eq!(words.len(), 1, "nobody learns what was wrong with it");
    // Within the leeway of clocks.
    for token in [forge.with("exp", json!(now + 3600)), forge.with("nbf", json!(now + 30))] {
        at.with_token(&token).get("/v2/").expect(200);
    }
    done(&at.with_token(&good).get("/api/v1/accounts"));
}

#[test]
fn scopes_with_junk_in_them() {
    let registry = registry!().accounts().start();
    let admin = registry.admin();
    for name in ["hy", "ok"] {
        let request = Request::post("/api/v1/registries").header("content-type", "application/json");
        assert_eq!(admin.send(&request.body(json!({"name": name}).to_string())).status, 201);
    }
    for (scope, granted) in [
        ("repository:hy/a:pull", "repository:hy/a:pull"),
        ("repository(plugin):hy/a:pull", "repository:hy/a:pull"),
        ("repository:hy/a:pull,fly,,pull", "repository:hy/a:pull"),
        ("repository:hy/a:", ""),
        ("repository:hy/a", ""),
        ("repository::pull", ""),
        (":::", ""),
        (":", ""),
        ("%00", ""),
        ("%ff%fe", ""),
        ("repository:../../etc:pull", ""),
        ("repository:hy/../ok:pull", ""),
        ("repository:hy/./a:pull", ""),
        ("repository:/hy/a:pull", ""),
        ("repository:hy//a:pull", ""),
        ("repository:hy%2F..%2Fok:pull", ""),
        ("repository:HY/A:pull", ""),
        ("repository:h%C3%BC/a:pull", ""),
        ("repository:hy/a%00:pull", ""),
        ("repository:hy/*:pull", ""),
        ("repository:*:*", ""),
        ("repository:hy%E2%80%AE/a:pull", ""),
        ("registry:other:*", ""),
        ("registry:catalog:pull", "registry:catalog:*"),
        ("account:admin:*", ""),
    ] {
        let answer = admin.get(format!("/token?service=strata&scope={scope}"));
        assert_eq!(answer.status, 200, "{scope}: {answer:?}");
        let told = answer.json()["scope"].as_str().expect("a scope").to_owned();
        // What is no scope is left out, or granted as what is meant by it, and never more.
        assert!(told == granted || told.is_empty(), "{scope}: {told}");
        assert!(!granted.starts_with("repository") || told == granted, "{scope}: {told}");
        // In a form it is the same.
        let (id, secret) = ADMIN;
        let form = format!(
            "grant_type=password&username={id}&password={secret}&service=strata&client_id=x&scope={scope}"
        );
        let answer =
            registry.endpoint().send(&Request::post("/token").header("content-type", FORM).body(form));
        assert_eq!((answer.status, answer.json()["scope"].as_str()), (200, Some(&*told)), "{scope}");
    }
}

#[test]
fn headers_larger_than_any() {
    let registry = registry!().accounts().start();
    let at = registry.endpoint();
    for bytes in [1_000, 8_000, 31_000, 33_000, 200_000] {
        let junk = "A".repeat(bytes);
        for value in [
            format!("Bearer {junk}"),
            format!("Basic {junk}"),
            junk.clone(),
            format!("Bearer {junk}.{junk}."),
        ] {
            let answer = at.with_authorization(&value).get("/v2/");
            assert!([400, 401, 431].contains(&answer.status), "{bytes}: {answer:?}");
            assert!(answer.body.len() < 4096, "it is not said back: {bytes}");
        }
        let answer = at.with_key(&junk, &junk).get("/v2/");
        assert!([400, 401, 429, 431].contains(&answer.status), "{bytes}: {answer:?}");
    }
    let mut many = Request::get("/v2/");
    for number in 0..5_000 {
        many = many.header(&format!("x-{number}"), "y".repeat(20));
    }
    assert!([400, 431].contains(&at.send(&many).status));
    at.get("/v2/").expect_error(401, "UNAUTHORIZED");
}

#[test]
fn names_with_tricks_in_them() {
    let registry = registry!().accounts().start();
    let (admin, at) = (registry.admin(), registry.endpoint());
    let request = Request::post("/api/v1/registries").header("content-type", "application/json");
    assert_eq!(admin.send(&request.body(r#"{"name": "hy"}"#)).status, 201);
    admin.repository("hy/a").push_image("v1", &Image::small(1));
    let names = [
        "hy/../hy/a",
        "hy/./a",
        "hy//a",
        "/hy/a",
        "hy%2F..%2Fhy%2Fa",
        "%2e%2e/hy/a",
        "hy/a%00",
        "hy/a%2500",
        "hy%5Ca",
        "HY/A",
        "h%D1%83/a",
        "hy/%D0%B0",
        "hy/a%E2%80%8B",
        "hy%EF%BC%8Fa",
        "hy/a%0d%0aX-Injected:%20yes",
    ];
    for name in names {
        for target in [
            format!("/v2/{name}/manifests/v1"),
            format!("/v2/{name}/tags/list"),
            format!("/api/v1/images/{name}"),
            format!("/api/v1/registries/{name}"),
            format!("/api/v1/accounts/{name}"),
        ] {
            for who in [at, admin] {
                let answer = who.get(target.as_str());
                assert!([400, 401, 404].contains(&answer.status), "{target}: {answer:?}");
                assert!(answer.header("x-injected").is_none());
                let text = std::str::from_utf8(&answer.body).expect("UTF-8");
                assert!(serde_json::from_str::<Value>(text).is_ok(), "{target}: {text}");
            }
        }
        // The ids of keys are names too.
        let answer = at.with_key(name, "wrong").get("/v2/");
        assert!([401, 429].contains(&answer.status), "{name}: {answer:?}");
    }
    // An outsider is told the same of what is there and what is not.
    let told = |name: &str| {
        let answer = at.get(format!("/v2/{name}/manifests/v1"));
        (answer.status, String::from_utf8_lossy(&answer.body).replace(name, "NAME"))
    };
    assert_eq!(told("hy/a"), told("hy/b"));
    assert_eq!(told("hy/a"), told("no/a"));
}

fn refresh(at: Endpoint, token: &str) -> Response {
    let form = format!("grant_type=refresh_token&refresh_token={token}&service=strata&client_id=x");
    at.send(&Request::post("/token").header("content-type", FORM).body(form))
}

#[test]
fn refresh_tokens_of_somewhere_else() {
    let registry = registry!().accounts().start();
    let (admin, at) = (registry.admin(), registry.endpoint());
    let other = registry!().accounts().start();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let ours = text(&token_of(admin, "")["refresh_token"]);
    let theirs = text(&token_of(other.admin(), "")["refresh_token"]);
    let access = text(&token_of(admin, "")["token"]);
    // It is good as often as it is used: clients keep one and ask in parallel with it.
    for _ in 0..3 {
        assert_eq!(refresh(at, &ours).status, 200);
    }
    let mut unknown = ours.clone();
    let last = unknown.pop().expect("a letter");
    unknown.push(if last == 'A' { 'B' } else { 'A' });
    let mut words = Vec::new();
    for bad in [&theirs, &unknown, &access, &"x".repeat(100)] {
        let answer = refresh(at, bad);
        assert_eq!(answer.error_codes(), ["UNAUTHORIZED"], "{answer:?}");
        words.push(answer.body);
    }
    words.dedup();
    assert_eq!(words.len(), 1, "nobody learns which of them was nearly right");
    assert_eq!(refresh(other.endpoint(), &theirs).status, 200);
}

fn send(who: Endpoint, method: &str, path: &str, body: &Value, revision: Option<&str>) -> Response {
    let request = Request::new(method, format!("/api/v1/{path}")).header("content-type", "application/json");
    let request = match revision {
        Some(revision) => request.header("if-match", revision),
        None => request,
    };
    who.send(&request.body(body.to_string()))
}

/// What came of something that so many do at the same time.
fn at_once(count: usize, deed: impl Fn(usize) -> u16 + Sync) -> Vec<u16> {
    let mut statuses: Vec<u16> = thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| {
                scope.spawn({
                    let deed = &deed;
                    move || deed(number)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    statuses.sort_unstable();
    statuses
}

#[test]
fn two_administrators_at_once() {
    let registry = registry!().accounts().start();
    let admin = registry.admin();
    let create = json!({"name": "anna", "kind": "person"});
    assert_eq!(at_once(2, |_| send(admin, "POST", "accounts", &create, None).status), [201, 409]);
    let create = json!({"name": "hy"});
    assert_eq!(at_once(2, |_| send(admin, "POST", "registries", &create, None).status), [201, 409]);
    for path in ["accounts/anna", "registries/hy"] {
        let seen = admin.get(format!("/api/v1/{path}")).header("etag").expect("a revision").to_owned();
        let change = |number: usize| {
            let text = format!("n{number}@example.org");
            let body =
                if path == "registries/hy" { json!({"description": text}) } else { json!({"email": text}) };
            send(admin, "PATCH", path, &body, Some(&seen)).status
        };
        assert_eq!(at_once(4, change), [200, 412, 412, 412], "{path}");
    }
    // Five keys and no more, however many ask for one; and without a revision both count.
    let key = |_| send(admin, "POST", "accounts/anna/keys", &json!({}), None).status;
    assert_eq!(at_once(8, key), [201, 201, 201, 201, 201, 409, 409, 409]);
    let keys = done(&admin.get("/api/v1/accounts/anna/keys"));
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(5), "{keys}");
    let sixth = send(admin, "POST", "accounts/anna/keys", &json!({}), None);
    sixth.expect_problem(409, "CONFLICT");
    // Of two administrators who put each other out, one stays.
    done(&send(admin, "PUT", "accounts/anna/roles/instance", &json!({"role": "admin"}), None));
    let names = ["admin", "anna"];
    let disable = |number: usize| {
        let path = format!("accounts/{}/roles/instance", names[number]);
        send(admin, "DELETE", &path, &json!({}), None).status
    };
    let statuses = at_once(2, disable);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
}
