//! Who may do what, over the wire: the table of roles, each cell tried with a real token (the distribution API) and with the key itself (the
//! admin API); what one may not see; listeners; quotas.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::{Value, json};
use std::thread;
use strata_harness::operator::{done, expect_text, url};
use strata_harness::process::command;
use strata_harness::random::noise;
use strata_harness::{ADMIN, Endpoint, Image, Request, Response, binary, registry, sha256};

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

/// Makes an account and gives the listener, asked with its key.
#[track_caller]
fn account(admin: Endpoint, at: Endpoint, name: &str) -> Endpoint {
    make(admin, "accounts", &json!({"name": name, "kind": "person"}));
    let key = make(admin, &format!("accounts/{name}/keys"), &json!({}));
    at.with_key(key["id"].as_str().expect("an id"), key["secret"].as_str().expect("a secret"))
}

#[track_caller]
fn give(admin: Endpoint, name: &str, place: &str, role: &str) {
    done(&send(admin, "PUT", &format!("accounts/{name}/roles/{place}"), &json!({"role": role})));
}

/// The same listener, asked with a token for these scopes.
#[track_caller]
fn with_token(who: Endpoint, at: Endpoint, scopes: &[&str]) -> Endpoint {
    let scopes: Vec<String> = scopes.iter().map(|scope| format!("scope={scope}&")).collect();
    let answer = who.get(format!("/token?service=strata&{}", scopes.concat()));
    assert_eq!(answer.status, 200, "{answer:?}");
    at.with_token(answer.json()["token"].as_str().expect("a token"))
}

/// What is tried in a registry `hy` that has `hy/a:v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    ListTags,
    HeadManifest,
    HeadBlob,
    Referrers,
    GetManifest,
    GetBlob,
    Push,
    Mount,
    PushTag,
    DeleteTag,
    RestSee,
    RestHistory,
    RestRegistry,
    RestCreateTag,
    RestDeleteTag,
    RestChangeRegistry,
    RestAccounts,
    RestGc,
    RestOwnKeys,
}

const DEEDS: [Deed; 19] = [
    Deed::ListTags,
    Deed::HeadManifest,
    Deed::HeadBlob,
    Deed::Referrers,
    Deed::GetManifest,
    Deed::GetBlob,
    Deed::Push,
    Deed::Mount,
    Deed::PushTag,
    Deed::DeleteTag,
    Deed::RestSee,
    Deed::RestHistory,
    Deed::RestRegistry,
    Deed::RestCreateTag,
    Deed::RestDeleteTag,
    Deed::RestChangeRegistry,
    Deed::RestAccounts,
    Deed::RestGc,
    Deed::RestOwnKeys,
];

/// Does it; `name` is the account's.
fn attempt(deed: Deed, oci: Endpoint, rest: Endpoint, name: &str, image: &Image) -> u16 {
    let repository = oci.repository("hy/a");
    let layer = sha256(&image.layers[0]);
    let bytes = noise(u64::from(deed as u8) + 1000, 300);
    let response = match deed {
        Deed::ListTags => oci.get(repository.target("tags/list")),
        Deed::HeadManifest => oci.head(repository.manifest("v1")),
        Deed::HeadBlob => oci.head(repository.blob(&layer)),
        Deed::Referrers => oci.get(repository.target(&format!("referrers/{}", image.manifest.digest()))),
        Deed::GetManifest => oci.get(repository.manifest("v1")),
        Deed::GetBlob => oci.get(repository.blob(&layer)),
        Deed::Push => oci.send(&repository.post_blob(&sha256(&bytes), &bytes)),
        Deed::Mount => {
            let target = format!("/v2/hy/b/blobs/uploads/?mount={layer}&from=hy/a");
            oci.post(target)
        }
        Deed::PushTag => oci.send(&repository.put_manifest(&format!("by-{name}"), &image.manifest)),
        Deed::DeleteTag => oci.delete(repository.manifest(&format!("spare-{name}"))),
        Deed::RestSee => rest.get("/api/v1/images/hy/a"),
        Deed::RestHistory => rest.get("/api/v1/images/hy/a/tags/v1/history"),
        Deed::RestRegistry => rest.get("/api/v1/registries/hy"),
        Deed::RestCreateTag => {
            let body = json!({"digest": image.manifest.digest()});
            send(rest, "PUT", &format!("images/hy/a/tags/made-{name}"), &body)
        }
        Deed::RestDeleteTag => rest.delete(format!("/api/v1/images/hy/a/tags/rest-{name}")),
        Deed::RestChangeRegistry => send(rest, "PATCH", "registries/hy", &json!({"description": "x"})),
        Deed::RestAccounts => rest.get("/api/v1/accounts"),
        Deed::RestGc => rest.get("/api/v1/gc"),
        Deed::RestOwnKeys => rest.get(format!("/api/v1/accounts/{name}/keys")),
    };
    response.status
}

/// What is expected of it: whether somebody with the role sees, pulls, pushes, manages content, sees what is of the instance, and manages it.
#[expect(clippy::struct_excessive_bools, reason = "a row of the table, one word a column")]
struct Rights {
    see: bool,
    pull: bool,
    push: bool,
    content: bool,
    watch: bool,
    instance: bool,
}

fn expected(deed: Deed, rights: &Rights) -> &'static [u16] {
    let Rights { see, pull, push, content, watch, instance } = *rights;
    let hidden_or = |may: bool, done: &'static [u16]| match (may, see) {
        (true, _) => done,
        (false, true) => &[403],
        (false, false) => &[404],
    };
    match deed {
        Deed::ListTags
        | Deed::HeadManifest
        | Deed::HeadBlob
        | Deed::Referrers
        | Deed::RestSee
        | Deed::RestHistory
        | Deed::RestRegistry => hidden_or(see, &[200]),
        Deed::GetManifest | Deed::GetBlob => hidden_or(pull, &[200]),
        Deed::Push | Deed::Mount | Deed::PushTag if push => &[201],
        Deed::DeleteTag => hidden_or(content, &[202]),
        Deed::RestCreateTag => match (content, see) {
            (true, _) => &[200, 201],
            (false, true) => &[403],
            (false, false) => &[403, 404],
        },
        Deed::RestDeleteTag => hidden_or(content, &[204]),
        Deed::RestChangeRegistry => match (instance, see) {
            (true, _) => &[200],
            (false, true) => &[403],
            (false, false) => &[403, 404],
        },
        Deed::RestAccounts if watch => &[200],
        Deed::RestGc if instance => &[200],
        // Also a push to a registry that one does not see: it is one that is not there, and the answer says so.
        Deed::Push | Deed::Mount | Deed::PushTag | Deed::RestAccounts | Deed::RestGc => &[403],
        Deed::RestOwnKeys => &[200],
    }
}

#[test]
fn each_role_may_what_the_table_says() {
    let registry = registry!().accounts().start();
    let (admin, at) = (registry.admin(), registry.endpoint());
    make(admin, "registries", &json!({"name": "hy"}));
    make(admin, "registries", &json!({"name": "other"}));
    let image = Image::small(1);
    let repository = admin.repository("hy/a");
    repository.push_image("v1", &image);
    admin.repository("hy/b").push_image("v1", &Image::small(2));
    let none = Rights { see: false, pull: false, push: false, content: false, watch: false, instance: false };
    let viewer = || Rights { see: true, pull: true, ..none };
    let uploader = || Rights { see: true, push: true, ..none };
    let owner = || Rights { see: true, pull: true, push: true, content: true, watch: false, instance: false };
    let rows = [
        ("nobody", None, Rights { ..none }),
        ("stranger", Some(("other", "admin")), Rights { ..none }),
        ("viewer", Some(("hy", "viewer")), viewer()),
        ("uploader", Some(("hy", "uploader")), uploader()),
        ("owner", Some(("hy", "admin")), owner()),
        ("watcher", Some(("instance", "viewer")), Rights { watch: true, ..viewer() }),
        ("loader", Some(("instance", "uploader")), uploader()),
        ("boss", Some(("instance", "admin")), Rights { watch: true, instance: true, ..owner() }),
    ];
    for (name, role, rights) in rows {
        let rest = account(admin, at, name);
        match role {
            Some(("instance", role)) => give(admin, name, "instance", role),
            Some((place, role)) => {
                done(&send(
                    admin,
                    "PUT",
                    &format!("registries/{place}/members/{name}"),
                    &json!({"role": role}),
                ));
            }
            None => {}
        }
        for prefix in ["spare", "rest"] {
            repository.push_manifest(&format!("{prefix}-{name}"), &image.manifest);
        }
        let scopes = ["repository:hy/a:pull,push,delete", "repository:hy/b:pull,push,delete"];
        let oci = with_token(rest, at, &scopes);
        for deed in DEEDS {
            let status = attempt(deed, oci, rest, name, &image);
            assert!(expected(deed, &rights).contains(&status), "{name}: {deed:?} came to {status}");
        }
    }
    // Without credentials: a challenge, whatever it is about.
    let anonymous = with_token(at, at, &["repository:hy/a:pull"]);
    for deed in DEEDS.into_iter().take(10) {
        assert_eq!(attempt(deed, at, at, "nobody", &image), 401, "{deed:?}");
        assert_eq!(attempt(deed, anonymous, at, "nobody", &image), 401, "{deed:?}");
    }
}

#[test]
fn a_narrower_token_is_told_what_is_missing() {
    let registry = registry!().accounts().start();
    let (admin, at) = (registry.admin(), registry.endpoint());
    make(admin, "registries", &json!({"name": "hy"}));
    let image = Image::small(1);
    admin.repository("hy/a").push_image("v1", &image);
    let oci = with_token(admin, at, &["repository:hy/a:pull"]);
    oci.get("/v2/hy/a/manifests/v1").expect(200);
    let refused = oci.send(&oci.repository("hy/a").put_manifest("v2", &image.manifest));
    let challenge =
        refused.expect_error(401, "UNAUTHORIZED").header("www-authenticate").expect("a challenge").to_owned();
    assert!(challenge.contains("scope=\"repository:hy/a:pull,push\""), "{challenge}");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
}

#[test]
fn what_is_taken_away_counts_from_the_next_request() {
    let registry = registry!().accounts().start();
    let (admin, at) = (registry.admin(), registry.endpoint());
    make(admin, "registries", &json!({"name": "hy"}));
    admin.repository("hy/a").push_image("v1", &Image::small(1));
    let anna = account(admin, at, "anna");
    let key =
        done(&admin.get("/api/v1/accounts/anna/keys"))["keys"][0]["id"].as_str().expect("an id").to_owned();
    let pull = |who: Endpoint| who.get("/v2/hy/a/manifests/v1").status;
    give(admin, "anna", "instance", "viewer");
    let token = with_token(anna, at, &["repository:hy/a:pull"]);
    let change = |path: &str, body: Value| done(&send(admin, "PATCH", path, &body));
    // Twice, so that the second is answered from memory.
    assert_eq!([pull(token), pull(token), pull(anna), pull(anna)], [200; 4]);
    give(admin, "anna", "instance", "uploader");
    assert_eq!([pull(token), pull(anna)], [403, 403]);
    give(admin, "anna", "instance", "viewer");
    assert_eq!([pull(token), pull(anna)], [200, 200]);
    change(&format!("accounts/anna/keys/{key}"), json!({"state": "disabled"}));
    assert_eq!([pull(token), pull(anna)], [401, 401]);
    change(&format!("accounts/anna/keys/{key}"), json!({"state": "enabled"}));
    assert_eq!([pull(token), pull(anna)], [200, 200]);
    change("accounts/anna", json!({"state": "disabled"}));
    assert_eq!([pull(token), pull(anna)], [401, 401]);
    change("accounts/anna", json!({"state": "enabled"}));
    assert_eq!([pull(token), pull(anna)], [200, 200]);
    change("registries/hy", json!({"anonymous_pull": true}));
    assert_eq!([pull(at), pull(at)], [200, 200]);
    change("registries/hy", json!({"anonymous_pull": false}));
    assert_eq!(pull(at), 401);
    assert_eq!(admin.delete(format!("/api/v1/accounts/anna/keys/{key}")).status, 204);
    assert_eq!([pull(token), pull(anna)], [401, 401]);
}

#[test]
fn a_registry_without_a_public_address_is_not_there() {
    let config = "[[http.listener]]\naddress = \"127.0.0.1:0\"\n[[http.listener]]\naddress = \"127.0.0.1:0\"\nscope = \"private\"\n";
    let registry = registry!().accounts().config(config).listen_by_config().listeners(2).start();
    let [public, private] = registry.endpoints() else { panic!("two listeners") };
    let (id, secret) = ADMIN;
    let (outside, inside) = (public.with_key(id, secret), private.with_key(id, secret));
    make(inside, "registries", &json!({"name": "hy", "public": false, "anonymous_pull": true}));
    inside.repository("hy/a").push_image("v1", &Image::small(1));
    let targets =
        ["/v2/hy/a/manifests/v1", "/v2/hy/a/tags/list", "/api/v1/images/hy/a", "/api/v1/registries/hy"];
    for target in targets {
        // Twice: not from memory either.
        for _ in 0..2 {
            assert_eq!(inside.get(target).status, 200, "{target}");
            assert_eq!(outside.get(target).status, 404, "{target}");
        }
    }
    private.get("/v2/hy/a/manifests/v1").expect(200);
    assert_eq!(public.get("/v2/hy/a/manifests/v1").status, 401, "as of one that is not there");
    assert_eq!(public.get("/v2/no/a/manifests/v1").status, 401);
    assert_eq!(
        outside.send(&outside.repository("hy/a").put_manifest("v2", &Image::small(1).manifest)).status,
        403
    );
    assert_eq!(outside.get("/v2/_catalog").json()["repositories"], json!([]));
    assert_eq!(inside.get("/v2/_catalog").json()["repositories"], json!(["hy/a"]));
}

#[test]
fn a_quota_is_exact_under_parallel_pushes() {
    const BYTES: usize = 10_000;
    let registry = registry!().accounts().start();
    let (admin, at) = (registry.admin(), registry.endpoint());
    make(admin, "registries", &json!({"name": "hy", "quota": 10 * BYTES}));
    make(admin, "registries", &json!({"name": "free"}));
    let token = with_token(admin, at, &["repository:hy/a:push,pull", "repository:hy/b:push,pull"]);
    let pushed: Vec<u16> = thread::scope(|scope| {
        let push = |seed: u64| {
            let bytes = noise(seed, BYTES);
            let repository = token.repository(if seed.is_multiple_of(2) { "hy/a" } else { "hy/b" });
            token.send(&repository.post_blob(&sha256(&bytes), &bytes)).status
        };
        let threads: Vec<_> = (0..32).map(|seed| scope.spawn(move || push(seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a push")).collect()
    });
    assert_eq!(pushed.iter().filter(|status| **status == 201).count(), 10, "{pushed:?}");
    assert!(pushed.iter().all(|status| [201, 403].contains(status)), "{pushed:?}");
    // What is there already costs nothing more, in whatever repository of the registry.
    let there = (0..32)
        .zip(&pushed)
        .find(|(_, status)| **status == 201)
        .map(|(seed, _)| noise(seed, BYTES))
        .expect("one");
    for name in ["hy/a", "hy/b"] {
        let repository = token.repository(name);
        token.send(&repository.post_blob(&sha256(&there), &there)).expect(201);
    }
    let more = noise(99, 1);
    let refused = token.send(&token.repository("hy/a").post_blob(&sha256(&more), &more));
    refused.expect_error(403, "DENIED");
    admin.repository("free/a").push_blob(&more);
    let figures = done(&admin.get("/api/v1/registries/hy"))["figures"].clone();
    assert_eq!(figures["unique_bytes"], 10 * BYTES, "{figures}");
    assert!(figures["logical_bytes"].as_u64() > Some(10 * BYTES as u64), "one blob stands in both");
    assert_eq!(
        (&figures["images"], &figures["artifacts"], &figures["tags"]),
        (&2.into(), &0.into(), &0.into())
    );
}

#[test]
fn registries_are_made_listed_and_shown_by_commands() {
    let mut registry = registry!().accounts().start();
    let (id, secret) = ADMIN;
    let run = |place: &[&str], arguments: &[&str]| {
        let mut command = command(&binary!(), &[&["registry"], arguments, place].concat());
        command
            .envs([("STRATA_KEY_ID", id), ("STRATA_KEY_SECRET", secret)])
            .output()
            .expect("the command runs")
    };
    let address = url(&registry);
    let server = ["--server", &*address];
    let made = run(&server, &["create", "hy", "--quota", "1 GiB", "--private", "--description", "of hy"]);
    assert_eq!(expect_text(&made, 0), "made hy, private addresses only, quota 1 GiB, \"of hy\"\n");
    assert_eq!(run(&server, &["create", "hy"]).status.code(), Some(1));
    assert_eq!(run(&server, &["create", "no/such"]).status.code(), Some(1));
    assert_eq!(run(&server, &["show", "no/such"]).status.code(), Some(2));
    registry.stop();
    // The same on the directory, when no server uses it.
    let data = registry.data();
    let place = ["--data", data.to_str().expect("a path in UTF-8")];
    expect_text(&run(&place, &["create", "free", "--anonymous-pull"]), 0);
    let listed = expect_text(&run(&place, &["list"]), 0);
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..5], ["free", "standard", "everybody", "all", "-"], "{listed}");
    assert_eq!(lines[2][..7], ["hy", "standard", "by", "role", "private", "1", "GiB"], "{listed}");
    assert!(lines.len() == 3 && listed.ends_with("of hy\n"), "{listed}");
    registry.start();
    registry.admin().repository("free/a").push_image("v1", &Image::small(1));
    let address = url(&registry);
    let shown = expect_text(&run(&["--server", &address], &["show", "free"]), 0);
    assert!(shown.starts_with("free, public, everybody may pull\n1 image, 1 artifact, 1 tag; "), "{shown}");
}

#[test]
fn commands_show_the_key_of_the_environment() {
    let registry = registry!().accounts().start();
    let (id, secret) = ADMIN;
    let run = |key: &[(&str, &str)]| {
        let mut command = command(&binary!(), &["gc", "--server", &url(&registry)]);
        command.envs(key.iter().copied()).output().expect("the command runs")
    };
    expect_text(&run(&[("STRATA_KEY_ID", id), ("STRATA_KEY_SECRET", secret)]), 0);
    for (key, code, word) in [
        (&[][..], 1, "UNAUTHORIZED"),
        (&[("STRATA_KEY_ID", id), ("STRATA_KEY_SECRET", "strata_wrong")][..], 1, "UNAUTHORIZED"),
        (&[("STRATA_KEY_ID", id)][..], 2, "STRATA_KEY_SECRET is not"),
        (&[("STRATA_KEY_SECRET", secret)][..], 2, "STRATA_KEY_ID is not"),
        (&[("STRATA_KEY_ID", "a:b"), ("STRATA_KEY_SECRET", secret)][..], 2, "no colon"),
    ] {
        let output = run(key);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(word) && !text.contains(secret), "{text}");
    }
}
