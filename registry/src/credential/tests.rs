//! Who is let in, and that every change of an account, a key or a role counts from the very next request on.

use super::*;
use crate::access::{Access, Actions, Grants, Narrowing, Reading, Role};
use crate::config::AuthMode;
use crate::context::{Context, Principal, Scope};
use crate::directory::{Account, AccountKind, Key, RegistryEntry, Snapshot, State};
use crate::error::RegistryError;
use crate::registry::Registry;
use crate::token::scope_text;
use std::net::IpAddr;
use std::sync::Arc;
use strata_engine::UnixMillis;
use strata_types::RepositoryName;
use tempfile::TempDir;

const KEY: &str = "SKAAAAAAAAAAAAAAAAAA";
const SECRET: &str = "strata_secret";

/// A registry with accounts: `ann`, who is a viewer in `hy` by [`KEY`]; `free`, which is for everybody.
struct World {
    registry: Registry,
    directory: TempDir,
    id: Arc<str>,
}

fn config() -> crate::config::RegistryConfig {
    let mut config = crate::config::RegistryConfig::default();
    config.auth.mode = AuthMode::Accounts;
    config
}

fn ann() -> Account {
    let registries = [("hy".to_owned(), Role::Viewer)].into();
    Account {
        name: "ann".into(),
        kind: AccountKind::Robot,
        email: None,
        state: State::Enabled,
        created_at: UnixMillis(1),
        created_by: String::new(),
        revision: 1,
        roles: Arc::new(Grants { instance: None, registries }),
        keys: vec![Key {
            id: KEY.into(),
            hash: hash_secret(&Secret::new(SECRET)).unwrap(),
            refresh_secret: [7; 32],
            state: State::Enabled,
            created_at: UnixMillis(1),
            expires_at: None,
            description: String::new(),
            narrowing: None,
        }],
    }
}

fn snapshot(ann: Option<Account>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for name in ["hy", "free"] {
        let standard = RegistryEntry::standard(name, UnixMillis(1));
        snapshot.put_registry(RegistryEntry { anonymous_pull: name == "free", ..standard });
    }
    if let Some(ann) = ann {
        snapshot.put_account(ann);
    }
    snapshot
}

impl World {
    fn new() -> Self {
        let (registry, directory) = crate::registry::tests::with(config());
        crate::registry::tests::set_directory(&registry, snapshot(Some(ann())));
        Self { registry, directory, id: "request".into() }
    }

    /// The directory as it is after a change of `ann`.
    fn change(&self, change: impl FnOnce(&mut Account)) {
        let mut ann = Account::clone(self.registry.directory().account("ann").unwrap());
        change(&mut ann);
        crate::registry::tests::set_directory(&self.registry, snapshot(Some(ann)));
    }

    async fn ask(&self, credentials: Credentials<'_>) -> Result<Principal> {
        self.registry.authenticate(credentials, Some(IpAddr::from([192, 0, 2, 1])), &self.id).await
    }

    async fn ask_key(&self) -> Result<Principal> {
        self.ask(Credentials::Basic { id: KEY, secret: SECRET }).await
    }

    async fn ask_refresh(&self, text: &str) -> Result<Principal> {
        self.registry.authenticate_refresh(text, Some(IpAddr::from([192, 0, 2, 2])), &self.id).await
    }

    fn context(&self, principal: Principal) -> Context {
        Context { principal, request_id: Arc::clone(&self.id), remote: None, scope: Scope::Private }
    }

    /// A token and a refresh token for `ann`.
    async fn token(&self, scopes: &[Access]) -> (String, String) {
        let context = self.context(self.ask_key().await.unwrap());
        let issued = self.registry.issue_token(&context, scopes.to_vec(), true).unwrap();
        (issued.token.expose().to_owned(), issued.refresh.unwrap().expose().to_owned())
    }

    fn may(&self, who: &Principal, how: Reading, repository: &str) -> bool {
        self.registry.permits(who, Scope::Private, how, &RepositoryName::parse(repository).unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.registry.engine().close();
        assert!(self.directory.path().exists());
    }
}

fn pull(name: &str) -> Access {
    Access::repository(name, Actions::PULL)
}

#[track_caller]
fn assert_refused(outcome: Result<Principal>) {
    match outcome {
        Err(RegistryError::Unauthorized { challenge }) => {
            assert!(challenge.scopes.is_empty() && challenge.why.is_some(), "{challenge:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_kind_of_credentials_says_who_it_is() {
    let world = World::new();
    assert_eq!(world.ask(Credentials::None).await.unwrap(), Principal::Anonymous { token: false });
    assert_refused(world.ask(Credentials::Unreadable).await);
    let Principal::Account(by_key) = world.ask_key().await.unwrap() else { panic!("an account") };
    assert_eq!((&*by_key.account, &*by_key.key, &by_key.access), ("ann", KEY, &None));
    let (token, refresh) = world.token(&[pull("hy/a"), pull("other/a")]).await;
    assert_eq!(world.registry.recall(Credentials::Bearer(&token)), None, "nothing of it was verified yet");
    let by_token = world.ask(Credentials::Bearer(&token)).await.unwrap();
    let Principal::Account(identity) = &by_token else { panic!("an account") };
    assert_eq!(scope_text(identity.access.as_ref().unwrap()), "repository:hy/a:pull", "what is allowed");
    assert_eq!(world.registry.recall(Credentials::Bearer(&token)), Some(by_token));
    let Principal::Account(by_refresh) = world.ask_refresh(&refresh).await.unwrap() else {
        panic!("an account")
    };
    assert_eq!(by_refresh, by_key);
    for wrong in [
        Credentials::Basic { id: KEY, secret: "wrong" },
        Credentials::Basic { id: "SKBBBBBBBBBBBBBBBBBB", secret: SECRET },
        Credentials::Basic { id: "ann", secret: SECRET },
        Credentials::Bearer(&refresh),
        Credentials::Bearer("x"),
    ] {
        assert_eq!(world.registry.recall(wrong), None);
        assert_refused(world.ask(wrong).await);
    }
    assert_refused(world.ask_refresh(&token).await);
}

#[tokio::test]
async fn a_key_that_is_known_is_hashed_once() {
    let world = World::new();
    for _ in 0..5 {
        world.ask_key().await.unwrap();
    }
    assert_eq!(world.registry.gate().unwrap().hashes(), 1);
    let known = world.registry.recall(Credentials::Basic { id: KEY, secret: SECRET });
    assert!(matches!(known, Some(Principal::Account(_))));
}

#[tokio::test]
async fn a_change_of_key_or_account_counts_from_the_next_request_on() {
    type Change = fn(&mut Account);
    let changes: [(&str, Change); 6] = [
        ("key disabled", |ann| ann.keys[0].state = State::Disabled),
        ("key expired", |ann| ann.keys[0].expires_at = Some(UnixMillis(2))),
        ("key deleted", |ann| ann.keys.clear()),
        ("account disabled", |ann| ann.state = State::Disabled),
        ("key of another account", |ann| ann.name = "bob".into()),
        ("another secret", |ann| {
            ann.keys[0].hash = hash_secret(&Secret::new("other")).unwrap();
            ann.keys[0].refresh_secret = [8; 32];
            ann.keys[0].id = "SKCCCCCCCCCCCCCCCCCC".into();
        }),
    ];
    for (name, change) in changes {
        let world = World::new();
        let (token, refresh) = world.token(&[pull("hy/a")]).await;
        world.ask(Credentials::Bearer(&token)).await.unwrap();
        world.change(change);
        assert_eq!(world.registry.recall(Credentials::Bearer(&token)), None, "{name}");
        assert_refused(world.ask(Credentials::Bearer(&token)).await);
        if name != "key of another account" {
            assert_eq!(world.registry.recall(Credentials::Basic { id: KEY, secret: SECRET }), None, "{name}");
            assert_refused(world.ask_key().await);
            assert_refused(world.ask_refresh(&refresh).await);
        }
        // And back again, for what has not been forgotten: the token is good until its end.
        crate::registry::tests::set_directory(&world.registry, snapshot(Some(ann())));
        world.ask(Credentials::Bearer(&token)).await.unwrap();
        world.ask_refresh(&refresh).await.unwrap();
    }
}

#[tokio::test]
async fn a_change_of_roles_counts_from_the_next_request_on() {
    let world = World::new();
    let (token, _) = world.token(&[pull("hy/a"), pull("free/a")]).await;
    let (by_token, by_key) = (Credentials::Bearer(&token), Credentials::Basic { id: KEY, secret: SECRET });
    world.ask(by_token).await.unwrap();
    let may = |credentials, how, name| world.may(&world.registry.recall(credentials).unwrap(), how, name);
    for credentials in [by_token, by_key] {
        assert!(may(credentials, Reading::Get, "hy/a"));
    }
    assert!(
        may(by_key, Reading::Get, "hy/b") && !may(by_token, Reading::Get, "hy/b"),
        "a token is an upper bound"
    );
    world.change(|ann| ann.roles = Arc::default());
    for credentials in [by_token, by_key] {
        assert!(!may(credentials, Reading::Head, "hy/a") && !may(credentials, Reading::Get, "hy/a"));
        assert!(may(credentials, Reading::Get, "free/a"), "what is for everybody");
    }
    let uploader = Grants { instance: Some(Role::Uploader), ..Grants::default() };
    world.change(|ann| ann.roles = Arc::new(uploader));
    for credentials in [by_token, by_key] {
        assert!(may(credentials, Reading::Head, "hy/a") && !may(credentials, Reading::Get, "hy/a"));
    }
    world.change(|ann| {
        let narrowing = Narrowing { repositories: vec!["x/*".into()], actions: Actions::PULL };
        ann.keys[0].narrowing = Some(Arc::new(narrowing));
    });
    for credentials in [by_token, by_key] {
        assert!(!may(credentials, Reading::Head, "hy/a"));
    }
    // What is for everybody can stop being so, for strangers as well.
    let stranger = world.registry.recall(Credentials::None).unwrap();
    assert!(world.may(&stranger, Reading::Get, "free/a"));
    let mut closed = snapshot(Some(ann()));
    closed.put_registry(RegistryEntry::standard("free", UnixMillis(1)));
    crate::registry::tests::set_directory(&world.registry, closed);
    assert!(!world.may(&stranger, Reading::Get, "free/a"));
    assert!(!may(by_token, Reading::Get, "free/a"));
}

#[tokio::test]
async fn a_token_carries_what_was_asked_for_and_is_allowed() {
    let world = World::new();
    let all = Actions::PULL.and(Actions::PUSH).and(Actions::DELETE);
    let asked = vec![
        Access::repository("hy/a", all),
        Access::repository("free/a", all),
        Access::repository("none/a", all),
        Access::catalog(),
        Access::admin(),
    ];
    let give = |who| world.registry.issue_token(&world.context(who), asked.clone(), true).unwrap();
    let issued = give(world.ask_key().await.unwrap());
    // The scope of administrators lets nobody do more than his roles do.
    let granted = "repository:hy/a:pull repository:free/a:pull registry:catalog:* registry:admin:*";
    assert_eq!(scope_text(&issued.granted), granted);
    let anonymous = give(Principal::Anonymous { token: false });
    assert_eq!(scope_text(&anonymous.granted), "repository:free/a:pull registry:catalog:*");
    assert_eq!(anonymous.refresh, None);
    let who = world.ask(Credentials::Bearer(anonymous.token.expose())).await.unwrap();
    assert_eq!(who, Principal::Anonymous { token: true });
    // A token is not worth another one.
    let with_token = world.ask(Credentials::Bearer(issued.token.expose())).await.unwrap();
    let refused = world.registry.issue_token(&world.context(with_token), vec![], true);
    assert!(matches!(refused, Err(RegistryError::Denied { .. })));
    let shown = format!("{issued:?}");
    assert!(!shown.contains(issued.token.expose()) && !shown.contains(issued.refresh.unwrap().expose()));
}

#[tokio::test]
async fn signing_keys_are_kept_and_rotated() {
    let world = World::new();
    let (before, refresh) = world.token(&[pull("hy/a")]).await;
    world.change(|ann| ann.roles = Arc::new(Grants { instance: Some(Role::Admin), ..Grants::default() }));
    let admin = world.context(world.ask_key().await.unwrap());
    let first = world.registry.signing_keys(&admin).await.unwrap();
    let new = world.registry.rotate_signing_key(&admin).await.unwrap();
    let both = world.registry.signing_keys(&admin).await.unwrap();
    assert_eq!((first.len(), both.len()), (1, 2));
    assert_eq!((&both[0], &both[1].id), (&new, &first[0].id));
    assert!(both[0].retired_at.is_none() && both[1].retired_at.is_some());
    let (after, _) = world.token(&[pull("hy/a")]).await;
    for token in [&before, &after] {
        world.ask(Credentials::Bearer(token)).await.unwrap();
    }
    world.ask_refresh(&refresh).await.unwrap();
    for who in [Principal::Anonymous { token: true }, Principal::Anonymous { token: false }] {
        assert!(world.registry.rotate_signing_key(&world.context(who)).await.is_err());
    }
    // Another registry on the same store has the same keys, and neither is lost by two rotations at once.
    let again = Registry::open(world.registry.engine().clone(), config()).unwrap();
    crate::registry::tests::set_directory(&again, snapshot(Some(ann())));
    again.authenticate(Credentials::Bearer(&before), None, &world.id).await.unwrap();
    let (one, two) =
        tokio::join!(world.registry.rotate_signing_key(&admin), world.registry.rotate_signing_key(&admin));
    let (one, two) = (one.unwrap(), two.unwrap());
    let keys = world.registry.signing_keys(&admin).await.unwrap();
    assert_eq!(keys.len(), 4);
    assert_eq!(keys.iter().filter(|key| key.retired_at.is_none()).count(), 1);
    assert!([&one.id, &two.id].iter().all(|id| keys.iter().any(|key| key.id == **id)));
}

#[tokio::test]
async fn failures_are_noted_and_name_no_secret() {
    let world = World::new();
    assert_refused(world.ask(Credentials::Basic { id: KEY, secret: "wrong-secret" }).await);
    assert_refused(world.ask(Credentials::Basic { id: "typed-secret", secret: KEY }).await);
    assert_refused(world.ask_refresh("strata_refresh_AAAA").await);
    let details = async {
        loop {
            let events = world.registry.view().unwrap().events(0, 100).unwrap();
            let details: Vec<String> =
                events.iter().map(|(_, event)| String::from_utf8_lossy(&event.detail).into_owned()).collect();
            if details.len() == 3 {
                return details;
            }
            tokio::task::yield_now().await;
        }
    };
    let details = tokio::time::timeout(Duration::from_secs(30), details).await.expect("three notes");
    let all = details.join("\n");
    assert!(all.contains(KEY) && all.contains("192.0.2.1") && all.contains("\"action\":\"login\""), "{all}");
    assert!(!all.contains("wrong-secret") && !all.contains("typed-secret"), "{all}");
}

#[tokio::test]
async fn in_open_mode_nobody_is_asked() {
    let (registry, _directory) = crate::registry::tests::empty();
    for credentials in [
        Credentials::None,
        Credentials::Unreadable,
        Credentials::Bearer("x"),
        Credentials::Basic { id: "a", secret: "b" },
    ] {
        let who = registry.authenticate(credentials, None, &"id".into()).await.unwrap();
        assert_eq!(who, Principal::Everyone);
        assert_eq!(registry.recall(credentials), Some(Principal::Everyone));
    }
    assert_eq!(registry.service(), None);
    registry.engine().close();
}
