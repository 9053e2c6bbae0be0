//! Logging in with an access key: tokens by either way, refresh tokens, the key itself, and what wrong secrets come to.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::login::{challenge, document, post, realm, text, token};
use strata_harness::{ADMIN, Request, TestRegistry, basic, registry};

/// Secrets that the server has hashed so far.
fn hashed(registry: &TestRegistry) -> u64 {
    let text = String::from_utf8_lossy(&registry.admin().get("/metrics").body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("strata_secrets_hashed_total "));
    line.expect("the counter is there").parse().expect("a number")
}

#[test]
fn clients_are_told_where_tokens_are_and_let_in_with_one() {
    let registry = registry!().accounts().start();
    let stranger = registry.endpoint();
    let realm = realm(stranger);
    let bare = format!("Bearer realm=\"{realm}\",service=\"strata\"");
    assert_eq!(challenge(stranger.get("/v2/")), bare);
    for admin in [token(registry.admin(), &[]), token(registry.admin(), &["repository:a/b:pull"])] {
        stranger.with_token(&admin).get("/v2/").expect(200).expect_body(b"{}");
    }
    // Whoever wants to pull what is for everybody needs a token too, to show at the door.
    stranger.with_token(&token(stranger, &[])).get("/v2/").expect(200);
    for open in ["/healthz", "/readyz", "/"] {
        assert_eq!(stranger.get(open).status, 200, "{open}");
    }
    stranger.get("/nothing").expect_refused(&[404]);
}

#[test]
fn both_ways_give_the_same_document() {
    let registry = registry!().accounts().start();
    let (id, secret) = ADMIN;
    let get = registry
        .admin()
        .get("/token?service=strata&scope=registry:catalog:*&client_id=docker&account=x&offline_token=true");
    let form = format!(
        "grant_type=password&username={id}&password={secret}&service=strata&client_id=x&scope=registry%3Acatalog%3A*&access_type=offline"
    );
    for response in [get, post(registry.endpoint(), &form)] {
        let document = document(&response);
        let token = text(&document, "token");
        assert_eq!(token, text(&document, "access_token"));
        assert_eq!(text(&document, "scope"), "registry:catalog:*");
        assert_eq!(document["expires_in"], 3600);
        let issued_at = text(&document, "issued_at");
        assert!(issued_at.len() == 20 && issued_at.ends_with('Z'), "{issued_at}");
        assert!(text(&document, "refresh_token").starts_with("strata_refresh_"));
        registry.endpoint().with_token(&token).get("/v2/_catalog").expect(200);
    }
    // Not asked for, not given; and nobody in particular has none.
    for response in [
        registry.admin().get("/token?service=strata"),
        registry.endpoint().get("/token?service=strata&offline_token=true"),
    ] {
        assert!(document(&response)["refresh_token"].is_null());
    }
}

#[test]
fn a_refresh_token_gives_tokens_and_nothing_else() {
    let mut registry = registry!().accounts().start();
    let refresh = text(&document(&registry.admin().get("/token?offline_token=true")), "refresh_token");
    let form = |refresh: &str, more: &str| {
        format!("grant_type=refresh_token&refresh_token={refresh}&service=strata&client_id=docker{more}")
    };
    for _ in 0..2 {
        let document = document(&post(registry.endpoint(), &form(&refresh, "&scope=registry:catalog:*")));
        assert_eq!(text(&document, "scope"), "registry:catalog:*");
        assert!(document["refresh_token"].is_null());
        let again = post(registry.endpoint(), &form(&refresh, "&access_type=offline"));
        assert_eq!(again.json()["refresh_token"], refresh.as_str());
    }
    challenge(registry.endpoint().with_token(&refresh).get("/v2/"));
    let as_secret = registry.endpoint().with_key(ADMIN.0, &refresh).get("/token");
    assert_eq!(as_secret.header("www-authenticate"), Some("Basic realm=\"strata\""));
    registry.stop();
    registry.start();
    document(&post(registry.endpoint(), &form(&refresh, "")));
    let mut last = 0;
    for bad in [
        "",
        "x",
        "strata_refresh_",
        &refresh[..refresh.len() - 1],
        &format!("{refresh}A"),
        &refresh.to_lowercase(),
    ] {
        last = post(registry.endpoint(), &form(bad, "")).status;
        assert!([400, 401].contains(&last), "{bad}: {last}");
    }
    assert_eq!(last, 401);
}

#[test]
fn an_unknown_key_costs_what_a_wrong_secret_costs() {
    let registry = registry!().accounts().start();
    let (id, secret) = ADMIN;
    let mut last = hashed(&registry);
    for (id, secret) in [
        (id, "wrong"),
        ("SKAAAAAAAAAAAAAAAAAA", "wrong"),
        ("SKAAAAAAAAAAAAAAAAAA", secret),
        ("admin", secret),
    ] {
        let wrong = registry.endpoint().with_key(id, secret);
        let answers = [wrong.get("/v2/"), wrong.get("/token")];
        let bodies: Vec<_> = answers.iter().map(|answer| (answer.status, answer.body.clone())).collect();
        assert_eq!(bodies[0].0, 401);
        assert_eq!(bodies[0], bodies[1], "the same words for all");
        let now = hashed(&registry);
        assert_eq!(now - last, 2, "{id}");
        last = now;
    }
}

#[test]
fn a_key_can_be_shown_directly_and_is_hashed_once() {
    let registry = registry!().accounts().start();
    registry.admin().get("/v2/").expect(200);
    let before = hashed(&registry);
    for _ in 0..20 {
        registry.admin().get("/v2/_catalog").expect(200);
    }
    assert_eq!(hashed(&registry), before);
}

#[test]
fn forms_and_queries_that_are_not_right_are_refused() {
    let registry = registry!().accounts().start();
    let (id, secret) = ADMIN;
    let many = (0..100).map(|i| format!("&scope=repository:a{i}:pull")).collect::<Vec<_>>().concat();
    let key = format!("grant_type=password&username={id}&password={secret}&service=strata&client_id=x");
    for (form, status) in [
        (String::new(), 400),
        ("grant_type=".into(), 400),
        ("grant_type=client_credentials&service=strata&client_id=x".into(), 400),
        ("grant_type=password&service=strata&client_id=x".into(), 400),
        (format!("{key}&grant_type=password"), 400),
        (format!("{key}&password=x"), 400),
        (key.replace("service=strata", "service=other"), 400),
        (key.replace("&client_id=x", ""), 400),
        (key.replace("&service=strata", ""), 400),
        (format!("{key}&scope=junk+:::+repository:../x:pull+registry:other:*"), 200),
        (format!("{key}&scope={}", "a".repeat(20_000)), 400),
        (format!("{key}&x={}", "a".repeat(100_000)), 413),
        ("\u{0}\u{1}%ff&&=".into(), 400),
    ] {
        let answer = post(registry.endpoint(), &form);
        assert_eq!(answer.status, status, "{form:.90}: {answer:?}");
        if status == 200 {
            assert_eq!(text(&answer.json(), "scope"), "");
        } else {
            assert!(!answer.error_codes().is_empty());
        }
    }
    for (target, status) in [
        ("/token?service=other".to_owned(), 400),
        ("/token?service=strata&service=other".to_owned(), 400),
        (format!("/token?service=strata{many}"), 400),
        ("/token?scope=%ff%00&scope=&scope".to_owned(), 200),
        ("/token".to_owned(), 200),
    ] {
        assert_eq!(registry.admin().get(target.as_str()).status, status, "{target:.60}");
    }
    let json = Request::post("/token").header("content-type", "application/json").body("{}");
    assert_eq!(registry.admin().send(&json).status, 415);
    assert_eq!(registry.admin().put("/token").status, 405);
    // A token is not worth another one.
    let with_token = registry.endpoint().with_token(&token(registry.admin(), &[]));
    assert_eq!(with_token.get("/token").header("www-authenticate"), Some("Basic realm=\"strata\""));
}

#[test]
fn no_secret_is_written_down() {
    let mut registry = registry!().accounts().env("STRATA_LOG_LEVEL", "debug").start();
    let (id, secret) = ADMIN;
    let answer = registry.admin().get("/token?offline_token=true&scope=registry:admin:*");
    let document = document(&answer);
    let (token, refresh) = (text(&document, "token"), text(&document, "refresh_token"));
    registry.endpoint().with_token(&token).get("/v2/").expect(200);
    post(
        registry.endpoint(),
        &format!("grant_type=refresh_token&refresh_token={refresh}&service=strata&client_id=x"),
    );
    post(
        registry.endpoint(),
        &format!("grant_type=password&username={secret}&password={id}&service=strata&client_id=x"),
    );
    registry.endpoint().with_key(secret, id).get("/v2/");
    registry.endpoint().with_token(&format!("{token}x")).get("/v2/");
    registry.endpoint().with_key(id, &format!("{secret}x")).get("/v2/");
    // The log is whole when the server has ended.
    registry.stop();
    let log = registry.log();
    assert!(log.contains(id), "the log says which key it was");
    let shown = basic(id, secret);
    for secret in [secret, &token, &refresh, shown.trim_start_matches("Basic ")] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn who_is_known_is_let_in_while_others_are_slowed_down() {
    let registry = registry!().accounts().start();
    hashed(&registry);
    let wrong = registry.endpoint().with_key("SKAAAAAAAAAAAAAAAAAA", "wrong");
    let mut refused = None;
    for _ in 0..20 {
        let answer = wrong.get("/v2/");
        match answer.status {
            401 => assert!(refused.is_none()),
            _ => refused = Some(answer),
        }
    }
    let refused = refused.expect("it is slowed down").expect_error(429, "TOOMANYREQUESTS");
    let wait: u64 = refused.header("retry-after").expect("when to come again").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    let before = hashed(&registry);
    assert_eq!(wrong.get("/token").status, 429);
    let form = "grant_type=password&username=SKAAAAAAAAAAAAAAAAAA&password=wrong&service=strata&client_id=x";
    assert_eq!(post(registry.endpoint(), form).status, 429);
    // Nothing is hashed for it, and who is known is let in.
    assert_eq!(hashed(&registry), before);
    registry.admin().get("/v2/").expect(200);
}
