//! Accounts, keys, roles, registries and signing keys by command, at a server with accounts: each command for people and for scripts, what is
//! asked before something goes, two administrators at once, and what those hear who may not.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::{Value, json};
use strata_harness::operator::url;
use strata_harness::{ADMIN, Image, TestRegistry, User, registry, user};

/// Somebody who has logged in as the administrator.
#[track_caller]
fn admin(registry: &TestRegistry) -> User {
    let user = user!();
    user.login(registry, ADMIN).expect(0);
    user
}

/// A new account, and somebody who has logged in with a key of it.
#[track_caller]
fn person(registry: &TestRegistry, admin: &User, name: &str) -> User {
    admin.text(&["account", "create", name]);
    let key = admin.json(&["key", "create", "--account", name]);
    let user = user!();
    user.login(registry, (text(&key["id"]), text(&key["secret"]))).expect(0);
    user
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The line of a table that begins with a word.
#[track_caller]
fn line<'t>(table: &'t str, first: &str) -> Vec<&'t str> {
    let found = table.lines().map(words).find(|words| words.first() == Some(&first));
    found.unwrap_or_else(|| panic!("no line {first} in\n{table}"))
}

#[test]
fn accounts_are_made_shown_changed_and_deleted() {
    let registry = registry!().accounts().start();
    let admin = admin(&registry);
    assert_eq!(
        admin.text(&["account", "create", "ann", "--email", "ann@example.org"]),
        "made the account ann\n"
    );
    let made = admin.json(&["account", "create", "ci", "--robot"]);
    assert_eq!(
        (&made["name"], &made["kind"], &made["created_by"]),
        (&"ci".into(), &"robot".into(), &"admin".into())
    );
    let table = admin.text(&["account", "list"]);
    assert_eq!(line(&table, "NAME")[..3], ["NAME", "KIND", "STATE"]);
    assert_eq!(line(&table, "ann")[..3], ["ann", "person", "enabled"]);
    assert_eq!(line(&table, "ci")[..3], ["ci", "robot", "enabled"]);
    assert_eq!(line(&table, "admin")[..4], ["admin", "person", "enabled", "admin"]);
    let found = admin.json(&["account", "list", "--search", "example.org"]);
    assert_eq!(found["accounts"].as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(admin.text(&["account", "list", "--search", "nobody"]), "no accounts were found\n");
    assert!(admin.text(&["account", "show"]).contains("admin"), "oneself, where nobody is named");
    let shown = admin.json(&["account", "show", "ann"]);
    let revision = shown["revision"].to_string();

    let changed =
        admin.text(&["account", "change", "ann", "--email", "", "--disable", "--revision", &revision]);
    assert!(changed.contains("disabled") && !changed.contains("example.org"), "{changed}");
    let told = admin.refused(1, &["account", "change", "ann", "--enable", "--revision", &revision]);
    for part in ["REVISION_MISMATCH", "status 412", "changed it meanwhile"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(admin.json(&["account", "change", "ann", "--enable"])["state"], "enabled");
    admin.refused(2, &["account", "change", "ann"]);
    admin.refused(2, &["account", "change", "ann", "--enable", "--disable"]);
    let told = admin.refused(1, &["account", "create", "ann"]);
    assert!(told.contains("CONFLICT") && told.contains("ann"), "{told}");

    let told = admin.refused(2, &["account", "delete", "ann"]);
    assert!(told.contains("delete the account ann") && told.contains("--yes"), "{told}");
    admin.refused(1, &["account", "delete", "ann", "--yes", "--revision", &revision]);
    assert_eq!(admin.json(&["account", "delete", "ann", "--yes"]), json!({"deleted": "ann"}));
    assert_eq!(admin.text(&["account", "delete", "ci", "--yes"]), "deleted the account ci\n");
    let told = admin.refused(1, &["account", "show", "ann"]);
    assert!(told.contains("there is no account ann (NOT_FOUND, status 404)"), "{told}");
    // The last administrator stays.
    admin.refused(1, &["account", "change", "admin", "--disable"]);
    // What can be no name leads nowhere.
    for name in ["..", ".", "a/b", "a?b", "a%2Fb", "a b", "", "\u{1b}[2J"] {
        admin.refused(1, &["account", "show", name]);
        admin.refused(1, &["account", "create", name]);
    }
}

#[test]
fn keys_are_made_listed_disabled_and_deleted() {
    let registry = registry!().accounts().start();
    let admin = admin(&registry);
    let ann = person(&registry, &admin, "ann");
    // Her own, where no account is named.
    let made = ann.run(&["key", "create", "--description", "of the laptop", "--expires", "30d"]).expect(0);
    let (id, secret) = (line(&made.out, "id:")[1].to_owned(), line(&made.out, "secret:")[1].to_owned());
    assert!(made.err.contains("shown this once") && !made.err.contains(&secret), "{}", made.err);
    let table = ann.text(&["key", "list"]);
    assert_eq!(line(&table, &id)[1], "enabled");
    assert!(
        table.contains("of the laptop") && table.contains("0 days") && !table.contains("older than"),
        "{table}"
    );
    let listed = admin.json(&["key", "list", "--account", "ann"]);
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(2));
    let made_at = listed["keys"][1]["created_at_millis"].as_u64().expect("a time");
    let ends_at = listed["keys"][1]["expires_at_millis"].as_u64().expect("a time");
    assert!((ends_at - made_at).abs_diff(30 * 24 * 3_600_000) < 600_000);
    assert!(!listed.to_string().contains(&secret), "it is told once");

    let other = user!();
    other.login(&registry, (&id, &secret)).expect(0);
    assert_eq!(
        admin.text(&["key", "disable", &id, "--account", "ann"]),
        format!("the key {id} is disabled\n")
    );
    let told = other.refused(1, &["account", "show"]);
    assert!(told.contains("UNAUTHORIZED") && told.contains("strata login"), "{told}");
    assert_eq!(ann.json(&["key", "enable", &id])["state"], "enabled");
    other.text(&["account", "show"]);
    ann.refused(2, &["key", "delete", &id]);
    assert_eq!(ann.text(&["key", "delete", &id, "--yes"]), format!("deleted the key {id}\n"));
    other.refused(1, &["account", "show"]);
    ann.refused(1, &["key", "delete", &id, "--yes"]);

    for _ in 0..4 {
        ann.json(&["key", "create"]);
    }
    let told = ann.refused(1, &["key", "create"]);
    assert!(told.contains("CONFLICT") && told.contains('5'), "{told}");
    ann.refused(2, &["key", "create", "--expires", "soon"]);
    ann.refused(1, &["key", "create", "--expires", "2020-01-01"]);
    let told = admin.refused(1, &["key", "create", "--account", "nobody"]);
    assert!(told.contains("nobody"), "{told}");
}

#[test]
fn keys_of_robots_are_narrowed() {
    let registry = registry!().accounts().start();
    let admin = admin(&registry);
    admin.text(&["registry", "create", "hy", "--server", &url(&registry)]);
    admin.text(&["account", "create", "ci", "--robot"]);
    admin.text(&["role", "grant", "ci", "admin", "--registry", "hy"]);
    let narrowing = ["--repository", "hy/app-*", "--repository", "hy/lib", "--action", "push"];
    let key = admin.json(&[&["key", "create", "--account", "ci"], &narrowing[..]].concat());
    assert_eq!(key["narrowing"], json!({"repositories": ["hy/app-*", "hy/lib"], "actions": ["push"]}));
    let robot = registry.endpoint().with_key(text(&key["id"]), text(&key["secret"]));
    robot.repository("hy/app-1").push_image("v1", &Image::small(1));
    let digest = strata_harness::sha256(b"x");
    robot.send(&robot.repository("hy/other").post_blob(&digest, &"x".into())).expect_error(403, "DENIED");
    let table = admin.text(&["key", "list", "--account", "ci"]);
    assert!(table.contains("push of hy/app-* hy/lib"), "{table}");
    // What is not said is everything.
    let key = admin.json(&["key", "create", "--account", "ci", "--action", "pull", "--action", "delete"]);
    assert_eq!(key["narrowing"], json!({"repositories": ["**"], "actions": ["pull", "delete"]}));
    let key = admin.json(&["key", "create", "--account", "ci", "--repository", "hy/**"]);
    assert_eq!(key["narrowing"]["actions"], json!(["pull", "push", "delete"]));
    admin.refused(2, &["key", "create", "--account", "ci", "--action", "fly"]);
    let told = admin.refused(1, &["key", "create", "--action", "pull"]);
    assert!(told.contains("only keys of robots"), "{told}");
}

#[test]
fn roles_are_granted_listed_and_revoked() {
    let registry = registry!().accounts().start();
    let admin = admin(&registry);
    let ann = person(&registry, &admin, "ann");
    let server = url(&registry);
    admin.text(&["registry", "create", "hy", "--server", &server]);
    assert!(ann.refused(1, &["registry", "show", "hy", "--server", &server]).contains("status 404"));
    let granted = admin.text(&["role", "grant", "ann", "viewer", "--registry", "hy"]);
    assert_eq!(granted, "ann is viewer in hy\n");
    ann.text(&["registry", "show", "hy", "--server", &server]);
    let granted = admin.json(&["role", "grant", "ann", "uploader"]);
    assert_eq!(granted, json!({"instance": "uploader", "registries": {"hy": "viewer"}}));
    let expected = json!({"roles": [{"account": "ann", "role": "uploader"}, {"account": "ann", "registry": "hy", "role": "viewer"}]});
    assert_eq!(admin.json(&["role", "list", "--account", "ann"]), expected);
    assert_eq!(ann.json(&["role", "list", "--account", "ann"]), expected, "one's own");
    let members = admin.json(&["role", "list", "--registry", "hy"]);
    assert_eq!(members, json!({"roles": [{"account": "ann", "registry": "hy", "role": "viewer"}]}));
    let table = admin.text(&["role", "list"]);
    assert_eq!(
        words(&table),
        words("ACCOUNT REGISTRY ROLE admin (the instance) admin ann (the instance) uploader ann hy viewer")
    );

    let revision = admin.json(&["account", "show", "ann"])["revision"].to_string();
    assert_eq!(admin.text(&["role", "revoke", "ann", "--registry", "hy"]), "ann has no role in hy\n");
    let told = admin.refused(1, &["role", "grant", "ann", "admin", "--revision", &revision]);
    assert!(told.contains("REVISION_MISMATCH"), "{told}");
    assert_eq!(admin.json(&["role", "revoke", "ann"])["registries"], json!({}));
    assert_eq!(admin.text(&["role", "list", "--account", "ann"]), "no roles were found\n");
    admin.refused(2, &["role", "grant", "ann", "king"]);
    admin.refused(1, &["role", "grant", "ann", "viewer", "--registry", "nothing"]);
    let told = admin.refused(1, &["role", "revoke", "admin"]);
    assert!(told.contains("administrator"), "{told}");
}

#[test]
fn registries_are_changed() {
    let registry = registry!().accounts().start();
    let admin = admin(&registry);
    let server = url(&registry);
    let made = admin.json(&["registry", "create", "hy", "--server", &server]);
    let change = |arguments: &[&str]| {
        admin.json(&[&["registry", "change", "hy", "--server", &server], arguments].concat())
    };
    let changed = change(&[
        "--description",
        "of hy",
        "--quota",
        "1 MiB",
        "--anonymous-pull",
        "true",
        "--public",
        "true",
    ]);
    assert_eq!(
        [&changed["description"], &changed["quota"], &changed["anonymous_pull"], &changed["public"]],
        [&json!("of hy"), &json!(1 << 20), &json!(true), &json!(true)]
    );
    let changed = change(&["--quota", "none"]);
    assert_eq!((changed.get("quota"), &changed["description"]), (None, &"of hy".into()), "the rest stays");
    let revision = made["revision"].to_string();
    let stale =
        ["registry", "change", "hy", "--public", "true", "--revision", &revision, "--server", &server];
    assert!(admin.refused(1, &stale).contains("REVISION_MISMATCH"));
    let stale = ["registry", "delete", "hy", "--yes", "--revision", &revision, "--server", &server];
    assert!(admin.refused(1, &stale).contains("REVISION_MISMATCH"));
    admin.refused(2, &["registry", "change", "hy", "--server", &server]);
    let text = admin.text(&["registry", "change", "hy", "--public", "true", "--server", &server]);
    assert_eq!(text, "changed hy, public, everybody may pull, \"of hy\"\n");
    admin.text(&["registry", "change", "hy", "--public", "false", "--server", &server]);
    let told = admin.refused(1, &["registry", "delete", "hy", "--yes", "--server", &server]);
    assert!(told.contains("status 404"), "at a public address it is not there: {told}");
    admin.text(&["registry", "create", "zz", "--server", &server]);
    admin.text(&["registry", "delete", "zz", "--yes", "--server", &server]);
}

#[test]
fn signing_keys_are_listed_and_rotated() {
    let registry = registry!().accounts().start();
    let admin = admin(&registry);
    let token = |scope: &str| {
        let answer = registry.admin().get(format!("/token?service=strata&scope={scope}")).json();
        registry.endpoint().with_token(text(&answer["token"]))
    };
    let before = token("registry:catalog:*");
    let listed = admin.json(&["signing-key", "list"]);
    let first = text(&listed["keys"][0]["id"]).to_owned();
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(1));
    let new = admin.json(&["signing-key", "rotate"]);
    assert!(new["id"] != first.as_str() && new.get("retired_at_millis").is_none(), "{new}");
    let said = admin.text(&["signing-key", "rotate"]);
    let table = admin.text(&["signing-key", "list"]);
    let lines: Vec<Vec<&str>> = table.lines().map(words).collect();
    assert!(lines.len() == 4 && said.contains(lines[1][0]) && lines[1][3] == "signs", "{table}");
    assert_eq!((lines[3][0], lines[3][3]), (&*first, "retired"));
    before.get("/v2/_catalog").expect(200);
    token("registry:catalog:*").get("/v2/_catalog").expect(200);
    let told = admin.text(&["audit", "--action", "signing-key.rotate", "--json"]);
    assert_eq!(told.lines().count(), 2);
    assert!(told.lines().all(|line| line.contains("\"account\":\"admin\"")), "{told}");
    let answer = registry.endpoint().get("/api/v1/signing-keys");
    assert_eq!(answer.status, 401);
    // Where there are no accounts, there is none and none is made.
    let (open, somebody) = (registry!().start(), user!());
    let server = url(&open);
    assert!(somebody.text(&["signing-key", "list", "--server", &server]).contains("signs no tokens"));
    assert!(somebody.refused(1, &["signing-key", "rotate", "--server", &server]).contains("DENIED"));
    // Nor is anybody in particular.
    somebody.refused(2, &["key", "list", "--server", &server]);
}

#[test]
fn who_may_not_is_told_clearly() {
    let registry = registry!().accounts().start();
    let admin = admin(&registry);
    let ann = person(&registry, &admin, "ann");
    for arguments in [
        &["account", "list"][..],
        &["account", "create", "eve"],
        &["account", "change", "ann", "--disable"],
        &["account", "delete", "admin", "--yes"],
        &["key", "list", "--account", "admin"],
        &["key", "create", "--account", "admin"],
        &["role", "grant", "ann", "admin"],
        &["role", "list"],
        &["signing-key", "list"],
        &["signing-key", "rotate"],
        &["audit"],
    ] {
        let ended = ann.run(arguments).expect(1);
        assert_eq!(ended.out, "", "{arguments:?}");
        assert!(ended.err.contains("(DENIED, status 403)"), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains("this needs the role"), "{arguments:?}: {}", ended.err);
    }
    let stranger = user!();
    let told = stranger.refused(1, &["key", "list", "--server", &url(&registry)]);
    assert!(told.contains("strata login --server"), "{told}");
    assert_eq!(
        admin.json(&["account", "list"])["accounts"].as_array().map(Vec::len),
        Some(2),
        "nothing was done"
    );
}

#[test]
fn no_secret_can_be_said_as_an_argument_or_is_shown_in_help() {
    let user = user!();
    let commands = [
        &["login"][..],
        &["logout"],
        &["account", "create"],
        &["key", "create"],
        &["key", "list"],
        &["role", "grant"],
        &["registry", "change"],
        &["tag", "create"],
        &["audit"],
        &["signing-key", "rotate"],
        &["status"],
    ];
    for arguments in commands {
        let mut command = user.command(&[arguments, &["--help"]].concat());
        command.envs([("STRATA_KEY_ID", ADMIN.0), ("STRATA_KEY_SECRET", ADMIN.1)]);
        let output = command.output().expect("it runs");
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && help.contains("--json"), "{arguments:?}: {help}");
        assert!(!help.contains(ADMIN.1) && !help.contains(ADMIN.0), "{arguments:?}: {help}");
        for refused in ["--secret", "--password", "--key-secret", "--token"] {
            let takes = help.split_whitespace().any(|word| word.trim_end_matches(['=', ',']) == refused);
            assert!(!takes, "{arguments:?} takes {refused}");
        }
    }
}
