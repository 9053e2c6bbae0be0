//! Logins of the command line: a key is tried before it is kept, kept where only its owner reads it, shown to its own server and to no
//! other, and forgotten; what others may have read is not used.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use strata_harness::operator::url;
use strata_harness::{ADMIN, registry, user, wait};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn a_login_is_kept_for_its_server_and_forgotten() {
    let (registry, other) = (registry!().accounts().start(), registry!().accounts().start());
    let user = user!();
    let (id, secret) = ADMIN;
    let server = url(&registry);
    let refused = user.refused(1, &["status", "--server", &server]);
    assert!(refused.contains(&format!("strata login --server {server}")), "{refused}");
    assert!(refused.contains("UNAUTHORIZED") && refused.contains("status 401"), "{refused}");

    let done = user.login(&registry, ADMIN).expect(0);
    assert_eq!(done.out, format!("logged in to {server} as admin, with the key {id}\n"));
    assert!(!done.err.contains(secret) && !done.out.contains(secret));
    let kept = user.credentials();
    assert_eq!((mode(&kept), mode(kept.parent().expect("a directory"))), (0o600, 0o700));
    let text = fs::read_to_string(&kept).expect("it is kept");
    assert!(text.contains(secret) && text.contains(&server), "{text}");

    user.text(&["status", "--server", &server]);
    user.text(&["status", "--server", &format!("{server}/")]);
    // The one login says which server is meant, unless a directory is named.
    user.text(&["registry", "create", "hy"]);
    assert_eq!(user.json(&["registry", "list"])["registries"][0]["name"], "hy");
    let refused = user.refused(1, &["registry", "list", "--data", "nowhere"]);
    assert!(refused.contains("cannot open the data directory nowhere"), "{refused}");
    let elsewhere =
        user.command(&["status"]).env("STRATA_STORAGE_DATA", "nowhere").output().expect("it runs");
    assert_eq!(elsewhere.status.code(), Some(1));
    let refused = user.refused(1, &["role", "revoke", "admin", "--registry", "none"]);
    assert_eq!(refused.lines().count(), 1, "an error says what it has to say once: {refused}");
    let refused = user.refused(1, &["key", "create", "--expires", "99999999999d"]);
    assert!(refused.contains("the year 9999"), "{refused}");
    user.text(&["gc", "--dry-run", "--server", &server]);
    let refused = user.refused(1, &["status", "--server", &url(&other)]);
    assert!(refused.contains("UNAUTHORIZED"), "the key of one server is not shown to another: {refused}");
    // What the environment says counts first.
    let mut command = user.command(&["status", "--server", &server]);
    command.envs([("STRATA_KEY_ID", id), ("STRATA_KEY_SECRET", "strata_wrong")]);
    assert_eq!(command.output().expect("it runs").status.code(), Some(1));

    user.login(&other, ADMIN).expect(0);
    let refused = user.refused(2, &["registry", "list"]);
    assert!(refused.contains("--server URL, or which data directory with --data PATH"), "{refused}");
    let out = user.json(&["logout", "--server", &server]);
    assert_eq!((&out["server"], &out["was_logged_in"]), (&server.as_str().into(), &true.into()));
    user.refused(1, &["status", "--server", &server]);
    user.text(&["status", "--server", &url(&other)]);
    let again = user.text(&["logout", "--server", &server]);
    assert!(again.contains("no login"), "{again}");
    assert!(!fs::read_to_string(&kept).expect("it is kept").contains(&server));
}

#[test]
fn what_is_no_key_of_the_server_is_not_kept() {
    let (registry, open) = (registry!().accounts().start(), registry!().start());
    let user = user!();
    for (key, word) in
        [((ADMIN.0, "strata_wrong"), "UNAUTHORIZED"), (("SKAAAAAAAAAAAAAAAAAA", ADMIN.1), "UNAUTHORIZED")]
    {
        let refused = user.login(&registry, key).expect(1);
        assert!(refused.err.contains(word) && !refused.err.contains(key.1), "{}", refused.err);
        assert_eq!(refused.out, "");
    }
    let refused = user.login(&open, ADMIN).expect(1);
    assert!(refused.err.contains("has no accounts"), "{}", refused.err);
    let server = url(&registry);
    for (arguments, word) in [
        (&["--key-id", "SKA"][..], "--secret-stdin"),
        (&["--secret-stdin"], "--key-id"),
        (&["--key-id", "SKA", "--secret-stdin"], "nothing was given"),
        (&["--key-id", "a:b", "--secret-stdin"], "nothing was given"),
        (&["--key-id", "SKA", "--secret", "x"], "unexpected argument"),
    ] {
        let refused = user.refused(2, &[&["login", "--server", &server], arguments].concat());
        assert!(refused.contains(word), "{arguments:?}: {refused}");
    }
    let colon = user.run_with("x", &["login", "--server", &server, "--key-id", "a:b", "--secret-stdin"]);
    assert!(colon.expect(2).err.contains("no colon"));
    assert!(!user.credentials().exists());
    // The first line counts, whatever its end.
    let json = ["login", "--server", &server, "--key-id", ADMIN.0, "--secret-stdin", "--json"];
    let done = user.run_with(&format!("{}\r\nmore\n", ADMIN.1), &json).expect(0);
    let document: serde_json::Value = serde_json::from_str(&done.out).expect("a document");
    assert_eq!((&document["account"], &document["key"]), (&"admin".into(), &ADMIN.0.into()));
    assert_eq!(document.as_object().map(serde_json::Map::len), Some(3), "no secret: {document}");
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let registry = registry!().accounts().start();
    let user = user!();
    user.login(&registry, ADMIN).expect(0);
    let (kept, server) = (user.credentials(), url(&registry));
    for open in [0o644, 0o640, 0o602] {
        fs::set_permissions(&kept, Permissions::from_mode(open)).expect("it is there");
        for arguments in [&["status", "--server", &server][..], &["logout", "--server", &server]] {
            let refused = user.refused(1, arguments);
            assert!(refused.contains("chmod 600") && refused.contains("credentials.json"), "{refused}");
            assert!(!refused.contains(ADMIN.1), "{refused}");
        }
        let refused = user.login(&registry, ADMIN).expect(1);
        assert!(refused.err.contains("chmod 600"), "{}", refused.err);
    }
    fs::set_permissions(&kept, Permissions::from_mode(0o600)).expect("it is there");
    user.text(&["status", "--server", &server]);
    fs::write(&kept, format!("{{\"servers\": {:?}}}", ADMIN.1)).expect("it is there");
    let refused = user.refused(1, &["status", "--server", &server]);
    assert!(refused.contains("log in again") && !refused.contains(ADMIN.1), "{refused}");
}

/// Through script(1), which gives the command a terminal of its own.
#[test]
fn a_secret_that_is_typed_is_not_shown() {
    let registry = registry!().accounts().start();
    let user = user!();
    let (id, secret) = ADMIN;
    let login = user.command(&[]);
    let line = format!("tty; {} login --server {}", login.get_program().display(), url(&registry));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_clear();
    command.env("HOME", login.get_current_dir().expect("a home")).env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("script(1) is there");
    let (mut keyboard, mut screen) =
        (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let mut shown = Vec::new();
    // What is typed before the question would be shown by the terminal itself.
    for (question, typed) in [("id of the key", id), ("secret: ", secret)] {
        while !String::from_utf8_lossy(&shown).contains(question) {
            let mut byte = [0];
            assert_eq!(screen.read(&mut byte).expect("a terminal"), 1, "{}", String::from_utf8_lossy(&shown));
            shown.extend(byte);
        }
        if typed == secret {
            // The question stands there a moment before the terminal stops to show what is typed.
            let text = String::from_utf8_lossy(&shown).into_owned();
            let terminal = text.lines().next().expect("the name of the terminal").trim().to_owned();
            wait::until("a terminal that shows nothing", wait::SOON, || {
                let state =
                    Command::new("stty").args(["-F", &terminal, "-a"]).output().expect("stty(1) is there");
                String::from_utf8_lossy(&state.stdout)
                    .split_whitespace()
                    .any(|word| word == "-echo")
                    .then_some(())
            });
        }
        keyboard.write_all(format!("{typed}\n").as_bytes()).expect("it is typed");
    }
    screen.read_to_end(&mut shown).expect("a terminal");
    drop(keyboard);
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(child.wait().expect("it ends").success(), "{shown}");
    assert!(shown.contains("as admin") && !shown.contains(secret), "{shown}");
    user.text(&["status", "--server", &url(&registry)]);
}
