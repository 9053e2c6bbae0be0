//! Deletion of whole repositories and registries: at once, with all that they had and nothing else, also while others push.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use strata_harness::operator::{done, expect_text, told};
use strata_harness::repository::strings;
use strata_harness::{Algorithm, Image, Repository, Request, TestRegistry, binary, process, registry};

fn run(arguments: &[&str]) -> Output {
    process::run(&binary!(), arguments)
}

fn catalog(registry: &TestRegistry) -> Vec<String> {
    strings(&registry.endpoint().get("/v2/_catalog").expect(200), "repositories")
}

fn expect_image(repository: &Repository, reference: &str, image: &Image) {
    repository.expect_manifest(reference, &image.manifest);
    for blob in image.blobs() {
        repository.expect_blob(&Algorithm::Sha256.of(blob), blob);
    }
}

fn expect_gone(registry: &TestRegistry, repository: &Repository, image: &Image) {
    let digest = image.manifest.digest();
    for reference in ["v1", "v2", digest.as_str()] {
        repository.expect_no_manifest(reference);
    }
    for blob in image.blobs() {
        repository.expect_no_blob(&Algorithm::Sha256.of(blob));
    }
    registry.endpoint().get(repository.target("tags/list")).expect_error(404, "NAME_UNKNOWN");
}

#[test]
fn a_repository_goes_at_once_with_all_that_it_had() {
    let mut registry = registry!().start();
    let endpoint = registry.endpoint();
    let (repository, neighbour) = (registry.repository("hy/a"), registry.repository("hy/a/b"));
    let image = Image::small(1);
    for repository in [&repository, &neighbour] {
        repository.push_image("v1", &image);
        repository.push_manifest("v2", &image.manifest);
        // Answered from memory from now on.
        expect_image(repository, "v1", &image);
        expect_image(repository, "v1", &image);
    }
    let upload = repository.start_upload();
    let removed = done(&endpoint.delete("/api/v1/images/hy/a"));
    assert_eq!(removed["repositories"], serde_json::json!(["hy/a"]));
    let counts = ["manifests", "tags", "blobs", "uploads"].map(|member| removed[member].as_u64());
    assert_eq!(counts, [1, 2, 3, 1].map(Some), "{removed}");

    expect_gone(&registry, &repository, &image);
    endpoint.get(upload).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    expect_image(&neighbour, "v2", &image);
    assert_eq!(catalog(&registry), ["hy/a/b"]);
    told(&endpoint.delete("/api/v1/images/hy/a"), 404, "NAME_UNKNOWN");
    let metrics = endpoint.get("/metrics");
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("repositories_deleted_total 1"), "{metrics}");

    registry.restart();
    let (repository, neighbour) = (registry.repository("hy/a"), registry.repository("hy/a/b"));
    expect_gone(&registry, &repository, &image);
    expect_image(&neighbour, "v1", &image);
    // It can be undone, manifest by manifest.
    let listed = done(&registry.endpoint().get("/api/v1/deleted?repository=hy/a"));
    let id = listed["deletions"][0]["id"].as_u64().expect("a number");
    let request = Request::post(format!("/api/v1/deleted/{id}/restore"));
    done(&registry.endpoint().send(&request.header("content-type", "application/json")));
    expect_image(&repository, "v1", &image);
    assert_eq!(repository.tags(), ["v1", "v2"]);
    // And the name is free again.
    done(&registry.endpoint().delete("/api/v1/images/hy/a"));
    repository.push_image("v3", &image);
    assert_eq!(repository.tags(), ["v3"]);
    registry.stop();
    registry.expect_sound();
}

#[test]
fn a_registry_is_all_repositories_of_its_name() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    let image = Image::small(2);
    let names = ["default/x", "hy", "hy-2/a", "hy.b/a", "hy/a", "hy/b/c", "hya/a", "z", "zz/a"];
    for name in names {
        registry.repository(name).push_image("v1", &image);
    }
    told(&endpoint.delete("/api/v1/registries/hy"), 409, "CONFLICT");
    let removed = done(&endpoint.delete("/api/v1/registries/hy?force=true"));
    assert_eq!(removed["repositories"], serde_json::json!(["hy/a", "hy/b/c"]));
    assert_eq!(catalog(&registry), ["default/x", "hy", "hy-2/a", "hy.b/a", "hya/a", "z", "zz/a"]);
    told(&endpoint.delete("/api/v1/registries/hy"), 404, "NAME_UNKNOWN");
    let removed = done(&endpoint.delete("/api/v1/registries/default?force=true"));
    assert_eq!(removed["repositories"], serde_json::json!(["default/x", "hy", "z"]));
    assert_eq!(catalog(&registry), ["hy-2/a", "hy.b/a", "hya/a", "zz/a"]);
    expect_image(&registry.repository("zz/a"), "v1", &image);
    told(&endpoint.delete("/api/v1/registries/A"), 404, "NAME_UNKNOWN");
    told(&endpoint.delete("/api/v1/registries/hya/a"), 404, "EXTENSION_UNKNOWN");
    told(&endpoint.delete("/api/v1/images/A"), 400, "NAME_INVALID");
    told(&endpoint.post("/api/v1/images/zz/a"), 405, "UNSUPPORTED");
}

#[test]
fn the_command_line_deletes_with_and_without_a_server() {
    let mut registry = registry!().start();
    let image = Image::small(3);
    for name in ["hy/a", "hy/b", "zz/a", "zz/b"] {
        registry.repository(name).push_image("v1", &image);
    }
    let server = format!("http://{}", registry.endpoint().address);
    let text = expect_text(&run(&["image", "delete", "hy/a", "--yes", "--server", &server]), 0);
    assert_eq!(text, "deleted hy/a: 1 manifest, 1 tag, 3 blobs, 0 uploads\n");
    let text = expect_text(&run(&["image", "delete", "hy/a", "--yes", "--server", &server]), 1);
    assert!(text.contains("there is no repository hy/a"), "{text}");
    expect_text(&run(&["image", "delete", "Hy", "--yes", "--server", &server]), 2);
    expect_text(&run(&["registry", "delete", "hy/b", "--yes", "--server", &server]), 2);
    for deletion in [&["image", "delete", "hy/b"][..], &["registry", "delete", "hy", "--force"]] {
        let text = expect_text(&run(&[deletion, &["--server", &server]].concat()), 2);
        assert!(text.contains("say --yes"), "{text}");
    }
    let text = expect_text(&run(&["registry", "delete", "hy", "--yes", "--server", &server]), 1);
    assert!(text.contains("CONFLICT"), "it holds an image: {text}");
    let text = expect_text(&run(&["registry", "delete", "hy", "--force", "--yes", "--server", &server]), 0);
    assert!(text.starts_with("deleted hy/b: "), "{text}");
    registry.stop();
    let data = registry.data().to_str().expect("UTF-8").to_owned();
    expect_text(&run(&["repository", "delete", "zz/b", "--yes", "--data", &data]), 0);
    let json =
        expect_text(&run(&["registry", "delete", "zz", "--force", "--yes", "--json", "--data", &data]), 0);
    assert!(json.contains(r#""repositories":["zz/a"]"#), "{json}");
    let text = expect_text(&run(&["registry", "delete", "zz", "--yes", "--data", &data]), 1);
    assert!(text.contains("there is no registry zz"), "{text}");
    registry.start();
    assert!(catalog(&registry).is_empty());
}

/// Ends the pushing of others when its owner is done, whichever way.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_is_pushed_meanwhile_is_whole_or_not_there() {
    const ROUNDS: u64 = 25;
    let mut registry = registry!().start();
    let endpoint = registry.endpoint();
    let done = AtomicBool::new(false);
    let done = &done;
    thread::scope(|scope| {
        for pusher in 0..3 {
            let repository = registry.repository("a/b");
            let endpoint = registry.endpoint();
            scope.spawn(move || {
                let mut number = 0;
                while !done.load(Ordering::Relaxed) {
                    number += 1;
                    let image = Image::small(100 * pusher + number % 7);
                    for blob in image.blobs() {
                        let answer = repository.try_push_blob(blob).expect("an answer");
                        // An upload that was under way goes with its repository.
                        let is_cancelled =
                            answer.status == 404 && answer.error_codes() == ["BLOB_UPLOAD_UNKNOWN"];
                        assert!(answer.status == 201 || is_cancelled, "{answer:?}");
                    }
                    let tag = format!("p{pusher}-{}", number % 3);
                    let answer = endpoint.send(&repository.put_manifest(&tag, &image.manifest));
                    // A blob that went between its push and its use is told like one that never was.
                    let is_told = matches!(answer.status, 201 | 404 | 503)
                        || answer.error_codes() == ["MANIFEST_BLOB_UNKNOWN"; 3][..answer.error_codes().len()];
                    assert!(is_told, "{answer:?}");
                }
            });
        }
        let _done = Done(done);
        for _ in 0..ROUNDS {
            let answer = endpoint.delete("/api/v1/images/a/b");
            assert!([200, 404, 503].contains(&answer.status), "{answer:?}");
        }
    });
    // Whatever is left is whole.
    let repository = registry.repository("a/b");
    let image = Image::small(7);
    repository.push_image("after", &image);
    for tag in repository.tags() {
        let manifest = endpoint.get(repository.manifest(&tag)).expect(200).json();
        for blob in manifest["layers"].as_array().expect("a list").iter().chain([&manifest["config"]]) {
            let digest = blob["digest"].as_str().expect("a digest");
            endpoint.get(repository.blob(digest)).expect(200);
        }
    }
    registry.stop();
    registry.expect_sound();
}
