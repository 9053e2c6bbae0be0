//! The directory against a plain model: random changes, with reopenings between them; and changes at the same moment.

use crate::directory::{accounts, as_account, person, world};
use crate::world::{World, body, repo, sha256};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;
use strata_registry::{
    AccountChange, Context, FIRST_ACCOUNT, KEYS_MAX, KeyChange, NewKey, NewRegistry, RegistryChange,
    RegistryError, Role, RoleOn, State,
};

const NAMES: [&str; 4] = [FIRST_ACCOUNT, "anna", "bob", "carl"];
const REGISTRIES: [&str; 3] = ["default", "hy", "zz"];
const ROLES: [Option<Role>; 4] = [None, Some(Role::Viewer), Some(Role::Uploader), Some(Role::Admin)];

/// What the one who changes something says of its revision.
#[derive(Debug, Clone, Copy)]
enum Seen {
    Nothing,
    TheLatest,
    AnOldOne,
}

#[derive(Debug, Clone)]
enum Step {
    CreateAccount(usize),
    SetState(usize, bool, Seen),
    DeleteAccount(usize, Seen),
    CreateKey(usize),
    SetKeyState(usize, usize, bool, Seen),
    DeleteKey(usize, usize, Seen),
    SetInstanceRole(usize, usize, Seen),
    SetRole(usize, usize, usize, Seen),
    CreateRegistry(usize),
    ChangeRegistry(usize, bool, Seen),
    DeleteRegistry(usize, bool, Seen),
    Push(usize),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seen = prop_oneof![4 => Just(Seen::Nothing), 3 => Just(Seen::TheLatest), 1 => Just(Seen::AnOldOne)];
    let (name, registry, role, place) = (0..NAMES.len(), 0..REGISTRIES.len(), 0..ROLES.len(), 0..KEYS_MAX);
    let step = prop_oneof![
        6 => name.clone().prop_map(Step::CreateAccount),
        5 => (name.clone(), any::<bool>(), seen.clone()).prop_map(|(n, on, s)| Step::SetState(n, on, s)),
        3 => (name.clone(), seen.clone()).prop_map(|(n, s)| Step::DeleteAccount(n, s)),
        4 => name.clone().prop_map(Step::CreateKey),
        3 => (name.clone(), place.clone(), any::<bool>(), seen.clone())
            .prop_map(|(n, k, on, s)| Step::SetKeyState(n, k, on, s)),
        3 => (name.clone(), place, seen.clone()).prop_map(|(n, k, s)| Step::DeleteKey(n, k, s)),
        6 => (name.clone(), role.clone(), seen.clone()).prop_map(|(n, r, s)| Step::SetInstanceRole(n, r, s)),
        6 => (name, registry.clone(), role, seen.clone()).prop_map(|(n, g, r, s)| Step::SetRole(n, g, r, s)),
        6 => registry.clone().prop_map(Step::CreateRegistry),
        4 => (registry.clone(), any::<bool>(), seen.clone()).prop_map(|(g, on, s)| Step::ChangeRegistry(g, on, s)),
        4 => (registry.clone(), any::<bool>(), seen).prop_map(|(g, force, s)| Step::DeleteRegistry(g, force, s)),
        6 => registry.prop_map(Step::Push),
        2 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..50)
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    revision: u64,
    enabled: bool,
    instance: Option<Role>,
    roles: BTreeMap<String, Role>,
    keys: Vec<(String, bool)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    revision: u64,
    free: bool,
    has_content: bool,
}

#[derive(Debug, Default)]
struct Model {
    accounts: BTreeMap<String, Account>,
    registries: BTreeMap<String, Holder>,
}

type Refused = Result<(), &'static str>;

impl Model {
    fn administrators(&self) -> usize {
        self.accounts
            .values()
            .filter(|account| account.enabled && account.instance == Some(Role::Admin))
            .filter(|account| account.keys.iter().any(|(_, is_on)| *is_on))
            .count()
    }

    /// Changes an account, as the real one is asked to.
    fn change(
        &mut self,
        name: &str,
        revision: Option<u64>,
        change: impl FnOnce(&mut Account) -> Refused,
    ) -> Refused {
        let before = self.accounts.get(name).cloned().ok_or("NOT_FOUND")?;
        if revision.is_some_and(|revision| revision != before.revision) {
            return Err("REVISION_MISMATCH");
        }
        let mut after = before.clone();
        change(&mut after)?;
        if after == before {
            return Ok(());
        }
        after.revision += 1;
        self.accounts.insert(name.to_owned(), after);
        if self.administrators() == 0 {
            self.accounts.insert(name.to_owned(), before);
            return Err("CONFLICT");
        }
        Ok(())
    }

    fn delete_account(&mut self, name: &str, revision: Option<u64>) -> Refused {
        let before = self.accounts.get(name).cloned().ok_or("NOT_FOUND")?;
        if revision.is_some_and(|revision| revision != before.revision) {
            return Err("REVISION_MISMATCH");
        }
        self.accounts.remove(name);
        if self.administrators() == 0 {
            self.accounts.insert(name.to_owned(), before);
            return Err("CONFLICT");
        }
        Ok(())
    }

    fn registry(&mut self, name: &str, revision: Option<u64>) -> Result<&mut Holder, &'static str> {
        let found = self.registries.get_mut(name).ok_or("NAME_UNKNOWN")?;
        if revision.is_some_and(|revision| revision != found.revision) {
            return Err("REVISION_MISMATCH");
        }
        Ok(found)
    }
}

fn word<T>(outcome: Result<T, RegistryError>) -> Result<T, &'static str> {
    outcome.map_err(|error| error.outcome().as_str())
}

fn revision(seen: Seen, latest: Option<u64>) -> Option<u64> {
    match seen {
        Seen::Nothing => None,
        Seen::TheLatest => latest,
        // No revision is 0.
        Seen::AnOldOne => Some(latest.unwrap_or(1) - 1),
    }
}

/// Whoever looks after it all, from the machine itself.
fn ctx() -> Context {
    Context::everyone("model", None)
}

#[expect(clippy::too_many_lines, reason = "one arm for each step")]
async fn step(world: World, model: &mut Model, step: &Step) -> World {
    let (registry, ctx) = (&world.registry, ctx());
    let account_of =
        |model: &Model, name: &str, seen| revision(seen, model.accounts.get(name).map(|a| a.revision));
    let registry_of =
        |model: &Model, name: &str, seen| revision(seen, model.registries.get(name).map(|r| r.revision));
    // A key that is not there has an id all the same.
    let key_of = |model: &Model, name: &str, place: usize| {
        let keys = model.accounts.get(name).map(|account| &account.keys);
        keys.and_then(|keys| keys.get(place)).map_or_else(|| "SKNONE".to_owned(), |(id, _)| id.clone())
    };
    let state = |on| if on { State::Enabled } else { State::Disabled };
    match *step {
        Step::CreateAccount(n) => {
            let name = NAMES[n];
            let expected = if model.accounts.contains_key(name) { Err("CONFLICT") } else { Ok(()) };
            let made = registry.create_account(&ctx, person(name)).await;
            assert_eq!(word(made).map(drop), expected);
            let fresh = Account {
                revision: 1,
                enabled: true,
                instance: None,
                roles: BTreeMap::new(),
                keys: Vec::new(),
            };
            model.accounts.entry(name.to_owned()).or_insert(fresh);
        }
        Step::SetState(n, on, seen) => {
            let (name, revision) = (NAMES[n], account_of(model, NAMES[n], seen));
            let wanted = AccountChange { state: Some(state(on)), email: None };
            let outcome = registry.change_account(&ctx, name, wanted, revision).await;
            let expected = model.change(name, revision, |account| {
                account.enabled = on;
                Ok(())
            });
            assert_eq!(word(outcome).map(drop), expected);
        }
        Step::DeleteAccount(n, seen) => {
            let revision = account_of(model, NAMES[n], seen);
            let outcome = registry.delete_account(&ctx, NAMES[n], revision).await;
            assert_eq!(word(outcome), model.delete_account(NAMES[n], revision));
        }
        Step::CreateKey(n) => {
            let made = word(registry.create_key(&ctx, NAMES[n], NewKey::default()).await);
            let expected = model.change(NAMES[n], None, |account| {
                if account.keys.len() == KEYS_MAX {
                    return Err("CONFLICT");
                }
                account.keys.push((made.as_ref().unwrap().key.id.to_string(), true));
                Ok(())
            });
            assert_eq!(made.map(drop), expected);
        }
        Step::SetKeyState(n, place, on, seen) => {
            let (revision, id) = (account_of(model, NAMES[n], seen), key_of(model, NAMES[n], place));
            let wanted = KeyChange { state: Some(state(on)), ..KeyChange::default() };
            let outcome = registry.change_key(&ctx, NAMES[n], &id, wanted, revision).await;
            let expected = model.change(NAMES[n], revision, |account| {
                account.keys.get_mut(place).ok_or("NOT_FOUND")?.1 = on;
                Ok(())
            });
            assert_eq!(word(outcome).map(drop), expected);
        }
        Step::DeleteKey(n, place, seen) => {
            let (revision, id) = (account_of(model, NAMES[n], seen), key_of(model, NAMES[n], place));
            let outcome = registry.delete_key(&ctx, NAMES[n], &id, revision).await;
            let expected = model.change(NAMES[n], revision, |account| {
                if place >= account.keys.len() {
                    return Err("NOT_FOUND");
                }
                account.keys.remove(place);
                Ok(())
            });
            assert_eq!(word(outcome), expected);
        }
        Step::SetInstanceRole(n, role, seen) => {
            let revision = account_of(model, NAMES[n], seen);
            let outcome = registry.set_role(&ctx, NAMES[n], RoleOn::Instance, ROLES[role], revision).await;
            let expected = model.change(NAMES[n], revision, |account| {
                account.instance = ROLES[role];
                Ok(())
            });
            assert_eq!(word(outcome).map(drop), expected);
        }
        Step::SetRole(n, g, role, seen) => {
            let revision = account_of(model, NAMES[n], seen);
            let on = RoleOn::Registry(REGISTRIES[g].to_owned());
            let outcome = registry.set_role(&ctx, NAMES[n], on, ROLES[role], revision).await;
            let is_there = model.registries.contains_key(REGISTRIES[g]);
            let expected = model.change(NAMES[n], revision, |account| match ROLES[role] {
                Some(_) if !is_there => Err("NAME_UNKNOWN"),
                Some(role) => {
                    account.roles.insert(REGISTRIES[g].to_owned(), role);
                    Ok(())
                }
                None => match account.roles.remove(REGISTRIES[g]) {
                    None if !is_there => Err("NAME_UNKNOWN"),
                    _ => Ok(()),
                },
            });
            assert_eq!(word(outcome).map(drop), expected);
        }
        Step::CreateRegistry(g) => {
            let name = REGISTRIES[g];
            let expected = if model.registries.contains_key(name) { Err("CONFLICT") } else { Ok(()) };
            let made = registry.create_registry(&ctx, NewRegistry::standard(name)).await;
            assert_eq!(word(made).map(drop), expected);
            let fresh = Holder { revision: 1, free: false, has_content: false };
            model.registries.entry(name.to_owned()).or_insert(fresh);
        }
        Step::ChangeRegistry(g, free, seen) => {
            let revision = registry_of(model, REGISTRIES[g], seen);
            let wanted = RegistryChange { anonymous_pull: Some(free), ..RegistryChange::default() };
            let outcome = registry.change_registry(&ctx, REGISTRIES[g], wanted, revision).await;
            let expected = model.registry(REGISTRIES[g], revision).map(|found| {
                found.revision += u64::from(found.free != free);
                found.free = free;
            });
            assert_eq!(word(outcome).map(drop), expected);
        }
        Step::DeleteRegistry(g, force, seen) => {
            let (name, revision) = (REGISTRIES[g], registry_of(model, REGISTRIES[g], seen));
            let outcome = registry.delete_registry(&ctx, name, force, revision).await;
            let holds = model.registries.get(name).is_some_and(|found| found.has_content);
            let expected =
                if holds && !force { Err("CONFLICT") } else { model.registry(name, revision).map(drop) };
            assert_eq!(word(outcome).map(drop), expected);
            if expected.is_ok() {
                model.registries.remove(name);
                for account in model.accounts.values_mut() {
                    account.revision += u64::from(account.roles.remove(name).is_some());
                }
            }
        }
        Step::Push(g) => {
            let name = if REGISTRIES[g] == "default" {
                "busybox".to_owned()
            } else {
                format!("{}/a", REGISTRIES[g])
            };
            let pushed = registry.put_blob(&ctx, &repo(&name), &sha256(b"x"), None, body(b"x")).await;
            let found = model.registries.get_mut(REGISTRIES[g]).ok_or("DENIED");
            assert_eq!(word(pushed).map(drop), found.map(|found| found.has_content = true));
        }
        Step::Reopen => return world.reopened(),
    }
    world
}

/// Everything that the directory says, as the model would.
async fn compare(world: &World, model: &Model) {
    let ctx = ctx();
    let listed = world.registry.accounts(&ctx, None, 100, None).await.unwrap().accounts;
    let snapshot = world.registry.directory();
    let listed: BTreeMap<String, Account> = listed
        .iter()
        .map(|account| {
            for key in &account.keys {
                assert_eq!(*snapshot.key(&key.id).unwrap().account.name, *account.name);
            }
            let account_of = Account {
                revision: account.revision,
                enabled: account.state == State::Enabled,
                instance: account.roles.instance,
                roles: account.roles.registries.clone(),
                keys: account
                    .keys
                    .iter()
                    .map(|key| (key.id.to_string(), key.state == State::Enabled))
                    .collect(),
            };
            (account.name.to_string(), account_of)
        })
        .collect();
    assert_eq!(listed, model.accounts);
    let page = world.registry.registries(&ctx, None, 100, None).await.unwrap();
    let names: Vec<_> = page
        .registries
        .iter()
        .map(|entry| (entry.name.to_string(), entry.revision, entry.anonymous_pull))
        .collect();
    let expected: Vec<_> =
        model.registries.iter().map(|(name, found)| (name.clone(), found.revision, found.free)).collect();
    assert_eq!(names, expected);
    for name in REGISTRIES {
        assert_eq!(
            snapshot.registry(name).map(|entry| entry.revision),
            model.registries.get(name).map(|found| found.revision)
        );
    }
}

#[test]
fn the_directory_is_what_a_plain_model_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 16, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let mut world = world();
            let mut model = Model::default();
            let first = Account {
                revision: 1,
                enabled: true,
                instance: Some(Role::Admin),
                roles: BTreeMap::new(),
                keys: vec![("the-first-key".to_owned(), true)],
            };
            model.accounts.insert(FIRST_ACCOUNT.to_owned(), first);
            for wanted in &steps {
                world = step(world, &mut model, wanted).await;
                compare(&world, &model).await;
            }
        });
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_change_one_thing_at_once() {
    let world = world();
    let (registry, ctx) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    registry.create_account(&ctx, person("anna")).await.unwrap();
    for round in 1..20 {
        let wanted = |text: &str| AccountChange {
            email: Some(Some(format!("{text}{round}@example.org"))),
            state: None,
        };
        let (one, two) = tokio::join!(
            registry.change_account(&ctx, "anna", wanted("one"), Some(round)),
            registry.change_account(&ctx, "anna", wanted("two"), Some(round)),
        );
        let (winner, loser) = if one.is_ok() { (one, two) } else { (two, one) };
        assert_eq!(word(loser).map(drop), Err("REVISION_MISMATCH"));
        let winner = winner.unwrap();
        assert_eq!((winner.revision, registry.account(&ctx, "anna").await.unwrap()), (round + 1, winner));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sixth_key_is_made_by_nobody() {
    let world = world();
    let (registry, ctx) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    let made = futures_util::future::join_all(
        (0..2 * KEYS_MAX).map(|_| registry.create_key(&ctx, FIRST_ACCOUNT, NewKey::default())),
    )
    .await;
    assert_eq!(
        made.iter().filter(|made| made.is_ok()).count(),
        KEYS_MAX - 1,
        "the first one is there already"
    );
    for refused in made.into_iter().filter(Result::is_err) {
        assert_eq!(word(refused).map(drop), Err("CONFLICT"));
    }
    let world = world.reopened();
    assert_eq!(world.registry.directory().account(FIRST_ACCOUNT).unwrap().keys.len(), KEYS_MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_two_administrators_cannot_both_go() {
    let world = world();
    let (registry, ctx) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    for name in ["anna", "bob"] {
        registry.create_account(&ctx, person(name)).await.unwrap();
        registry.create_key(&ctx, name, NewKey::default()).await.unwrap();
    }
    registry.set_role(&ctx, "anna", RoleOn::Instance, Some(Role::Admin), None).await.unwrap();
    registry.delete_account(&ctx, FIRST_ACCOUNT, None).await.unwrap();
    let give = async |name, role| registry.set_role(&ctx, name, RoleOn::Instance, role, None).await;
    for _ in 0..20 {
        for name in ["anna", "bob"] {
            give(name, Some(Role::Admin)).await.unwrap();
        }
        let off = AccountChange { state: Some(State::Disabled), email: None };
        let (one, two) = tokio::join!(give("anna", None), registry.change_account(&ctx, "bob", off, None));
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        let on = AccountChange { state: Some(State::Enabled), email: None };
        registry.change_account(&ctx, "bob", on, None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_and_the_end_of_its_registry() {
    let world = world();
    let (registry, ctx) = (&world.registry, as_account(&world, FIRST_ACCOUNT));
    let (name, content) = (repo("hy/a"), b"some content");
    let digest = sha256(content);
    for round in 0..30 {
        registry.create_registry(&ctx, NewRegistry::standard("hy")).await.unwrap();
        let push = registry.put_blob(&ctx, &name, &digest, None, body(content));
        let force = round % 2 == 0;
        let (pushed, deleted) = tokio::join!(push, registry.delete_registry(&ctx, "hy", force, None));
        match word(deleted) {
            Ok(removed) => {
                assert!(registry.directory().registry("hy").is_none());
                let held = world.engine.view().unwrap().repository(&name).unwrap();
                assert!(held.is_none(), "nothing is left in a registry that is gone: {removed:?}");
                assert!(force || pushed.is_err());
            }
            Err(refused) => {
                assert_eq!((refused, force), ("CONFLICT", false));
                pushed.unwrap();
                registry.delete_registry(&ctx, "hy", true, None).await.unwrap();
            }
        }
    }
    let world = world.reopened_with(accounts());
    assert!(world.registry.directory().registry("hy").is_none());
}
