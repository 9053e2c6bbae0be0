//! Requests that meet: each ends as if it had been alone, and nobody starves.

use crate::world::{CONFIG_TYPE, LAYER_TYPE};
use crate::world::{World, bytes_of, described, image_of, index_of, repo, sha256, tag, with};
use serde_json::json;
use std::sync::Arc;
use strata_registry::{Page, PutManifest, RegistryError};
use strata_types::Reference;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_pushes_of_one_tag_all_come_through() {
    const PUSHES: usize = 100;
    let world = Arc::new(World::new());
    let a = repo("a");
    let image = world.image(&a, "x").await;
    let pushes: Vec<_> = (0..PUSHES)
        .map(|n| {
            let (world, a, image) = (Arc::clone(&world), a.clone(), image.clone());
            tokio::spawn(async move {
                let manifest = with(image, "annotations", json!({ "n": n.to_string() }));
                world.put(&a, "latest", &manifest).await.unwrap().digest
            })
        })
        .collect();
    let mut digests = Vec::new();
    for push in pushes {
        digests.push(push.await.unwrap());
    }
    let last = sha256(&world.get(&a, "latest").await.unwrap());
    assert!(digests.contains(&last));
    let conflicts = world.registry.figures().iter().find(|f| f.name == "commit_conflicts").unwrap().value;
    assert!(conflicts > 0, "they did meet");
    let view = world.engine.view().unwrap();
    let history = view.tag_history(&a, &tag("latest"), None, 1000).unwrap();
    assert_eq!(history.len(), PUSHES, "every push moved the tag once");
    assert_eq!(history.last().unwrap().1.target, Some(last));
    assert!(view.leases(None, 10).unwrap().is_empty(), "every lease was ended");
}

/// A manifest is pushed while one of its blobs is deleted: either the push or the delete is refused, never both done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_and_a_delete_of_its_blob_exclude_each_other() {
    let world = Arc::new(World::new());
    let a = repo("a");
    world.push_blob(&a, b"config").await;
    let (mut pushed, mut deleted) = (0, 0);
    for n in 0..120 {
        let layer = format!("layer {n}");
        let digest = world.push_blob(&a, layer.as_bytes()).await;
        let manifest =
            image_of(described(CONFIG_TYPE, b"config"), vec![described(LAYER_TYPE, layer.as_bytes())]);
        let push = {
            let (world, a, reference) = (Arc::clone(&world), a.clone(), format!("t{n}"));
            tokio::spawn(async move { world.put(&a, reference.as_str(), &manifest).await })
        };
        let delete = {
            let (world, a) = (Arc::clone(&world), a.clone());
            tokio::spawn(async move { world.registry.delete_blob(&world.ctx, &a, &digest).await })
        };
        let (push, delete) = (push.await.unwrap(), delete.await.unwrap());
        match (push, delete) {
            (Ok(_), Err(RegistryError::BlobReferenced { .. })) => {
                pushed += 1;
                assert_eq!(world.read_blob(&a, &digest).await.unwrap(), layer);
            }
            (Err(RegistryError::ReferencesUnknown(missing)), Ok(())) => {
                deleted += 1;
                assert_eq!(missing.first().unwrap().digest, digest);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pushed + deleted, 120);
    assert!(world.engine.view().unwrap().leases(None, 10).unwrap().is_empty(), "every lease was ended");
}

/// Tags set to a manifest while it is deleted never dangle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_never_stands_for_a_manifest_that_is_gone() {
    let world = Arc::new(World::new());
    let a = repo("a");
    let manifest = index_of(vec![]);
    let digest = world.put(&a, "first", &manifest).await.unwrap().digest;
    for n in 0..100 {
        let push = {
            let (world, a, bytes) = (Arc::clone(&world), a.clone(), bytes_of(&manifest));
            tokio::spawn(async move {
                let reference = Reference::Tag(tag(&format!("t{n}")));
                let put = PutManifest { reference, tags: vec![tag("also")], content_type: None, bytes };
                world.registry.put_manifest(&world.ctx, &a, put).await
            })
        };
        let delete = {
            let (world, a) = (Arc::clone(&world), a.clone());
            tokio::spawn(async move { world.delete(&a, digest).await })
        };
        push.await.unwrap().unwrap();
        let deleted = delete.await.unwrap();
        assert!(matches!(deleted, Ok(()) | Err(RegistryError::ManifestUnknown { .. })), "{deleted:?}");
        let tags = world.registry.list_tags(&world.ctx, &a, &Page::default()).await.unwrap().tags;
        for tag in tags {
            let reference = Reference::Tag(tag);
            world.registry.get_manifest(&world.ctx, &a, &reference).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_uploads_and_mounts_of_one_blob_all_succeed() {
    let world = Arc::new(World::new());
    let content = crate::world::noise(100_000, 6);
    let digest = sha256(&content);
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let (world, content) = (Arc::clone(&world), content.clone());
            tokio::spawn(async move {
                let repository = repo(&format!("r{}", n % 4));
                let mounts = n % 2 == 1;
                let mounted = mounts
                    && world.registry.mount_blob(&world.ctx, &repository, &digest, None).await.unwrap();
                if !mounted {
                    world.push_blob(&repository, &content).await;
                }
                world.read_blob(&repository, &digest).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), content);
    }
}
