//! Manifests: what is accepted, what is refused and how, what a push and a delete change.

use crate::world::{
    CONFIG_TYPE, LAYER_TYPE, World, bytes_of, described, described_manifest, digest_of_manifest, image_of,
    index_of, noise, repo, sha256, sha512, tag, told, with,
};
use bytes::Bytes;
use serde_json::{Value, json};
use strata_engine::meta::EventKind;
use strata_registry::{PutManifest, RegistryConfig, RegistryError};
use strata_types::limits::{MANIFEST_BYTES_MAX, TAGS_PER_PUT_MAX};
use strata_types::media_type::{DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST};
use strata_types::{Reference, Tag};

#[tokio::test]
async fn stores_the_exact_bytes_by_tag_and_by_digest() {
    let world = World::new();
    let a = repo("a/b");
    let image = with(world.image(&a, "x").await, "org.example.custom", json!({ "kept": [1, 2.50, null] }));
    let spaced = Bytes::from(format!("\n  {}\t", serde_json::to_string_pretty(&image).unwrap()));
    let put = |reference, bytes: &Bytes| PutManifest {
        reference,
        tags: Vec::new(),
        content_type: Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8".into()),
        bytes: bytes.clone(),
    };
    let digest = sha256(&spaced);
    for reference in [Reference::Tag(tag("latest")), Reference::Digest(digest), Reference::Tag(tag("v1"))] {
        let done = world.registry.put_manifest(&world.ctx, &a, put(reference, &spaced)).await.unwrap();
        assert_eq!((done.digest, done.subject, done.tags), (digest, None, vec![]));
    }
    for reference in [Reference::Tag(tag("latest")), Reference::Digest(digest)] {
        let read = world.registry.get_manifest(&world.ctx, &a, &reference).await.unwrap();
        assert_eq!(
            (read.digest, read.media_type.as_str(), read.bytes),
            (digest, OCI_IMAGE_MANIFEST, spaced.clone())
        );
        let stat = world.registry.stat_manifest(&world.ctx, &a, &reference).await.unwrap();
        assert_eq!((stat.digest, stat.size), (digest, spaced.len() as u64));
    }
    assert_eq!(world.tags(&a).await, ["latest", "v1"]);
}

#[tokio::test]
async fn answers_with_the_stored_type() {
    let world = World::new();
    let a = repo("a");
    let image = world.image(&a, "x").await;
    let child = described_manifest(&image);
    world.put(&a, "oci", &image).await.unwrap();
    world.put(&a, "docker", &with(image, "mediaType", json!(DOCKER_MANIFEST))).await.unwrap();
    world.put(&a, "index", &index_of(vec![child.clone()])).await.unwrap();
    let list = with(index_of(vec![child]), "mediaType", json!(DOCKER_MANIFEST_LIST));
    world.put(&a, "list", &list).await.unwrap();
    world.put(&a, "nested", &index_of(vec![described_manifest(&list)])).await.unwrap();
    world.put(&a, "empty", &index_of(vec![])).await.unwrap();
    for (reference, media_type) in [
        ("oci", OCI_IMAGE_MANIFEST),
        ("docker", DOCKER_MANIFEST),
        ("index", OCI_IMAGE_INDEX),
        ("list", DOCKER_MANIFEST_LIST),
        ("nested", OCI_IMAGE_INDEX),
        ("empty", OCI_IMAGE_INDEX),
    ] {
        let stat =
            world.registry.stat_manifest(&world.ctx, &a, &Reference::Tag(tag(reference))).await.unwrap();
        assert_eq!(stat.media_type, media_type, "{reference}");
    }
}

#[tokio::test]
async fn names_every_missing_reference() {
    let world = World::new();
    let a = repo("a");
    let config = described(CONFIG_TYPE, b"config");
    let layers =
        vec![described(LAYER_TYPE, b"one"), described(LAYER_TYPE, b"two"), described(LAYER_TYPE, b"one")];
    world.push_blob(&a, b"two").await;
    let before = world.events();
    let error = world.put(&a, "latest", &image_of(config, layers)).await.unwrap_err();
    assert_eq!(error.outcome().as_str(), "MANIFEST_BLOB_UNKNOWN");
    let entries = error.entries();
    let digests: Vec<&Value> =
        entries.iter().map(|entry| &entry.detail.as_ref().unwrap()["digest"]).collect();
    assert_eq!(digests, [&json!(sha256(b"config")), &json!(sha256(b"one"))]);
    assert!(entries.iter().all(|entry| entry.outcome == error.outcome()));
    assert_eq!(told(world.get(&a, "latest").await), "MANIFEST_UNKNOWN");
    assert_eq!(world.events(), before, "nothing half-visible");
}

#[tokio::test]
async fn a_blob_of_another_repository_is_missing() {
    let world = World::new();
    let image = world.image(&repo("a"), "x").await;
    assert_eq!(told(world.put(&repo("b"), "latest", &image).await), "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(told(world.get(&repo("b"), "latest").await), "NAME_UNKNOWN", "a refused push creates nothing");
}

#[tokio::test]
async fn refuses_sizes_that_are_lies() {
    let world = World::new();
    let a = repo("a");
    let image = world.image(&a, "x").await;
    for (field, at) in [("config", "/config/size"), ("layer", "/layers/0/size")] {
        let mut lie = image.clone();
        *lie.pointer_mut(at).unwrap() = json!(1);
        let error = world.put(&a, "latest", &lie).await.unwrap_err();
        assert_eq!(error.outcome().as_str(), "MANIFEST_INVALID", "{error}");
        assert!(
            error.to_string().starts_with(field) && error.to_string().contains("declares 1 bytes"),
            "{error}"
        );
    }
    world.put(&a, "latest", &image).await.unwrap();
    let mut child = described_manifest(&image);
    child["size"] = json!(2);
    assert_eq!(told(world.put(&a, "index", &index_of(vec![child])).await), "MANIFEST_INVALID");
}

#[tokio::test]
async fn some_references_may_be_missing() {
    let world = World::new();
    let a = repo("a");
    world.push_blob(&a, b"config").await;
    let image = |layer: Value| image_of(described(CONFIG_TYPE, b"config"), vec![layer]);
    let elsewhere = with(described(LAYER_TYPE, b"elsewhere"), "urls", json!(["https://example.com/layer"]));
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let nondistributable = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let subject =
        with(image_of(described(CONFIG_TYPE, b"config"), vec![]), "subject", described(LAYER_TYPE, b"gone"));
    let child = described(OCI_IMAGE_MANIFEST, b"a platform that was not mirrored");
    for (name, manifest) in [
        ("urls", image(elsewhere)),
        ("foreign", image(described(foreign, b"elsewhere"))),
        ("nondistributable", image(described(nondistributable, b"elsewhere"))),
        ("subject", subject),
        ("sparse-index", index_of(vec![child])),
    ] {
        world.put(&a, name, &manifest).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(world.get(&a, name).await.unwrap(), bytes_of(&manifest));
    }
    let missing = image(described(LAYER_TYPE, b"elsewhere"));
    assert_eq!(told(world.put(&a, "sparse-image", &missing).await), "MANIFEST_BLOB_UNKNOWN");
}

#[tokio::test]
async fn sparse_images_are_a_setting() {
    let mut settings = RegistryConfig::default();
    settings.sparse_images = true;
    let world = World::with(settings);
    let a = repo("a");
    let image = image_of(described(CONFIG_TYPE, b"config"), vec![described(LAYER_TYPE, b"layer")]);
    assert_eq!(
        told(world.put(&a, "latest", &image).await),
        "MANIFEST_BLOB_UNKNOWN",
        "the config must be there"
    );
    world.push_blob(&a, b"config").await;
    world.put(&a, "latest", &image).await.unwrap();
    // What comes later is held from its first moment.
    let layer = world.push_blob(&a, b"layer").await;
    assert_eq!(told(world.registry.delete_blob(&world.ctx, &a, &layer).await), "UNSUPPORTED");
}

#[tokio::test]
async fn children_of_an_index_may_be_blobs() {
    let world = World::new();
    let a = repo("cache");
    let (layer, config) = (noise(70_000, 2), b"cache config".as_slice());
    world.push_blob(&a, &layer).await;
    world.push_blob(&a, config).await;
    let children =
        vec![described(LAYER_TYPE, &layer), described("application/vnd.buildkit.cacheconfig.v0", config)];
    let digest = world.put(&a, "buildcache", &index_of(children)).await.unwrap().digest;
    for blob in [sha256(&layer), sha256(config)] {
        let held = world.registry.delete_blob(&world.ctx, &a, &blob).await.unwrap_err();
        assert!(matches!(held, RegistryError::BlobReferenced { by, .. } if by == digest), "{held}");
        assert_eq!(told(world.get(&a, blob).await), "MANIFEST_UNKNOWN", "clients then ask for the blob");
    }
}

#[tokio::test]
async fn refuses_what_is_no_manifest() {
    let world = World::new();
    let a = repo("a");
    let image = world.image(&a, "x").await;
    for (manifest, says) in [
        (json!({}), "schemaVersion: is required"),
        (with(image.clone(), "manifests", json!([])), "manifests: does not belong into an image"),
        (with(image.clone(), "mediaType", json!("application/json")), "is not the media type of a manifest"),
    ] {
        let error = world.put(&a, "latest", &manifest).await.unwrap_err();
        assert_eq!(error.outcome().as_str(), "MANIFEST_INVALID");
        assert!(error.to_string().contains(says), "{error}");
    }
    let put = |bytes: &[u8], content_type: Option<&str>| PutManifest {
        reference: Reference::Tag(tag("latest")),
        tags: Vec::new(),
        content_type: content_type.map(Into::into),
        bytes: Bytes::copy_from_slice(bytes),
    };
    for bytes in [&b"\xff"[..], b"", b"{\"schemaVersion\":2", &b"[".repeat(MANIFEST_BYTES_MAX)] {
        assert_eq!(
            told(world.registry.put_manifest(&world.ctx, &a, put(bytes, None)).await),
            "MANIFEST_INVALID"
        );
    }
    let mismatch = put(&bytes_of(&image), Some(DOCKER_MANIFEST));
    assert_eq!(told(world.registry.put_manifest(&world.ctx, &a, mismatch).await), "MANIFEST_INVALID");
    let huge = put(&vec![b' '; MANIFEST_BYTES_MAX + 1], None);
    assert_eq!(told(world.registry.put_manifest(&world.ctx, &a, huge).await), "TOO_LARGE");
    assert_eq!(told(world.get(&a, "latest").await), "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn accepts_a_manifest_of_the_largest_size() {
    let world = World::new();
    let a = repo("a");
    let image = world.image(&a, "x").await;
    let bare = with(image.clone(), "annotations", json!({ "filler": "" }));
    let filler = "A".repeat(MANIFEST_BYTES_MAX - bytes_of(&bare).len());
    let full = with(image, "annotations", json!({ "filler": filler }));
    assert_eq!(bytes_of(&full).len(), MANIFEST_BYTES_MAX);
    let digest = world.put(&a, "large", &full).await.unwrap().digest;
    assert_eq!(world.get(&a, digest).await.unwrap(), bytes_of(&full));
}

#[tokio::test]
async fn a_digest_in_the_path_must_be_that_of_the_body() {
    let world = World::new();
    let a = repo("a");
    let image = world.image(&a, "x").await;
    for digest in [sha256(b"other"), sha512(b"other")] {
        assert_eq!(told(world.put(&a, digest, &image).await), "DIGEST_INVALID");
        assert_eq!(told(world.get(&a, digest).await), "MANIFEST_UNKNOWN");
    }
}

#[tokio::test]
async fn keeps_the_algorithm_of_the_path() {
    let world = World::new();
    let a = repo("a");
    let image = world.image(&a, "x").await;
    let (short, long) = (digest_of_manifest(&image), sha512(&bytes_of(&image)));
    let done = world.put(&a, long, &image).await.unwrap();
    assert_eq!(done.digest, long);
    assert_eq!(world.get(&a, long).await.unwrap(), bytes_of(&image));
    assert_eq!(told(world.get(&a, short).await), "MANIFEST_UNKNOWN");
    assert_eq!(world.put(&a, "latest", &image).await.unwrap().digest, short);
    let put = PutManifest {
        reference: Reference::Digest(long),
        tags: vec![tag("long")],
        content_type: None,
        bytes: bytes_of(&image),
    };
    let done = world.registry.put_manifest(&world.ctx, &a, put).await.unwrap();
    assert_eq!((done.digest, done.tags), (long, vec![tag("long")]));
    for (reference, digest) in [("latest", short), ("long", long)] {
        let stat =
            world.registry.stat_manifest(&world.ctx, &a, &Reference::Tag(tag(reference))).await.unwrap();
        assert_eq!(stat.digest, digest);
    }
}

#[tokio::test]
async fn sets_many_tags_at_once() {
    let world = World::new();
    let a = repo("a");
    let image = world.image(&a, "x").await;
    let tags: Vec<Tag> = (0..=TAGS_PER_PUT_MAX).map(|n| tag(&format!("t{n:02}"))).collect();
    let put = |tags: &[Tag]| PutManifest {
        reference: Reference::Digest(digest_of_manifest(&image)),
        tags: tags.to_vec(),
        content_type: None,
        bytes: bytes_of(&image),
    };
    let error = world.registry.put_manifest(&world.ctx, &a, put(&tags)).await.unwrap_err();
    assert!(matches!(error, RegistryError::TooManyTags { sent: 65, max: 64 }), "{error}");
    assert!(world.tags(&a).await.is_empty());
    let allowed = &tags[..TAGS_PER_PUT_MAX];
    let done = world.registry.put_manifest(&world.ctx, &a, put(allowed)).await.unwrap();
    assert_eq!(done.tags, allowed);
    assert_eq!(world.tags(&a).await.len(), TAGS_PER_PUT_MAX);
    // The same tag twice, and the one of the path again.
    let put = PutManifest { reference: Reference::Tag(tag("x")), tags: vec![tag("x"), tag("x")], ..put(&[]) };
    world.registry.put_manifest(&world.ctx, &a, put).await.unwrap();
    assert_eq!(world.tags(&a).await.len(), TAGS_PER_PUT_MAX + 1);
}

#[tokio::test]
async fn tells_an_unknown_repository_from_an_unknown_manifest() {
    let world = World::new();
    let a = repo("a");
    world.push_blob(&a, b"only a blob").await;
    for (repository, code) in [(repo("nowhere"), "NAME_UNKNOWN"), (a, "MANIFEST_UNKNOWN")] {
        for reference in ["latest", &sha256(b"x").to_string()] {
            assert_eq!(told(world.get(&repository, reference).await), code);
            let reference = Reference::parse(reference).unwrap();
            assert_eq!(told(world.registry.stat_manifest(&world.ctx, &repository, &reference).await), code);
            assert_eq!(told(world.registry.delete_manifest(&world.ctx, &repository, &reference).await), code);
        }
    }
}

#[tokio::test]
async fn a_tag_moves_and_is_remembered() {
    let world = World::new();
    let a = repo("a");
    let first = world.put(&a, "latest", &world.image(&a, "one").await).await.unwrap().digest;
    let second = world.put(&a, "latest", &world.image(&a, "two").await).await.unwrap().digest;
    world.put(&a, "latest", &world.image(&a, "two").await).await.unwrap();
    assert_eq!(sha256(&world.get(&a, "latest").await.unwrap()), second);
    assert_eq!(sha256(&world.get(&a, first).await.unwrap()), first, "the old one stays reachable");
    world.delete(&a, "latest").await.unwrap();
    let view = world.engine.view().unwrap();
    let history = view.tag_history(&a, &tag("latest"), None, 10).unwrap();
    let targets: Vec<_> = history.into_iter().map(|(_, record)| record.target).collect();
    assert_eq!(targets, [Some(first), Some(second), None]);
}

#[tokio::test]
async fn deleting_a_tag_leaves_the_manifest() {
    let world = World::new();
    let a = repo("a");
    let digest = world.put(&a, "one", &world.image(&a, "x").await).await.unwrap().digest;
    world.put(&a, "two", &world.image(&a, "x").await).await.unwrap();
    world.delete(&a, "one").await.unwrap();
    assert_eq!(told(world.get(&a, "one").await), "MANIFEST_UNKNOWN");
    assert_eq!(told(world.delete(&a, "one").await), "MANIFEST_UNKNOWN");
    assert_eq!(world.tags(&a).await, ["two"]);
    assert_eq!(sha256(&world.get(&a, digest).await.unwrap()), digest);
}

#[tokio::test]
async fn deleting_a_manifest_takes_its_tags_along() {
    let world = World::new();
    let (a, b) = (repo("a"), repo("b"));
    let image = world.image(&a, "x").await;
    let other = world.put(&a, "other", &world.image(&a, "y").await).await.unwrap().digest;
    let digest = world.put(&a, "one", &image).await.unwrap().digest;
    world.put(&a, "two", &image).await.unwrap();
    world.put(&b, "one", &world.image(&b, "x").await).await.unwrap();
    world.delete(&a, digest).await.unwrap();
    for reference in ["one", "two", &digest.to_string()] {
        assert_eq!(told(world.get(&a, reference).await), "MANIFEST_UNKNOWN", "{reference}");
    }
    assert_eq!(told(world.delete(&a, digest).await), "MANIFEST_UNKNOWN");
    assert_eq!(world.tags(&a).await, ["other"]);
    assert_eq!(sha256(&world.get(&a, other).await.unwrap()), other);
    assert_eq!(sha256(&world.get(&b, "one").await.unwrap()), digest, "another repository keeps it");
    world.put(&a, "one", &image).await.unwrap();
    assert_eq!(world.tags(&a).await, ["one", "other"]);
}

#[tokio::test]
async fn tells_what_happened_in_order() {
    use EventKind::{BlobPushed, ManifestDeleted, ManifestPushed, RepositoryCreated, TagDeleted, TagSet};
    let world = World::new();
    let a = repo("a");
    let image = world.image(&a, "x").await;
    let digest = world.put(&a, "latest", &image).await.unwrap().digest;
    world.delete(&a, digest).await.unwrap();
    assert_eq!(
        world.event_kinds(),
        [RepositoryCreated, BlobPushed, BlobPushed, ManifestPushed, TagSet, TagDeleted, ManifestDeleted]
    );
    let last = world.events().pop().unwrap();
    assert_eq!((last.repository, last.digest), (Some(a), Some(digest)));
}

#[tokio::test]
async fn what_was_pushed_survives_a_restart() {
    let world = World::new();
    let a = repo("a");
    let image = world.image(&a, "x").await;
    world.put(&a, "latest", &image).await.unwrap();
    let world = world.reopened();
    assert_eq!(world.get(&a, "latest").await.unwrap(), bytes_of(&image));
    assert_eq!(world.read_blob(&a, &sha256(b"layer of x")).await.unwrap(), "layer of x");
}

#[tokio::test]
async fn reading_writes_nothing() {
    let world = World::new();
    let a = repo("a");
    world.put(&a, "latest", &world.image(&a, "x").await).await.unwrap();
    let before = world.events().len();
    world.get(&a, "latest").await.unwrap();
    world.read_blob(&a, &sha256(b"layer of x")).await.unwrap();
    world.tags(&a).await;
    assert_eq!(world.events().len(), before);
    let pulled =
        world.registry.figures().into_iter().find(|figure| figure.name == "manifests_pulled").unwrap();
    assert_eq!(pulled.value, 1);
}
