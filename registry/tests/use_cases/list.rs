//! The catalog, housekeeping, health.

use crate::world::{World, repo};
use std::time::Duration;
use strata_engine::UnixMillis;
use strata_engine::meta::{Batch, LeaseId};
use strata_registry::{Health, Housekeeping, Page, Registry};
use strata_types::Digest;

#[tokio::test]
async fn the_catalog_pages_by_name() {
    let world = World::new();
    let mut expected = ["b", "a/b", "a", "a-b", "a.b/c", "a0", "zz/yy/xx"];
    for name in expected {
        world.push_blob(&repo(name), b"x").await;
    }
    expected.sort_unstable();
    for n in 1..9 {
        let (mut found, mut page) = (Vec::new(), Page { n: Some(n), last: None });
        loop {
            let answer = world.registry.catalog(&world.ctx, &page).await.unwrap();
            assert!(answer.repositories.len() == n || !answer.more);
            found.extend(answer.repositories.iter().map(ToString::to_string));
            page.last = found.last().cloned();
            if !answer.more {
                break;
            }
        }
        assert_eq!(found, expected, "n={n}");
    }
    let none = world.registry.catalog(&world.ctx, &Page { n: Some(0), last: None }).await.unwrap();
    assert!(none.repositories.is_empty() && !none.more);
    let rest = world.registry.catalog(&world.ctx, &Page { n: None, last: Some("a/".into()) }).await.unwrap();
    assert_eq!(rest.repositories.first().unwrap().as_str(), "a/b");
    let empty = World::new().registry.clone();
    assert!(empty.catalog(&world.ctx, &Page::default()).await.unwrap().repositories.is_empty());
}

#[tokio::test]
async fn housekeeping_ends_leases_whose_holder_is_gone() {
    let world = World::new();
    assert!(Registry::HOUSEKEEPING_INTERVAL > Duration::ZERO);
    assert_eq!(world.registry.housekeep().await.unwrap(), Housekeeping::default());
    let (digest, now) = (Digest::Sha256([1; 32]), world.engine.now());
    let mut batch = Batch::new(now);
    batch.put_lease(&digest, LeaseId([1; 16]), UnixMillis(1));
    batch.put_lease(&digest, LeaseId([2; 16]), now.after(Duration::from_hours(1)));
    world.engine.commit(batch).await.unwrap();
    let registry = world.registry.clone();
    let done = tokio::spawn(async move { registry.housekeep().await }).await.unwrap().unwrap();
    assert_eq!(done, Housekeeping { uploads_expired: 0, leases_expired: 1 });
    let left = world.engine.view().unwrap().leases(None, 10).unwrap();
    assert_eq!(left.iter().map(|(_, id, _)| *id).collect::<Vec<_>>(), [LeaseId([2; 16])]);
}

#[tokio::test]
async fn a_fresh_registry_is_ready() {
    let world = World::new();
    assert_eq!(world.registry.health(), Health::Ready);
    assert!(world.registry.health().is_ready());
    let figures = world.registry.figures();
    let names: std::collections::HashSet<_> = figures.iter().map(|figure| figure.name).collect();
    assert_eq!(names.len(), figures.len(), "names differ");
}
