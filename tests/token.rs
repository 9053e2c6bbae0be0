//! Accounts mode at the door: challenges, tokens for nobody in particular, and what is not let in.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::login::{challenge, document, post, realm, text, token};
use strata_harness::random::noise;
use strata_harness::{Request, registry};

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

#[test]
fn clients_are_told_where_tokens_are() {
    let registry = registry!().accounts().start();
    let stranger = registry.endpoint();
    let bare = format!("Bearer realm=\"{}\",service=\"strata\"", realm(stranger));
    assert_eq!(challenge(stranger.get("/v2/")), bare);
    // Whoever wants to pull what is for everybody needs a token too, to show at the door.
    let anonymous = stranger.with_token(&token(stranger, &["repository:a/b:pull,push", "registry:admin:*"]));
    anonymous.get("/v2/").expect(200).expect_body(b"{}");
    anonymous.get("/v2/_catalog").expect(200).expect_body(br#"{"repositories":[]}"#);
    let said = challenge(anonymous.get("/v2/a/b/manifests/v1"));
    assert!(said.contains("scope=\"repository:a/b:pull\""), "{said}");
    for open in ["/healthz", "/readyz", "/"] {
        assert_eq!(stranger.get(open).status, 200, "{open}");
    }
    stranger.get("/nothing").expect_refused(&[404]);
    assert_eq!(stranger.get("/metrics").status, 401);
}

#[test]
fn the_realm_is_what_the_client_reaches_the_server_by() {
    let registry = registry!()
        .accounts()
        .env("STRATA_HTTP_EXTERNAL_URL", "https://registry.example/sub/")
        .env("STRATA_AUTH_SERVICE", "registry.example")
        .start();
    let bare = "Bearer realm=\"https://registry.example/sub/token\",service=\"registry.example\"";
    assert_eq!(challenge(registry.endpoint().get("/v2/")), bare);
    let registry = registry!().accounts().env("STRATA_HTTP_TRUSTED_PROXIES", "127.0.0.1/32").start();
    let behind = Request::get("/v2/")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "r.example:8443");
    let said = challenge(registry.endpoint().send(&behind));
    assert_eq!(said, "Bearer realm=\"https://r.example:8443/token\",service=\"strata\"");
    let bad_host = Request::get("/v2/").header("host", "x\"y");
    let answer = registry.endpoint().send(&bad_host);
    assert!(
        answer.status == 400 || answer.header("www-authenticate").is_some_and(|said| !said.contains("x\"y"))
    );
}

#[test]
fn nobody_in_particular_gets_a_token() {
    let registry = registry!().accounts().start();
    let answer =
        registry.endpoint().get("/token?service=strata&scope=repository:a/b:pull&offline_token=true");
    let document = document(&answer);
    assert_eq!(text(&document, "token"), text(&document, "access_token"));
    assert_eq!(text(&document, "scope"), "", "nothing of it is allowed, which is no error");
    assert_eq!(document["expires_in"], 3600);
    assert!(document["refresh_token"].is_null());
    let issued_at = text(&document, "issued_at");
    assert!(issued_at.len() == 20 && issued_at.ends_with('Z'), "{issued_at}");
}

#[test]
fn tokens_outlive_a_restart_and_are_of_one_store() {
    let mut registry = registry!().accounts().start();
    let ours = token(registry.endpoint(), &[]);
    registry.stop();
    registry.start();
    registry.endpoint().with_token(&ours).get("/v2/").expect(200);
    let other = registry!().accounts().start();
    let theirs = token(other.endpoint(), &[]);
    for (endpoint, token) in [(registry.endpoint(), &theirs), (other.endpoint(), &ours)] {
        let said = challenge(endpoint.with_token(token).get("/v2/"));
        assert!(said.ends_with(",error=\"invalid_token\""), "{said}");
    }
}

#[test]
fn each_request_is_told_what_its_token_has_to_carry() {
    let registry = registry!().accounts().start();
    let stranger = registry.endpoint();
    let realm = realm(stranger);
    let blob = format!("/v2/a/b/blobs/{DIGEST}");
    let session = "/v2/a/b/blobs/uploads/3fa85f64-5717-4562-b3fc-2c963f66afa6";
    let mount = format!("/v2/a/b/blobs/uploads/?mount={DIGEST}&from=c/d");
    let table: [(&str, &str, &str); 16] = [
        ("GET", "/v2/a/b/manifests/v1", "repository:a/b:pull"),
        ("HEAD", "/v2/a/b/manifests/v1", "repository:a/b:pull"),
        ("PUT", "/v2/a/b/manifests/v1", "repository:a/b:pull,push"),
        ("DELETE", "/v2/a/b/manifests/v1", "repository:a/b:delete"),
        ("GET", &blob, "repository:a/b:pull"),
        ("HEAD", &blob, "repository:a/b:pull"),
        ("DELETE", &blob, "repository:a/b:delete"),
        ("POST", "/v2/a/b/blobs/uploads/", "repository:a/b:pull,push"),
        ("POST", &mount, "repository:a/b:pull,push repository:c/d:pull"),
        ("PATCH", session, "repository:a/b:pull,push"),
        ("PUT", &format!("{session}?digest={DIGEST}"), "repository:a/b:pull,push"),
        ("GET", session, "repository:a/b:pull"),
        ("GET", "/v2/a/b/tags/list", "repository:a/b:pull"),
        ("GET", &format!("/v2/a/b/referrers/{DIGEST}"), "repository:a/b:pull"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        ("GET", "/api/v1/status", "registry:admin:*"),
    ];
    for (method, target, scope) in table {
        // A manifest is looked at before it is asked who sends it.
        let request =
            Request::new(method, target).header("content-type", "application/vnd.oci.image.index.v1+json");
        let request = if method == "PUT" && target.contains("manifests") {
            request.body(
                r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
            )
        } else {
            request
        };
        for (authorization, error) in [(None, ""), (Some("Bearer a.b.c"), ",error=\"invalid_token\"")] {
            let request = match authorization {
                Some(value) => request.clone().header("authorization", value),
                None => request.clone(),
            };
            let response = stranger.send(&request);
            let said = response.header("www-authenticate").unwrap_or_default();
            let expected = format!("Bearer realm=\"{realm}\",service=\"strata\",scope=\"{scope}\"{error}");
            assert_eq!(
                (response.status, said),
                (401, expected.as_str()),
                "{method} {target} {authorization:?}"
            );
        }
    }
}

#[test]
fn without_accounts_nobody_is_asked() {
    let registry = registry!().start();
    registry.endpoint().get("/token").expect_refused(&[404]);
    assert_eq!(post(registry.endpoint(), "grant_type=password&username=a&password=b").status, 404);
    let repository = registry.repository("a/b");
    let bytes = noise(1, 1000);
    let digest = repository.push_blob(&bytes);
    for authorization in ["Bearer x", "Basic eDp5", "nonsense", ""] {
        let endpoint = registry.endpoint().with_authorization(authorization);
        endpoint.get("/v2/").expect(200);
        endpoint.repository("a/b").expect_blob(&digest, &bytes);
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let registry = registry!().accounts().start();
    let good = token(registry.endpoint(), &[]);
    let (head, signature) = good.rsplit_once('.').expect("three parts");
    let (header, payload) = head.split_once('.').expect("three parts");
    let alg_none = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0";
    for bad in [
        "x".to_owned(),
        "..".to_owned(),
        format!("{alg_none}.{payload}."),
        format!("{alg_none}.{payload}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{header}.{signature}"),
        good[..good.len() - 1].to_owned(),
        format!("{good}A"),
        good.to_uppercase(),
        "A".repeat(8000),
    ] {
        let said = challenge(registry.endpoint().with_token(&bad).get("/v2/"));
        assert!(said.ends_with(",error=\"invalid_token\""), "{bad:.60}: {said}");
    }
    for bad in ["Bearer", "Basic", "Basic !", "Digest a=b", "Bearer a b", "Basic YWJj", "bearer\t"] {
        challenge(registry.endpoint().with_authorization(bad).get("/v2/"));
    }
    let twice = Request::get("/v2/")
        .header("authorization", format!("Bearer {good}"))
        .header("authorization", format!("Bearer {good}"));
    challenge(registry.endpoint().send(&twice));
    // More than any head may have.
    let enormous = registry.endpoint().with_token(&"A".repeat(200_000)).get("/v2/");
    assert!([400, 401, 431].contains(&enormous.status), "{enormous:?}");
    registry.endpoint().with_token(&good).get("/v2/").expect(200);
}

#[test]
fn whoever_tries_wrong_secrets_is_slowed_down() {
    let registry = registry!().accounts().start();
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
    assert_eq!(wrong.get("/token").status, 429);
    let form = "grant_type=password&username=SKAAAAAAAAAAAAAAAAAA&password=wrong&service=strata&client_id=x";
    assert_eq!(post(registry.endpoint(), form).status, 429);
}

#[test]
fn no_token_lives_longer_than_twelve_hours() {
    let registry = registry!().accounts().env("STRATA_AUTH_TOKEN_LIFE", "12h").start();
    assert_eq!(document(&registry.endpoint().get("/token"))["expires_in"], 43_200);
    let (_, log) = registry!().accounts().env("STRATA_AUTH_TOKEN_LIFE", "43201s").start_refused();
    assert!(log.contains("token-life"), "{log}");
}

#[test]
fn forms_that_are_not_right_are_refused() {
    let registry = registry!().accounts().start();
    let key = "grant_type=password&username=a&password=b&service=strata&client_id=x";
    for (form, status) in [
        (String::new(), 400),
        ("grant_type=".into(), 400),
        ("grant_type=client_credentials&service=strata&client_id=x".into(), 400),
        ("grant_type=password&service=strata&client_id=x".into(), 400),
        ("grant_type=refresh_token&refresh_token=strata_refresh_AAAA&service=strata&client_id=x".into(), 401),
        // The service and the client are required here, the service is this one, and each stands there once.
        (key.replace("&service=strata", ""), 400),
        (key.replace("service=strata", "service="), 400),
        (key.replace("&client_id=x", ""), 400),
        (key.replace("client_id=x", "client_id="), 400),
        (format!("{key}&service=strata"), 400),
        (format!("{key}&service=other"), 400),
        (format!("{key}&client_id=y"), 400),
        (format!("{key}&grant_type=password"), 400),
        (format!("{key}&password=x"), 400),
        (key.replace("service=strata", "service=other"), 400),
        (key.into(), 401),
        (format!("{key}&x={}", "a".repeat(100_000)), 413),
        ("\u{0}\u{1}%ff&&=".into(), 400),
    ] {
        let answer = post(registry.endpoint(), &form);
        assert_eq!(answer.status, status, "{form:.90}: {answer:?}");
        assert!(!answer.error_codes().is_empty());
        assert_eq!(answer.header("www-authenticate"), (status == 401).then_some("Basic realm=\"strata\""));
    }
    let many = (0..100).map(|i| format!("&scope=repository:a{i}:pull")).collect::<Vec<_>>().concat();
    for (target, status) in [
        ("/token?service=other".to_owned(), 400),
        ("/token?service=strata&service=other".to_owned(), 400),
        ("/token?service=STRATA".to_owned(), 400),
        ("/token?service=".to_owned(), 200),
        (format!("/token?service=strata{many}"), 400),
        (format!("/token?scope={}", "a".repeat(20_000)), 400),
        ("/token?scope=%ff%00&scope=&scope&scope=junk+:::+repository:../x:pull".to_owned(), 200),
        ("/token".to_owned(), 200),
    ] {
        assert_eq!(registry.endpoint().get(target.as_str()).status, status, "{target:.60}");
    }
    let foreign = registry.endpoint().get("/token?service=registry.docker.io");
    assert_eq!((foreign.status, foreign.error_codes()), (400, vec!["REQUEST_INVALID".to_owned()]));
    assert!(String::from_utf8_lossy(&foreign.body).contains("for the service strata"), "{foreign:?}");
    let json = Request::post("/token").header("content-type", "application/json").body("{}");
    assert_eq!(registry.endpoint().send(&json).status, 415);
    assert_eq!(registry.endpoint().put("/token").status, 405);
    let with_token = registry.endpoint().with_token(&token(registry.endpoint(), &[]));
    assert_eq!(with_token.get("/token").header("www-authenticate"), Some("Basic realm=\"strata\""));
}
