//! Manifests: every type goes in and comes out byte for byte, by tag and by digest, up to 4 MiB; what is none is refused.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::{Value, json};
use strata_harness::image::{
    DOCKER_LIST, DOCKER_MANIFEST, EMPTY_JSON, OCI_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_LAYER, OCI_MANIFEST,
    artifact, descriptor, index,
};
use strata_harness::random::noise;
use strata_harness::{Algorithm, Document, Image, Repository, Request, registry, sha256};

/// Largest manifest that is taken, bytes.
const LIMIT: usize = 4 * 1024 * 1024;

/// Pushes by tag and by digest, and asserts that both give the exact bytes.
#[track_caller]
fn round_trip(repository: &Repository, tag: &str, document: &Document) {
    repository.push_manifest(tag, document);
    repository.push_manifest(&document.digest(), document);
    repository.expect_manifest(tag, document);
    repository.expect_manifest(&document.digest(), document);
}

#[test]
fn images_of_both_families() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for (number, media_type) in [OCI_MANIFEST, DOCKER_MANIFEST].into_iter().enumerate() {
        let image = Image::small(number as u64 * 10).edited(|value| {
            value["mediaType"] = json!(media_type);
            if media_type == DOCKER_MANIFEST {
                value["config"]["mediaType"] = json!("application/vnd.docker.container.image.v1+json");
                value["layers"][0]["mediaType"] = json!("application/vnd.docker.image.rootfs.diff.tar.gzip");
            }
        });
        repository.push_image("latest", &image);
        round_trip(&repository, &format!("t{number}"), &image.manifest);
    }
}

#[test]
fn indexes_of_both_families_nested_and_empty() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let (one, two) = (Image::small(1), Image::small(20));
    for image in [&one, &two] {
        repository.push_image("child", image);
    }
    let mut platform = one.manifest.descriptor();
    platform["platform"] = json!({"architecture": "arm64", "os": "linux", "variant": "v8"});
    let plain = index(&[platform, two.manifest.descriptor()]);
    round_trip(&repository, "index", &plain);
    let nested = index(&[plain.descriptor(), one.manifest.descriptor()]);
    round_trip(&repository, "nested", &nested);
    round_trip(&repository, "empty", &index(&[]));
    let list =
        json!({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [one.manifest.descriptor()]});
    round_trip(&repository, "list", &Document::new(DOCKER_LIST, &list));
}

#[test]
fn artifacts() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&EMPTY_JSON.into());
    round_trip(&repository, "artifact", &artifact("application/vnd.example.sbom", None, "plain"));
    let layer = noise(2, 70_000);
    repository.push_blob(&layer);
    let no_layers = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "a/b",
        "config": descriptor(OCI_EMPTY, EMPTY_JSON), "layers": []});
    round_trip(&repository, "no-layers", &Document::new(OCI_MANIFEST, &no_layers));
    let odd_types = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": descriptor("application/vnd.cncf.helm.config.v1+json", EMPTY_JSON),
        "layers": [descriptor("application/x.never.heard+of", &layer)]});
    round_trip(&repository, "odd-types", &Document::new(OCI_MANIFEST, &odd_types));
    let typed_index =
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "artifactType": "c/d", "manifests": []});
    round_trip(&repository, "typed-index", &Document::new(OCI_INDEX, &typed_index));
}

#[test]
fn bytes_are_kept_as_they_came() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(3);
    repository.push_image("latest", &image);
    let config = descriptor(OCI_CONFIG, &image.config).to_string();
    let unusual = [
        // Unknown fields, their order, spaces, escapes, numbers that a parser would write in another way.
        format!(
            "{{ \"zeta\":1.50e+3 , \"schemaVersion\":2,\n\t\"config\":{config},\r\n \"layers\" : [ ] , \"x\":\"\\u00e9\\/\" }}\n\n"
        ),
        format!(
            "{{\"layers\":[],\"config\":{config},\"schemaVersion\":2,\"big\":123456789012345678901234567890}}"
        ),
        format!(
            "{{\"schemaVersion\":2,\"config\":{config},\"layers\":[],\"annotations\":{{\"\":\"\",\"é\":\"\u{1f980}\"}}}}"
        ),
    ];
    for (number, text) in unusual.into_iter().enumerate() {
        round_trip(&repository, &format!("unusual-{number}"), &Document::raw(OCI_MANIFEST, text));
    }
}

#[test]
fn data_of_a_descriptor_is_neither_needed_nor_made() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&EMPTY_JSON.into());
    let mut embedded = descriptor(OCI_EMPTY, EMPTY_JSON);
    embedded["data"] = json!("e30=");
    let value = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "a/b", "config": embedded,
        "layers": [descriptor(OCI_EMPTY, EMPTY_JSON)]});
    round_trip(&repository, "data", &Document::new(OCI_MANIFEST, &value));
}

/// An image whose manifest is exactly `length` bytes long.
fn padded(image: &Image, length: usize) -> Document {
    let with = |pad: usize| {
        image.clone().edited(|value| value["annotations"] = json!({"pad": "x".repeat(pad)})).manifest
    };
    let bare = with(0).bytes.len();
    let document = with(length - bare);
    assert_eq!(document.bytes.len(), length);
    document
}

#[test]
fn up_to_four_mebibytes() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(4);
    repository.push_image("latest", &image);
    for length in [3_900_000, 4 * 1000 * 1000, LIMIT] {
        let document = padded(&image, length);
        let algorithm = if length == LIMIT { Algorithm::Sha512 } else { Algorithm::Sha256 };
        round_trip(&repository, "large", &document);
        repository.push_manifest(&algorithm.of(&document.bytes), &document);
        repository.expect_manifest(&algorithm.of(&document.bytes), &document);
    }
}

#[test]
fn above_four_mebibytes() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(5);
    repository.push_image("latest", &image);
    for length in [LIMIT + 1, LIMIT * 3] {
        let document = padded(&image, length);
        let sized = repository.put_manifest("large", &document);
        let chunked = sized.clone().chunked(&document.bytes, 50_000);
        for request in [sized, chunked] {
            let response = registry.endpoint().send(&request);
            assert_eq!(response.status, 413, "{response:?}");
            response.expect_error(413, "TOO_LARGE");
        }
        repository.expect_no_manifest("large");
        repository.expect_no_manifest(&document.digest());
    }
}

#[test]
fn the_type_comes_from_body_and_header() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(6);
    repository.push_image("latest", &image);
    let bare = Document::raw(OCI_MANIFEST, without_type(&image));
    // The header alone, with parameters, in the body alone.
    round_trip(&repository, "header", &bare);
    let request = |content_type: Option<&str>, document: &Document| {
        let request = Request::put(repository.manifest("type")).body(document.bytes.clone());
        content_type.map_or_else(|| request.clone(), |value| request.clone().header("content-type", value))
    };
    let parameters = format!("{OCI_MANIFEST}; charset=utf-8");
    registry.endpoint().send(&request(Some(&parameters), &bare)).expect(201);
    repository.expect_manifest("type", &bare);
    registry.endpoint().send(&request(None, &image.manifest)).expect(201);
    repository.expect_manifest("type", &image.manifest);
    // One that contradicts the other.
    registry
        .endpoint()
        .send(&request(Some(OCI_INDEX), &image.manifest))
        .expect_error(400, "MANIFEST_INVALID");
    registry
        .endpoint()
        .send(&request(Some(DOCKER_MANIFEST), &image.manifest))
        .expect_error(400, "MANIFEST_INVALID");
}

fn without_type(image: &Image) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(&image.manifest.bytes).expect("JSON");
    value.as_object_mut().expect("an object").remove("mediaType");
    serde_json::to_vec(&value).expect("JSON")
}

#[test]
fn types_that_are_no_manifests() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_image("latest", &Image::small(7));
    let types = [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "text/html",
        "application/x.unknown",
    ];
    for media_type in types {
        let image = Image::small(7).edited(|value| value["mediaType"] = json!(media_type));
        let response = registry.endpoint().send(&repository.put_manifest("odd", &image.manifest));
        assert_eq!(response.status, 400, "{media_type}: {response:?}");
        response.expect_error(400, "MANIFEST_INVALID");
        repository.expect_no_manifest("odd");
    }
}

#[test]
fn by_digest_the_bytes_must_match() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let (image, other) = (Image::small(8), Image::small(80));
    repository.push_image("latest", &image);
    for algorithm in Algorithm::ALL {
        let wrong = algorithm.of(&other.manifest.bytes);
        let response = registry.endpoint().send(&repository.put_manifest(&wrong, &image.manifest));
        response.expect_error(400, "DIGEST_INVALID");
        repository.expect_no_manifest(&wrong);
    }
    for malformed in
        ["sha256:baddigeststring", "sha256:", "sha512:00", "md5:d41d8cd98f00b204e9800998ecf8427e"]
    {
        let put = registry.endpoint().send(&repository.put_manifest(malformed, &image.manifest));
        assert_eq!(put.status, 400, "{put:?}");
        put.expect_error(400, "DIGEST_INVALID");
        let get = registry.endpoint().get(repository.manifest(malformed));
        assert!(matches!(get.status, 400 | 404), "{get:?}");
        assert_eq!(get.error_codes().len(), 1, "{get:?}");
    }
    repository.expect_manifest("latest", &image.manifest);
}

#[test]
fn sha512_beside_sha256() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let layer = noise(9, 100_000);
    let config = EMPTY_JSON.into();
    for blob in [&layer, &config] {
        repository.push_blob_as(Algorithm::Sha512, blob);
    }
    let describe = |media_type: &str, bytes: &[u8]| {
        strata_harness::image::descriptor_as(Algorithm::Sha512, media_type, bytes)
    };
    let value = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": describe(OCI_EMPTY, EMPTY_JSON),
        "artifactType": "a/b", "layers": [describe(OCI_LAYER, &layer)]});
    let document = Document::new(OCI_MANIFEST, &value);
    let digest = Algorithm::Sha512.of(&document.bytes);
    repository.push_manifest(&digest, &document);
    repository.expect_manifest(&digest, &document);
    // A tag names the manifest; both digests of it do, once it was pushed under both.
    round_trip(&repository, "latest", &document);
    repository.expect_manifest(&digest, &document);
}

#[test]
fn a_list_of_tags_in_one_push() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(10);
    repository.push_image("latest", &image);
    let names: Vec<String> = (0..12).map(|number| format!("v{number}")).collect();
    let query: Vec<String> = names.iter().map(|name| format!("tag={name}")).collect();
    for algorithm in Algorithm::ALL {
        let digest = algorithm.of(&image.manifest.bytes);
        let target = format!("{}?{}", repository.manifest(&digest), query.join("&"));
        let mut request = repository.put_manifest(&digest, &image.manifest);
        request.target = target;
        let response =
            registry.endpoint().send(&request).expect(201).expect_header("docker-content-digest", &digest);
        let said: Vec<&str> = response
            .header_values("oci-tag")
            .into_iter()
            .flat_map(|line| line.split(',').map(str::trim))
            .collect();
        assert_eq!(said, names, "{response:?}");
    }
    let mut expected = names;
    expected.push("latest".to_owned());
    expected.sort();
    assert_eq!(repository.tags(), expected);
    for tag in expected {
        let head = registry.endpoint().head(repository.manifest(&tag)).expect(200);
        assert_eq!(head.header("content-length"), Some(image.manifest.bytes.len().to_string().as_str()));
    }
}

#[test]
fn a_list_of_tags_that_is_wrong_sets_none() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(11);
    repository.push_image("latest", &image);
    let digest = image.manifest.digest();
    let put = |query: &str| {
        let mut request = repository.put_manifest(&digest, &image.manifest);
        request.target.push_str(query);
        registry.endpoint().send(&request)
    };
    let bad = put("?tag=good&tag=not/a/tag");
    assert_eq!(bad.status, 400, "{bad:?}");
    assert_eq!(bad.error_codes(), ["TAG_INVALID"]);
    let many: Vec<String> = (0..1000).map(|number| format!("tag=t{number}")).collect();
    let too_many = put(&format!("?{}", many.join("&")));
    assert_eq!(too_many.status, 414, "{too_many:?}");
    assert_eq!(repository.tags(), ["latest"]);
    put("?tag=one&tag=one").expect(201);
    assert_eq!(repository.tags(), ["latest", "one"]);
}

#[test]
fn conditions_on_a_manifest() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(12);
    repository.push_image("latest", &image);
    let digest = image.manifest.digest();
    let etag = format!("\"{digest}\"");
    for reference in ["latest", digest.as_str()] {
        let request = Request::get(repository.manifest(reference)).header("if-none-match", &etag);
        registry.endpoint().send(&request).expect(304).expect_header("etag", &etag).expect_body(b"");
        let request = Request::get(repository.manifest(reference)).header("if-none-match", "\"other\"");
        registry.endpoint().send(&request).expect(200).expect_body(&image.manifest.bytes);
    }
}

#[test]
fn whatever_a_client_accepts_it_gets_what_is_stored() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(13);
    repository.push_image("latest", &image);
    for accept in [
        "text/html",
        DOCKER_MANIFEST,
        "*/*",
        OCI_INDEX,
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ] {
        let request = Request::get(repository.manifest("latest")).header("accept", accept);
        let response =
            registry.endpoint().send(&request).expect(200).expect_header("content-type", OCI_MANIFEST);
        response.expect_body(&image.manifest.bytes);
    }
}

#[test]
fn manifests_that_are_not_there() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(14);
    repository.push_image("latest", &image);
    for reference in ["other", Algorithm::Sha256.unknown().as_str(), Algorithm::Sha512.unknown().as_str()] {
        repository.expect_no_manifest(reference);
        let response =
            registry.endpoint().get(registry.repository("never/pushed").manifest(reference)).expect(404);
        let codes = response.error_codes();
        assert!(codes == ["NAME_UNKNOWN"] || codes == ["MANIFEST_UNKNOWN"], "{response:?}");
    }
    // A manifest is no blob and a blob is no manifest.
    repository.expect_no_blob(&image.manifest.digest());
    repository.expect_no_manifest(&sha256(&image.config));
}
