//! The audit log over the admin API: pushes and deletions are in it, filters and pages find them, and it can be had as JSON lines.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::Value;
use strata_harness::operator::done;
use strata_harness::{Endpoint, Image, registry};

fn audit(endpoint: &Endpoint, query: &str) -> Vec<Value> {
    done(&endpoint.get(format!("/api/v1/audit{query}")))["entries"].as_array().expect("a list").clone()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().expect("an action")).collect()
}

#[test]
fn pushes_and_deletions_are_told_newest_first() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    let (hy, other) = (registry.repository("hy/a"), registry.repository("zz/b"));
    hy.push_image("v1", &Image::small(1));
    other.push_image("v1", &Image::small(2));
    endpoint.delete(hy.manifest("v1")).expect(202);

    let all = audit(&endpoint, "");
    assert_eq!((&all[0]["action"], &all[0]["tag"]), (&"tag.delete".into(), &"v1".into()));
    assert_eq!(all[0]["repository"], "hy/a");
    assert_eq!(all[0]["result"], "done");
    assert_eq!(all[0]["remote"], "127.0.0.1");
    assert!(all[0]["request"].as_str().is_some_and(|id| !id.is_empty()));
    let numbers: Vec<u64> = all.iter().filter_map(|entry| entry["id"].as_u64()).collect();
    assert!(numbers.is_sorted_by(|left, right| left > right), "{numbers:?}");

    let pushed = audit(&endpoint, "?action=manifest.push");
    assert_eq!(actions(&pushed), ["manifest.push", "manifest.push"]);
    assert_eq!(audit(&endpoint, "?action=tag&registry=hy").len(), 2);
    assert_eq!(audit(&endpoint, "?repository=zz%2Fb&action=manifest").len(), 1);
    assert!(audit(&endpoint, "?account=nobody").is_empty() && audit(&endpoint, "?result=refused").is_empty());
    let last = all[0]["at_millis"].as_u64().expect("a time");
    assert!(audit(&endpoint, &format!("?from={}", last + 1)).is_empty());
    assert_eq!(audit(&endpoint, &format!("?until={}", last + 1)).len(), all.len());
    assert!(audit(&endpoint, &format!("?from={last}")).contains(&all[0]));

    // Page by page, and as lines, it is the same.
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = done(&endpoint.get(format!("/api/v1/audit?limit=2{cursor}")));
        paged.extend(page["entries"].as_array().expect("a list").iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all);
    let (mut lines, mut target) = (Vec::new(), "/api/v1/audit?format=jsonl&limit=3".to_owned());
    loop {
        let page = endpoint.get(target.as_str());
        assert_eq!((page.status, page.header("content-type")), (200, Some("application/jsonl")));
        let text = std::str::from_utf8(&page.body).expect("UTF-8");
        lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a document")));
        match page.next_page() {
            Some(next) => target = next,
            None => break,
        }
    }
    lines.reverse();
    assert_eq!(lines, all, "from the beginning");
}

#[test]
fn wrong_questions_are_refused() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    for (query, code) in [
        ("?from=yesterday", "REQUEST_INVALID"),
        ("?until=-1", "REQUEST_INVALID"),
        ("?format=csv", "REQUEST_INVALID"),
        ("?cursor=x", "PAGINATION_NUMBER_INVALID"),
        ("?limit=0", "PAGINATION_NUMBER_INVALID"),
    ] {
        endpoint.get(format!("/api/v1/audit{query}")).expect_problem(400, code);
    }
}
