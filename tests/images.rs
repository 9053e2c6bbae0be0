//! Images, artifacts and tags over the admin API: lists, searches, details of what was pushed (odd content too), tags without a push, and
//! when something was pulled.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use serde_json::{Value, json};
use strata_harness::image::{
    DOCKER_MANIFEST, EMPTY_JSON, OCI_CONFIG, OCI_LAYER, artifact, descriptor, index,
};
use strata_harness::{Document, Endpoint, Image, Repository, Request, Response, registry};

#[track_caller]
fn done(answer: &Response) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json()
}

fn get(endpoint: &Endpoint, path: &str) -> Value {
    done(&endpoint.get(format!("/api/v1/images{path}")))
}

/// All entries of a list, page by page; no page has more than `limit`.
fn all(endpoint: &Endpoint, path: &str, member: &str, limit: usize) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let divider = if path.contains('?') { '&' } else { '?' };
        let page = get(endpoint, &format!("{path}{divider}limit={limit}{cursor}"));
        let entries = page[member].as_array().expect("a list");
        assert!(entries.len() <= limit, "{page}");
        found.extend(entries.iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={}", next.replace('/', "%2F")),
            None => return found,
        }
    }
}

fn names(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["name"].as_str().expect("a name")).collect()
}

fn put_tag(endpoint: &Endpoint, path: &str, digest: &str, condition: Option<(&str, &str)>) -> Response {
    let request = Request::put(format!("/api/v1/images{path}")).header("content-type", "application/json");
    let request = condition.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    endpoint.send(&request.body(json!({ "digest": digest }).to_string()))
}

#[test]
fn images_are_listed_searched_and_shown() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    let image = Image::small(1);
    for name in ["busybox", "hy/alpine", "hy/busybox", "hy/sub/busybox", "zz/busybox", "hyx/a"] {
        registry.repository(name).push_image("v1", &image);
    }
    for limit in [1, 2, 1000] {
        let of = |query: &str| all(&endpoint, query, "images", limit);
        assert_eq!(
            names(&of("")),
            ["busybox", "hy/alpine", "hy/busybox", "hy/sub/busybox", "hyx/a", "zz/busybox"]
        );
        assert_eq!(names(&of("?search=BUSY")), ["busybox", "hy/busybox", "hy/sub/busybox", "zz/busybox"]);
        assert_eq!(names(&of("?registry=hy")), ["hy/alpine", "hy/busybox", "hy/sub/busybox"]);
        assert_eq!(names(&of("?registry=hy&search=alp")), ["hy/alpine"]);
        assert_eq!(names(&of("?registry=default")), ["busybox"]);
        assert!(of("?registry=nothing").is_empty() && of("?search=nothing").is_empty());
    }
    registry.repository("hy/alpine").push_manifest("v2", &image.manifest);
    for path in ["/hy/alpine", "/hy%2Falpine"] {
        let detail = get(&endpoint, path);
        assert_eq!((&detail["name"], &detail["registry"]), (&"hy/alpine".into(), &"hy".into()));
        assert_eq!((&detail["tags"], &detail["artifacts"]), (&2.into(), &1.into()));
        assert!(detail["created_at_millis"].as_u64() > Some(1_600_000_000_000));
    }
    endpoint.get("/api/v1/images/hy/nothing").expect_problem(404, "NAME_UNKNOWN");
    let removed = done(&endpoint.delete("/api/v1/images/hy/alpine"));
    assert_eq!(removed["repositories"], json!(["hy/alpine"]));
    endpoint.get("/api/v1/images/hy/alpine").expect_problem(404, "NAME_UNKNOWN");
}

/// An image whose config says all that a builder says.
fn told_image(repository: &Repository) -> Document {
    let layers = [Bytes::from_static(b"first layer"), Bytes::from_static(b"second layer, longer")];
    let config = json!({
        "architecture": "arm64", "os": "linux", "variant": "v8", "created": "2026-01-02T03:04:05Z",
        "config": {"Env": ["A=b"], "Entrypoint": ["/run"], "Cmd": ["-x"], "Labels": {"k": "v"}, "ExposedPorts": {"80/tcp": {}}},
        "history": [
            {"created_by": "ADD rootfs"}, {"created_by": "ENV A=b", "empty_layer": true}, {"created_by": "COPY . ."}
        ],
        "rootfs": {"type": "layers", "diff_ids": []},
    });
    let config = Bytes::from(config.to_string());
    layers.iter().chain([&config]).for_each(|blob| drop(repository.push_blob(blob)));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor(OCI_CONFIG, &config),
        "layers": layers.iter().map(|layer| descriptor(OCI_LAYER, layer)).collect::<Vec<_>>(),
        "annotations": {"org.opencontainers.image.title": "told"},
    });
    Document::new("application/vnd.oci.image.manifest.v1+json", &manifest)
}

#[test]
fn an_artifact_is_shown_with_all_that_belongs_to_it() {
    let registry = registry!().start();
    let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
    let manifest = told_image(&repository);
    repository.push_manifest("v1", &manifest);
    repository.push_manifest("latest", &manifest);
    repository.push_blob(&EMPTY_JSON.into());
    let signature = artifact("application/example", Some(&manifest.descriptor()), "signed");
    repository.push_manifest(&signature.digest(), &signature);
    let mut entry = manifest.descriptor();
    entry["platform"] = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
    let mut elsewhere = Image::small(77).manifest.descriptor();
    elsewhere["platform"] = json!({"os": "windows", "architecture": "amd64", "os.version": "10.0"});
    let list = index(&[entry, elsewhere]);
    repository.push_manifest("multi", &list);

    let by_digest = get(&endpoint, &format!("/a/b/artifacts/{}", manifest.digest()));
    assert_eq!(by_digest, get(&endpoint, "/a/b/artifacts/v1"));
    assert_eq!(by_digest["digest"], manifest.digest());
    assert_eq!(by_digest["tags"], json!(["latest", "v1"]));
    assert_eq!(by_digest["platform"], json!({"os": "linux", "architecture": "arm64", "variant": "v8"}));
    assert_eq!(by_digest["image"]["env"], json!(["A=b"]));
    assert_eq!(by_digest["image"]["labels"], json!({"k": "v"}));
    assert_eq!(by_digest["annotations"]["org.opencontainers.image.title"], "told");
    let steps: Vec<&str> = by_digest["history"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|step| step["created_by"].as_str())
        .collect();
    assert_eq!(steps, ["ADD rootfs", "ENV A=b", "COPY . ."]);
    assert_eq!(by_digest["layers"][0]["created_by"], "ADD rootfs");
    assert_eq!(
        (&by_digest["layers"][1]["created_by"], &by_digest["layers"][1]["size"]),
        (&"COPY . .".into(), &20.into())
    );
    let config_size = by_digest["config"]["size"].as_u64().expect("a size");
    assert_eq!(by_digest["total_size"].as_u64(), Some(manifest.bytes.len() as u64 + config_size + 11 + 20));
    assert_eq!(by_digest["referrers"][0]["digest"], signature.digest());
    assert_eq!(by_digest["referrers"][0]["artifact_type"], "application/example");

    let shown = get(&endpoint, "/a/b/artifacts/multi");
    assert_eq!(shown["manifests"][0]["present"], true);
    assert_eq!(shown["manifests"][0]["platform"]["variant"], "v8");
    assert_eq!(shown["manifests"][1]["present"], false);
    assert_eq!(shown["manifests"][1]["platform"]["os_version"], "10.0");
    assert_eq!(shown["layers"], json!([]));
    let shown = get(&endpoint, &format!("/a/b/artifacts/{}", signature.digest()));
    assert_eq!(
        (&shown["subject"], &shown["artifact_type"]),
        (&manifest.digest().into(), &"application/example".into())
    );

    let mut listed: Vec<String> = all(&endpoint, "/a/b/artifacts", "artifacts", 1)
        .iter()
        .map(|artifact| artifact["digest"].as_str().expect("a digest").to_owned())
        .collect();
    let mut expected = vec![manifest.digest(), signature.digest(), list.digest()];
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
    for (reference, status, code) in [
        ("nothing", 404, "MANIFEST_UNKNOWN"),
        ("-x", 404, "MANIFEST_UNKNOWN"),
        ("sha256:x", 400, "DIGEST_INVALID"),
    ] {
        endpoint.get(format!("/api/v1/images/a/b/artifacts/{reference}")).expect_problem(status, code);
    }
    endpoint.get("/api/v1/images/no/artifacts").expect_problem(404, "NAME_UNKNOWN");
    endpoint.get("/api/v1/images/a/b/artifacts?cursor=x").expect_problem(400, "PAGINATION_NUMBER_INVALID");
    endpoint.get("/api/v1/images?limit=0").expect_problem(400, "PAGINATION_NUMBER_INVALID");
}

#[test]
fn odd_configs_make_no_detail_fail() {
    let registry = registry!().start();
    let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let large = format!("{{\"os\":\"linux\",\"pad\":\"{}\"}}", "x".repeat(2 << 20));
    let in_a_file = format!("{{\"os\":\"linux\",\"pad\":\"{}\"}}", "x".repeat(100_000));
    for (number, (config, os)) in [
        ("not JSON", None),
        ("[]", None),
        (r#"{"os":7,"history":{},"config":[]}"#, None),
        (r#"{"os":"linux","history":[null,1,{"created_by":[]}]}"#, Some("linux")),
        (&deep, None),
        (&large, None),
        (&in_a_file, Some("linux")),
    ]
    .into_iter()
    .enumerate()
    {
        let config = Bytes::from(config.to_owned());
        repository.push_blob(&config);
        let manifest = Document::new(
            DOCKER_MANIFEST,
            &json!({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST,
                "config": descriptor("application/vnd.docker.container.image.v1+json", &config), "layers": []}),
        );
        let tag = format!("odd{number}");
        repository.push_manifest(&tag, &manifest);
        let shown = get(&endpoint, &format!("/a/b/artifacts/{tag}"));
        assert_eq!(shown["platform"]["os"].as_str(), os, "{tag}");
        assert_eq!(shown["config"]["size"].as_u64(), Some(config.len() as u64));
    }
}

#[test]
fn an_artifact_is_deleted_by_digest_only() {
    let registry = registry!().start();
    let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
    let image = Image::small(3);
    repository.push_image("v1", &image);
    endpoint.delete("/api/v1/images/a/b/artifacts/v1").expect_problem(400, "DIGEST_INVALID");
    repository.expect_manifest("v1", &image.manifest);
    let path = format!("/api/v1/images/a/b/artifacts/{}", image.manifest.digest());
    assert_eq!(endpoint.delete(path.as_str()).status, 204);
    endpoint.delete(path).expect_problem(404, "MANIFEST_UNKNOWN");
    repository.expect_no_manifest("v1");
}

#[test]
fn tags_are_searched_made_moved_and_deleted() {
    let registry = registry!().start();
    let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
    let (old, new) = (Image::small(1), Image::small(2));
    for tag in ["v1.0", "v1.0-RC1", "v2.0", "nightly"] {
        repository.push_image(tag, &old);
    }
    repository.push_image("new", &new);
    for limit in [1, 2, 1000] {
        let of = |query: &str| all(&endpoint, &format!("/a/b/tags{query}"), "tags", limit);
        assert_eq!(names(&of("")), ["new", "nightly", "v1.0", "v1.0-RC1", "v2.0"]);
        assert_eq!(names(&of("?search=v1")), ["v1.0", "v1.0-RC1"]);
        assert_eq!(names(&of("?search=rc")), ["v1.0-RC1"]);
        assert_eq!(names(&of("?search=.0")), ["v1.0", "v1.0-RC1", "v2.0"]);
        assert!(of("?search=%00").is_empty());
    }
    // A tag without a push.
    let made = put_tag(&endpoint, "/a/b/tags/stable", &old.manifest.digest(), None);
    assert_eq!((made.status, made.body.len()), (201, 0));
    repository.expect_manifest("stable", &old.manifest);
    let shown = endpoint.get("/api/v1/images/a/b/tags/stable");
    assert_eq!(shown.header("etag"), Some(&*format!("\"{}\"", old.manifest.digest())));
    assert_eq!(done(&shown)["size"].as_u64(), Some(old.manifest.bytes.len() as u64));
    // Moved, once the tag is what it is thought to be.
    let (was, is) = (format!("\"{}\"", old.manifest.digest()), format!("\"{}\"", new.manifest.digest()));
    let to_new = |condition| put_tag(&endpoint, "/a/b/tags/stable", &new.manifest.digest(), condition);
    to_new(Some(("if-none-match", "*"))).expect_problem(412, "REVISION_MISMATCH");
    to_new(Some(("if-match", &is))).expect_problem(412, "REVISION_MISMATCH");
    repository.expect_manifest("stable", &old.manifest);
    assert_eq!(to_new(Some(("if-match", &was))).status, 204);
    assert_eq!(to_new(Some(("if-match", "*"))).status, 204);
    repository.expect_manifest("stable", &new.manifest);
    put_tag(&endpoint, "/a/b/tags/other", &old.manifest.digest(), Some(("if-match", "*")))
        .expect_problem(412, "REVISION_MISMATCH");
    // What is not there cannot be tagged.
    let elsewhere = Image::small(9).manifest.digest();
    put_tag(&endpoint, "/a/b/tags/x", &elsewhere, None).expect_problem(404, "MANIFEST_UNKNOWN");
    put_tag(&endpoint, "/no/b/tags/x", &elsewhere, None).expect_problem(404, "NAME_UNKNOWN");
    put_tag(&endpoint, "/a/b/tags/-x", &old.manifest.digest(), None).expect_problem(400, "TAG_INVALID");
    put_tag(&endpoint, "/a/b/tags/x", "sha256:0", None).expect_problem(400, "DIGEST_INVALID");
    // Deleted: the manifest stays.
    assert_eq!(endpoint.delete("/api/v1/images/a/b/tags/stable").status, 204);
    endpoint.delete("/api/v1/images/a/b/tags/stable").expect_problem(404, "MANIFEST_UNKNOWN");
    endpoint.get("/api/v1/images/a/b/tags/stable").expect_problem(404, "MANIFEST_UNKNOWN");
    repository.expect_manifest(&new.manifest.digest(), &new.manifest);
    // All of it can be read, also what is no more.
    let moves = all(&endpoint, "/a/b/tags/stable/history", "moves", 2);
    let stood_for: Vec<Option<&str>> = moves.iter().map(|each| each["digest"].as_str()).collect();
    let (old, new) = (old.manifest.digest(), new.manifest.digest());
    assert_eq!(stood_for, [Some(&*old), Some(&*new), None]);
    endpoint.get("/api/v1/images/a/b/tags/never/history").expect_problem(404, "MANIFEST_UNKNOWN");
}

#[test]
fn names_that_look_like_paths_are_told_apart() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    let image = Image::small(4);
    for name in ["a", "a/tags", "a/tags/b", "a/artifacts"] {
        registry.repository(name).push_image("b", &image);
    }
    assert_eq!(get(&endpoint, "/a/tags/b")["digest"], image.manifest.digest());
    assert_eq!(get(&endpoint, "/a%2Ftags%2Fb")["name"], "a/tags/b");
    assert_eq!(get(&endpoint, "/a%2Ftags")["name"], "a/tags");
    assert_eq!(names(get(&endpoint, "/a/tags/b/tags")["tags"].as_array().expect("a list")), ["b"]);
    assert_eq!(get(&endpoint, "/a%2Fartifacts")["tags"], 1);
    for (path, status, code) in [
        ("/..", 400, "NAME_INVALID"),
        ("/%2e%2e%2fstatus", 400, "NAME_INVALID"),
        ("/a%5cb", 400, "NAME_INVALID"),
        ("/a%00", 400, "NAME_INVALID"),
        ("/%C3%A4", 400, "NAME_INVALID"),
        ("/A", 400, "NAME_INVALID"),
        ("/a//b", 400, "NAME_INVALID"),
        ("/a%2F%2Fb", 400, "NAME_INVALID"),
        ("/a%2F", 400, "NAME_INVALID"),
        ("/a/tags/x%2Fy", 404, "NAME_UNKNOWN"),
    ] {
        let answer = endpoint.get(format!("/api/v1/images{path}"));
        assert_eq!((answer.status, &*answer.problem()), (status, code), "{path}");
    }
    let long = "a".repeat(300);
    endpoint.get(format!("/api/v1/images/{long}")).expect_problem(400, "NAME_INVALID");
}

#[test]
fn pulls_leave_a_time_also_those_answered_from_memory() {
    let mut registry = registry!().start();
    let image = Image::small(5);
    registry.repository("a/b").push_image("v1", &image);
    let pulled = |endpoint: &Endpoint| get(endpoint, "/a/b/artifacts/v1")["pulled_at_millis"].as_u64();
    let endpoint = registry.endpoint();
    assert_eq!(pulled(&endpoint), None, "a push and a look are no pull");
    endpoint.head("/v2/a/b/manifests/v1").expect(200);
    assert_eq!(pulled(&endpoint), None, "nor is a HEAD");
    endpoint.get("/v2/a/b/manifests/v1").expect(200);
    let first = pulled(&endpoint).expect("a time");
    // Answered from memory by now, and noted all the same; asked until the clock has gone on.
    let later = (0..1_000_000).find_map(|_| {
        endpoint.get("/v2/a/b/manifests/v1").expect(200);
        pulled(&endpoint).filter(|at| *at > first)
    });
    let later = later.expect("a later time");
    assert_eq!(get(&endpoint, "/a/b/tags/v1")["pulled_at_millis"].as_u64(), Some(later));
    // A stop writes what was only in memory.
    registry.restart();
    assert_eq!(pulled(&registry.endpoint()), Some(later));
}
