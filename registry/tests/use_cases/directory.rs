//! Accounts, keys, roles and registries: each use case, what it refuses, and that all of it is there after a restart.

use crate::world::{World, repo, told};
use std::sync::Arc;
use std::time::Duration;
use strata_registry::{
    AccountChange, AccountKind, Actions, AuditFilter, AuthMode, Context, FIRST_ACCOUNT, Identity, KEYS_MAX,
    KeyChange, Narrowing, NewAccount, NewKey, NewRegistry, Principal, RegistryChange, RegistryConfig,
    RegistryError, RegistryKind, Role, RoleOn, Scope, Secret, State, UnixMillis, WhoAmI,
};

/// Settings with accounts.
pub(crate) fn accounts() -> RegistryConfig {
    let mut settings = RegistryConfig::default();
    settings.auth.mode = AuthMode::Accounts;
    settings.auth.admin_key = Some(("the-first-key".to_owned(), Secret::new("s".repeat(40))));
    settings
}

/// A store with its first administrator.
pub(crate) fn world() -> World {
    let world = World::with(accounts());
    let made = world
        .registry
        .make_first_administrator(|| Ok(None), |_| panic!("the key was given"))
        .unwrap()
        .unwrap();
    assert_eq!((&*made.account.name, &*made.key.id), (FIRST_ACCOUNT, "the-first-key"));
    world
}

/// A request of an account with its first key, as if it had been authenticated.
pub(crate) fn as_account(world: &World, name: &str) -> Context {
    let snapshot = world.registry.directory();
    let account = snapshot.account(name).unwrap();
    let key = account.keys.first();
    Context {
        principal: Principal::Account(Arc::new(Identity {
            account: Arc::clone(&account.name),
            key: key.map_or_else(|| "no key".into(), |key| Arc::clone(&key.id)),
            grants: Arc::clone(&account.roles),
            narrowing: key.and_then(|key| key.narrowing.clone()),
            access: None,
        })),
        request_id: "test".into(),
        remote: Some([192, 0, 2, 1].into()),
        scope: Scope::Public,
    }
}

pub(crate) fn person(name: &str) -> NewAccount {
    NewAccount { name: name.to_owned(), kind: AccountKind::Person, email: None }
}

fn robot(name: &str) -> NewAccount {
    NewAccount { kind: AccountKind::Robot, ..person(name) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_is_made_once() {
    let world = World::with({
        let mut settings = accounts();
        settings.auth.admin_key = None;
        settings
    });
    let kept =
        world.registry.make_first_administrator(|| Ok(None), |_| Err(std::io::Error::other("no room")));
    let error = kept.unwrap_err();
    let why = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!((error.to_string().contains("could not be kept"), why.as_deref()), (true, Some("no room")));
    assert!(world.registry.directory().account(FIRST_ACCOUNT).is_none(), "what cannot be kept is not made");
    let mut shown = None;
    let made = world.registry.make_first_administrator(
        || Ok(None),
        |key| {
            shown = Some(key.clone());
            Ok(())
        },
    );
    let made = made.unwrap().unwrap();
    assert_eq!(Some(&made), shown.as_ref());
    assert!(made.secret.expose().len() >= 43 + 7 && !format!("{made:?}").contains(made.secret.expose()));
    assert!(world.registry.make_first_administrator(|| Ok(None), |_| Ok(())).unwrap().is_none());
    let world = world.reopened();
    assert!(world.registry.make_first_administrator(|| Ok(None), |_| Ok(())).unwrap().is_none());
    let ctx = as_account(&world, FIRST_ACCOUNT);
    let WhoAmI::Account { account, key } = world.registry.whoami(&ctx).await.unwrap() else {
        panic!("an account")
    };
    assert_eq!((&*account.name, &key), (FIRST_ACCOUNT, &made.key.id));
    assert_eq!(account.roles.instance, Some(Role::Admin));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_made_changed_listed_and_deleted() {
    let world = world();
    let (registry, ctx) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    for name in ["anna", "bob", "carl"] {
        let made = registry.create_account(&ctx, person(name)).await.unwrap();
        assert_eq!((&*made.name, made.revision, &*made.created_by), (name, 1, FIRST_ACCOUNT));
    }
    assert_eq!(told(registry.create_account(&ctx, person("anna")).await), "CONFLICT");
    assert_eq!(told(registry.create_account(&ctx, person("../anna")).await), "REQUEST_INVALID");
    let email = AccountChange { email: Some(Some("bob@example.org".to_owned())), state: None };
    let bob = registry.change_account(&ctx, "bob", email.clone(), Some(1)).await.unwrap();
    assert_eq!((bob.revision, bob.email.as_deref()), (2, Some("bob@example.org")));
    let same = registry.change_account(&ctx, "bob", email.clone(), None).await.unwrap();
    assert_eq!(same.revision, 2, "nothing changed");
    assert_eq!(told(registry.change_account(&ctx, "bob", email, Some(1)).await), "REVISION_MISMATCH");
    let page = registry.accounts(&ctx, None, 2, None).await.unwrap();
    let names = |page: &strata_registry::AccountPage| {
        page.accounts.iter().map(|account| account.name.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!((names(&page).as_str(), page.next.as_deref()), ("admin anna", Some("anna")));
    let page = registry.accounts(&ctx, Some("anna"), 2, None).await.unwrap();
    assert_eq!((names(&page).as_str(), page.next), ("bob carl", None));
    let page = registry.accounts(&ctx, None, 10, Some("example.org")).await.unwrap();
    assert_eq!(names(&page), "bob");
    assert_eq!(told(registry.delete_account(&ctx, "bob", Some(1)).await), "REVISION_MISMATCH");
    registry.delete_account(&ctx, "bob", Some(2)).await.unwrap();
    assert_eq!(told(registry.account(&ctx, "bob").await), "NOT_FOUND");
    assert_eq!(told(registry.delete_account(&ctx, "bob", None).await), "NOT_FOUND");
    let world = world.reopened();
    let page = world.registry.accounts(&as_account(&world, FIRST_ACCOUNT), None, 10, None).await.unwrap();
    assert_eq!(names(&page), "admin anna carl");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_administrators_manage_and_everybody_has_his_own_keys() {
    let world = world();
    let (registry, admin) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    for name in ["anna", "bob"] {
        registry.create_account(&admin, person(name)).await.unwrap();
    }
    registry.set_role(&admin, "bob", RoleOn::Instance, Some(Role::Viewer), None).await.unwrap();
    let (anna, bob) = (as_account(&world, "anna"), as_account(&world, "bob"));
    for ctx in [&anna, &bob] {
        assert_eq!(told(registry.create_account(ctx, person("x")).await), "DENIED");
        assert_eq!(
            told(registry.change_account(ctx, "anna", AccountChange::default(), None).await),
            "DENIED"
        );
        assert_eq!(told(registry.delete_account(ctx, "nobody", None).await), "DENIED");
        assert_eq!(
            told(registry.set_role(ctx, "anna", RoleOn::Instance, Some(Role::Admin), None).await),
            "DENIED"
        );
        assert_eq!(told(registry.create_registry(ctx, NewRegistry::standard("hy")).await), "DENIED");
        assert_eq!(
            told(registry.change_registry(ctx, "hy", RegistryChange::default(), None).await),
            "DENIED"
        );
        assert_eq!(told(registry.delete_registry(ctx, "hy", true, None).await), "DENIED");
        assert_eq!(told(registry.create_key(ctx, FIRST_ACCOUNT, NewKey::default()).await), "DENIED");
    }
    assert_eq!(told(registry.accounts(&anna, None, 10, None).await), "DENIED");
    assert_eq!(told(registry.account(&anna, "bob").await), "DENIED");
    assert_eq!(told(registry.account(&anna, "nobody").await), "DENIED", "she does not learn who is there");
    assert_eq!(registry.accounts(&bob, None, 10, None).await.unwrap().accounts.len(), 3, "a viewer looks");
    // Her own.
    assert_eq!(&*registry.account(&anna, "anna").await.unwrap().name, "anna");
    let made = registry.create_key(&anna, "anna", NewKey::default()).await.unwrap();
    let keys = registry.keys(&anna, "anna").await.unwrap();
    assert_eq!(keys.len(), 1);
    assert!(keys[0].key == made.key && !keys[0].is_old && keys[0].last_used_at.is_none());
    registry.delete_key(&anna, "anna", &made.key.id, None).await.unwrap();
    assert!(registry.keys(&anna, "anna").await.unwrap().is_empty());
    // Nobody without an account does any of it.
    let stranger = Context { principal: registry.stranger(), ..anna.clone() };
    assert_eq!(told(registry.accounts(&stranger, None, 10, None).await), "UNAUTHORIZED");
    assert_eq!(told(registry.create_key(&stranger, "anna", NewKey::default()).await), "UNAUTHORIZED");
    assert_eq!(registry.whoami(&stranger).await.unwrap(), WhoAmI::Anonymous);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_few_and_can_be_narrowed_disabled_and_ended() {
    let world = world();
    let (registry, ctx) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    registry.create_account(&ctx, person("anna")).await.unwrap();
    registry.create_account(&ctx, robot("ci")).await.unwrap();
    let narrowed = |actions| NewKey {
        narrowing: Some(Narrowing { repositories: vec!["hy/*".to_owned()], actions }),
        ..NewKey::default()
    };
    let push = Actions::PULL.and(Actions::PUSH);
    assert_eq!(told(registry.create_key(&ctx, "anna", narrowed(push)).await), "REQUEST_INVALID");
    assert_eq!(told(registry.create_key(&ctx, "ci", narrowed(Actions::NONE)).await), "REQUEST_INVALID");
    let past = NewKey { expires_at: Some(UnixMillis(1)), ..NewKey::default() };
    assert_eq!(told(registry.create_key(&ctx, "ci", past).await), "REQUEST_INVALID");
    assert_eq!(told(registry.create_key(&ctx, "nobody", NewKey::default()).await), "NOT_FOUND");
    let first = registry.create_key(&ctx, "ci", narrowed(push)).await.unwrap();
    for _ in 1..KEYS_MAX {
        registry.create_key(&ctx, "ci", NewKey::default()).await.unwrap();
    }
    assert_eq!(told(registry.create_key(&ctx, "ci", NewKey::default()).await), "CONFLICT");
    let off = KeyChange { state: Some(State::Disabled), ..KeyChange::default() };
    registry.change_key(&ctx, "ci", &first.key.id, off, None).await.unwrap();
    let end = world.engine.now().after(Duration::from_hours(1));
    let ends =
        KeyChange { expires_at: Some(Some(end)), description: Some("CI".to_owned()), ..KeyChange::default() };
    registry.change_key(&ctx, "ci", &first.key.id, ends, None).await.unwrap();
    assert_eq!(
        told(registry.change_key(&ctx, "ci", "SKNONE", KeyChange::default(), None).await),
        "NOT_FOUND"
    );
    assert_eq!(
        told(registry.change_key(&ctx, "anna", &first.key.id, KeyChange::default(), None).await),
        "NOT_FOUND"
    );
    let world = world.reopened();
    let snapshot = world.registry.directory();
    let entry = snapshot.key(&first.key.id).unwrap();
    assert_eq!(
        (&*entry.account.name, entry.key.state, entry.key.expires_at),
        ("ci", State::Disabled, Some(end))
    );
    assert_eq!((&*entry.key.description, &entry.key.hash), ("CI", &first.key.hash));
    assert_eq!(entry.key.narrowing, first.key.narrowing);
    assert!(!entry.key.is_usable(UnixMillis(0)));
    // A narrowed key manages nothing, not even itself.
    let ci = as_account(&world, "ci");
    assert_eq!(told(world.registry.create_key(&ci, "ci", NewKey::default()).await), "DENIED");
    assert_eq!(told(world.registry.delete_key(&ci, "ci", &first.key.id, None).await), "DENIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_always_looks_after_the_instance() {
    let world = world();
    let (registry, ctx) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    let off = || AccountChange { state: Some(State::Disabled), email: None };
    let demote = || registry.set_role(&ctx, FIRST_ACCOUNT, RoleOn::Instance, Some(Role::Viewer), None);
    assert_eq!(told(registry.change_account(&ctx, FIRST_ACCOUNT, off(), None).await), "CONFLICT");
    assert_eq!(told(registry.delete_account(&ctx, FIRST_ACCOUNT, None).await), "CONFLICT");
    assert_eq!(told(demote().await), "CONFLICT");
    registry.create_account(&ctx, person("anna")).await.unwrap();
    registry.create_key(&ctx, "anna", NewKey::default()).await.unwrap();
    registry.set_role(&ctx, "anna", RoleOn::Instance, Some(Role::Admin), None).await.unwrap();
    registry.change_account(&ctx, "anna", off(), None).await.unwrap();
    assert_eq!(told(demote().await), "CONFLICT", "one who is disabled does not count");
    let on = AccountChange { state: Some(State::Enabled), email: None };
    registry.change_account(&ctx, "anna", on, None).await.unwrap();
    demote().await.unwrap();
    let anna = as_account(&world, "anna");
    assert_eq!(told(registry.delete_account(&anna, "anna", None).await), "CONFLICT");
    registry.delete_account(&anna, FIRST_ACCOUNT, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn registries_are_made_changed_and_deleted_with_what_they_hold() {
    let world = world();
    let (registry, ctx) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    let digest = crate::world::sha256(b"x");
    let denied = registry.put_blob(&ctx, &repo("hy/a"), &digest, None, crate::world::body(b"x")).await;
    let denied = denied.unwrap_err();
    assert!(denied.to_string().contains("strata registry create hy"), "{denied}");
    let made = registry.create_registry(&ctx, NewRegistry::standard("hy")).await.unwrap();
    assert_eq!((&*made.name, made.revision, &*made.created_by), ("hy", 1, FIRST_ACCOUNT));
    assert_eq!(told(registry.create_registry(&ctx, NewRegistry::standard("hy")).await), "CONFLICT");
    assert_eq!(told(registry.create_registry(&ctx, NewRegistry::standard("h/y")).await), "REQUEST_INVALID");
    registry.create_account(&ctx, person("anna")).await.unwrap();
    let on = || RoleOn::Registry("hy".to_owned());
    registry.set_role(&ctx, "anna", on(), Some(Role::Uploader), None).await.unwrap();
    let nowhere =
        registry.set_role(&ctx, "anna", RoleOn::Registry("nowhere".to_owned()), Some(Role::Admin), None);
    assert_eq!(told(nowhere.await), "NAME_UNKNOWN");
    let members = registry.members(&ctx, "hy", None, 10).await.unwrap().members;
    assert_eq!(
        members.iter().map(|(account, role)| (&*account.name, *role)).collect::<Vec<_>>(),
        [("anna", Role::Uploader)]
    );
    let change = RegistryChange {
        anonymous_pull: Some(true),
        quota: Some(Some(1 << 30)),
        ..RegistryChange::default()
    };
    let changed = registry.change_registry(&ctx, "hy", change.clone(), Some(1)).await.unwrap();
    assert_eq!((changed.revision, changed.anonymous_pull, changed.quota), (2, true, Some(1 << 30)));
    assert_eq!(told(registry.change_registry(&ctx, "hy", change, Some(1)).await), "REVISION_MISMATCH");
    // Anna uploads.
    let anna = as_account(&world, "anna");
    registry.put_blob(&anna, &repo("hy/a"), &digest, None, crate::world::body(b"x")).await.unwrap();
    registry.stat_blob(&anna, &repo("hy/a"), &digest).await.unwrap();
    assert_eq!(told(registry.delete_blob(&anna, &repo("hy/a"), &digest).await), "DENIED");
    assert_eq!(told(registry.delete_registry(&ctx, "hy", false, None).await), "CONFLICT");
    assert_eq!(told(registry.delete_registry(&ctx, "hy", true, Some(1)).await), "REVISION_MISMATCH");
    assert!(registry.registry(&ctx, "hy").await.is_ok(), "it is there still");
    let removed = registry.delete_registry(&ctx, "hy", true, Some(2)).await.unwrap();
    assert_eq!(removed.repositories, [repo("hy/a")]);
    assert_eq!(told(registry.registry(&ctx, "hy").await), "NAME_UNKNOWN");
    assert_eq!(told(registry.delete_registry(&ctx, "hy", true, None).await), "NAME_UNKNOWN");
    let world = world.reopened();
    let snapshot = world.registry.directory();
    assert!(snapshot.registry("hy").is_none());
    assert!(
        snapshot.account("anna").unwrap().roles.registries.is_empty(),
        "a new one of that name is not hers"
    );
    world
        .registry
        .create_registry(&as_account(&world, FIRST_ACCOUNT), NewRegistry::standard("hy"))
        .await
        .unwrap();
    let anna = as_account(&world, "anna");
    assert_eq!(told(world.registry.stat_blob(&anna, &repo("hy/a"), &digest).await), "NAME_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn registries_are_listed_to_those_who_see_them() {
    let world = world();
    let (registry, ctx) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    for (name, anonymous_pull, public) in
        [("a", false, true), ("b", true, true), ("c", false, false), ("d", false, true)]
    {
        let new = NewRegistry { anonymous_pull, public, ..NewRegistry::standard(name) };
        registry.create_registry(&ctx, new).await.unwrap();
    }
    registry.create_account(&ctx, person("anna")).await.unwrap();
    let all = Context { scope: Scope::Private, ..ctx.clone() };
    for name in ["a", "c"] {
        registry
            .set_role(&all, "anna", RoleOn::Registry(name.to_owned()), Some(Role::Viewer), None)
            .await
            .unwrap();
    }
    let public = as_account(&world, "anna");
    let private = Context { scope: Scope::Private, ..public.clone() };
    for (ctx, expected) in [(&public, "a b"), (&private, "a b c"), (&ctx, "a b d"), (&all, "a b c d")] {
        let mut names = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = registry.registries(ctx, after.as_deref(), 1, None).await.unwrap();
            names.extend(page.registries.iter().map(|entry| entry.name.to_string()));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(names.join(" "), expected);
        for name in ["a", "b", "c", "d", "e"] {
            let is_there = registry.registry(ctx, name).await.is_ok();
            assert_eq!(is_there, expected.contains(name), "{name} of {expected}");
        }
    }
    assert_eq!(
        told(registry.change_registry(&ctx, "c", RegistryChange::default(), None).await),
        "NAME_UNKNOWN"
    );
    assert_eq!(told(registry.delete_registry(&ctx, "c", true, None).await), "NAME_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn open_mode_makes_registries_and_accounts_mode_finds_them() {
    let world = World::new();
    for name in ["busybox", "hy/a", "hy/b", "zz/x/y"] {
        world.push_blob(&repo(name), name.as_bytes()).await;
    }
    let page = world.registry.registries(&world.ctx, None, 10, None).await.unwrap();
    let names: Vec<_> = page.registries.iter().map(|entry| &*entry.name).collect();
    assert_eq!(names, ["default", "hy", "zz"]);
    assert!(world.registry.directory().registry("hy").is_some(), "at once");
    let world = world.reopened_with(accounts());
    world.registry.make_first_administrator(|| Ok(None), |_| Ok(())).unwrap();
    let ctx = as_account(&world, FIRST_ACCOUNT);
    for name in ["busybox", "hy/a", "hy/new", "zz/x/y"] {
        let (name, content) = (repo(name), name.as_bytes());
        let digest = crate::world::sha256(content);
        world.registry.put_blob(&ctx, &name, &digest, None, crate::world::body(content)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_of_a_kind_that_nobody_pushes_to() {
    let world = world();
    let (registry, ctx) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    let new = NewRegistry { kind: RegistryKind::Cache, ..NewRegistry::standard("mirror") };
    registry.create_registry(&ctx, new).await.unwrap();
    let pushed = registry.start_upload(&ctx, &repo("mirror/a"), strata_types::Algorithm::Sha256).await;
    assert!(matches!(&pushed, Err(RegistryError::Denied { why }) if why.contains("cache")), "{pushed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_use_of_keys_is_remembered() {
    let world = world();
    let used = world.engine.now();
    world.registry.directory().key("the-first-key").unwrap().touch(used);
    let ctx = as_account(&world, FIRST_ACCOUNT);
    let last = async |world: &World| world.registry.keys(&ctx, FIRST_ACCOUNT).await.unwrap()[0].last_used_at;
    assert_eq!(last(&world).await, Some(used), "before it is written");
    world.registry.flush_uses().await.unwrap();
    let world = world.reopened();
    assert_eq!(last(&world).await, Some(used));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_is_noted() {
    let world = world();
    let (registry, ctx) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    registry.create_account(&ctx, robot("ci")).await.unwrap();
    let key = registry.create_key(&ctx, "ci", NewKey::default()).await.unwrap();
    registry.create_registry(&ctx, NewRegistry::standard("hy")).await.unwrap();
    registry.set_role(&ctx, "ci", RoleOn::Registry("hy".to_owned()), Some(Role::Admin), None).await.unwrap();
    registry.delete_registry(&ctx, "hy", false, None).await.unwrap();
    registry.delete_account(&ctx, "ci", None).await.unwrap();
    let details: Vec<serde_json::Value> =
        world.events().iter().map(|event| serde_json::from_slice(&event.detail).unwrap()).collect();
    let of = |detail: &serde_json::Value| {
        let field =
            |name: &str| detail.get(name).and_then(serde_json::Value::as_str).unwrap_or("-").to_owned();
        [field("action"), field("target"), field("account"), field("result")].join(" ")
    };
    let told: Vec<String> = details.iter().map(of).collect();
    let id = &key.key.id;
    assert_eq!(
        told,
        [
            "account.create admin - done".to_owned(),
            "account.create ci admin done".to_owned(),
            format!("key.create ci/{id} admin done"),
            "registry.create hy admin done".to_owned(),
            "role.set.admin ci@hy admin done".to_owned(),
            "registry.delete hy admin done".to_owned(),
            "account.delete ci admin done".to_owned(),
        ]
    );
    let text = format!("{details:?}");
    assert!(!text.contains(key.secret.expose()) && !text.contains("argon2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_key_of_the_last_administrator_stays() {
    let world = world();
    let (registry, ctx) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    let first = "the-first-key";
    let off = KeyChange { state: Some(State::Disabled), ..KeyChange::default() };
    let end = registry.directory().account(FIRST_ACCOUNT).unwrap().revision;
    assert_eq!(told(registry.delete_key(&ctx, FIRST_ACCOUNT, first, None).await), "CONFLICT");
    assert_eq!(told(registry.change_key(&ctx, FIRST_ACCOUNT, first, off.clone(), None).await), "CONFLICT");
    // Another administrator without a key is none who could help.
    registry.create_account(&ctx, person("anna")).await.unwrap();
    registry.set_role(&ctx, "anna", RoleOn::Instance, Some(Role::Admin), None).await.unwrap();
    let disabled = AccountChange { email: None, state: Some(State::Disabled) };
    assert_eq!(told(registry.change_account(&ctx, FIRST_ACCOUNT, disabled, None).await), "CONFLICT");
    assert_eq!(told(registry.delete_account(&ctx, FIRST_ACCOUNT, None).await), "CONFLICT");
    assert_eq!(registry.directory().account(FIRST_ACCOUNT).unwrap().revision, end, "nothing changed");
    registry.create_key(&ctx, "anna", NewKey::default()).await.unwrap();
    registry.change_key(&ctx, FIRST_ACCOUNT, first, off, None).await.unwrap();
    registry.delete_key(&ctx, FIRST_ACCOUNT, first, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_from_a_listener_is_hidden_from_administration_there() {
    let world = world();
    let (registry, public) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    let private = Context { scope: Scope::Private, ..public.clone() };
    let new = NewRegistry { public: false, ..NewRegistry::standard("sec") };
    registry.create_registry(&private, new).await.unwrap();
    registry.create_account(&private, person("anna")).await.unwrap();
    let on = || RoleOn::Registry("sec".to_owned());
    registry.set_role(&private, "anna", on(), Some(Role::Viewer), None).await.unwrap();

    assert_eq!(told(registry.members(&public, "sec", None, 10).await), "NAME_UNKNOWN");
    for role in [Some(Role::Admin), None] {
        assert_eq!(told(registry.set_role(&public, "anna", on(), role, None).await), "NAME_UNKNOWN");
    }
    assert!(registry.account(&public, "anna").await.unwrap().roles.registries.is_empty());
    let page = registry.accounts(&public, None, 10, None).await.unwrap();
    assert!(page.accounts.iter().all(|account| account.roles.registries.is_empty()));
    let WhoAmI::Account { account, .. } = registry.whoami(&as_account(&world, "anna")).await.unwrap() else {
        panic!("an account")
    };
    assert!(account.roles.registries.is_empty());
    let entries = registry.audit(&public, AuditFilter::default(), None, 100).await.unwrap().entries;
    assert!(!entries.is_empty() && entries.iter().all(|entry| entry.registry() != Some("sec")));

    assert_eq!(registry.members(&private, "sec", None, 10).await.unwrap().members.len(), 1);
    assert_eq!(registry.account(&private, "anna").await.unwrap().roles.registries.len(), 1);
    let entries = registry.audit(&private, AuditFilter::default(), None, 100).await.unwrap().entries;
    assert!(entries.iter().any(|entry| entry.registry() == Some("sec")));
}
