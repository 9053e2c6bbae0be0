//! `strata backup` ended at every system call that changes something, and every such call failing: with a server beside it or without one. The source
//! is intact and served; the target is a whole store, or refused as a part of one, or nothing at all; and nothing of a dead backup stays.
//!
//! strace(1) ends the process on its way into the n-th call of a kind; without it the tests say so and pass. `STRATA_CRASH_ROUNDS`, set to anything, tries every
//! n instead of every fifth.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use strata_harness::random::noise;
use strata_harness::{Endpoint, Image, Request, TestRegistry, binary, process, registry, sha256, wait};
use tempfile::TempDir;

/// The calls by which a backup changes a file system, or makes the change stay.
const CALLS: [&str; 11] = [
    "mkdir",
    "link",
    "linkat",
    "rename",
    "unlink",
    "unlinkat",
    "rmdir",
    "fsync",
    "fdatasync",
    "copy_file_range",
    "ftruncate",
];

/// No thread of a backup of so little makes so many calls of a kind.
const CALLS_MAX: usize = 200;

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn run(arguments: &[&str]) -> Output {
    process::run(&binary!(), arguments)
}

/// Which calls of a kind are met.
fn places() -> impl Iterator<Item = usize> {
    let step = if std::env::var_os("STRATA_CRASH_ROUNDS").is_some() { 1 } else { 5 };
    (1..3).chain((3..CALLS_MAX).step_by(step))
}

/// Whether strace can do what is needed here.
fn can_trace() -> bool {
    let done = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).status();
    let can = done.is_ok_and(|status| status.success());
    if !can {
        println!("skipped: strace(1) is not there, or may not trace here");
    }
    can
}

/// Runs `strata` while the `place`-th `call` of a thread meets `fault` (see strace(1), "Tampering").
#[track_caller]
fn run_under(call: &str, place: usize, fault: &str, arguments: &[&str]) -> ExitStatus {
    // A call that this architecture does not have is never met.
    let (trace, inject) = (format!("trace=?{call}"), format!("inject=?{call}:{fault}:when={place}"));
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject]);
    command.arg(binary!()).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("strace starts")
}

/// A stopped store with files, a segment, and an upload session.
fn stopped() -> (TestRegistry, Vec<Image>) {
    let mut registry = registry!().start();
    let images: Vec<Image> = (1..=2)
        .map(|number| Image::of(number, vec![noise(number, 150_000), noise(number + 50, 3000)]))
        .collect();
    let repository = registry.repository("a/b");
    for (number, image) in images.iter().enumerate() {
        repository.push_image(&number.to_string(), image);
    }
    let session = repository.start_upload();
    repository.patch(&session, &noise(9, 100_000));
    registry.stop();
    (registry, images)
}

#[track_caller]
fn expect_served(registry: &TestRegistry, images: &[Image]) {
    let repository = registry.repository("a/b");
    for (number, image) in images.iter().enumerate() {
        repository.expect_manifest(&number.to_string(), &image.manifest);
        image.blobs().for_each(|blob| repository.expect_blob(&sha256(blob), blob));
    }
}

/// What a backup that was disturbed has left.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Part,
    Whole,
}

/// Asserts that a target is whole, or refused, or nothing.
#[track_caller]
fn judge(target: &Path, what: &str) -> Left {
    let checked = || run(&["check", "--verify", "digest", "--data", text(target)]);
    if target.join("INCOMPLETE-BACKUP").exists() {
        let output = checked();
        let told = String::from_utf8_lossy(&output.stderr).contains("has not come to its end");
        assert!(output.status.code() == Some(2) && told, "{what}: {output:?}");
        return Left::Part;
    }
    let empty = std::fs::read_dir(target).map_or(true, |mut entries| entries.next().is_none());
    if empty {
        return Left::Nothing;
    }
    let output = checked();
    assert_eq!(output.status.code(), Some(0), "{what}: {output:?}");
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(found.contains("2 manifests, 2 tags") && found.contains("1 upload:"), "{what}: {found}");
    Left::Whole
}

/// Disturbs one backup after another, with `more` arguments that say of what.
fn disturb(fault: &str, more: &[&str], after: impl Fn(&str)) -> (usize, usize) {
    let targets = TempDir::new().expect("a directory");
    let (mut parts, mut wholes) = (0, 0);
    for call in CALLS {
        for place in places() {
            let (what, target) = (format!("{call} {place} {fault}"), targets.path().join("backup"));
            let status = run_under(call, place, fault, &[&["backup", text(&target)], more].concat());
            match judge(&target, &what) {
                Left::Part => parts += 1,
                Left::Whole => wholes += 1,
                Left::Nothing => {}
            }
            after(&what);
            // Begun anew where a part is; refused where it is whole.
            let again = run(&[&["backup", text(&target)], more].concat());
            assert!(matches!(again.status.code(), Some(0 | 2)), "{what}: {again:?}");
            assert_eq!(judge(&target, &what), Left::Whole, "{what}: made again");
            std::fs::remove_dir_all(&target).expect("it can be removed");
            if status.success() {
                break;
            }
        }
    }
    println!("{fault}: {parts} parts refused, {wholes} whole");
    (parts, wholes)
}

#[test]
fn a_backup_that_is_killed_anywhere_is_whole_or_refused_and_its_store_is_intact() {
    if !can_trace() {
        return;
    }
    let (mut registry, images) = stopped();
    let data = registry.data();
    let intact = |what: &str| {
        let output = run(&["check", "--data", text(&data)]);
        assert_eq!(output.status.code(), Some(0), "{what}: {output:?}");
    };
    let (parts, wholes) = disturb("signal=KILL", &["--data", text(&data)], intact);
    assert!(parts > 5 && wholes > 0, "{parts} parts, {wholes} whole");
    registry.start();
    assert!(!data.join("backups").exists(), "what a dead backup left is gone");
    expect_served(&registry, &images);
}

#[test]
fn a_backup_of_a_disk_that_fails_anywhere_is_whole_or_refused_and_its_store_is_intact() {
    if !can_trace() {
        return;
    }
    let (mut registry, images) = stopped();
    let data = registry.data();
    let intact = |what: &str| {
        let output = run(&["check", "--data", text(&data)]);
        assert_eq!(output.status.code(), Some(0), "{what}: {output:?}");
    };
    let (parts, _) = disturb("error=EIO", &["--data", text(&data)], intact);
    assert!(parts > 3, "{parts} parts");
    registry.start();
    assert!(!data.join("backups").exists(), "what a failed backup left is gone");
    expect_served(&registry, &images);
}

fn under_way(endpoint: Endpoint) -> Vec<String> {
    let list = endpoint.get("/api/v1/backups").json();
    let backups = list["backups"].as_array().expect("a list");
    backups.iter().map(|backup| backup["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn a_client_that_is_killed_anywhere_disturbs_no_server() {
    if !can_trace() {
        return;
    }
    let (mut registry, images) = stopped();
    registry.start();
    let endpoint = registry.endpoint();
    let server = format!("http://{}", endpoint.address);
    let (parts, wholes) = disturb("signal=KILL", &["--server", &server], |what| {
        expect_served(&registry, &images);
        let held = under_way(endpoint);
        // There can be four at a time. A hold that nobody renews ends by itself; here its end is a second away.
        if held.len() < 3 {
            return;
        }
        for id in held {
            let target = format!("/api/v1/backups/{id}");
            let renewed =
                Request::put(target).header("content-type", "application/json").body("{\"hold_seconds\":1}");
            assert!(matches!(endpoint.send(&renewed).status, 200 | 404), "{what}");
        }
        wait::until("the holds to end", wait::SOON, || under_way(endpoint).is_empty().then_some(()));
    });
    assert!(parts > 3 && wholes > 0, "{parts} parts, {wholes} whole");
    // With the holds went their checkpoints; the start of the next server removes what is left.
    let checkpoints = registry.data().join("backups");
    let left = || std::fs::read_dir(&checkpoints).map_or(0, Iterator::count);
    wait::until("the checkpoints to go", wait::SOON, || (left() == under_way(endpoint).len()).then_some(()));
    registry.restart();
    assert!(!checkpoints.exists());
}

#[test]
fn a_server_that_dies_meanwhile_leaves_no_half_backup() {
    let mut registry = registry!().start();
    let repository = registry.repository("a/b");
    let blobs: Vec<_> = (0..60).map(|seed| noise(seed, 1_500_000)).collect();
    for blob in &blobs {
        repository.push_blob(blob);
    }
    let targets = TempDir::new().expect("a directory");
    let target = targets.path().join("backup");
    let server = format!("http://{}", registry.endpoint().address);
    let mut command = process::command(&binary!(), &["backup", text(&target), "--copy", "--server", &server]);
    let mut client = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let begun = wait::within(Duration::from_secs(30), || {
        let ended = client.try_wait().expect("it is a child").is_some();
        (ended || target.join("blobs").exists()).then_some(())
    });
    assert!(begun.is_some(), "the backup never began");
    registry.kill();
    let status = client.wait().expect("it ends");
    // Nobody can say any more whether all was held to the end: only one that was finished before is whole.
    assert_eq!(status.success(), !target.join("INCOMPLETE-BACKUP").exists(), "{status}");
    registry.start();
    assert!(!registry.data().join("backups").exists(), "what the dead server held is gone");
    let repository = registry.repository("a/b");
    for blob in &blobs {
        repository.expect_blob(&sha256(blob), blob);
    }
    let server = format!("http://{}", registry.endpoint().address);
    let again = run(&["backup", text(&target), "--server", &server]);
    assert!(matches!(again.status.code(), Some(0 | 2)), "{again:?}");
    let checked = run(&["check", "--verify", "digest", "--data", text(&target)]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
}
