//! Tags: lists and their pages, moves, names at the edge of the grammar.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::repository::strings;
use strata_harness::{Image, Repository, Request, TestRegistry, registry};

const NAMES: [&str; 9] = ["0", "A", "Z.1", "_x", "a", "a-b", "a.b", "a_b", "latest"];

fn tagged(registry: &TestRegistry) -> (Repository, Image) {
    let repository = registry.repository("a/b");
    let image = Image::small(1);
    repository.push_image("latest", &image);
    for name in NAMES.iter().rev() {
        repository.push_manifest(name, &image.manifest);
    }
    (repository, image)
}

#[test]
fn a_list_is_in_order_and_complete() {
    let registry = registry!().start();
    let (repository, _) = tagged(&registry);
    let response = registry.endpoint().get(repository.target("tags/list")).expect(200);
    let response = response.expect_header("content-type", "application/json").expect_no_header("link");
    assert_eq!(strings(&response, "tags"), NAMES, "in the order of their bytes");
    assert_eq!(response.json()["name"], "a/b");
}

#[test]
fn pages_of_every_length() {
    let registry = registry!().start();
    let (repository, _) = tagged(&registry);
    for n in 1..=NAMES.len() + 1 {
        let mut found = Vec::new();
        let mut next = Some(repository.target(&format!("tags/list?n={n}")));
        while let Some(target) = next {
            let page = registry.endpoint().get(target).expect(200);
            let tags = strings(&page, "tags");
            next = page.next_page();
            assert!(tags.len() == n || next.is_none(), "a page of {} of {n} with a next one", tags.len());
            assert!(!tags.is_empty(), "an empty page");
            found.extend(tags);
        }
        assert_eq!(found, NAMES, "pages of {n}");
    }
}

#[test]
fn last_with_and_without_n() {
    let registry = registry!().start();
    let (repository, _) = tagged(&registry);
    let list = |query: &str| {
        strings(&registry.endpoint().get(repository.target(&format!("tags/list{query}"))).expect(200), "tags")
    };
    assert_eq!(list("?last=a"), ["a-b", "a.b", "a_b", "latest"]);
    assert_eq!(list("?last=a&n=2"), ["a-b", "a.b"]);
    assert_eq!(list("?n=1&last=Z.1"), ["_x"]);
    // It need not be there, and is never part of the answer.
    assert_eq!(list("?last=a-zzz"), ["a.b", "a_b", "latest"]);
    assert!(list("?last=latest").is_empty());
    assert!(list("?last=zzzz&n=5").is_empty());
    assert_eq!(list("?last="), NAMES);
}

#[test]
fn n_at_its_edges() {
    let registry = registry!().start();
    let (repository, _) = tagged(&registry);
    let list = |query: &str| registry.endpoint().get(repository.target(&format!("tags/list?{query}")));
    let none = list("n=0").expect(200).expect_no_header("link");
    assert!(strings(&none, "tags").is_empty());
    for n in ["1000", "100000000", "99999999999999999999999"] {
        let response = list(&format!("n={n}")).expect(200);
        assert_eq!(strings(&response, "tags"), NAMES);
    }
    for n in ["-1", "x", "", "1.5", "0x10", "%00", "1%20"] {
        let response = list(&format!("n={n}"));
        assert_eq!(response.status, 400, "{n}: {response:?}");
        response.expect_error(400, "PAGINATION_NUMBER_INVALID");
    }
}

#[test]
fn more_tags_than_a_page_holds() {
    let registry = registry!().start();
    let repository = registry.repository("a/many");
    let image = Image::small(2);
    repository.push_image("t0000", &image);
    let digest = image.manifest.digest();
    let names: Vec<String> = (0..1500).map(|number| format!("t{number:04}")).collect();
    for group in names.chunks(50) {
        let query: Vec<String> = group.iter().map(|name| format!("tag={name}")).collect();
        let mut request = repository.put_manifest(&digest, &image.manifest);
        request.target = format!("{}?{}", request.target, query.join("&"));
        registry.endpoint().send(&request).expect(201);
    }
    assert_eq!(repository.tags(), names);
    let page = registry.endpoint().get(repository.target("tags/list?n=1000")).expect(200);
    assert_eq!(strings(&page, "tags"), names[..1000]);
}

#[test]
fn a_repository_that_is_unknown_or_has_no_tags() {
    let registry = registry!().start();
    registry.endpoint().get("/v2/never/pushed/tags/list").expect_error(404, "NAME_UNKNOWN");
    let (repository, image) = tagged(&registry);
    registry.endpoint().delete(repository.manifest(&image.manifest.digest())).expect(202);
    let response = registry.endpoint().get(repository.target("tags/list")).expect(200);
    assert!(strings(&response, "tags").is_empty());
}

#[test]
fn a_tag_moves() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let images: Vec<Image> = (0..5).map(|seed| Image::small(seed * 10)).collect();
    for image in &images {
        repository.push_image("latest", image);
        repository.expect_manifest("latest", &image.manifest);
        assert_eq!(repository.tags(), ["latest"]);
    }
    // What it left is still there by digest.
    for image in &images {
        repository.expect_manifest(&image.manifest.digest(), &image.manifest);
    }
    repository.push_manifest("latest", &images[0].manifest);
    repository.expect_manifest("latest", &images[0].manifest);
}

#[test]
fn a_tag_that_many_clients_move_at_once_is_at_one_of_theirs() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let images: Vec<Image> = (0..8).map(|seed| Image::small(seed * 10)).collect();
    for image in &images {
        repository.push_image("latest", image);
    }
    for _ in 0..10 {
        std::thread::scope(|scope| {
            for image in &images {
                scope.spawn(|| repository.push_manifest("latest", &image.manifest));
            }
        });
        let response = registry.endpoint().get(repository.manifest("latest")).expect(200);
        let found = images.iter().filter(|image| image.manifest.bytes == response.body).count();
        assert_eq!(found, 1, "{response:?}");
    }
}

#[test]
fn names_at_the_edge() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(3);
    repository.push_image("x", &image);
    let longest = "a".repeat(128);
    for tag in [longest.as_str(), "_", "0", "V1.2.3-rc.1_x", "A--B..C__D"] {
        repository.push_manifest(tag, &image.manifest);
        repository.expect_manifest(tag, &image.manifest);
        registry.endpoint().delete(repository.manifest(tag)).expect(202);
    }
    let too_long = "a".repeat(129);
    for tag in [too_long.as_str(), ".a", "-a", "a+b", "a%20b", "%C3%A9", "a%00b", "a@b", "a:b"] {
        let put = registry.endpoint().send(&repository.put_manifest(tag, &image.manifest));
        assert_eq!(put.status, 400, "{tag}: {put:?}");
        assert_eq!(put.error_codes().len(), 1, "{put:?}");
        for request in [Request::get(repository.manifest(tag)), Request::delete(repository.manifest(tag))] {
            let response = registry.endpoint().send(&request);
            assert!(matches!(response.status, 400 | 404), "{response:?}");
            assert_eq!(response.error_codes().len(), 1, "{response:?}");
        }
    }
    assert_eq!(repository.tags(), ["x"]);
}
