//! Bodies that are no manifest: each is refused with `MANIFEST_INVALID`, and the repository does not know it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::{Value, json};
use strata_harness::image::{DOCKER_MANIFEST, EMPTY_JSON, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST, descriptor};
use strata_harness::{Document, Repository, registry, sha256};

/// Makes one thing wrong in a good manifest.
type Spoil = fn(&mut Value);

#[track_caller]
fn expect_invalid(repository: &Repository, what: &str, document: &Document) {
    for reference in ["bad", document.digest().as_str()] {
        let response = repository.endpoint.send(&repository.put_manifest(reference, document));
        assert_eq!(response.status, 400, "{what}: {response:?}");
        let response = response.expect_error(400, "MANIFEST_INVALID");
        assert!(response.body.len() < 20_000, "{what}: an error of {} bytes", response.body.len());
    }
    repository.expect_no_manifest("bad");
    repository.expect_no_manifest(&document.digest());
}

/// A good image manifest, for tests that spoil it.
fn good() -> Value {
    json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_EMPTY, EMPTY_JSON),
        "layers": [descriptor(OCI_EMPTY, EMPTY_JSON)]})
}

fn good_index() -> Value {
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(OCI_MANIFEST, b"anything")]})
}

#[test]
fn the_good_ones_are_good() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&EMPTY_JSON.into());
    repository.push_manifest("image", &Document::new(OCI_MANIFEST, &good()));
    repository.push_manifest("index", &Document::new(OCI_INDEX, &good_index()));
}

#[test]
fn bytes_that_are_no_json() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&EMPTY_JSON.into());
    let text = good().to_string();
    let bodies: [(&str, Vec<u8>); 14] = [
        ("empty", Vec::new()),
        ("white", b" \n\t ".to_vec()),
        ("garbage", vec![0xde, 0xad, 0xbe, 0xef]),
        ("zeros", vec![0; 1000]),
        ("cut", text.as_bytes()[..text.len() - 5].to_vec()),
        ("trailing", format!("{text}x").into_bytes()),
        ("two", format!("{text}{text}").into_bytes()),
        ("byte order mark", format!("\u{feff}{text}").into_bytes()),
        ("utf-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("latin-1", [&b"{\"annotations\":{\"a\":\"\xe9\"},"[..], &text.as_bytes()[1..]].concat()),
        ("comment", format!("/* */ {text}").into_bytes()),
        ("single quotes", text.replace('"', "'").into_bytes()),
        ("trailing comma", text.replace(":2}", ":2,}").into_bytes()),
        ("lone surrogate", format!("{{\"mediaType\":\"\\ud800\",{}", &text[1..]).into_bytes()),
    ];
    for (what, body) in bodies {
        expect_invalid(&repository, what, &Document::raw(OCI_MANIFEST, body));
    }
}

#[test]
fn json_that_is_no_object() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for text in ["[]", "null", "true", "2", "\"manifest\"", "[{}]", "{}"] {
        expect_invalid(&repository, text, &Document::raw(OCI_MANIFEST, text));
        expect_invalid(&repository, text, &Document::raw(OCI_INDEX, text));
    }
}

#[test]
fn json_that_is_deep_or_wide() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&EMPTY_JSON.into());
    let text = good().to_string();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [1000, 100_000, 600_000] {
            let inner = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let body = format!("{{\"x\":{inner},{}", &text[1..]);
            if body.len() <= 4 * 1024 * 1024 {
                expect_invalid(&repository, "deep", &Document::raw(OCI_MANIFEST, body));
            }
            let unclosed = open.repeat(depth);
            expect_invalid(&repository, "deep and open", &Document::raw(OCI_MANIFEST, unclosed));
        }
    }
    let layer = descriptor(OCI_EMPTY, EMPTY_JSON).to_string();
    let short = format!("{{\"mediaType\":\"a\",\"digest\":\"{}\",\"size\":2}}", sha256(EMPTY_JSON));
    let many = (4 * 1024 * 1024 - 1000) / (short.len() + 1);
    let wide = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{OCI_MANIFEST}\",\"config\":{layer},\"layers\":[{}]}}",
        vec![short; many].join(",")
    );
    // A manifest full of layers is large, but it is one: whatever the answer, it comes, and it is the spec's.
    let response =
        registry.endpoint().send(&repository.put_manifest("wide", &Document::raw(OCI_MANIFEST, wide)));
    assert!(matches!(response.status, 201 | 400 | 413), "{response:?}");
    registry.endpoint().get("/v2/").expect(200);
}

#[test]
fn fields_that_stand_there_twice() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&EMPTY_JSON.into());
    let text = good().to_string();
    let descriptor = descriptor(OCI_EMPTY, EMPTY_JSON).to_string();
    let twice = [
        ("schemaVersion", "2".to_owned()),
        ("mediaType", format!("\"{OCI_MANIFEST}\"")),
        ("config", descriptor.clone()),
        ("layers", "[]".to_owned()),
    ];
    for (name, value) in twice {
        let body = format!("{{\"{name}\":{value},{}", &text[1..]);
        expect_invalid(&repository, name, &Document::raw(OCI_MANIFEST, body));
    }
    let inner = format!("{{\"digest\":\"{}\",{}", sha256(b"other"), &descriptor[1..]);
    let body = format!("{{\"schemaVersion\":2,\"config\":{inner},\"layers\":[]}}");
    expect_invalid(&repository, "digest", &Document::raw(OCI_MANIFEST, body));
    // Go's decoder takes these for the field itself; others do not.
    for name in ["Config", "LAYERS", "mediatype", "\\u006dediaType"] {
        let body = format!("{{\"{name}\":[],{}", &text[1..]);
        expect_invalid(&repository, name, &Document::raw(OCI_MANIFEST, body));
    }
}

#[test]
fn fields_of_the_wrong_type() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&EMPTY_JSON.into());
    let wrong: [(&str, Spoil); 24] = [
        ("schemaVersion text", |value| value["schemaVersion"] = json!("2")),
        ("schemaVersion 1", |value| value["schemaVersion"] = json!(1)),
        ("schemaVersion 3", |value| value["schemaVersion"] = json!(3)),
        ("schemaVersion gone", |value| drop(value.as_object_mut().map(|all| all.remove("schemaVersion")))),
        ("mediaType number", |value| value["mediaType"] = json!(5)),
        ("mediaType list", |value| value["mediaType"] = json!([OCI_MANIFEST])),
        ("config gone", |value| drop(value.as_object_mut().map(|all| all.remove("config")))),
        ("config null", |value| value["config"] = Value::Null),
        ("config list", |value| value["config"] = json!([])),
        ("config text", |value| value["config"] = json!("config")),
        ("config empty", |value| value["config"] = json!({})),
        ("layers object", |value| value["layers"] = json!({})),
        ("layers text", |value| value["layers"] = json!("none")),
        ("layer null", |value| value["layers"][0] = Value::Null),
        ("layer number", |value| value["layers"][0] = json!(7)),
        ("layer text", |value| value["layers"][0] = json!(sha256(EMPTY_JSON))),
        ("size text", |value| value["layers"][0]["size"] = json!("2")),
        ("size negative", |value| value["layers"][0]["size"] = json!(-2)),
        ("size fraction", |value| value["layers"][0]["size"] = json!(2.5)),
        ("size huge", |value| value["layers"][0]["size"] = json!(u64::MAX)),
        ("size gone", |value| drop(value["layers"][0].as_object_mut().map(|all| all.remove("size")))),
        ("subject text", |value| value["subject"] = json!("subject")),
        ("annotations list", |value| value["annotations"] = json!(["a"])),
        ("artifactType number", |value| value["artifactType"] = json!(1)),
    ];
    for (what, spoil) in wrong {
        let mut value = good();
        spoil(&mut value);
        expect_invalid(&repository, what, &Document::new(OCI_MANIFEST, &value));
    }
}

#[test]
fn an_index_that_is_wrong() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&EMPTY_JSON.into());
    let wrong: [(&str, Spoil); 6] = [
        ("manifests object", |value| value["manifests"] = json!({})),
        ("manifests text", |value| value["manifests"] = json!("x")),
        ("child null", |value| value["manifests"][0] = Value::Null),
        ("child without digest", |value| {
            drop(value["manifests"][0].as_object_mut().map(|all| all.remove("digest")));
        }),
        ("subject list", |value| value["subject"] = json!([])),
        ("schemaVersion 1", |value| value["schemaVersion"] = json!(1)),
    ];
    for (what, spoil) in wrong {
        let mut value = good_index();
        spoil(&mut value);
        expect_invalid(&repository, what, &Document::new(OCI_INDEX, &value));
    }
}

#[test]
fn digests_in_descriptors() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&EMPTY_JSON.into());
    let upper = sha256(EMPTY_JSON).to_uppercase().replace("SHA256", "sha256");
    for digest in ["", "sha256:", "nonsense", "sha256:123", "../../etc/passwd", upper.as_str()] {
        for (member, media_type) in [
            ("config", OCI_MANIFEST),
            ("layers", OCI_MANIFEST),
            ("subject", OCI_MANIFEST),
            ("manifests", OCI_INDEX),
        ] {
            let mut value = if media_type == OCI_INDEX { good_index() } else { good() };
            if member == "subject" {
                value["subject"] = descriptor(OCI_MANIFEST, b"anything");
            }
            let spoiled = match &mut value[member] {
                Value::Array(list) => &mut list[0]["digest"],
                other => &mut other["digest"],
            };
            *spoiled = json!(digest);
            let document = Document::new(media_type, &value);
            let response = registry.endpoint().send(&repository.put_manifest("bad", &document));
            assert_eq!(response.status, 400, "{member} {digest}: {response:?}");
            let code = response.error_codes().concat();
            assert!(
                code == "MANIFEST_INVALID" || code == "DIGEST_INVALID",
                "{member} {digest}: {response:?}"
            );
            repository.expect_no_manifest("bad");
        }
    }
}

#[test]
fn two_kinds_in_one() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&EMPTY_JSON.into());
    let mut image = good();
    image["manifests"] = good_index()["manifests"].clone();
    expect_invalid(&repository, "an image with manifests", &Document::new(OCI_MANIFEST, &image));
    let mut index = good_index();
    index["layers"] = good()["layers"].clone();
    expect_invalid(&repository, "an index with layers", &Document::new(OCI_INDEX, &index));
    let mut index = good_index();
    index["config"] = good()["config"].clone();
    expect_invalid(&repository, "an index with a config", &Document::new(OCI_INDEX, &index));
    // An image that says it is an index, and the other way round.
    let mut liar = good();
    liar["mediaType"] = json!(OCI_INDEX);
    expect_invalid(&repository, "an image as index", &Document::new(OCI_INDEX, &liar));
    let mut liar = good_index();
    liar["mediaType"] = json!(DOCKER_MANIFEST);
    expect_invalid(&repository, "an index as image", &Document::new(DOCKER_MANIFEST, &liar));
}

#[test]
fn a_manifest_of_schema_one() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let value = json!({"schemaVersion": 1, "name": "a/b", "tag": "latest", "architecture": "amd64",
        "fsLayers": [{"blobSum": sha256(EMPTY_JSON)}], "history": [{"v1Compatibility": "{}"}], "signatures": []});
    for media_type in
        ["application/vnd.docker.distribution.manifest.v1+prettyjws", "application/json", OCI_MANIFEST]
    {
        expect_invalid(&repository, media_type, &Document::new(media_type, &value));
    }
}
