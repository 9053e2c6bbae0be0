//! Backups of a store that goes on working: consistent under pushes, deletions and garbage collection, never taken for whole before they are,
//! and no burden once whoever made them is gone.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use strata_harness::ledger::Ledger;
use strata_harness::operator::url;
use strata_harness::random::noise;
use strata_harness::small_disk::SmallDisk;
use strata_harness::storm::Storm;
use strata_harness::{Endpoint, Image, Request, TestRegistry, binary, process, registry, sha256, wait};
use tempfile::TempDir;

/// Images of the sequence that are there at a time.
const WINDOW: u64 = 8;

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn run(arguments: &[&str]) -> Output {
    process::run(&binary!(), arguments)
}

#[track_caller]
fn expect_code(output: &Output, code: i32) -> String {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "stdout:\n{out}\nstderr:\n{err}");
    out + &err
}

/// Makes a backup by the running server.
#[track_caller]
fn back_up(registry: &TestRegistry, target: &Path, more: &[&str]) -> Value {
    let server = url(registry);
    let output = run(&[&["backup", text(target), "--json", "--server", &server], more].concat());
    expect_code(&output, 0);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[track_caller]
fn expect_sound(data: &Path) {
    expect_code(&run(&["check", "--verify", "digest", "--data", text(data)]), 0);
}

fn post(endpoint: Endpoint, hold_seconds: u64) -> strata_harness::Response {
    let body = json!({"hold_seconds": hold_seconds}).to_string();
    endpoint.send(&Request::post("/api/v1/backups").header("content-type", "application/json").body(body))
}

fn under_way(endpoint: Endpoint) -> Vec<String> {
    let list = endpoint.get("/api/v1/backups").json();
    let backups = list["backups"].as_array().expect("a list");
    backups.iter().map(|backup| backup["id"].as_str().expect("an id").to_owned()).collect()
}

fn image(number: u64) -> Image {
    Image::of(number, vec![noise(number, 150_000), noise(number + 1_000_000, 3000)])
}

/// Pushes an image. Without any grace, a blob can be collected before its manifest is there; then it is pushed again.
#[track_caller]
fn push_without_grace(endpoint: Endpoint, name: &str, tag: &str, image: &Image) {
    let repository = endpoint.repository(name);
    let pushed = wait::within(Duration::from_mins(1), || {
        image.blobs().for_each(|blob| drop(repository.push_blob(blob)));
        let answer = endpoint.send(&repository.put_manifest(tag, &image.manifest));
        (answer.status == 201).then_some(())
    });
    assert!(pushed.is_some(), "image {tag} was never taken");
}

/// Pushes images one after another under their numbers, and deletes each when it is [`WINDOW`] old. So the tags that are there at any moment are
/// consecutive numbers.
struct Sequence {
    done: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Sequence {
    fn start(endpoint: Endpoint) -> Sequence {
        let (done, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (counted, stopped) = (Arc::clone(&done), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let repository = endpoint.repository("sequence");
            for number in 1.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let image = image(number);
                push_without_grace(endpoint, "sequence", &number.to_string(), &image);
                if let Some(old) = number.checked_sub(WINDOW).filter(|old| *old > 0) {
                    let digest = self::image(old).manifest.digest();
                    endpoint.delete(repository.manifest(&digest)).expect(202);
                }
                counted.store(number, Ordering::Relaxed);
            }
        });
        Sequence { done, stop, thread }
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    #[track_caller]
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the sequence came to its end");
    }
}

/// Pulls every tag of a repository with all that belongs to it, and compares every digest.
#[track_caller]
fn pull_all(endpoint: Endpoint, name: &str) -> usize {
    let repository = endpoint.repository(name);
    if endpoint.get(repository.target("tags/list")).status == 404 {
        return 0;
    }
    let tags = repository.tags();
    for tag in &tags {
        let manifest = endpoint.get(repository.manifest(tag)).expect(200);
        let digest = manifest.header("docker-content-digest").expect("a digest").to_owned();
        assert_eq!(sha256(&manifest.body), digest, "{name}:{tag}");
        let manifest = manifest.json();
        let layers = manifest["layers"].as_array().expect("layers").iter();
        for blob in layers.chain([&manifest["config"]]) {
            let digest = blob["digest"].as_str().expect("a digest");
            let answer = endpoint.get(repository.blob(digest)).expect(200);
            assert_eq!(sha256(&answer.body), digest, "{name}:{tag}");
        }
    }
    tags.len()
}

#[test]
fn a_backup_under_load_is_one_moment_of_the_store() {
    let config = "[gc]\ngrace = \"0s\"\ninterval = \"1s\"\nrate = 0\n[log]\nlevel = \"warn\"\n";
    let mut registry = registry!().config(config).start();
    let kept = Image::small(5);
    push_without_grace(registry.endpoint(), "kept", "kept", &kept);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let storm = Storm::start(registry.endpoint(), &ledger, 11, 3);
    let sequence = Sequence::start(registry.endpoint());
    let far_enough = |more: u64| {
        let goal = sequence.done() + more;
        wait::until("the sequence to go on", Duration::from_mins(2), || {
            (sequence.done() >= goal).then_some(())
        });
    };
    far_enough(WINDOW + 4);
    let targets = TempDir::new().expect("a directory");
    let mut backups = Vec::new();
    for (name, more) in [("linked", &[][..]), ("copied", &["--copy"][..])] {
        let target = targets.path().join(name);
        let before = sequence.done();
        let report = back_up(&registry, &target, more);
        // One may be on its way.
        backups.push((target, before, sequence.done() + 1));
        assert_eq!(report["problems_total"], 0, "{report}");
        assert_eq!(report["linked"].as_u64() > Some(0), more.is_empty(), "{report}");
        far_enough(3);
    }
    assert!(under_way(registry.endpoint()).is_empty());
    sequence.stop();
    registry.kill();
    storm.join();
    for (target, before, after) in backups {
        expect_sound(&target);
        let restored = registry!().data(&target).config(config).start();
        let endpoint = restored.endpoint();
        restored.repository("kept").expect_manifest("kept", &kept.manifest);
        let tags = restored.repository("sequence").tags();
        let numbers: BTreeSet<u64> = tags.iter().map(|tag| tag.parse().expect("a number")).collect();
        let (first, last) =
            (*numbers.first().expect("some are there"), *numbers.last().expect("some are there"));
        assert!((before..=after).contains(&last), "{last} is not of the time from {before} to {after}");
        assert_eq!(numbers.len() as u64, last - first + 1, "{numbers:?} has gaps");
        assert!((WINDOW..=WINDOW + 1).contains(&(numbers.len() as u64)), "{numbers:?}");
        assert_eq!(pull_all(endpoint, "sequence"), numbers.len());
        let storm: usize = (0..3).map(|number| pull_all(endpoint, &format!("storm/r{number}"))).sum();
        println!("{numbers:?} and {storm} tags of the storm");
        // It is a store like any other.
        restored.repository("kept").push_image("new", &Image::small(900));
    }
    registry.start();
}

#[test]
fn a_backup_without_a_server_is_the_same() {
    let mut registry = registry!().start();
    let images: Vec<Image> = (1..=3).map(image).collect();
    for (number, image) in images.iter().enumerate() {
        registry.repository("a/b").push_image(&number.to_string(), image);
    }
    registry.stop();
    let targets = TempDir::new().expect("a directory");
    let (data, target) = (registry.data(), targets.path().join("backup"));
    let output = run(&["backup", text(&target), "--data", text(&data)]);
    assert!(expect_code(&output, 0).contains("files of"));
    // What is there is not written over.
    let file = targets.path().join("file");
    std::fs::write(&file, "not a directory").expect("a file");
    for refused in [&target, &data.join("inside"), &file] {
        let output = run(&["backup", text(refused), "--data", text(&data)]);
        expect_code(&output, 2);
    }
    expect_sound(&target);
    let restored = registry!().data(&target).start();
    for (number, image) in images.iter().enumerate() {
        restored.repository("a/b").expect_manifest(&number.to_string(), &image.manifest);
        image.blobs().for_each(|blob| restored.repository("a/b").expect_blob(&sha256(blob), blob));
    }
    // The first server goes on with its own.
    registry.start();
    registry.repository("a/b").push_image("more", &image(9));
}

/// A server with so much in it that a copy takes a while.
fn filled() -> TestRegistry {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for seed in 0..120 {
        repository.push_blob(&noise(seed, 1_500_000));
    }
    registry
}

#[test]
fn a_client_that_is_killed_leaves_nothing_behind() {
    let mut registry = filled();
    let targets = TempDir::new().expect("a directory");
    let target = targets.path().join("backup");
    let server = url(&registry);
    let mut command = process::command(&binary!(), &["backup", text(&target), "--copy", "--server", &server]);
    let mut client = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let begun = wait::within(Duration::from_secs(30), || {
        let ended = client.try_wait().expect("it is a child").is_some();
        (ended || (!under_way(registry.endpoint()).is_empty() && target.join("blobs").exists())).then_some(())
    });
    assert!(begun.is_some(), "the backup never began");
    client.kill().expect("it is a child");
    client.wait().expect("it is a child");
    if target.join("INCOMPLETE-BACKUP").exists() {
        let (status, log) = registry!().data(&target).start_refused();
        assert_eq!(status.code(), Some(1));
        assert!(log.contains("has not come to its end"), "{log}");
        let checked = run(&["check", "--data", text(&target)]);
        assert!(expect_code(&checked, 2).contains("has not come to its end"));
    } else {
        expect_sound(&target);
    }
    // Begun anew, or refused because it was whole.
    let again = run(&["backup", text(&target), "--server", &server]);
    assert!(matches!(again.status.code(), Some(0 | 2)), "{again:?}");
    expect_sound(&target);
    // The next start finds the checkpoint of the dead client gone, or removes it.
    registry.restart();
    assert!(!registry.data().join("backups").exists());
}

#[test]
fn a_backup_whose_hold_was_lost_is_not_made_whole() {
    let registry = filled();
    let targets = TempDir::new().expect("a directory");
    let target = targets.path().join("backup");
    let server = url(&registry);
    let mut command = process::command(&binary!(), &["backup", text(&target), "--copy", "--server", &server]);
    let mut client = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let id = wait::until("the backup to begin", Duration::from_secs(30), || {
        let ended = client.try_wait().expect("it is a child").is_some();
        under_way(registry.endpoint()).pop().or_else(|| ended.then(String::new))
    });
    let ended = registry.endpoint().delete(format!("/api/v1/backups/{id}")).status;
    let output = client.wait_with_output().expect("it ends");
    if ended == 204 {
        assert!(expect_code(&output, 1).contains("there is no backup"));
        assert!(target.join("INCOMPLETE-BACKUP").exists());
    } else {
        expect_code(&output, 0);
        expect_sound(&target);
    }
}

#[test]
fn holds_expire_and_are_counted() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    registry.repository("a/b").push_image("latest", &image(1));
    for hold in [0, 3601] {
        assert_eq!(post(endpoint, hold).status, 400);
    }
    let short = post(endpoint, 1).json();
    let checkpoint = registry.data().join("backups").join(short["id"].as_str().expect("an id"));
    assert_eq!(short["directory"].as_str(), Some(text(&registry.data())));
    wait::until("the hold to expire", wait::SOON, || (!checkpoint.exists()).then_some(()));
    wait::until("the backup to be forgotten", wait::SOON, || under_way(endpoint).is_empty().then_some(()));
    wait::until("the log to say so", wait::SOON, || {
        registry.log().contains("was not renewed in time").then_some(())
    });
    let ids: Vec<String> =
        (0..4).map(|_| post(endpoint, 3600).json()["id"].as_str().expect("an id").to_owned()).collect();
    let fifth = post(endpoint, 3600);
    assert_eq!((fifth.status, fifth.problem()), (429, "TOOMANYREQUESTS".to_owned()));
    assert_eq!(under_way(endpoint).len(), 4);
    let renew = |id: &str| {
        let target = format!("/api/v1/backups/{id}");
        endpoint.send(&Request::put(target).header("content-type", "application/json").body("{}")).status
    };
    for id in &ids {
        assert_eq!(renew(id), 200);
        assert_eq!(endpoint.delete(format!("/api/v1/backups/{id}")).status, 204);
        assert_eq!(endpoint.delete(format!("/api/v1/backups/{id}")).status, 404);
        assert_eq!(renew(id), 404);
    }
    assert_eq!(renew("..%2F..%2Fmeta"), 400);
    assert_eq!(renew("0000000000000000"), 404);
    assert_eq!(std::fs::read_dir(registry.data().join("backups")).expect("a directory").count(), 0);
}

#[test]
fn a_server_elsewhere_is_told_apart() {
    let registry = registry!().start();
    let nowhere = TempDir::new().expect("a directory");
    let target = nowhere.path().join("backup");
    let output = run(&[
        "backup",
        text(&target),
        "--server",
        &url(&registry),
        "--at",
        text(&nowhere.path().join("data")),
    ]);
    assert!(expect_code(&output, 1).contains("Run this on the machine of the server"));
    assert!(!target.exists() && under_way(registry.endpoint()).is_empty());
}

#[test]
fn a_copy_leaves_the_store_its_reserve() {
    let Some(disk) = SmallDisk::mount(160) else { return };
    let config = "[storage]\nreserve = \"24 MiB\"\nmetadata-memory = \"8 MiB\"\n";
    let registry = registry!().data(&disk.path().join("data")).config(config).start();
    let repository = registry.repository("a/b");
    for seed in 0..8 {
        repository.push_blob(&noise(seed, 10_000_000));
    }
    let (copied, linked) = (disk.path().join("copied"), disk.path().join("linked"));
    let server = url(&registry);
    let output = run(&["backup", text(&copied), "--copy", "--server", &server]);
    assert!(expect_code(&output, 1).contains("storage.reserve"));
    assert!(copied.join("INCOMPLETE-BACKUP").exists());
    assert!(disk.free() >= 24 << 20, "{} bytes are free", disk.free());
    registry.endpoint().send(&repository.post_blob(&sha256(b"x"), &"x".into())).expect(201);
    // Files that are shared take no room.
    let report = back_up(&registry, &linked, &[]);
    assert_eq!(report["linked"], 8, "{report}");
    expect_sound(&linked);
}

#[test]
fn space_comes_back_when_the_backup_is_over() {
    let registry = registry!().config("[gc]\ngrace = \"0s\"\nundo = \"0s\"\ninterval = \"0s\"\n").start();
    let (endpoint, repository) = (registry.endpoint(), registry.repository("a/b"));
    let image = image(1);
    repository.push_image("latest", &image);
    let collect = || {
        let request = Request::post("/api/v1/gc").header("content-type", "application/json").body("{}");
        assert_eq!(endpoint.send(&request).status, 200);
    };
    let held = post(endpoint, 3600).json()["id"].as_str().expect("an id").to_owned();
    endpoint.delete(repository.manifest(&image.manifest.digest())).expect(202);
    collect();
    for blob in image.blobs() {
        assert_eq!(endpoint.get(repository.blob(&sha256(blob))).status, 404, "it is gone for clients");
    }
    assert_eq!(registry.blob_files().len(), 1, "its bytes are held");
    assert_eq!(endpoint.delete(format!("/api/v1/backups/{held}")).status, 204);
    collect();
    assert_eq!(registry.blob_files().len(), 0);
}
