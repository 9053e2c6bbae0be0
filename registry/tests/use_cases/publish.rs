//! Publishing many manifests and tags at once, finding many blobs at once, resolving an image in one call.

use crate::world::{
    CONFIG_TYPE, LAYER_TYPE, World, bytes_of, described, described_manifest, digest_of_manifest, image_of,
    index_of, noise, repo, sha256, sha512, tag, told, with,
};
use serde_json::{Value, json};
use strata_registry::{
    PUBLISH_MANIFESTS_MAX, Page, Publish, PublishedManifest, PublishedTag, RegistryError, TagExpectation,
    Wanted,
};
use strata_types::manifest::ReferenceRole;
use strata_types::{Digest, Reference, RepositoryName};

fn manifest(repository: &RepositoryName, manifest: &Value, tags: &[&str]) -> PublishedManifest {
    PublishedManifest {
        repository: repository.clone(),
        digest: None,
        content_type: None,
        bytes: bytes_of(manifest),
        tags: tags.iter().map(|name| (tag(name), TagExpectation::Any)).collect(),
    }
}

fn set(repository: &RepositoryName, name: &str, digest: Digest, expected: TagExpectation) -> PublishedTag {
    PublishedTag { repository: repository.clone(), tag: tag(name), digest, expected }
}

/// An index of two images, with a signature on it; nothing of it is pushed but the blobs.
async fn release(world: &World, repository: &RepositoryName) -> [Value; 4] {
    let (one, two) = (world.image(repository, "one").await, world.image(repository, "two").await);
    let platform = |child: Value, architecture: &str| {
        with(child, "platform", json!({ "os": "linux", "architecture": architecture }))
    };
    let index = index_of(vec![
        platform(described_manifest(&one), "amd64"),
        platform(described_manifest(&two), "arm64"),
    ]);
    world.push_blob(repository, b"{}").await;
    let signature = image_of(described("application/vnd.oci.empty.v1+json", b"{}"), vec![]);
    let signature = with(signature, "subject", described_manifest(&index));
    [one, two, index, signature]
}

#[tokio::test]
async fn all_of_it_or_nothing_whatever_the_order() {
    let (world, a) = (World::new(), repo("hy/box"));
    let [one, two, index, signature] = release(&world, &a).await;
    let before = world.events().len();
    // The index first, although it names the images.
    let mut publish = Publish {
        manifests: vec![
            manifest(&a, &signature, &[]),
            manifest(&a, &index, &["latest", "v1"]),
            manifest(&a, &two, &[]),
            manifest(&a, &one, &["v1-amd64"]),
        ],
        tags: vec![set(&a, "stable", digest_of_manifest(&index), TagExpectation::Absent)],
    };
    let whole = publish.clone();
    let missing = image_of(described(CONFIG_TYPE, b"never pushed"), vec![]);
    publish.manifests.push(manifest(&a, &missing, &[]));
    assert_eq!(told(world.registry.publish(&world.ctx, publish).await), "MANIFEST_BLOB_UNKNOWN");
    assert_eq!((world.events().len(), world.tags(&a).await.len()), (before, 0), "nothing of it is there");

    let done = world.registry.publish(&world.ctx, whole).await.unwrap();
    let digests = [&signature, &index, &two, &one].map(digest_of_manifest);
    assert_eq!(done.manifests, digests);
    assert_eq!(world.tags(&a).await, ["latest", "stable", "v1", "v1-amd64"]);
    for digest in digests {
        assert_eq!(sha256(&world.get(&a, digest).await.unwrap()), digest);
    }
    // Who follows the log sees the images before the index that names them.
    let events = world.events().split_off(before);
    assert_eq!(done.events, (before as u64 + 1, (before + events.len()) as u64));
    let place = |digest: Digest| events.iter().position(|event| event.digest == Some(digest)).unwrap();
    let [_, of_index, of_two, of_one] = digests.map(place);
    assert!(of_one < of_index && of_two < of_index);
    let referrers =
        world.registry.list_referrers(&world.ctx, &a, &digests[1], None, &Page::default()).await.unwrap();
    assert_eq!(referrers.descriptors.len(), 1);
}

#[tokio::test]
async fn what_is_published_is_held_and_what_is_deleted_goes() {
    let (world, a) = (World::new(), repo("hy/box"));
    let [one, two, index, _] = release(&world, &a).await;
    let manifests = [&one, &two].map(|image| manifest(&a, image, &[]));
    let publish = Publish {
        manifests: [manifest(&a, &index, &["latest"])].into_iter().chain(manifests).collect(),
        tags: vec![],
    };
    world.registry.publish(&world.ctx, publish).await.unwrap();
    let check = |world: &World| {
        let mut found = Vec::new();
        let view = world.engine.view().unwrap();
        strata_engine::meta::check::check(&view, &mut |finding| found.push(finding)).unwrap();
        assert_eq!(found, []);
    };
    check(&world);
    world.delete(&a, digest_of_manifest(&index)).await.unwrap();
    check(&world);
    let world = world.reopened();
    assert!(world.get(&a, digest_of_manifest(&one)).await.is_ok(), "kept until it is collected");
}

#[tokio::test]
async fn tags_are_compared_before_they_are_set() {
    let (world, a) = (World::new(), repo("hy/box"));
    let (one, two) = (world.image(&a, "one").await, world.image(&a, "two").await);
    world.put(&a, "latest", &one).await.unwrap();
    let (first, second) = (digest_of_manifest(&one), digest_of_manifest(&two));
    let publish = |expected| Publish {
        manifests: vec![PublishedManifest {
            tags: vec![(tag("latest"), expected), (tag("v2"), TagExpectation::Absent)],
            ..manifest(&a, &two, &[])
        }],
        tags: vec![],
    };
    for wrong in [TagExpectation::Absent, TagExpectation::At(second), TagExpectation::At(sha512(b"x"))] {
        let refused = world.registry.publish(&world.ctx, publish(wrong)).await.unwrap_err();
        assert!(matches!(refused, RegistryError::TagMoved { digest: Some(at), .. } if at == first));
        assert_eq!(world.tags(&a).await, ["latest"]);
    }
    world.registry.publish(&world.ctx, publish(TagExpectation::At(first))).await.unwrap();
    assert_eq!(sha256(&world.get(&a, "latest").await.unwrap()), second);
    // A tag on what is there already, and on what is not.
    let alone = |name: &str, digest| Publish {
        manifests: vec![],
        tags: vec![set(&a, name, digest, TagExpectation::Any)],
    };
    world.registry.publish(&world.ctx, alone("old", first)).await.unwrap();
    assert_eq!(sha256(&world.get(&a, "old").await.unwrap()), first);
    assert_eq!(
        told(world.registry.publish(&world.ctx, alone("none", sha256(b"?"))).await),
        "MANIFEST_UNKNOWN"
    );
}

#[tokio::test]
async fn contradictions_and_too_much_are_refused() {
    let (world, a) = (World::new(), repo("hy/box"));
    let (one, two) = (world.image(&a, "one").await, world.image(&a, "two").await);
    let both = Publish {
        manifests: vec![manifest(&a, &one, &["latest"]), manifest(&a, &two, &["latest"])],
        tags: vec![],
    };
    let refused = world.registry.publish(&world.ctx, both).await.unwrap_err();
    assert!(matches!(refused, RegistryError::TagTwice { .. }), "{refused}");
    let wrong = PublishedManifest { digest: Some(sha256(b"other")), ..manifest(&a, &one, &[]) };
    let wrong = Publish { manifests: vec![manifest(&a, &two, &["v2"]), wrong], tags: vec![] };
    assert_eq!(told(world.registry.publish(&world.ctx, wrong).await), "DIGEST_INVALID");
    let many = Publish { manifests: vec![manifest(&a, &one, &[]); PUBLISH_MANIFESTS_MAX + 1], tags: vec![] };
    assert_eq!(told(world.registry.publish(&world.ctx, many).await), "TOO_LARGE");
    assert!(world.tags(&a).await.is_empty());
    // The same one twice is one, with the tags of both; nothing at all is nothing.
    let twice = Publish {
        manifests: vec![manifest(&a, &one, &["x", "y"]), manifest(&a, &one, &["y", "z"])],
        tags: vec![],
    };
    let done = world.registry.publish(&world.ctx, twice).await.unwrap();
    assert_eq!(done.manifests, [digest_of_manifest(&one); 2]);
    assert_eq!(world.tags(&a).await, ["x", "y", "z"]);
    assert_eq!(world.registry.publish(&world.ctx, Publish::default()).await.unwrap().events, (0, 0));
}

#[tokio::test]
async fn one_moment_for_several_repositories() {
    let (world, a, b) = (World::new(), repo("hy/box"), repo("other/tool"));
    let (one, two) = (world.image(&a, "one").await, world.image(&b, "two").await);
    let publish =
        Publish { manifests: vec![manifest(&a, &one, &["v1"]), manifest(&b, &two, &["v1"])], tags: vec![] };
    world.registry.publish(&world.ctx, publish).await.unwrap();
    assert_eq!((world.tags(&a).await, world.tags(&b).await), (vec!["v1".to_owned()], vec!["v1".to_owned()]));
    // A blob of one repository is none of the other's.
    let across = Publish { manifests: vec![manifest(&b, &one, &["v2"])], tags: vec![] };
    assert_eq!(told(world.registry.publish(&world.ctx, across).await), "MANIFEST_BLOB_UNKNOWN");
}

#[tokio::test]
async fn many_blobs_are_found_at_once() {
    let (world, a) = (World::new(), repo("hy/box"));
    let mut digests = Vec::new();
    for i in 0..70_u64 {
        let content = noise(100 + i as usize, i);
        digests.push(sha256(&content));
        if i % 2 == 0 {
            world.push_blob(&a, &content).await;
        }
    }
    let found = world.registry.find_blobs(&world.ctx, &a, digests.clone()).await.unwrap();
    let expected: Vec<Option<u64>> = (0..70).map(|i| (i % 2 == 0).then_some(100 + i)).collect();
    assert_eq!(found, expected);
    let few = world.registry.find_blobs(&world.ctx, &a, digests[..3].to_vec()).await.unwrap();
    assert_eq!(few, expected[..3]);
    let elsewhere = world.registry.find_blobs(&world.ctx, &repo("hy/none"), digests.clone()).await.unwrap();
    assert!(elsewhere.iter().all(Option::is_none), "what another repository has is not told");
    let many = vec![digests[0]; strata_registry::FIND_BLOBS_MAX + 1];
    assert_eq!(told(world.registry.find_blobs(&world.ctx, &a, many).await), "REQUEST_INVALID");
}

#[tokio::test]
async fn an_image_is_resolved_in_one_call() {
    let (world, a) = (World::new(), repo("hy/box"));
    let [one, two, index, _] = release(&world, &a).await;
    // A mirror has one of the platforms only.
    world.put(&a, digest_of_manifest(&one), &one).await.unwrap();
    world.put(&a, "latest", &index).await.unwrap();
    let resolve = async |reference: &str, wanted: Wanted| {
        let reference = Reference::parse(reference).unwrap();
        world.registry.resolve_image(&world.ctx, &a, &reference, &wanted).await
    };
    let image = resolve("latest", Wanted::default()).await.unwrap();
    assert_eq!(image.manifest.bytes, bytes_of(&index));
    let present: Vec<bool> = image.manifest.contents.iter().map(|content| content.present).collect();
    assert_eq!((present, image.cut), (vec![true, false], false));
    let [child] = &image.children[..] else { panic!("{image:?}") };
    assert_eq!(
        (child.digest, child.config.as_deref()),
        (digest_of_manifest(&one), Some(&b"{\"config\":\"one\"}"[..]))
    );
    assert_eq!(child.platform.as_ref().unwrap().architecture.as_deref(), Some("amd64"));
    let roles: Vec<ReferenceRole> = child.contents.iter().map(|content| content.role).collect();
    assert_eq!(roles, [ReferenceRole::Config, ReferenceRole::Layer]);
    assert!(child.contents.iter().all(|content| content.present));
    let arm = Wanted { architecture: Some("arm64".into()), ..Wanted::default() };
    assert!(resolve("latest", arm).await.unwrap().children.is_empty());
    let alone = resolve(&digest_of_manifest(&one).to_string(), Wanted::default()).await.unwrap();
    assert!(alone.children.is_empty() && alone.manifest.config.is_some());
    assert_eq!(told(resolve("none", Wanted::default()).await), "MANIFEST_UNKNOWN");
    let layers = vec![with(described(LAYER_TYPE, b"elsewhere"), "urls", json!(["https://192.0.2.1/x"]))];
    world.push_blob(&a, b"config").await;
    world.put(&a, "foreign", &image_of(described(CONFIG_TYPE, b"config"), layers)).await.unwrap();
    let foreign = resolve("foreign", Wanted::default()).await.unwrap();
    let present: Vec<bool> = foreign.manifest.contents.iter().map(|content| content.present).collect();
    assert_eq!(present, [true, false]);
    let _ = two;
}
