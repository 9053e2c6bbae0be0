//! Referrers: what refers to a manifest, filtered, in pages, and taken over from the tags that stood in for the list.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::{Value, json};
use strata_harness::image::{EMPTY_JSON, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, artifact, descriptor, index};
use strata_harness::{Algorithm, Document, Image, Repository, TestRegistry, registry};

const SBOM: &str = "application/vnd.example.sbom.v1";
const SIGNATURE: &str = "application/vnd.example.signature.v1+json";

/// A repository with an image to refer to.
fn with_subject(registry: &TestRegistry) -> (Repository, Image) {
    let repository = registry.repository("a/b");
    let image = Image::small(1);
    repository.push_image("latest", &image);
    repository.push_blob(&EMPTY_JSON.into());
    (repository, image)
}

fn digests(found: &[Value]) -> Vec<String> {
    let mut digests: Vec<String> =
        found.iter().map(|entry| entry["digest"].as_str().expect("a digest").to_owned()).collect();
    digests.sort();
    digests
}

fn sorted(documents: &[&Document]) -> Vec<String> {
    let mut digests: Vec<String> = documents.iter().map(|document| document.digest()).collect();
    digests.sort();
    digests
}

#[test]
fn nothing_refers_to_it() {
    let registry = registry!().start();
    let expected = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []});
    for algorithm in Algorithm::ALL {
        let target = format!("/v2/never/pushed/referrers/{}", algorithm.unknown());
        let response = registry.endpoint().get(target).expect(200).expect_header("content-type", OCI_INDEX);
        assert_eq!(response.json(), expected);
    }
    let (repository, image) = with_subject(&registry);
    let target = repository.target(&format!("referrers/{}", image.manifest.digest()));
    assert_eq!(registry.endpoint().get(target.as_str()).expect(200).json(), expected);
    let filtered = registry.endpoint().get(format!("{target}?artifactType=a/b")).expect(200);
    assert_eq!(filtered.expect_header("oci-filters-applied", "artifactType").json(), expected);
}

#[test]
fn malformed_digests() {
    let registry = registry!().start();
    for digest in ["latest", "sha256:123", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
        registry.endpoint().get(format!("/v2/a/b/referrers/{digest}")).expect_error(400, "DIGEST_INVALID");
    }
}

#[test]
fn descriptors_tell_type_and_annotations() {
    let registry = registry!().start();
    let (repository, image) = with_subject(&registry);
    let subject = image.manifest.descriptor();
    // An artifact, an image whose config tells the type, an index with and without one.
    let typed = artifact(SBOM, Some(&subject), "typed");
    let by_config = Image::small(1).edited(|value| {
        value["subject"] = subject.clone();
        value["annotations"] = json!({"org.example.a": "1", "org.example.b": "2"});
    });
    let typed_index = Document::new(
        OCI_INDEX,
        &json!({"schemaVersion": 2, "mediaType": OCI_INDEX,
        "artifactType": SIGNATURE, "manifests": [], "subject": subject}),
    );
    let bare_index = Document::new(
        OCI_INDEX,
        &json!({"schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [], "subject": subject}),
    );
    for document in [&typed, &by_config.manifest, &typed_index, &bare_index] {
        let response = repository.push_manifest(&document.digest(), document);
        response.expect_header("oci-subject", image.manifest.digest());
    }
    let with = |mut entry: Value, more: Value| {
        for (name, value) in more.as_object().expect("an object") {
            entry[name] = value.clone();
        }
        entry
    };
    let mut expected = [
        with(typed.descriptor(), json!({"artifactType": SBOM, "annotations": {"org.example.note": "typed"}})),
        with(
            by_config.manifest.descriptor(),
            json!({"artifactType": OCI_CONFIG, "annotations": {"org.example.a": "1", "org.example.b": "2"}}),
        ),
        with(typed_index.descriptor(), json!({"artifactType": SIGNATURE})),
        bare_index.descriptor(),
    ];
    let mut found = repository.referrers(&image.manifest.digest(), "");
    let key = |entry: &Value| entry["digest"].as_str().unwrap_or_default().to_owned();
    expected.sort_by_key(key);
    found.sort_by_key(key);
    assert_eq!(found, expected);
}

#[test]
fn a_push_by_tag_refers_as_well() {
    let registry = registry!().start();
    let (repository, image) = with_subject(&registry);
    let document = artifact(SBOM, Some(&image.manifest.descriptor()), "by tag");
    repository.push_manifest("sbom", &document).expect_header("oci-subject", image.manifest.digest());
    assert_eq!(digests(&repository.referrers(&image.manifest.digest(), "")), [document.digest()]);
    repository.push_manifest("latest", &image.manifest).expect_no_header("oci-subject");
}

#[test]
fn filter() {
    let registry = registry!().start();
    let (repository, image) = with_subject(&registry);
    let subject = image.manifest.descriptor();
    let sboms = [artifact(SBOM, Some(&subject), "one"), artifact(SBOM, Some(&subject), "two")];
    let signature = artifact(SIGNATURE, Some(&subject), "three");
    for document in sboms.iter().chain([&signature]) {
        repository.push_manifest(&document.digest(), document);
    }
    let target = repository.target(&format!("referrers/{}", image.manifest.digest()));
    let all = registry.endpoint().get(target.as_str()).expect(200).expect_no_header("oci-filters-applied");
    assert_eq!(all.json()["manifests"].as_array().expect("an array").len(), 3);
    for (filter, expected) in [
        (SBOM, sorted(&[&sboms[0], &sboms[1]])),
        ("application%2Fvnd.example.signature.v1%2Bjson", sorted(&[&signature])),
        ("application/vnd.example.nothing", Vec::new()),
    ] {
        let response = registry.endpoint().get(format!("{target}?artifactType={filter}")).expect(200);
        let response = response.expect_header("oci-filters-applied", "artifactType");
        assert_eq!(digests(response.json()["manifests"].as_array().expect("an array")), expected, "{filter}");
    }
}

#[test]
fn pages_of_many() {
    let registry = registry!().start();
    let (repository, image) = with_subject(&registry);
    let subject = image.manifest.descriptor();
    // Together more than the 4 MiB that clients read of one index.
    let note = "n".repeat(20_000);
    let documents: Vec<Document> = (0..300)
        .map(|number| {
            artifact(
                if number % 3 == 0 { SBOM } else { SIGNATURE },
                Some(&subject),
                &format!("{number} {note}"),
            )
        })
        .collect();
    for document in &documents {
        repository.push_manifest(&document.digest(), document);
    }
    let all: Vec<&Document> = documents.iter().collect();
    let sboms: Vec<&Document> = documents.iter().step_by(3).collect();
    assert_eq!(digests(&repository.referrers(&image.manifest.digest(), "")), sorted(&all));
    let query = format!("?artifactType={SBOM}");
    assert_eq!(digests(&repository.referrers(&image.manifest.digest(), &query)), sorted(&sboms));
    let first = registry.endpoint().get(repository.target(&format!("referrers/{}", image.manifest.digest())));
    assert!(first.body.len() <= 4 * 1024 * 1024, "a page of {} bytes", first.body.len());
    assert!(first.expect(200).next_page().is_some(), "there is more than one page");
}

#[test]
fn the_subject_may_come_later_and_may_go() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(2);
    repository.push_blob(&EMPTY_JSON.into());
    let document = artifact(SBOM, Some(&image.manifest.descriptor()), "early");
    let digest = image.manifest.digest();
    repository.push_manifest(&document.digest(), &document).expect_header("oci-subject", &digest);
    assert_eq!(digests(&repository.referrers(&digest, "")), [document.digest()]);
    repository.push_image("latest", &image);
    assert_eq!(digests(&repository.referrers(&digest, "")), [document.digest()]);
    registry.endpoint().delete(repository.manifest(&digest)).expect(202);
    // It may stay as long as it is there itself.
    assert_eq!(digests(&repository.referrers(&digest, "")), [document.digest()]);
    repository.expect_manifest(&document.digest(), &document);
}

#[test]
fn a_deleted_referrer_is_not_shown() {
    let registry = registry!().start();
    let (repository, image) = with_subject(&registry);
    let subject = image.manifest.descriptor();
    let (one, two) = (artifact(SBOM, Some(&subject), "one"), artifact(SBOM, Some(&subject), "two"));
    repository.push_manifest(&one.digest(), &one);
    repository.push_manifest("tagged", &two);
    registry.endpoint().delete(repository.manifest(&one.digest())).expect(202);
    assert_eq!(digests(&repository.referrers(&image.manifest.digest(), "")), [two.digest()]);
    // Without its tag it still refers.
    registry.endpoint().delete(repository.manifest("tagged")).expect(202);
    assert_eq!(digests(&repository.referrers(&image.manifest.digest(), "")), [two.digest()]);
    registry.endpoint().delete(repository.manifest(&two.digest())).expect(202);
    assert!(repository.referrers(&image.manifest.digest(), "").is_empty());
}

#[test]
fn referrers_belong_to_their_repository() {
    let registry = registry!().start();
    let (repository, image) = with_subject(&registry);
    let other = registry.repository("a/other");
    other.push_blob(&EMPTY_JSON.into());
    let document = artifact(SBOM, Some(&image.manifest.descriptor()), "elsewhere");
    other.push_manifest(&document.digest(), &document);
    assert!(repository.referrers(&image.manifest.digest(), "").is_empty());
    assert_eq!(digests(&other.referrers(&image.manifest.digest(), "")), [document.digest()]);
}

#[test]
fn sha512_subjects() {
    let registry = registry!().start();
    let (repository, image) = with_subject(&registry);
    let digest = Algorithm::Sha512.of(&image.manifest.bytes);
    repository.push_manifest(&digest, &image.manifest);
    let subject =
        strata_harness::image::descriptor_as(Algorithm::Sha512, OCI_MANIFEST, &image.manifest.bytes);
    let document = artifact(SBOM, Some(&subject), "sha512");
    repository.push_manifest(&document.digest(), &document).expect_header("oci-subject", &digest);
    assert_eq!(digests(&repository.referrers(&digest, "")), [document.digest()]);
}

#[test]
fn manifests_under_a_fallback_tag_are_shown() {
    let registry = registry!().start();
    let (repository, image) = with_subject(&registry);
    let subject = image.manifest.descriptor();
    let document = artifact(SBOM, Some(&subject), "fallback");
    repository.push_manifest(&document.digest(), &document);
    let mut entry = document.descriptor();
    entry["artifactType"] = json!(SBOM);
    // Also one that lies: it is listed there, but refers to nothing.
    let stranger = Image::small(50);
    repository.push_image("stranger", &stranger);
    let list = index(&[entry, stranger.manifest.descriptor(), descriptor(OCI_MANIFEST, b"never pushed")]);
    let tag = image.manifest.digest().replace(':', "-");
    repository.push_manifest(&tag, &list);
    assert_eq!(digests(&repository.referrers(&image.manifest.digest(), "")), [document.digest()]);
    repository.expect_manifest(&tag, &list);
    registry.endpoint().delete(repository.manifest(&document.digest())).expect(202);
    assert!(repository.referrers(&image.manifest.digest(), "").is_empty());
}

#[test]
fn annotations_that_fill_a_page_each() {
    let registry = registry!().start();
    let (repository, image) = with_subject(&registry);
    let subject = image.manifest.descriptor();
    let documents: Vec<Document> = [1_900_000, 2_000_000, 3_900_000, 10]
        .into_iter()
        .map(|length| artifact(SBOM, Some(&subject), &"n".repeat(length)))
        .collect();
    for document in &documents {
        repository.push_manifest(&document.digest(), document);
    }
    let all: Vec<&Document> = documents.iter().collect();
    assert_eq!(digests(&repository.referrers(&image.manifest.digest(), "")), sorted(&all));
    let mut next = Some(repository.target(&format!("referrers/{}", image.manifest.digest())));
    while let Some(target) = next {
        let page = registry.endpoint().get(target).expect(200);
        assert!(page.body.len() <= 4 * 1024 * 1024, "a page of {} bytes", page.body.len());
        next = page.next_page();
    }
}
