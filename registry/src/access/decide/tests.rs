//! Every cell of the table of roles, and what may not be learned.

use super::super::{Grants, Narrowing, Role};
use super::*;
use crate::directory::RegistryEntry;
use std::sync::Arc;
use strata_engine::UnixMillis;

const ACTIONS: [Action; 5] = Action::ALL;

/// `hy` and `other` are ordinary, `free` lets everybody pull, `inside` has no public address, `inside-free` both, `mirror` is a cache.
fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for name in ["hy", "other", "free", "inside", "inside-free", "mirror"] {
        snapshot.put_registry(RegistryEntry {
            anonymous_pull: name.ends_with("free"),
            public: !name.starts_with("inside"),
            kind: if name == "mirror" { RegistryKind::Cache } else { RegistryKind::Standard },
            ..RegistryEntry::standard(name, UnixMillis(1))
        });
    }
    snapshot
}

fn repo(name: &str) -> RepositoryName {
    RepositoryName::parse(name).unwrap()
}

fn identity(instance: Option<Role>, registries: &[(&str, Role)]) -> Identity {
    let registries = registries.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect();
    Identity {
        account: "anna".into(),
        key: "SK".into(),
        grants: Arc::new(Grants { instance, registries }),
        narrowing: None,
        access: None,
    }
}

fn account(instance: Option<Role>, registries: &[(&str, Role)]) -> Principal {
    Principal::Account(Arc::new(identity(instance, registries)))
}

fn with_token(identity: Identity, access: &[Access]) -> Principal {
    Principal::Account(Arc::new(Identity { access: Some(access.into()), ..identity }))
}

fn with_key(identity: Identity, pattern: &str, actions: Actions) -> Principal {
    let narrowing = Narrowing { repositories: vec![pattern.to_owned()], actions };
    Principal::Account(Arc::new(Identity { narrowing: Some(Arc::new(narrowing)), ..identity }))
}

/// One letter for each action: allowed, unauthorized, insufficient scope, hidden, denied for a role, for a narrowed key, for a registry that
/// is not there, for a cache.
fn row(who: &Principal, scope: Scope, name: &str) -> String {
    let snapshot = snapshot();
    let letter = |action| match decide(&snapshot, who, scope, action, &repo(name)) {
        Decision::Allowed => 'a',
        Decision::Unauthorized(Challenge { why: None, .. }) => 'u',
        Decision::Unauthorized(_) => 'i',
        Decision::Hidden => 'h',
        Decision::Denied(Denial::Role { .. }) => 'r',
        Decision::Denied(Denial::Narrowed) => 'n',
        Decision::Denied(Denial::NoRegistry(_)) => '-',
        Decision::Denied(Denial::Cache(_)) => 'c',
        Decision::Denied(Denial::Instance(_)) => '?',
    };
    ACTIONS.map(letter).iter().collect()
}

#[track_caller]
fn check(who: &Principal, scope: Scope, name: &str, expected: &str) {
    assert_eq!(row(who, scope, name), expected, "see, pull, push, delete, create tag in {name} for {who:?}");
}

#[test]
fn the_table_of_roles() {
    use Role::{Admin, Uploader, Viewer};
    for (instance, in_hy, expected) in [
        (None, None, "hh-h-"),
        (None, Some(Viewer), "aarrr"),
        (None, Some(Uploader), "ararr"),
        (None, Some(Admin), "aaaaa"),
        (Some(Viewer), None, "aarrr"),
        (Some(Viewer), Some(Viewer), "aarrr"),
        (Some(Viewer), Some(Uploader), "aaarr"),
        (Some(Viewer), Some(Admin), "aaaaa"),
        (Some(Uploader), None, "ararr"),
        (Some(Uploader), Some(Viewer), "aaarr"),
        (Some(Uploader), Some(Uploader), "ararr"),
        (Some(Uploader), Some(Admin), "aaaaa"),
        (Some(Admin), None, "aaaaa"),
        (Some(Admin), Some(Viewer), "aaaaa"),
        (Some(Admin), Some(Uploader), "aaaaa"),
        (Some(Admin), Some(Admin), "aaaaa"),
    ] {
        let roles: Vec<_> = in_hy.iter().map(|role| ("hy", *role)).collect();
        let who = account(instance, &roles);
        for scope in [Scope::Public, Scope::Private] {
            check(&who, scope, "hy/a", expected);
            check(&who, scope, "hy/a/b", expected);
        }
        // A role in one registry is none in another.
        let elsewhere = match instance {
            None => "hh-h-",
            Some(Viewer) => "aarrr",
            Some(Uploader) => "ararr",
            Some(Admin) => "aaaaa",
        };
        check(&who, Scope::Public, "other/a", elsewhere);
    }
}

#[test]
fn in_open_mode_everybody_may_everything_but_what_a_listener_does_not_show() {
    let who = Principal::Everyone;
    for scope in [Scope::Public, Scope::Private] {
        for name in ["hy/a", "free/a", "nothing/a", "busybox"] {
            check(&who, scope, name, "aaaaa");
        }
        check(&who, scope, "mirror/a", "aacac");
    }
    check(&who, Scope::Private, "inside/a", "aaaaa");
    check(&who, Scope::Public, "inside/a", "hh-h-");
}

#[test]
fn strangers_get_what_is_free_and_else_learn_nothing() {
    for token in [false, true] {
        let who = Principal::Anonymous { token };
        for scope in [Scope::Public, Scope::Private] {
            check(&who, scope, "free/a", "aauuu");
            for name in ["hy/a", "mirror/a", "nothing/a"] {
                check(&who, scope, name, "uuuuu");
            }
        }
        check(&who, Scope::Public, "inside-free/a", "uuuuu");
        check(&who, Scope::Private, "inside-free/a", "aauuu");
        check(&who, Scope::Private, "inside/a", "uuuuu");
    }
    // The same words for what is there and what is not.
    let asked = |name| {
        decide(&snapshot(), &Principal::Anonymous { token: false }, Scope::Public, Action::Push, &repo(name))
    };
    let expected = |name| {
        let scopes = vec![Access::repository(name, Actions::PULL.and(Actions::PUSH))];
        Decision::Unauthorized(Challenge { scopes, why: None })
    };
    assert_eq!(asked("hy/a"), expected("hy/a"));
    assert_eq!(asked("nothing/a"), expected("nothing/a"));
}

#[test]
fn everybody_with_an_account_may_pull_what_is_free() {
    check(&account(None, &[]), Scope::Public, "free/a", "aarrr");
    check(&account(None, &[("free", Role::Uploader)]), Scope::Public, "free/a", "aaarr");
    let narrowed = with_key(identity(Some(Role::Admin), &[]), "hy/*", Actions::PUSH);
    check(&narrowed, Scope::Public, "free/a", "aannn");
    let token = with_token(identity(None, &[]), &[]);
    check(&token, Scope::Public, "free/a", "aarrr");
}

#[test]
fn what_has_no_public_address_exists_for_nobody_there() {
    for instance in [None, Some(Role::Viewer), Some(Role::Uploader), Some(Role::Admin)] {
        let who = account(instance, &[("inside", Role::Admin)]);
        check(&who, Scope::Public, "inside/a", "hh-h-");
        check(&who, Scope::Private, "inside/a", "aaaaa");
        // The very answer of a registry that is not there.
        check(&who, Scope::Public, "nothing/a", "hh-h-");
        check(&who, Scope::Private, "nothing/a", "hh-h-");
        let denied = |name| match decide(&snapshot(), &who, Scope::Public, Action::Push, &repo(name)) {
            Decision::Denied(denial) => denial.to_string().replace(repo(name).registry(), "X"),
            other => panic!("{other:?}"),
        };
        assert_eq!(denied("inside/a"), denied("nothing/a"));
    }
}

#[test]
fn nobody_pushes_into_a_cache() {
    check(&account(Some(Role::Admin), &[]), Scope::Public, "mirror/a", "aacac");
    check(&account(None, &[("mirror", Role::Uploader)]), Scope::Public, "mirror/a", "arcrc");
    check(&account(None, &[]), Scope::Public, "mirror/a", "hh-h-");
}

#[test]
fn a_narrowed_key_takes_away_and_never_adds() {
    let admin = || identity(Some(Role::Admin), &[]);
    let viewer = || identity(None, &[("hy", Role::Viewer)]);
    let all = Actions::PULL.and(Actions::PUSH).and(Actions::DELETE);
    for (who, expected) in [
        (with_key(admin(), "hy/*", Actions::PULL), "aannn"),
        (with_key(admin(), "hy/*", Actions::PUSH), "anana"),
        (with_key(admin(), "hy/*", Actions::DELETE), "annan"),
        (with_key(admin(), "hy/*", all), "aaaaa"),
        (with_key(viewer(), "hy/*", all), "aarrr"),
        (with_key(viewer(), "hy/*", Actions::PUSH), "anrrr"),
        (with_key(viewer(), "hy/b", all), "hhnhn"),
        (with_key(admin(), "other/*", all), "hhnhn"),
    ] {
        check(&who, Scope::Public, "hy/a", expected);
    }
    // No other answer where there is nothing at all.
    check(&with_key(admin(), "hy/*", all), Scope::Public, "nothing/a", "hhnhn");
    check(&with_key(admin(), "hy/*", all), Scope::Public, "inside/a", "hhnhn");
}

#[test]
fn a_token_can_do_no_more_than_it_carries_and_no_more_than_its_account() {
    let of = |actions| Access::repository("hy/a", actions);
    let admin = || identity(Some(Role::Admin), &[]);
    let uploader = || identity(None, &[("hy", Role::Uploader)]);
    let both = Actions::PULL.and(Actions::PUSH);
    for (who, expected) in [
        (with_token(admin(), &[]), "iiiii"),
        (with_token(admin(), &[of(Actions::PULL)]), "aaiii"),
        (with_token(admin(), &[of(Actions::PUSH)]), "aiaia"),
        (with_token(admin(), &[of(both)]), "aaaia"),
        (with_token(admin(), &[of(Actions::DELETE)]), "aiiai"),
        (with_token(admin(), &[of(Actions::ALL)]), "aaaaa"),
        (with_token(admin(), &[of(Actions::PULL), of(Actions::PUSH)]), "aaaia"),
        (with_token(admin(), &[Access::repository("hy/b", Actions::ALL)]), "iiiii"),
        (with_token(admin(), &[Access::repository("hy", Actions::ALL)]), "iiiii"),
        (with_token(admin(), &[Access::admin(), Access::catalog()]), "iiiii"),
        // What the account may not, no token can: asking for another would not help.
        (with_token(uploader(), &[of(Actions::ALL)]), "ararr"),
        (with_token(uploader(), &[of(Actions::PULL)]), "arirr"),
        (with_token(uploader(), &[]), "irirr"),
        (with_token(identity(None, &[]), &[of(Actions::ALL)]), "hh-h-"),
    ] {
        check(&who, Scope::Public, "hy/a", expected);
    }
}

#[test]
fn a_challenge_asks_for_what_helps() {
    let challenge =
        |who: &Principal, action| match decide(&snapshot(), who, Scope::Public, action, &repo("hy/a")) {
            Decision::Unauthorized(challenge) => {
                challenge.scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            }
            other => panic!("{other:?}"),
        };
    let stranger = Principal::Anonymous { token: false };
    for (action, expected) in [
        (Action::See, "repository:hy/a:pull"),
        (Action::Pull, "repository:hy/a:pull"),
        (Action::Push, "repository:hy/a:pull,push"),
        (Action::CreateTag, "repository:hy/a:pull,push"),
        (Action::Delete, "repository:hy/a:delete"),
    ] {
        assert_eq!(challenge(&stranger, action), expected);
        assert_eq!(challenge(&with_token(identity(Some(Role::Admin), &[]), &[]), action), expected);
    }
    // An uploader gets no token to pull, but sees with one to push.
    let uploader = with_token(identity(None, &[("hy", Role::Uploader)]), &[]);
    assert_eq!(challenge(&uploader, Action::See), "repository:hy/a:pull,push");
}

#[test]
fn a_token_gets_what_was_asked_for_and_is_allowed() {
    let granted = |who: &Principal, asked| grantable(&snapshot(), who, Scope::Public, &asked).to_string();
    let all = Actions::ALL;
    for (who, expected) in [
        (account(Some(Role::Admin), &[]), "pull,push,delete"),
        (account(None, &[("hy", Role::Viewer)]), "pull"),
        (account(None, &[("hy", Role::Uploader)]), "push"),
        (account(None, &[]), ""),
        (Principal::Anonymous { token: false }, ""),
        (with_key(identity(Some(Role::Admin), &[]), "hy/*", Actions::PULL), "pull"),
    ] {
        assert_eq!(granted(&who, Access::repository("hy/a", all)), expected, "{who:?}");
        assert_eq!(granted(&who, Access::repository("nothing/a", all)), "");
        assert_eq!(granted(&who, Access::repository("../hy/a", all)), "");
        assert_eq!(granted(&who, Access::repository("hy/a", Actions::NONE)), "");
        assert_eq!(granted(&who, Access::catalog()), "*");
        let is_whole = matches!(&who, Principal::Account(identity) if identity.narrowing.is_none());
        assert_eq!(granted(&who, Access::admin()), if is_whole { "*" } else { "" });
    }
    assert_eq!(granted(&Principal::Anonymous { token: false }, Access::repository("free/a", all)), "pull");
    let asked = Access { kind: AccessKind::Registry, name: "other".into(), actions: all };
    assert_eq!(granted(&account(Some(Role::Admin), &[]), asked), "");
}

#[test]
fn lists_show_what_may_be_seen() {
    let seen = |who: &Principal, scope| {
        let names = ["hy/a", "hy/b", "other/a", "free/a", "inside/a", "mirror/a", "nothing/a"];
        let snapshot = snapshot();
        names
            .into_iter()
            .filter(|name| is_visible(&snapshot, who, scope, &repo(name)))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let admin = || identity(Some(Role::Admin), &[]);
    for (who, public, private) in [
        (
            Principal::Everyone,
            "hy/a hy/b other/a free/a mirror/a nothing/a",
            "hy/a hy/b other/a free/a inside/a mirror/a nothing/a",
        ),
        (Principal::Anonymous { token: false }, "free/a", "free/a"),
        (account(None, &[]), "free/a", "free/a"),
        (account(None, &[("hy", Role::Uploader)]), "hy/a hy/b free/a", "hy/a hy/b free/a"),
        (
            account(Some(Role::Viewer), &[]),
            "hy/a hy/b other/a free/a mirror/a",
            "hy/a hy/b other/a free/a inside/a mirror/a",
        ),
        (with_key(admin(), "hy/a", Actions::DELETE), "hy/a free/a", "hy/a free/a"),
        // A token for the catalog need not name each repository.
        (
            with_token(admin(), &[Access::catalog()]),
            "hy/a hy/b other/a free/a mirror/a",
            "hy/a hy/b other/a free/a inside/a mirror/a",
        ),
    ] {
        assert_eq!(seen(&who, Scope::Public), public, "{who:?}");
        assert_eq!(seen(&who, Scope::Private), private, "{who:?}");
    }
}

#[test]
fn the_instance() {
    let row = |who: &Principal, is_here| {
        let letter = |action| match decide_instance(who, is_here, action) {
            Decision::Allowed => 'a',
            Decision::Unauthorized(Challenge { why: None, .. }) => 'u',
            Decision::Unauthorized(_) => 'i',
            Decision::Hidden => 'h',
            Decision::Denied(_) => 'd',
        };
        InstanceAction::ALL.map(letter).iter().collect::<String>()
    };
    assert_eq!(row(&Principal::Everyone, true), "aaaaa");
    assert_eq!(row(&Principal::Everyone, false), "aaahh");
    let admin = || identity(Some(Role::Admin), &[]);
    let viewer = || identity(Some(Role::Viewer), &[]);
    for is_here in [false, true] {
        for (who, expected) in [
            (Principal::Anonymous { token: false }, "uuuuu"),
            (Principal::Anonymous { token: true }, "aauuu"),
            (account(None, &[]), "aaddd"),
            (account(None, &[("hy", Role::Admin)]), "aaddd"),
            (account(Some(Role::Uploader), &[]), "aaddd"),
            (account(Some(Role::Viewer), &[]), "aaadd"),
            (account(Some(Role::Admin), &[]), "aaaaa"),
            (with_key(admin(), "**", Actions::PULL.and(Actions::PUSH)), "aaddd"),
            (with_token(admin(), &[]), "aiiii"),
            (with_token(admin(), &[Access::catalog()]), "aaiii"),
            (with_token(admin(), &[Access::admin()]), "aaaaa"),
            (with_token(viewer(), &[Access::admin()]), "aaadd"),
        ] {
            assert_eq!(row(&who, is_here), expected, "{who:?}");
        }
    }
}
