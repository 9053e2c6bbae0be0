//! Pages of tags.

use crate::world::{World, index_of, repo, told};
use strata_registry::Page;

#[tokio::test]
async fn pages_in_the_order_of_bytes() {
    let world = World::new();
    let a = repo("a");
    let empty = index_of(vec![]);
    let mut expected = ["v1", "v10", "v2", "V1", "_x", "latest", "0", "sha256-ab.sig"];
    for name in expected {
        world.put(&a, name, &empty).await.unwrap();
    }
    world.put(&repo("a/b"), "other", &empty).await.unwrap();
    expected.sort_unstable();
    assert_eq!(world.tags(&a).await, expected);

    for n in 1..10 {
        let (mut found, mut page) = (Vec::new(), Page { n: Some(n), last: None });
        loop {
            let answer = world.registry.list_tags(&world.ctx, &a, &page).await.unwrap();
            assert!(answer.tags.len() == n || !answer.more);
            found.extend(answer.tags.iter().map(ToString::to_string));
            page.last = found.last().cloned();
            if !answer.more {
                break;
            }
        }
        assert_eq!(found, expected, "n={n}");
    }
}

#[tokio::test]
async fn starts_anywhere_and_counts_from_nothing() {
    let world = World::new();
    let a = repo("a");
    for name in ["b", "d"] {
        world.put(&a, name, &index_of(vec![])).await.unwrap();
    }
    for (n, last, expected, more) in [
        (None, Some("a"), &["b", "d"][..], false),
        (None, Some("b"), &["d"], false),
        (None, Some("c"), &["d"], false),
        (None, Some("d"), &[], false),
        (None, Some("not/a tag\u{0}"), &[], false),
        (Some(0), None, &[], false),
        (Some(1), None, &["b"], true),
        (Some(2), None, &["b", "d"], false),
        (Some(usize::MAX), None, &["b", "d"], false),
    ] {
        let page = Page { n, last: last.map(Into::into) };
        let answer = world.registry.list_tags(&world.ctx, &a, &page).await.unwrap();
        let tags: Vec<&str> = answer.tags.iter().map(strata_types::Tag::as_str).collect();
        assert_eq!((tags.as_slice(), answer.more), (expected, more), "{page:?}");
    }
}

#[tokio::test]
async fn an_unknown_repository_has_no_list() {
    let world = World::new();
    let none = world.registry.list_tags(&world.ctx, &repo("nowhere"), &Page::default()).await;
    assert_eq!(told(none), "NAME_UNKNOWN");
    let none = world.registry.list_tags(&world.ctx, &repo("nowhere"), &Page { n: Some(0), last: None }).await;
    assert_eq!(told(none), "NAME_UNKNOWN");
    world.push_blob(&repo("a"), b"x").await;
    assert!(world.tags(&repo("a")).await.is_empty());
}
