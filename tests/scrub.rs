//! Bytes that change behind the server's back are found by the scrub, never served, shown to the operator and healed by a push.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use strata_harness::operator::url;
use strata_harness::random::noise;
use strata_harness::registry::files;
use strata_harness::{Request, Response, TestRegistry, binary, process, registry, sha256, wait};

const BOUND: Duration = Duration::from_secs(30);

/// Changes one bit where `bytes` stand in the data directory, in whichever file.
fn flip(registry: &TestRegistry, bytes: &Bytes) {
    let data = registry.data();
    let (middle, wanted) = (bytes.len() / 2, &bytes[..]);
    for (path, _) in files(&data) {
        let part = |name: &str| path.iter().any(|part| part == name);
        if !part("blobs") && !part("segments") {
            continue;
        }
        let content = std::fs::read(data.join(&path)).expect("the file can be read");
        let found = content.windows(64.min(wanted.len())).position(|window| wanted.starts_with(window));
        if let Some(at) = found {
            change(&data.join(&path), (at + middle) as u64);
            return;
        }
    }
    panic!("no file holds the bytes");
}

fn change(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("the file is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("the file is so long");
    byte[0] ^= 0x10;
    file.write_all_at(&byte, at).expect("the file can be written");
}

/// Answers of the admin API are not of the distribution-spec.
#[track_caller]
fn answered(response: Response, status: u16) -> Response {
    assert_eq!(response.status, status, "{response:?}");
    response
}

#[track_caller]
fn refused(response: Response, status: u16, code: &str) {
    response.expect_problem(status, code);
}

fn scrub(registry: &TestRegistry) -> Output {
    process::run(&binary!(), &["scrub", "--rate", "0", "--json", "--server", &url(registry)])
}

#[track_caller]
fn scrub_expect(registry: &TestRegistry, code: i32) -> Value {
    let output = scrub(registry);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("a document")
}

fn metric(registry: &TestRegistry, name: &str) -> u64 {
    let text = answered(registry.endpoint().get("/metrics"), 200);
    let text = String::from_utf8_lossy(&text.body).into_owned();
    let line = text.lines().find(|line| line.starts_with(&format!("strata_{name} ")));
    let value = line.and_then(|line| line.rsplit(' ').next()).unwrap_or_else(|| panic!("{name} in {text}"));
    value.parse().expect("a number")
}

fn quarantined(registry: &TestRegistry) -> Vec<String> {
    let list = answered(registry.endpoint().get("/api/v1/quarantine"), 200).json();
    let blobs = list["blobs"].as_array().expect("a list").clone();
    blobs.iter().map(|blob| blob["digest"].as_str().expect("a digest").to_owned()).collect()
}

#[test]
fn a_changed_bit_is_found_and_not_served_and_healed_by_a_push() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    // A frame and a file, beside others that stay whole.
    for size in [20_000, 700_000] {
        let (bytes, other) = (noise(size, size as usize), noise(size + 1, size as usize));
        let (digest, whole) = (repository.push_blob(&bytes), repository.push_blob(&other));
        // What is answered from memory falls, too.
        for _ in 0..3 {
            repository.expect_blob(&digest, &bytes);
        }
        scrub_expect(&registry, 0);
        flip(&registry, &bytes);
        let status = scrub_expect(&registry, 1);
        assert_eq!(status["last"]["tally"]["damaged"], 1, "{status}");
        assert_eq!(status["findings"][0]["kind"], "damaged", "{status}");
        assert!(status["findings"][0]["place"].as_str().expect("a place").contains(&digest), "{status}");
        registry.endpoint().get(repository.blob(&digest)).expect_error(404, "BLOB_UNKNOWN");
        registry.endpoint().head(repository.blob(&digest)).expect(404);
        let mount = format!("/v2/c/d/blobs/uploads/?mount={digest}&from=a/b");
        registry.endpoint().post(mount).expect(202);
        repository.expect_blob(&whole, &other);
        assert_eq!(quarantined(&registry), std::slice::from_ref(&digest));
        assert_eq!(metric(&registry, "store_quarantined"), 1);
        wait::until("the log to name the blob", wait::SOON, || {
            registry.log().contains(&digest).then_some(())
        });
        // It is known from now on, and stays a finding until somebody does something.
        assert_eq!(scrub_expect(&registry, 1)["last"]["tally"]["quarantined"], 1);
        repository.push_blob(&bytes);
        repository.expect_blob(&digest, &bytes);
        assert!(quarantined(&registry).is_empty());
        assert_eq!(metric(&registry, "store_quarantined"), 0);
        scrub_expect(&registry, 0);
    }
    assert_eq!(metric(&registry, "store_blobs_healed_total"), 2);
}

#[test]
fn a_data_directory_is_scrubbed_without_a_server() {
    let mut registry = registry!().damaged_at_end().start();
    let repository = registry.repository("a/b");
    let bytes = noise(1, 700_000);
    let digest = repository.push_blob(&bytes);
    registry.stop();
    let data = registry.data();
    let data = data.to_str().expect("a path in UTF-8");
    let run = |arguments: &[&str]| process::run(&binary!(), &[arguments, &["--data", data]].concat());
    let code = |output: &Output| output.status.code();
    assert_eq!(code(&run(&["scrub"])), Some(0));
    flip(&registry, &bytes);
    let output = run(&["scrub"]);
    assert_eq!(code(&output), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&digest), "{output:?}");
    let output = run(&["quarantine", "list"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains(&digest), "{output:?}");
    assert_eq!(code(&run(&["quarantine", "recheck", &digest])), Some(1));
    flip_back(&registry, &bytes);
    assert_eq!(code(&run(&["quarantine", "recheck", &digest])), Some(0));
    assert_eq!(code(&run(&["scrub"])), Some(0));
    let nowhere = process::run(&binary!(), &["scrub", "--data", "/nonexistent/strata"]);
    assert_eq!(code(&nowhere), Some(2), "{nowhere:?}");
    registry.start();
    registry.repository("a/b").expect_blob(&digest, &bytes);
    let busy = run(&["scrub"]);
    assert_eq!(code(&busy), Some(2), "{busy:?}");
}

#[test]
fn all_in_quarantine_is_listed_with_its_repositories_and_looked_at_again_at_once() {
    let mut registry = registry!().damaged_at_end().start();
    let (bytes, other) = (noise(1, 700_000), noise(2, 20_000));
    let digest = sha256(&bytes);
    for number in 0..23 {
        registry.repository(&format!("r/{number:02}")).push_blob(&bytes);
    }
    registry.repository("a/b").push_blob(&other);
    let server = url(&registry);
    let run = |place: &[&str], arguments: &[&str]| {
        let output = process::run(&binary!(), &[arguments, place].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let all = ["quarantine", "recheck", "--all"];
    assert_eq!(
        run(&["--server", &server], &all),
        (Some(0), "0 blobs back in service; 0 still damaged, 0 unreadable\n".into())
    );
    flip(&registry, &bytes);
    flip(&registry, &other);
    scrub_expect(&registry, 1);
    let listed = answered(registry.endpoint().get("/api/v1/quarantine"), 200).json();
    let blobs = listed["blobs"].as_array().expect("a list");
    let blob = blobs.iter().find(|blob| blob["digest"] == *digest).expect("the blob");
    assert_eq!(
        (blob["repositories"][0].as_str(), blob["repositories_total"].as_u64()),
        (Some("r/00"), Some(23))
    );
    assert_eq!(blob["repositories"].as_array().map(Vec::len), Some(20));
    let (code, text) = run(&["--server", &server], &["quarantine", "list"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("r/18, r/19 and 3 more\n") && text.contains("content, in a/b\n"), "{text}");
    assert!(text.ends_with("2 blobs are in quarantine\n"), "{text}");
    flip_back(&registry, &bytes);
    let (code, text) = run(&["--server", &server], &all);
    assert_eq!((code, &*text), (Some(1), "1 blob back in service; 1 still damaged, 0 unreadable\n"));
    registry.repository("r/00").expect_blob(&digest, &bytes);
    // The same without a server.
    registry.stop();
    let data = registry.data().to_str().expect("a path in UTF-8").to_owned();
    let (code, text) = run(&["--data", &data, "--json"], &all);
    assert_eq!((code, &*text), (Some(1), "{\"released\":0,\"damaged\":1,\"unreadable\":0}\n"));
    let (_, text) = run(&["--data", &data], &["quarantine", "list"]);
    assert!(text.ends_with("in a/b\n1 blob is in quarantine\n"), "{text}");
    assert_eq!(run(&["--data", &data], &["quarantine", "recheck"]).0, Some(2));
}

/// Undoes [`flip`] of a blob that is a file.
fn flip_back(registry: &TestRegistry, bytes: &Bytes) {
    let found: Vec<PathBuf> = registry.blob_files();
    assert_eq!(found.len(), 1, "{found:?}");
    change(&registry.data().join(&found[0]), (bytes.len() / 2) as u64);
}

#[test]
fn the_operator_looks_again_repairs_and_gives_up() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let (bytes, other) = (noise(1, 700_000), noise(2, 600_000));
    let (digest, lost) = (repository.push_blob(&bytes), repository.push_blob(&other));
    let endpoint = registry.endpoint();
    let recheck = |digest: &str| {
        let request = Request::post(format!("/api/v1/quarantine/{digest}/recheck"));
        endpoint.send(&request.header("content-type", "application/json").body("{}"))
    };
    assert_eq!(answered(recheck(&digest), 200).json()["outcome"], "sound");
    flip(&registry, &bytes);
    flip(&registry, &other);
    for digest in [&digest, &lost] {
        let answer = answered(recheck(digest), 200).json();
        assert_eq!(answer["outcome"], "damaged", "{answer}");
    }
    let unknown = sha256(b"nobody has it");
    refused(recheck(&unknown), 404, "BLOB_UNKNOWN");
    // Repair with other bytes fails, with the right ones it does not, and a second time it is not needed.
    let put = |bytes: &Bytes| {
        endpoint.send(&Request::put(format!("/api/v1/quarantine/{digest}")).body(bytes.clone()))
    };
    refused(put(&other), 400, "DIGEST_INVALID");
    endpoint.get(repository.blob(&digest)).expect(404);
    assert_eq!(answered(put(&bytes), 200).json(), json!({"healed": true}));
    repository.expect_blob(&digest, &bytes);
    assert_eq!(answered(put(&bytes), 200).json(), json!({"healed": false}));
    // Given up, it is gone from the repository, and a push brings it back.
    let discard = |digest: &str| endpoint.delete(format!("/api/v1/quarantine/{digest}"));
    refused(discard(&digest), 404, "BLOB_UNKNOWN");
    answered(discard(&lost), 204);
    assert!(quarantined(&registry).is_empty());
    endpoint.get(repository.blob(&lost)).expect(404);
    wait::until("the bytes are gone", BOUND, || (registry.blob_files().len() == 1).then_some(()));
    repository.push_blob(&other);
    repository.expect_blob(&lost, &other);
}

#[test]
fn a_round_that_a_kill_interrupted_goes_on() {
    let mut registry = registry!().damaged_at_end().config("[scrub]\nrate = \"20 KiB\"\n").start();
    let repository = registry.repository("a/b");
    let blobs: Vec<Bytes> = (0..40).map(|seed| noise(seed, 300_000)).collect();
    for bytes in &blobs {
        repository.push_blob(bytes);
    }
    let last = blobs.iter().max_by_key(|bytes| sha256(bytes)).expect("blobs");
    let start = |rate: Value| {
        let request = Request::post("/api/v1/scrub").header("content-type", "application/json");
        let started = registry.endpoint().send(&request.body(rate.to_string()));
        answered(started, 202).json()["round"].clone()
    };
    let status = |registry: &TestRegistry| answered(registry.endpoint().get("/api/v1/scrub"), 200).json();
    assert_eq!(start(json!({})), 1);
    wait::until("the round is under way", BOUND, || {
        (status(&registry)["running"] == true && status(&registry)["tally"]["rows"] != 0).then_some(())
    });
    flip(&registry, last);
    registry.kill();
    registry.start();
    let resumed = status(&registry);
    assert_eq!((resumed["round"].clone(), resumed["running"].clone()), (json!(1), json!(true)), "{resumed}");
    assert_eq!(resumed["last"], Value::Null);
    // Joined by whoever wants it faster.
    let ended = scrub_expect(&registry, 1);
    assert_eq!(
        (ended["last"]["round"].clone(), ended["last"]["tally"]["damaged"].clone()),
        (json!(1), json!(1))
    );
    registry.endpoint().get(registry.repository("a/b").blob(&sha256(last))).expect(404);
}

#[test]
fn a_round_makes_room_for_readers_whose_answers_come_from_memory() {
    let registry = registry!().config("[scrub]\nrate = \"20 KiB\"\n").start();
    let repository = registry.repository("a/b");
    for seed in 0..10 {
        repository.push_blob(&noise(seed, 300_000));
    }
    let target = repository.blob(&repository.push_blob(&Bytes::from_static(b"asked for again and again")));
    let request = Request::get(target.clone());
    let mut connection = registry.endpoint().connect();
    // From now on it is in memory, and no blob is opened for it.
    for _ in 0..2 {
        connection.exchange(&request).expect("an answer").expect(200);
    }
    let opened = metric(&registry, "store_blobs_opened_total");
    let start = Request::post("/api/v1/scrub").header("content-type", "application/json").body("{}");
    answered(registry.endpoint().send(&start), 202);
    let paused = |registry: &TestRegistry| {
        let status = answered(registry.endpoint().get("/api/v1/scrub"), 200).json();
        assert_eq!(status["running"], true, "{status}");
        status["paused"] == true
    };
    wait::until("the round makes room", BOUND, || {
        for _ in 0..500 {
            connection.exchange(&request).expect("an answer").expect(200);
        }
        paused(&registry).then_some(())
    });
    // Not so many that those alone would have been much to do.
    assert!(metric(&registry, "store_blobs_opened_total") - opened < 50);
    wait::until("the round goes on", BOUND, || (!paused(&registry)).then_some(()));
}

#[test]
fn large_blobs_are_verified_before_they_are_sent_where_that_is_wanted() {
    for (mode, reads) in [("always", 1), ("sample", 64)] {
        let config = format!("[storage]\nverify-on-read = \"{mode}\"\n");
        let registry = registry!().config(&config).start();
        let repository = registry.repository("a/b");
        let bytes = noise(1, 700_000);
        let digest = repository.push_blob(&bytes);
        for _ in 0..3 {
            repository.expect_blob(&digest, &bytes);
        }
        assert!(metric(&registry, "store_reads_verified_total") > 0);
        flip(&registry, &bytes);
        // A range that the changed bit is not in.
        let range = Request::get(repository.blob(&digest)).header("range", "bytes=0-9");
        let mut served = 0;
        while served < 200 {
            let answer = registry.endpoint().send(&range);
            if answer.status == 404 {
                break;
            }
            answer.expect(206).expect_body(&bytes[..10]);
            served += 1;
        }
        assert!(served < reads, "{mode}: {served} of damaged bytes");
        assert_eq!(quarantined(&registry), std::slice::from_ref(&digest));
        repository.push_blob(&bytes);
        repository.expect_blob(&digest, &bytes);
    }
}

#[test]
fn who_may_not_say_json_starts_nothing() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    assert_eq!(endpoint.post("/api/v1/scrub").status, 415);
    let digest = sha256(b"x");
    assert_eq!(endpoint.post(format!("/api/v1/quarantine/{digest}/recheck")).status, 415);
    assert_eq!(answered(endpoint.get("/api/v1/scrub"), 200).json()["round"], 0);
    assert_eq!(endpoint.get("/api/v1/quarantine?cursor=nothing").status, 400);
    let none = answered(endpoint.get("/api/v1/quarantine"), 200).json();
    assert_eq!(none, json!({"blobs": []}));
}
