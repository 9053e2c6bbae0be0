//! The event log as a feed: from a cursor, filtered, as far as it is durable.

use crate::directory::{as_account, person, world};
use crate::world::{World, bytes_of, index_of, repo, told};
use std::time::Duration;
use strata_registry::{
    EventFilter, EventPage, FIRST_ACCOUNT, NewRegistry, PutManifest, RegistryError, Role, RoleOn,
};
use strata_types::Reference;

async fn read(world: &World, filter: &EventFilter, after: u64, limit: usize) -> EventPage {
    world.registry.events(&world.ctx, filter, after, limit).await.unwrap()
}

#[tokio::test]
async fn pages_meet_and_nothing_is_left_out() {
    let (world, all) = (World::new(), EventFilter::default());
    for name in ["a", "b", "c"] {
        world.put(&repo("hy/box"), name, &index_of(vec![])).await.unwrap();
        world.put(&repo("other/tool"), name, &index_of(vec![])).await.unwrap();
    }
    let last = world.events().len() as u64;
    assert_eq!(world.registry.last_event(&world.ctx).unwrap(), last);
    for limit in [1, 2, 5, 1000] {
        let (mut numbers, mut cursor) = (Vec::new(), 0);
        loop {
            let page = read(&world, &all, cursor, limit).await;
            assert!(page.events.len() <= limit);
            numbers.extend(page.events.iter().map(|event| event.number));
            cursor = page.cursor;
            if page.is_end {
                break;
            }
        }
        assert_eq!((numbers, cursor), ((1..=last).collect(), last), "limit {limit}");
    }
    let tags = EventFilter { actions: vec!["tag".into()], registries: vec!["hy".into()], ..all.clone() };
    let page = read(&world, &tags, 0, 1000).await;
    assert_eq!((page.events.len(), page.cursor), (3, last));
    assert!(page.events.iter().all(|event| &*event.action == "tag.set" && event.registry() == Some("hy")));
    let one = EventFilter { repositories: vec![repo("other/tool")], ..all.clone() };
    assert!(read(&world, &one, 0, 1000).await.events.iter().all(|event| event.registry() == Some("other")));
    let beyond = world.registry.events(&world.ctx, &all, last + 1, 10).await;
    assert_eq!(told(beyond), "REQUEST_INVALID");
}

#[tokio::test]
async fn who_waits_is_woken_by_the_next_event() {
    let (world, a) = (World::new(), repo("hy/box"));
    let last = world.registry.last_event(&world.ctx).unwrap();
    let registry = world.registry.clone();
    let waiter = tokio::spawn(async move { registry.events_beyond(last).await });
    world.put(&a, "latest", &index_of(vec![])).await.unwrap();
    tokio::time::timeout(Duration::from_mins(1), waiter).await.unwrap().unwrap().unwrap();
    let page = read(&world, &EventFilter::default(), last, 10).await;
    assert!(!page.events.is_empty() && page.is_end);
    // What is there already is not waited for.
    world.registry.events_beyond(last).await.unwrap();
}

#[tokio::test]
async fn what_a_power_cut_could_take_back_is_told_when_it_is_durable() {
    let world = World::new();
    world.put(&repo("hy/box"), "latest", &index_of(vec![])).await.unwrap();
    let last = world.registry.last_event(&world.ctx).unwrap();
    let mut batch = strata_engine::meta::Batch::new(world.engine.now());
    batch.note(None);
    batch.set_unsynced();
    world.engine.commit(batch).await.unwrap();
    assert_eq!(world.engine.view().unwrap().last_event().unwrap(), last + 1);
    let page = read(&world, &EventFilter::default(), last, 10).await;
    assert!(page.events.is_empty() && page.is_end, "{page:?}");
    world.registry.events_beyond(last).await.unwrap();
    assert_eq!(read(&world, &EventFilter::default(), last, 10).await.events.len(), 1);
}

#[tokio::test]
async fn a_cursor_before_the_log_says_so() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.put(&repo("hy/box"), name, &index_of(vec![])).await.unwrap();
    }
    let removed = world.engine.trim_events(strata_engine::UnixMillis(u64::MAX), 3).await.unwrap();
    assert_eq!(removed, 3);
    let gone = world.registry.events(&world.ctx, &EventFilter::default(), 2, 10).await.unwrap_err();
    assert!(matches!(gone, RegistryError::CursorGone { begins: 4 }), "{gone}");
    assert_eq!(read(&world, &EventFilter::default(), 3, 1).await.events[0].number, 4);
}

#[tokio::test]
async fn everybody_is_told_what_he_may_see_and_no_more() {
    let world = world();
    let (registry, admin) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    for name in ["hy", "other"] {
        registry.create_registry(&admin, NewRegistry::standard(name)).await.unwrap();
        let reference = Reference::parse("latest").unwrap();
        let put =
            PutManifest { reference, tags: vec![], content_type: None, bytes: bytes_of(&index_of(vec![])) };
        registry.put_manifest(&admin, &repo(&format!("{name}/box")), put).await.unwrap();
    }
    registry.create_account(&admin, person("anna")).await.unwrap();
    registry.set_role(&admin, "anna", RoleOn::Registry("hy".into()), Some(Role::Viewer), None).await.unwrap();
    let all = EventFilter::default();
    let told = registry.events(&as_account(&world, "anna"), &all, 0, 1000).await.unwrap();
    assert!(!told.events.is_empty() && told.is_end);
    for event in &told.events {
        assert_eq!(event.registry(), Some("hy"), "{event:?}");
        assert!(event.repository.is_some() && event.account.is_none() && event.key.is_none());
        assert!(event.remote.is_none() && event.request.is_none());
    }
    let told = registry.events(&admin, &all, 0, 1000).await.unwrap();
    assert!(told.events.iter().any(|event| event.registry() == Some("other")));
    assert!(told.events.iter().any(|event| &*event.action == "account.create"));
    assert!(told.events.iter().any(|event| event.account.as_deref() == Some(FIRST_ACCOUNT)));
}
