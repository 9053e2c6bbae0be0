//! The catalog, what a run of garbage collection ends, health.

use crate::world::{World, repo};
use std::time::Duration;
use strata_engine::UnixMillis;
use strata_engine::meta::{Batch, LeaseId};
use strata_registry::{GcKind, Health, Page};
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
async fn a_run_ends_leases_whose_holder_is_gone() {
    let world = World::new();
    assert_eq!(world.registry.gc_run(&world.ctx).await.unwrap().removed.objects(), 0);
    // The run of the start may have been another one, or this.
    let before = world.registry.gc_status(&world.ctx).unwrap().runs;
    let (digest, now) = (Digest::Sha256([1; 32]), world.engine.now());
    let mut batch = Batch::new(now);
    batch.put_lease(&digest, LeaseId([1; 16]), UnixMillis(1));
    batch.put_lease(&digest, LeaseId([2; 16]), now.after(Duration::from_hours(1)));
    world.engine.commit(batch).await.unwrap();
    let plan = world.registry.gc_plan(&world.ctx, 10).await.unwrap();
    assert_eq!(plan.removals.iter().map(|removal| removal.kind).collect::<Vec<_>>(), [GcKind::Lease]);
    let done = world.registry.gc_run(&world.ctx).await.unwrap();
    assert_eq!((done.removed.objects(), done.removed.of(GcKind::Lease).objects), (1, 1));
    let left = world.engine.view().unwrap().leases(None, 10).unwrap();
    assert_eq!(left.iter().map(|(_, id, _)| *id).collect::<Vec<_>>(), [LeaseId([2; 16])]);
    let status = world.registry.gc_status(&world.ctx).unwrap();
    assert_eq!((status.runs, status.removed.of(GcKind::Lease).objects), (before + 1, 1));
    assert_eq!(status.last, Some(done));
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
