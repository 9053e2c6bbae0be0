//! Answers from memory in accounts mode: the same for all who may have them, and for nobody else.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::random::noise;
use strata_harness::{ADMIN, Endpoint, Image, Request, TestRegistry, registry, sha256};
use tempfile::TempDir;

/// A registry with accounts on what was pushed without: an image `a/b:v1` and a large blob in `a/b`. Gives their targets.
fn filled(directory: &TempDir) -> (TestRegistry, Vec<String>) {
    let data = directory.path().join("data");
    let targets = {
        let open = registry!().data(&data).start();
        let repository = open.repository("a/b");
        let image = Image::small(1);
        repository.push_image("v1", &image);
        let large = repository.push_blob(&noise(2, 500_000));
        vec![
            repository.manifest("v1"),
            repository.manifest(&image.manifest.digest()),
            repository.blob(&sha256(&image.layers[0])),
            repository.blob(&large),
        ]
    };
    (registry!().accounts().data(&data).start(), targets)
}

/// Requests answered from memory so far.
fn from_memory(registry: &TestRegistry) -> u64 {
    let text = String::from_utf8_lossy(&registry.admin().get("/metrics").body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("strata_http_hot_answers_total "));
    line.expect("the counter is there").parse().expect("a number")
}

fn token(registry: &TestRegistry, scope: &str) -> Endpoint {
    let answer = registry.admin().get(format!("/token?scope={scope}"));
    registry.endpoint().with_token(answer.json()["token"].as_str().expect("a token"))
}

#[test]
fn who_may_have_an_answer_gets_it_from_memory() {
    let directory = TempDir::with_prefix("strata-test-").expect("a directory");
    let (registry, targets) = filled(&directory);
    let (pull, push) = (token(&registry, "repository:a/b:pull"), token(&registry, "repository:a/b:push"));
    for target in &targets {
        let first = pull.get(target.as_str()).expect(200);
        pull.head(target.as_str()).expect(200);
        // A token is known once it was verified.
        push.head(target.as_str()).expect(200);
        let before = from_memory(&registry);
        for who in [pull, registry.admin()] {
            assert_eq!(who.get(target.as_str()).expect(200).body, first.body);
            assert_eq!(who.head(target.as_str()).expect(200).header("etag"), first.header("etag"));
        }
        // Who may push sees, and reads no content.
        push.head(target.as_str()).expect(200);
        assert_eq!(from_memory(&registry) - before, 5, "{target}");
        push.get(target.as_str()).expect_error(401, "UNAUTHORIZED");
    }
}

#[test]
fn nobody_else_gets_it() {
    let directory = TempDir::with_prefix("strata-test-").expect("a directory");
    let (registry, targets) = filled(&directory);
    let pull = token(&registry, "repository:a/b:pull");
    let stranger = registry.endpoint();
    let others = [
        stranger,
        stranger.with_token(
            stranger.get("/token?scope=repository:a/b:pull").json()["token"].as_str().expect("a token"),
        ),
        token(&registry, "repository:a/c:pull"),
        token(&registry, "registry:catalog:*"),
        stranger.with_token("x.y.z"),
        stranger.with_key(ADMIN.0, "wrong"),
        stranger.with_authorization("nonsense"),
    ];
    for target in &targets {
        pull.get(target.as_str()).expect(200);
        pull.head(target.as_str()).expect(200);
        let before = from_memory(&registry);
        for (which, other) in others.iter().enumerate() {
            for request in [Request::get(target.as_str()), Request::head(target.as_str())] {
                let answer = other.send(&request);
                assert!([401, 429].contains(&answer.status), "{which}: {answer:?}");
                assert_eq!(answer.header("docker-content-digest"), None);
            }
        }
        let twice = Request::get(target.as_str())
            .header("authorization", pull.authorization.expect("a token"))
            .header("authorization", pull.authorization.expect("a token"));
        stranger.send(&twice).expect_error(401, "UNAUTHORIZED");
        assert_eq!(from_memory(&registry), before, "{target}");
    }
}

/// One connection, many who ask: each answer is for the one whose request it is.
#[test]
fn requests_of_one_connection_are_each_judged_by_their_own_credentials() {
    let directory = TempDir::with_prefix("strata-test-").expect("a directory");
    let (registry, targets) = filled(&directory);
    let pull = token(&registry, "repository:a/b:pull");
    let authorization = pull.authorization.expect("a token");
    let target = &targets[0];
    pull.get(target.as_str()).expect(200);
    let mut connection = registry.endpoint().connect();
    for _ in 0..10 {
        let known = Request::get(target.as_str()).header("authorization", authorization);
        connection.exchange(&known).expect("an answer").expect(200);
        let unknown = Request::get(target.as_str());
        connection.exchange(&unknown).expect("an answer").expect_error(401, "UNAUTHORIZED");
    }
}
