//! Blobs: whole pushes, reading, mounting, deleting.

use crate::world::{World, body, broken_body, noise, repo, sha256, sha512, told};
use strata_engine::meta::EventKind;
use strata_registry::{BodyError, Context, RegistryError};

#[tokio::test]
async fn round_trips_in_both_algorithms_at_every_placement() {
    let world = World::new();
    let a = repo("a/b");
    for len in [0, 1, 64 * 1024, 64 * 1024 + 1, 3 * 1024 * 1024 + 17] {
        let content = noise(len, len as u64 + 1);
        for digest in [sha256(&content), sha512(&content)] {
            let declared = Some(len as u64);
            let put =
                world.registry.put_blob(&world.ctx, &a, &digest, declared, body(&content)).await.unwrap();
            assert_eq!(put, digest);
            let stat = world.registry.stat_blob(&world.ctx, &a, &digest).await.unwrap();
            assert_eq!((stat.digest, stat.size), (digest, len as u64));
            assert_eq!(world.read_blob(&a, &digest).await.unwrap(), content, "{len} {digest}");
        }
    }
}

#[tokio::test]
async fn pushing_again_is_no_error() {
    let world = World::new();
    let a = repo("a");
    let digest = world.push_blob(&a, b"twice").await;
    assert_eq!(world.push_blob(&a, b"twice").await, digest);
    assert_eq!(world.event_kinds(), [EventKind::RepositoryCreated, EventKind::BlobPushed]);
}

#[tokio::test]
async fn a_repository_shows_only_what_was_pushed_to_it() {
    let world = World::new();
    let digest = world.push_blob(&repo("a"), b"content").await;
    let other = repo("b");
    assert_eq!(told(world.registry.stat_blob(&world.ctx, &other, &digest).await), "BLOB_UNKNOWN");
    assert_eq!(told(world.read_blob(&other, &digest).await), "BLOB_UNKNOWN");
    world.push_blob(&other, b"content").await;
    assert_eq!(world.read_blob(&other, &digest).await.unwrap(), "content");
}

#[tokio::test]
async fn refuses_content_that_is_not_what_was_announced() {
    let world = World::new();
    let a = repo("a");
    let digest = sha256(b"announced");
    let put = |declared, content: &'static [u8]| {
        world.registry.put_blob(&world.ctx, &a, &digest, declared, body(content))
    };
    let error = put(None, b"other").await.unwrap_err();
    let expected = (digest, sha256(b"other"));
    assert!(
        matches!(error, RegistryError::DigestMismatch { expected: e, actual } if (e, actual) == expected)
    );
    assert_eq!(told(put(Some(10), b"announced").await), "SIZE_INVALID");
    assert_eq!(told(put(Some(8), b"announced").await), "SIZE_INVALID");
    assert_eq!(told(world.registry.stat_blob(&world.ctx, &a, &digest).await), "BLOB_UNKNOWN");
    assert!(world.events().is_empty(), "a refused push leaves nothing, not even its repository");
    put(Some(9), b"announced").await.unwrap();
}

#[tokio::test]
async fn keeps_nothing_of_a_whole_body_that_breaks() {
    let world = World::new();
    let a = repo("a");
    let content = noise(200_000, 1);
    let digest = sha256(&content);
    for (error, code) in [
        (BodyError::Cut, "SIZE_INVALID"),
        (BodyError::LengthMismatch, "SIZE_INVALID"),
        (BodyError::TooSlow, "TIMEOUT"),
        (BodyError::TooLarge, "TOO_LARGE"),
    ] {
        let put = world.registry.put_blob(&world.ctx, &a, &digest, None, broken_body(&content, error));
        assert_eq!(told(put.await), code);
    }
    assert_eq!(told(world.read_blob(&a, &digest).await), "BLOB_UNKNOWN");
}

#[tokio::test]
async fn mounts_from_a_named_repository_or_from_any() {
    let world = World::new();
    let (a, b, c) = (repo("a"), repo("b"), repo("c"));
    let digest = world.push_blob(&a, b"content").await;
    let mount = |to, from| world.registry.mount_blob(&world.ctx, to, &digest, from);
    assert!(mount(&b, Some(&a)).await.unwrap());
    assert!(mount(&c, None).await.unwrap());
    for repository in [&b, &c] {
        assert_eq!(world.read_blob(repository, &digest).await.unwrap(), "content");
    }
    assert!(mount(&b, Some(&a)).await.unwrap(), "a repeated mount succeeds");
    let mounted = world.event_kinds().into_iter().filter(|kind| *kind == EventKind::BlobMounted).count();
    assert_eq!(mounted, 2, "and tells nothing new");
}

#[tokio::test]
async fn a_mount_that_finds_nothing_is_no_error() {
    let world = World::new();
    let (a, b) = (repo("a"), repo("b"));
    let digest = world.push_blob(&a, b"content").await;
    let unknown = sha256(b"unknown");
    for (digest, from) in
        [(&unknown, None), (&unknown, Some(&a)), (&digest, Some(&repo("nowhere"))), (&digest, Some(&b))]
    {
        assert!(!world.registry.mount_blob(&world.ctx, &b, digest, from).await.unwrap(), "{digest} {from:?}");
    }
    assert_eq!(told(world.read_blob(&b, &digest).await), "BLOB_UNKNOWN");
    assert!(!world.events().iter().any(|event| event.repository == Some(b.clone())));
}

#[tokio::test]
async fn deletes_from_one_repository_only() {
    let world = World::new();
    let (a, b) = (repo("a"), repo("b"));
    let digest = world.push_blob(&a, b"content").await;
    world.push_blob(&b, b"content").await;
    world.registry.delete_blob(&world.ctx, &a, &digest).await.unwrap();
    assert_eq!(told(world.read_blob(&a, &digest).await), "BLOB_UNKNOWN");
    assert_eq!(world.read_blob(&b, &digest).await.unwrap(), "content");
    assert_eq!(told(world.registry.delete_blob(&world.ctx, &a, &digest).await), "BLOB_UNKNOWN");
    world.push_blob(&a, b"content").await;
    assert_eq!(world.read_blob(&a, &digest).await.unwrap(), "content");
}

#[tokio::test]
async fn keeps_a_blob_that_a_manifest_needs() {
    let world = World::new();
    let a = repo("a");
    let image = world.image(&a, "x").await;
    let layer = sha256(b"layer of x");
    let manifest = world.put(&a, "latest", &image).await.unwrap().digest;
    let refused = world.registry.delete_blob(&world.ctx, &a, &layer).await.unwrap_err();
    assert!(matches!(refused, RegistryError::BlobReferenced { by, .. } if by == manifest));
    assert_eq!(refused.outcome().as_str(), "UNSUPPORTED");
    assert_eq!(world.read_blob(&a, &layer).await.unwrap(), "layer of x");
    world.delete(&a, manifest).await.unwrap();
    world.registry.delete_blob(&world.ctx, &a, &layer).await.unwrap();
}

#[tokio::test]
async fn events_say_which_request_did_it() {
    let world = World::new();
    world.push_blob(&repo("a"), b"x").await;
    let ctx = Context::everyone("quoted \"id\"", None);
    world.registry.delete_blob(&ctx, &repo("a"), &sha256(b"x")).await.unwrap();
    let details: Vec<String> =
        world.events().iter().map(|event| String::from_utf8(event.detail.to_vec()).unwrap()).collect();
    let pushed = r#"{"remote":"127.0.0.1","request":"test"}"#;
    assert_eq!(details, [pushed, pushed, r#"{"request":"quoted \"id\""}"#]);
}
