//! Tables of what is a manifest and what is not, and the properties that hold for every body.

use super::*;
use crate::Digest;
use crate::limits::{MANIFEST_ANNOTATIONS_MAX, MANIFEST_DEPTH_MAX, MANIFEST_REFERENCES_MAX};
use crate::media_type::{
    DOCKER_IMAGE_CONFIG, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

fn digest(n: u8) -> String {
    format!("sha256:{}", hex::encode([n; 32]))
}

fn described(n: u8) -> Value {
    json!({ "mediaType": "application/x", "digest": digest(n), "size": n })
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MANIFEST,
        "config": { "mediaType": OCI_CONFIG, "digest": digest(1), "size": 1 },
        "layers": [described(2), described(3)],
    })
}

fn index() -> Value {
    json!({ "schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX, "manifests": [described(4)] })
}

fn with(mut value: Value, pointer: &str, to: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.insert(key.to_owned(), to)),
        other => *other.get_mut(key.parse::<usize>().unwrap()).unwrap() = to,
    }
    value
}

fn without(mut value: Value, key: &str) -> Value {
    value.as_object_mut().unwrap().remove(key);
    value
}

fn read(value: &Value, content_type: Option<&str>) -> Result<Manifest, ManifestError> {
    parse(value.to_string().as_bytes(), content_type)
}

/// The reason and the place, as a client reads them.
fn refusal(text: &str) -> String {
    parse(text.as_bytes(), None).unwrap_err().to_string()
}

#[test]
fn understands_an_image() {
    let subject = json!({ "mediaType": OCI_IMAGE_MANIFEST, "digest": digest(9), "size": 9 });
    let value = with(with(image(), "/subject", subject), "/annotations", json!({ "a": "b", "": "" }));
    let manifest = read(&value, None).unwrap();
    assert_eq!(manifest.kind, ManifestKind::OciImage);
    assert_eq!(manifest.media_type(), OCI_IMAGE_MANIFEST);
    assert_eq!(manifest.artifact_type.as_deref(), Some(OCI_CONFIG));
    assert_eq!(manifest.annotations.len(), 2);
    let found: Vec<_> = manifest.references().map(|(role, d)| (role, d.digest.to_string(), d.size)).collect();
    assert_eq!(
        found,
        [
            (ReferenceRole::Config, digest(1), 1),
            (ReferenceRole::Layer, digest(2), 2),
            (ReferenceRole::Layer, digest(3), 3),
            (ReferenceRole::Subject, digest(9), 9),
        ]
    );
}

#[test]
fn understands_an_index_with_sha512_children() {
    let long = format!("sha512:{}", "ab".repeat(64));
    let manifest = read(&with(index(), "/manifests/0/digest", json!(long)), None).unwrap();
    assert_eq!(manifest.kind, ManifestKind::OciIndex);
    assert_eq!(manifest.artifact_type, None);
    assert_eq!(manifest.children.first().unwrap().digest, Digest::parse(&long).unwrap());
}

#[test]
fn decides_the_kind() {
    let docker = with(without(image(), "mediaType"), "/config/mediaType", json!(DOCKER_IMAGE_CONFIG));
    for (value, content_type, kind) in [
        (image(), None, ManifestKind::OciImage),
        (image(), Some(OCI_IMAGE_MANIFEST), ManifestKind::OciImage),
        (image(), Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"), ManifestKind::OciImage),
        (image(), Some("APPLICATION/vnd.oci.image.manifest.v1+JSON"), ManifestKind::OciImage),
        (image(), Some(""), ManifestKind::OciImage),
        (with(image(), "/mediaType", json!("")), Some(DOCKER_MANIFEST), ManifestKind::DockerImage),
        (without(image(), "mediaType"), Some(DOCKER_MANIFEST), ManifestKind::DockerImage),
        (without(image(), "mediaType"), None, ManifestKind::OciImage),
        (docker, None, ManifestKind::DockerImage),
        (without(index(), "mediaType"), Some(DOCKER_MANIFEST_LIST), ManifestKind::DockerList),
        (without(index(), "mediaType"), None, ManifestKind::OciIndex),
        (with(image(), "/mediaType", Value::Null), Some(OCI_IMAGE_MANIFEST), ManifestKind::OciImage),
    ] {
        assert_eq!(read(&value, content_type).unwrap().kind, kind, "{value} {content_type:?}");
    }
}

#[test]
fn refuses_the_wrong_type() {
    for (value, content_type, at) in [
        (image(), Some(DOCKER_MANIFEST), "mediaType"),
        (image(), Some("application/json"), "mediaType"),
        (index(), Some(OCI_IMAGE_MANIFEST), "mediaType"),
        (
            with(image(), "/mediaType", json!("application/vnd.docker.distribution.manifest.v1+json")),
            None,
            "mediaType",
        ),
        (
            with(image(), "/mediaType", json!("application/vnd.oci.artifact.manifest.v1+json")),
            None,
            "mediaType",
        ),
        (
            without(image(), "mediaType"),
            Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
            "",
        ),
        (without(image(), "mediaType"), Some("application/json"), ""),
        (without(image(), "mediaType"), Some(OCI_IMAGE_INDEX), "config"),
        (without(index(), "mediaType"), Some(OCI_IMAGE_MANIFEST), "manifests"),
        (json!({ "schemaVersion": 2 }), None, ""),
    ] {
        assert_eq!(read(&value, content_type).unwrap_err().at, at, "{value} {content_type:?}");
    }
}

#[test]
fn accepts_what_clients_send() {
    let layer = |key: &str, value: Value| with(image(), &format!("/layers/0/{key}"), value);
    for value in [
        with(image(), "/layers", json!([])),
        with(image(), "/layers", Value::Null),
        without(image(), "layers"),
        with(index(), "/manifests", json!([])),
        with(index(), "/manifests", Value::Null),
        with(
            index(),
            "/manifests/0",
            with(described(4), "/platform", json!({ "os": "linux", "os.features": [] })),
        ),
        with(image(), "/annotations", Value::Null),
        with(image(), "/subject", Value::Null),
        with(image(), "/unknown", json!([{ "deeply": { "nested": [1.5, -1, null, "\u{1F980}"] } }])),
        with(image(), "/config/data", json!("e30=")),
        with(image(), "/config/size", json!(0)),
        layer("size", json!(i64::MAX)),
        layer("urls", json!(["https://a/b"])),
        layer("annotations", json!({ "k": "v" })),
        layer("annotations", json!({ "k": "v", "K": "w" })),
        layer("custom", json!({ "digest": 5 })),
    ] {
        read(&value, None).unwrap_or_else(|e| panic!("{value}: {e}"));
    }
    let spaced = format!(" \n\t{} \r\n ", image());
    assert_eq!(parse(spaced.as_bytes(), None), read(&image(), None));
}

#[test]
fn knows_what_may_be_elsewhere() {
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let nondistributable = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
    for (layer, elsewhere) in [
        (described(2), false),
        (with(described(2), "/urls", json!([])), false),
        (with(described(2), "/urls", Value::Null), false),
        (with(described(2), "/urls", json!(["https://a"])), true),
        (with(described(2), "/mediaType", json!(foreign)), true),
        (with(described(2), "/mediaType", json!(nondistributable)), true),
    ] {
        let manifest = read(&with(image(), "/layers", json!([layer])), None).unwrap();
        assert_eq!(manifest.layers.first().unwrap().may_be_elsewhere(), elsewhere, "{layer}");
    }
}

#[test]
fn artifact_type_falls_back_to_the_config_of_an_image() {
    for (value, expected) in [
        (image(), Some(OCI_CONFIG)),
        (with(image(), "/artifactType", json!("a/b")), Some("a/b")),
        (with(image(), "/artifactType", json!("")), Some(OCI_CONFIG)),
        (with(index(), "/artifactType", json!("a/b")), Some("a/b")),
        (with(index(), "/artifactType", json!("")), None),
        (index(), None),
    ] {
        assert_eq!(read(&value, None).unwrap().artifact_type.as_deref(), expected, "{value}");
    }
}

#[test]
fn says_where_the_fault_is() {
    for (value, message) in [
        (
            with(image(), "/schemaVersion", json!(1)),
            "schemaVersion: must be 2; manifests of schema version 1 are not accepted",
        ),
        (
            with(image(), "/schemaVersion", json!("2")),
            "schemaVersion: must be 2; manifests of schema version 1 are not accepted",
        ),
        (
            with(image(), "/schemaVersion", json!(2.0)),
            "schemaVersion: must be 2; manifests of schema version 1 are not accepted",
        ),
        (without(image(), "schemaVersion"), "schemaVersion: is required"),
        (without(image(), "config"), "config: is required"),
        (without(index(), "manifests"), "manifests: is required"),
        (with(image(), "/manifests", json!([])), "manifests: does not belong into an image"),
        (with(index(), "/layers", json!([])), "layers: does not belong into an index"),
        (with(index(), "/config", described(1)), "config: does not belong into an index"),
        (with(image(), "/fsLayers", json!([])), "fsLayers: does not belong into an image"),
        (with(image(), "/mediaType", json!(5)), "mediaType: must be a string"),
        (with(image(), "/config", json!([])), "config: must be an object"),
        (with(image(), "/layers", json!({})), "layers: must be an array"),
        (with(image(), "/layers/1", json!("x")), "layers[1]: must be an object"),
        (
            with(image(), "/layers/1/size", json!(-1)),
            "layers[1].size: must be a whole number of bytes from 0 to 2^63-1",
        ),
        (
            with(image(), "/layers/1/size", json!(1.5)),
            "layers[1].size: must be a whole number of bytes from 0 to 2^63-1",
        ),
        (
            with(image(), "/layers/1/size", json!("1")),
            "layers[1].size: must be a whole number of bytes from 0 to 2^63-1",
        ),
        (
            with(image(), "/layers/1/size", json!(u64::MAX)),
            "layers[1].size: must be a whole number of bytes from 0 to 2^63-1",
        ),
        (with(image(), "/layers/1/size", Value::Null), "layers[1].size: is required"),
        (with(image(), "/layers/0/urls", json!("x")), "layers[0].urls: must be an array"),
        (with(image(), "/layers/0/urls", json!([1])), "layers[0].urls[0]: must be a string"),
        (with(image(), "/layers/0/data", json!({})), "layers[0].data: must be a string"),
        (with(image(), "/layers/0/platform", json!("x")), "layers[0].platform: must be an object"),
        (with(image(), "/annotations", json!({ "a": 1 })), "annotations.a: must be a string"),
        (with(image(), "/config/annotations", json!([])), "config.annotations: must be an object"),
        (with(image(), "/subject", json!("x")), "subject: must be an object"),
        (with(image(), "/artifactType", json!(["x"])), "artifactType: must be a string"),
        (
            with(index(), "/manifests/0", json!({ "mediaType": "x", "size": 1 })),
            "manifests[0].digest: is required",
        ),
        (
            with(index(), "/manifests/0", json!({ "digest": digest(1), "size": 1 })),
            "manifests[0].mediaType: is required",
        ),
    ] {
        assert_eq!(read(&value, None).unwrap_err().to_string(), message, "{value}");
    }
    let bad_digest = read(&with(index(), "/manifests/0/digest", json!("sha256:zz")), None).unwrap_err();
    assert!(matches!(bad_digest.fault, ManifestFault::Digest(_)) && bad_digest.at == "manifests[0].digest");
}

#[test]
fn refuses_what_two_readers_would_understand_differently() {
    let body = image().to_string();
    let with_field = |field: &str| body.replacen('{', &format!("{{{field},"), 1);
    for (field, message) in [
        (r#""layers":[]"#, "layers: stands there more than once"),
        (r#""config":null"#, "config: stands there more than once"),
        (r#""schemaVersion":2"#, "schemaVersion: stands there more than once"),
        (r#""lay\u0065rs":[]"#, "layers: stands there more than once"),
        (r#""Layers":[]"#, "Layers: differs from \"layers\" only in case"),
        (r#""MANIFESTS":[]"#, "MANIFESTS: differs from \"manifests\" only in case"),
        (r#""layer\u017f":[]"#, "layer\u{17f}: differs from \"layers\" only in case"),
        (r#""annotations":{"a":"1","a":"2"}"#, "annotations.a: stands there more than once"),
    ] {
        assert_eq!(refusal(&with_field(field)), message, "{field}");
    }
    let twice = body.replacen(r#""size":2"#, r#""size":2,"size":3"#, 1);
    assert_eq!(refusal(&twice), "layers[0].size: stands there more than once");
}

#[test]
fn refuses_what_is_no_json() {
    for body in ["", " ", "{", "null", "[]", "5", "{}x", "{'a':1}", "\u{feff}{}", r#"{"schemaVersion":2,}"#] {
        let error = parse(body.as_bytes(), Some(OCI_IMAGE_MANIFEST)).unwrap_err();
        let known = matches!(error.fault, ManifestFault::Syntax(_) | ManifestFault::WrongType { .. });
        assert!(known, "{body:?}: {error}");
    }
    let mut bytes = image().to_string().into_bytes();
    let place = bytes.len() - 2;
    *bytes.get_mut(place).unwrap() = 0xff;
    assert_eq!(parse(&bytes, None).unwrap_err().fault, ManifestFault::NotUtf8 { offset: place });
}

#[test]
fn bounds_depth_and_count() {
    let nested = |levels: usize| {
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        image().to_string().replacen('{', &format!("{{\"x\":{deep},"), 1)
    };
    parse(nested(MANIFEST_DEPTH_MAX - 1).as_bytes(), None).unwrap();
    for levels in [MANIFEST_DEPTH_MAX, 1_000_000] {
        assert_eq!(refusal(&nested(levels)), "manifest: nested deeper than 128 levels");
    }
    // Brackets inside strings are text.
    parse(with(image(), "/x", json!("[{\"\\".repeat(1000))).to_string().as_bytes(), None).unwrap();

    let children = |count: usize| with(index(), "/manifests", Value::Array(vec![described(1); count]));
    assert_eq!(
        read(&children(MANIFEST_REFERENCES_MAX), None).unwrap().children.len(),
        MANIFEST_REFERENCES_MAX
    );
    let error = read(&children(MANIFEST_REFERENCES_MAX + 1), None).unwrap_err();
    assert_eq!((error.at.as_str(), error.fault), ("manifests", ManifestFault::TooManyReferences));

    let annotated = |count: usize| {
        let annotations = (0..count).map(|i| (i.to_string(), Value::from(""))).collect();
        with(image(), "/annotations", Value::Object(annotations))
    };
    assert!(read(&annotated(MANIFEST_ANNOTATIONS_MAX), None).is_ok());
    let error = read(&annotated(MANIFEST_ANNOTATIONS_MAX + 1), None).unwrap_err();
    assert_eq!((error.at.as_str(), error.fault), ("annotations", ManifestFault::TooManyAnnotations));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        (0_u8..4).prop_map(|n| Value::from(digest(n))),
    ];
    let keys = prop_oneof![
        4 => "(schemaVersion|mediaType|config|layers|manifests|subject|annotations|digest|size|urls|artifactType)",
        1 => ".{0,6}",
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn any_descriptor() -> impl Strategy<Value = Value> {
    let media_type =
        prop_oneof![Just(OCI_CONFIG.to_owned()), Just(OCI_IMAGE_MANIFEST.to_owned()), "[a-z/+.]{0,12}"];
    let urls = prop::option::of(prop::collection::vec("[a-z:/]{0,9}", 0..3));
    (media_type, any::<u8>(), any::<u32>(), urls, any_json()).prop_map(|(media_type, n, size, urls, extra)| {
        json!({ "mediaType": media_type, "digest": digest(n), "size": size, "urls": urls, "org.example.extra": extra })
    })
}

/// An acceptable manifest with its references in the order that [`Manifest::references`] gives.
fn any_manifest() -> impl Strategy<Value = (Value, Vec<String>)> {
    let list = prop::collection::vec(any_descriptor(), 0..12);
    (any_descriptor(), list, prop::option::of(any_descriptor()), any::<bool>(), any_json()).prop_map(
        |(config, list, subject, is_index, extra)| {
            let mut expected: Vec<Value> = if is_index { vec![] } else { vec![config.clone()] };
            expected.extend(list.iter().cloned().chain(subject.clone()));
            let media_type = if is_index { OCI_IMAGE_INDEX } else { OCI_IMAGE_MANIFEST };
            let mut value =
                json!({ "schemaVersion": 2, "mediaType": media_type, "subject": subject, "extra": extra });
            let fields = value.as_object_mut().unwrap();
            if is_index {
                fields.insert("manifests".into(), list.into());
            } else {
                fields.insert("config".into(), config);
                fields.insert("layers".into(), list.into());
            }
            let digests = expected.iter().map(|d| d["digest"].as_str().unwrap().to_owned()).collect();
            (value, digests)
        },
    )
}

proptest! {
    #[test]
    fn never_panics_on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse(&bytes, None);
    }

    #[test]
    fn never_panics_on_json(value in any_json(), content_type in prop::option::of(".{0,20}")) {
        let text = value.to_string();
        let outcome = parse(text.as_bytes(), content_type.as_deref());
        prop_assert!(outcome.is_err() || value.is_object());
    }

    #[test]
    fn never_panics_on_a_damaged_manifest((value, _) in any_manifest(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = value.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = parse(&bytes, None);
    }

    #[test]
    fn finds_every_reference((value, expected) in any_manifest()) {
        let manifest = read(&value, None).unwrap();
        let found: Vec<String> = manifest.references().map(|(_, d)| d.digest.to_string()).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn white_space_and_order_change_nothing((value, _) in any_manifest()) {
        let plain = read(&value, None).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(parse(pretty.as_bytes(), None).unwrap(), plain);
    }
}
