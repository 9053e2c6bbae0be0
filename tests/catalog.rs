//! The catalog of repositories, and the list of extensions.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::random::noise;
use strata_harness::repository::strings;
use strata_harness::{Image, registry};

#[test]
fn repositories_appear_with_their_first_push() {
    let registry = registry!().start();
    let list = || strings(&registry.endpoint().get("/v2/_catalog").expect(200), "repositories");
    assert!(list().is_empty());
    registry.repository("b/two").push_image("latest", &Image::small(1));
    assert_eq!(list(), ["b/two"]);
    registry.repository("a").push_image("latest", &Image::small(2));
    registry.repository("b/one/deep/er").push_image("latest", &Image::small(3));
    assert_eq!(list(), ["a", "b/one/deep/er", "b/two"]);
}

#[test]
fn a_question_makes_no_repository() {
    let registry = registry!().start();
    let repository = registry.repository("never/pushed");
    registry.endpoint().get(repository.manifest("latest")).expect(404);
    registry.endpoint().get(repository.target("tags/list")).expect(404);
    repository.expect_no_blob(&strata_harness::sha256(b"nothing"));
    repository.referrers(&strata_harness::sha256(b"nothing"), "");
    let response = registry.endpoint().get("/v2/_catalog").expect(200);
    assert!(strings(&response, "repositories").is_empty());
}

#[test]
fn pages() {
    let registry = registry!().start();
    let names: Vec<String> = (0..25).map(|number| format!("r{number:02}/x")).collect();
    for name in names.iter().rev() {
        registry.repository(name).push_image("latest", &Image::small(4));
    }
    for n in [1, 7, 25, 26] {
        let mut found = Vec::new();
        let mut next = Some(format!("/v2/_catalog?n={n}"));
        while let Some(target) = next {
            let page = registry.endpoint().get(target).expect(200);
            let part = strings(&page, "repositories");
            next = page.next_page();
            assert!(part.len() == n || next.is_none(), "a page of {} of {n} with a next one", part.len());
            found.extend(part);
        }
        assert_eq!(found, names, "pages of {n}");
    }
    let list = |query: &str| {
        strings(&registry.endpoint().get(format!("/v2/_catalog?{query}")).expect(200), "repositories")
    };
    assert_eq!(list("last=r22%2Fx"), ["r23/x", "r24/x"]);
    assert_eq!(list("last=r22/x&n=1"), ["r23/x"]);
    assert!(list("n=0").is_empty());
    for n in ["-1", "x", ""] {
        let response = registry.endpoint().get(format!("/v2/_catalog?n={n}"));
        response.expect_error(400, "PAGINATION_NUMBER_INVALID");
    }
}

#[test]
fn extensions_are_told() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&noise(1, 10));
    for target in ["/v2/_oci/ext/discover", "/v2/a/b/_oci/ext/discover"] {
        let response =
            registry.endpoint().get(target).expect(200).expect_header("content-type", "application/json");
        let json = response.json();
        for extension in json["extensions"].as_array().expect("an array of extensions") {
            for member in ["name", "url", "description"] {
                assert!(
                    extension[member].as_str().is_some_and(|text| !text.is_empty()),
                    "{member} in {response:?}"
                );
            }
            assert!(extension["endpoints"].is_array(), "{response:?}");
        }
    }
    let all = registry.endpoint().get("/v2/_oci/ext/discover").expect(200);
    let names: Vec<String> = all.json()["extensions"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|extension| extension["name"].as_str().expect("a name").to_owned())
        .collect();
    assert!(names.contains(&"_catalog".to_owned()), "the catalog is one: {names:?}");
}
