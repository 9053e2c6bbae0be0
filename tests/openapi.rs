//! The description of the admin API against the server that serves it: what it names is there, and takes the methods that it says.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::{Request, registry};

#[test]
fn what_is_described_is_there() {
    let registry = registry!().start();
    let endpoint = registry.endpoint();
    let answer = endpoint.get("/api/v1/openapi.json");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let description = answer.json();
    assert!(description["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let paths = description["paths"].as_object().expect("paths");
    assert!(paths.len() > 10);
    for (template, operations) in paths {
        // A thing of that name is nowhere; a restore needs a number to be a path at all.
        let path = template.replace("{id}", "999999999").replace(['{', '}'], "");
        let named: Vec<String> =
            operations.as_object().expect("operations").keys().map(|method| method.to_uppercase()).collect();
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            // Those that take long or change much are tried with a body that is refused.
            let request = Request::new(method, &path).header("content-type", "application/json").body("[");
            let answer = endpoint.send(&request);
            if named.iter().any(|name| name == method) {
                let is_there =
                    answer.status < 400 || !matches!(&*answer.problem(), "EXTENSION_UNKNOWN" | "UNSUPPORTED");
                assert!(is_there, "{method} {template}: {answer:?}");
            } else {
                assert_eq!((answer.status, &*answer.problem()), (405, "UNSUPPORTED"), "{method} {template}");
                let allowed = answer.header("allow").expect("the methods").replace("GET, HEAD", "GET");
                let allowed: Vec<&str> = allowed.split(", ").collect();
                assert!(named.iter().all(|name| allowed.contains(&name.as_str())), "{template} {allowed:?}");
                assert_eq!(allowed.len(), named.len(), "{template}");
            }
        }
    }
}
