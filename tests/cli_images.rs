//! Images, artifacts, tags and the audit log by command: lists of many pages, searches, details, tags without a push, what is asked before
//! something goes, and the log as lines.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::{Value, json};
use strata_harness::operator::url;
use strata_harness::{ADMIN, Image, TestRegistry, User, registry, user};

/// A registry with accounts, and its administrator at the command line.
#[track_caller]
fn start() -> (TestRegistry, User) {
    let registry = registry!().accounts().start();
    let user = user!();
    user.login(&registry, ADMIN).expect(0);
    user.text(&["registry", "create", "hy", "--server", &url(&registry)]);
    (registry, user)
}

fn column(table: &str, number: usize) -> Vec<&str> {
    table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(number)).collect()
}

#[test]
fn images_and_artifacts_are_listed_shown_and_deleted() {
    let (registry, user) = start();
    let image = Image::small(1);
    for name in ["hy/alpine", "hy/sub/busybox"] {
        registry.admin().repository(name).push_image("v1", &image);
    }
    let digest = image.manifest.digest();
    assert_eq!(column(&user.text(&["image", "list"]), 0), ["hy/alpine", "hy/sub/busybox"]);
    assert_eq!(column(&user.text(&["image", "list", "--search", "BUSY"]), 0), ["hy/sub/busybox"]);
    assert_eq!(user.text(&["image", "list", "--registry", "zz"]), "no images were found\n");
    assert_eq!(user.json(&["image", "list", "--registry", "hy"])["images"].as_array().map(Vec::len), Some(2));
    let shown = user.text(&["image", "show", "hy/alpine"]);
    assert!(shown.contains("registry:   hy\n") && shown.contains("artifacts:  1\n"), "{shown}");
    assert_eq!(user.json(&["image", "show", "hy/sub/busybox"])["tags"], 1);
    user.refused(2, &["image", "show", "Hy"]);
    assert!(user.refused(1, &["image", "show", "hy/nothing"]).contains("NAME_UNKNOWN"));

    let table = user.text(&["artifact", "list", "hy/alpine"]);
    assert!(column(&table, 0) == [&*digest] && table.contains("v1"), "{table}");
    assert_eq!(user.json(&["artifact", "list", "hy/alpine"])["artifacts"][0]["digest"], digest.as_str());
    for named in ["hy/alpine:v1".to_owned(), format!("hy/alpine@{digest}")] {
        let shown = user.text(&["artifact", "show", &named]);
        for part in ["layers, the lowest first", "media type:", "size:", &*digest] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert_eq!(user.json(&["artifact", "show", &named])["tags"], json!(["v1"]));
    }
    user.refused(2, &["artifact", "show", "hy/alpine"]);
    user.refused(2, &["artifact", "delete", "hy/alpine:v1", "--yes"]);
    let named = format!("hy/alpine@{digest}");
    let told = user.refused(2, &["artifact", "delete", &named]);
    assert!(told.contains("with 1 tag") && told.contains("--yes"), "{told}");
    assert_eq!(user.json(&["artifact", "delete", &named, "--yes"])["deleted"], digest.as_str());
    assert!(user.refused(1, &["artifact", "delete", &named, "--yes"]).contains("MANIFEST_UNKNOWN"));
    assert_eq!(user.text(&["artifact", "list", "hy/alpine"]), "the image has no artifacts\n");
    let server = url(&registry);
    let deleted = user.text(&["image", "delete", "hy/sub/busybox", "--yes", "--server", &server]);
    assert!(deleted.starts_with("deleted hy/sub/busybox: 1 manifest, 1 tag"), "{deleted}");
}

#[test]
fn tags_are_listed_made_moved_and_deleted() {
    let (registry, user) = start();
    let (first, second) = (Image::small(1), Image::small(2));
    let repository = registry.admin().repository("hy/a");
    repository.push_image("v1", &first);
    repository.push_image("v2", &second);
    let (one, two) = (first.manifest.digest(), second.manifest.digest());
    assert_eq!(column(&user.text(&["tag", "list", "hy/a"]), 0), ["v1", "v2"]);
    assert_eq!(user.json(&["tag", "list", "hy/a", "--search", "2"])["tags"][0]["digest"], two.as_str());
    assert_eq!(user.text(&["tag", "list", "hy/a", "--search", "none"]), "no tags were found\n");
    assert!(user.text(&["tag", "show", "hy/a:v1"]).contains(&one));
    assert_eq!(user.json(&["tag", "show", "hy/a:v2"])["digest"], two.as_str());

    assert_eq!(user.text(&["tag", "create", "hy/a:stable", &one]), format!("hy/a:stable stands for {one}\n"));
    let told = user.refused(1, &["tag", "create", "hy/a:stable", &two]);
    assert!(told.contains("status 412") && told.contains("--force"), "{told}");
    assert_eq!(user.json(&["tag", "show", "hy/a:stable"])["digest"], one.as_str(), "it did not move");
    let moved = user.json(&["tag", "create", "hy/a:stable", &two, "--force"]);
    assert_eq!(moved, json!({"tag": "hy/a:stable", "digest": two}));
    let nothing = format!("sha256:{}", "0".repeat(64));
    assert!(user.refused(1, &["tag", "create", "hy/a:other", &nothing]).contains("MANIFEST_UNKNOWN"));
    user.refused(2, &["tag", "create", "hy/a:other", "sha256:0"]);
    user.refused(2, &["tag", "create", &format!("hy/a@{one}"), &one]);

    let told = user.refused(2, &["tag", "delete", "hy/a:stable"]);
    assert!(told.contains(&two) && told.contains("--yes"), "{told}");
    assert_eq!(user.text(&["tag", "delete", "hy/a:stable", "--yes"]), "deleted the tag hy/a:stable\n");
    assert_eq!(user.json(&["tag", "delete", "hy/a:v1", "--yes"]), json!({"deleted": "hy/a:v1"}));
    assert!(user.refused(1, &["tag", "show", "hy/a:stable"]).contains("MANIFEST_UNKNOWN"));
    let history = user.json(&["tag", "history", "hy/a:stable"]);
    let digests: Vec<Option<&str>> =
        history["moves"].as_array().expect("a list").iter().map(|step| step["digest"].as_str()).collect();
    assert_eq!(digests, [Some(&*one), Some(&*two), None]);
    let table = user.text(&["tag", "history", "hy/a:stable"]);
    assert!(table.lines().count() == 4 && table.ends_with("(deleted)\n"), "{table}");
}

#[test]
fn a_list_of_many_pages_is_whole() {
    let (registry, user) = start();
    let repository = registry.admin().repository("hy/a");
    let image = Image::small(1);
    repository.push_image("t0000", &image);
    let names: Vec<String> = (1..=1001).map(|number| format!("t{number:04}")).collect();
    for several in names.chunks(50) {
        let tags: Vec<String> = several.iter().map(|name| format!("tag={name}")).collect();
        let target = format!("{}?{}", repository.manifest(&image.manifest.digest()), tags.join("&"));
        let request = strata_harness::Request::put(target).header("content-type", &image.manifest.media_type);
        registry.admin().send(&request.body(image.manifest.bytes.clone())).expect(201);
    }
    let listed = user.json(&["tag", "list", "hy/a"]);
    let tags = listed["tags"].as_array().expect("a list");
    assert_eq!((tags.len(), listed.get("next")), (1002, None));
    assert_eq!(tags[1001]["name"], "t1001");
    // The log as well, page by page.
    let lines = user.text(&["audit", "--action", "tag.set", "--json"]);
    assert_eq!(lines.lines().count(), 1002);
    let numbers: Vec<u64> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("a document")["id"].as_u64().expect("a number")
        })
        .collect();
    assert!(numbers.is_sorted_by(|left, right| left > right), "newest first, each once");
    let table = user.text(&["audit", "--action", "tag.set"]);
    assert_eq!(table.lines().count(), 1003, "the heads stand there once");
    assert_eq!(user.text(&["audit", "--action", "tag.set", "--limit", "7", "--json"]).lines().count(), 7);
    assert_eq!(user.text(&["audit", "--limit", "1001"]).lines().count(), 1002);
}

#[test]
fn the_log_is_asked_by_who_what_where_and_when() {
    let (registry, user) = start();
    registry.admin().repository("hy/a").push_image("v1", &Image::small(1));
    user.text(&["account", "create", "ann"]);
    let count = |arguments: &[&str]| user.text(&[&["audit", "--json"], arguments].concat()).lines().count();
    let all = count(&[]);
    assert!(all > 4);
    let of_admin = count(&["--account", "admin"]);
    assert!(of_admin > 4 && of_admin <= all && count(&["--account", "nobody"]) == 0, "{of_admin} of {all}");
    assert_eq!(count(&["--action", "registry.create", "--result", "done"]), 1);
    assert_eq!(count(&["--repository", "hy/a", "--action", "manifest.push"]), 1);
    assert_eq!((count(&["--registry", "zz"]), count(&["--registry", "hy", "--action", "tag"])), (0, 1));
    assert_eq!((count(&["--from", "1h"]), count(&["--until", "1h"])), (all, 0));
    assert_eq!((count(&["--from", "2020-01-01"]), count(&["--until", "2020-01-01T00:00:00Z"])), (all, 0));
    user.refused(2, &["audit", "--from", "yesterday"]);
    let table = user.text(&["audit", "--action", "account"]);
    assert!(
        table.starts_with("WHEN") && table.contains("account.create  ann") && table.contains("admin"),
        "{table}"
    );
    assert_eq!(user.text(&["audit", "--account", "nobody"]), "nothing was found in the audit log\n");
}
