//! The first start with accounts: an administrator whose key reaches its operator once, and strangers who get nothing.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use strata_harness::{registry, wait};

const SECRET: &str = "a-secret-that-somebody-chose-and-is-long";

#[test]
fn the_key_is_shown_once_and_kept_where_only_its_owner_reads_it() {
    let mut registry = registry!().env("STRATA_AUTH_MODE", "accounts").start();
    let kept = registry.data().join("admin.key");
    let text = fs::read_to_string(&kept).expect("the key is kept");
    assert_eq!(fs::metadata(&kept).expect("it is there").permissions().mode() & 0o777, 0o600);
    let values: Vec<&str> =
        text.lines().filter_map(|line| line.split_once('=')).map(|(_, value)| value).collect();
    let [id, secret] = values[..] else { panic!("two lines: {text}") };
    assert!(id.starts_with("SK") && secret.starts_with("strata_") && secret.len() == 50, "{id}");
    wait::until("the key is printed", wait::SOON, || {
        let output = registry.process().output().join("\n");
        (output.contains(id) && output.contains(secret)).then_some(())
    });
    assert!(!registry.log().contains(secret), "it is no line of the log");
    // What anybody could do in open mode is refused, and says the same of what is there and what is not.
    let endpoint = registry.endpoint();
    for target in ["/v2/hy/a/manifests/latest", "/v2/hy/a/tags/list", "/v2/_catalog", "/api/v1/status"] {
        assert_eq!(endpoint.get(target).status, 401, "{target}");
    }
    registry.restart();
    assert!(!registry.process().output().join("\n").contains(secret));
    assert_eq!(fs::read_to_string(&kept).expect("it is there still"), text);
    registry.stop();
    registry.expect_sound();
}

#[test]
fn a_key_can_be_given_and_is_kept_nowhere() {
    let given = |id: &str, secret: &str| {
        let accounts = registry!().env("STRATA_AUTH_MODE", "accounts");
        accounts.env("STRATA_ADMIN_KEY_ID", id).env("STRATA_ADMIN_KEY_SECRET", secret)
    };
    let registry = given("the-key", SECRET).start();
    assert!(!registry.data().join("admin.key").exists());
    let output = registry.process().output().join("\n");
    assert!(!output.contains(SECRET) && !registry.log().contains(SECRET));
    for (id, secret, why) in [
        ("the-key", "", "or neither"),
        ("the-key", "short", "32 to 256"),
        ("the:key", SECRET, "the id of a key"),
    ] {
        let (status, log) = given(id, secret).start_refused();
        assert!(!status.success() && log.contains(why), "{log}");
        assert!(secret.is_empty() || !log.contains(secret), "{log}");
    }
}

#[test]
fn a_key_that_cannot_be_kept_is_not_made() {
    let directory = tempfile::tempdir().expect("a directory");
    let kept = directory.path().join("admin.key");
    registry!().data(directory.path()).start().stop();
    fs::write(&kept, "something else").expect("it can be written");
    let accounts = || registry!().env("STRATA_AUTH_MODE", "accounts").data(directory.path());
    let (status, log) = accounts().start_refused();
    assert!(!status.success() && log.contains("admin.key is there already"), "{log}");
    // A key that others can read is not taken either.
    fs::write(&kept, LEFT).expect("it can be written");
    let (status, log) = accounts().start_refused();
    assert!(!status.success() && log.contains("others than its owner may read it"), "{log}");
    fs::write(&kept, "something else").expect("it can be written");
    assert_eq!(fs::read_to_string(&kept).expect("it is there"), "something else");
    fs::remove_file(&kept).expect("it can be removed");
    let registry = accounts().start();
    assert!(fs::read_to_string(&kept).expect("the key is kept").contains("strata_"));
    drop(registry);
}

/// What a start leaves that was ended when the key was written and the account was not.
const LEFT: &str = "STRATA_KEY_ID=SKABCDEFGHIJKLMNOPQR\nSTRATA_KEY_SECRET=strata_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG\n";

#[test]
fn a_first_start_that_was_cut_short_is_gone_on_with() {
    // Where it ended: before the file had anything in it, in the middle of it, and behind it.
    for end in [0, 5, LEFT.len() - 1, LEFT.len()] {
        let directory = tempfile::tempdir().expect("a directory");
        registry!().data(directory.path()).start().stop();
        let kept = directory.path().join("admin.key");
        fs::write(&kept, &LEFT[..end]).expect("it can be written");
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o600)).expect("it can be changed");
        let mut registry = registry!().env("STRATA_AUTH_MODE", "accounts").data(directory.path()).start();
        let text = fs::read_to_string(&kept).expect("the key is kept");
        assert_eq!(text == LEFT, end == LEFT.len(), "a whole key is taken, a torn one is replaced: {text}");
        assert_eq!(fs::metadata(&kept).expect("it is there").permissions().mode() & 0o777, 0o600);
        let values: Vec<&str> =
            text.lines().filter_map(|line| line.split_once('=')).map(|(_, value)| value).collect();
        let [id, secret] = values[..] else { panic!("two lines: {text}") };
        for _ in 0..2 {
            registry.endpoint().with_key(id, secret).get("/v2/").expect(200);
            assert_eq!(registry.endpoint().with_key(id, "wrong").get("/v2/").status, 401);
            registry.restart();
        }
        assert_eq!(fs::read_to_string(&kept).expect("it is there still"), text);
        registry.stop();
    }
}

#[test]
fn nobody_else_on_the_machine_reads_the_store() {
    let mut registry = registry!().env("STRATA_AUTH_MODE", "accounts").start();
    let data = registry.data().clone();
    let mut folders = vec![data.clone()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the store") {
            let path = entry.expect("an entry").path();
            let found = fs::symlink_metadata(&path).expect("it is there");
            assert_eq!(found.permissions().mode() & 0o077, 0, "{}", path.display());
            seen += 1;
            if found.is_dir() {
                folders.push(path);
            }
        }
    }
    assert!(seen > 5, "a store has more in it");
    // What an older version made for everybody is closed at the next start.
    registry.stop();
    let meta = data.join("meta");
    fs::set_permissions(&meta, fs::Permissions::from_mode(0o755)).expect("it is ours");
    registry.start();
    assert_eq!(fs::metadata(&meta).expect("it is there").permissions().mode() & 0o777, 0o700);
}
