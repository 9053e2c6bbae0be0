//! The invariants of the house, checked on the tree itself: which crate may name which, what no file may hold, and that
//! documentation, scripts and code say the same. Each failure lists every place.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use strata_types::{ErrorCode, Failure, Outcome};

/// Which crate of the workspace may depend on which (dependencies of tests included), each edge with its reason.
const EDGES: [(&str, &[&str]); 10] = [
    // Pure values: no crate below them.
    ("strata-types", &[]),
    // The engine keeps bytes and edges; digests and names are values.
    ("strata-engine", &["strata-types"]),
    // The service layer decides, the engine keeps.
    ("strata-registry", &["strata-types", "strata-engine"]),
    // What frontends share below their wires; what they hand to use cases (credentials, scopes) is the service layer's.
    ("strata-transport", &["strata-types", "strata-registry"]),
    // A frontend parses and renders; it calls use cases and never the engine.
    ("strata-frontend-http", &["strata-types", "strata-registry", "strata-transport"]),
    ("strata-frontend-grpc", &["strata-types", "strata-registry", "strata-transport"]),
    // The binary puts all of them together; its tests drive it through the harness and by the load generator.
    (
        "strata",
        &[
            "strata-types",
            "strata-engine",
            "strata-registry",
            "strata-transport",
            "strata-frontend-http",
            "strata-frontend-grpc",
            "strata-harness",
            "strata-benches",
        ],
    ),
    // The harness sees what a client sees: values and sockets.
    ("strata-harness", &["strata-types"]),
    // Proofs run use cases and parsers on simulated ports.
    (
        "strata-proof",
        &["strata-types", "strata-engine", "strata-registry", "strata-frontend-http", "strata-frontend-grpc"],
    ),
    // Benches measure single layers and the whole.
    (
        "strata-benches",
        &["strata-types", "strata-engine", "strata-registry", "strata-frontend-http", "strata-harness"],
    ),
];

/// What a crate must not depend on, directly: wires stay in frontends, JSON and HTTP out of the engine.
const FOREIGN: [(&str, &[&str]); 7] = [
    ("strata-types", &["tokio", "hyper", "http", "axum", "tonic", "rocksdb", "rustix"]),
    ("strata-engine", &["serde_json", "serde", "hyper", "http", "axum", "tonic", "prost"]),
    ("strata-registry", &["hyper", "http", "axum", "tonic", "prost", "rocksdb", "rustix"]),
    ("strata-transport", &["rocksdb", "tonic", "prost", "axum"]),
    ("strata-frontend-http", &["rocksdb", "tonic", "prost", "axum"]),
    ("strata-frontend-grpc", &["rocksdb", "axum"]),
    ("strata", &["hyper", "http", "axum", "tonic", "rocksdb"]),
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "common", "helpers", "misc", "core"];

const LINES_MAX: usize = 700;

/// The only files whose loop may pause: tests wait through them for a condition. Elsewhere only a peer that is slow on
/// purpose pauses, written `sleep(pace)`, and a bound may end a test, written `sleep(…) => panic!(…)`.
const WAITS: [&str; 2] = ["tests/harness/src/wait.rs", "frontend-http/src/connection/tests/server.rs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the repository that somebody wrote, by its path in it.
fn files() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("the repository can be read") {
            let entry = entry.expect("the repository can be read");
            let path = folder.join(entry.file_name());
            let name = path.to_str().expect("paths are UTF-8").to_owned();
            let skipped =
                [".git", "target", "strata-data"].contains(&entry.file_name().to_str().expect("UTF-8"));
            match entry.file_type().expect("a file type") {
                kind if kind.is_dir() && !skipped => folders.push(path),
                kind if kind.is_file() => found.push(name),
                _ => {}
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "only {} files found below {}", found.len(), root().display());
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// The Rust files with their text.
fn sources() -> Vec<(String, String)> {
    let rust = files().into_iter().filter(|path| has_extension(path, "rs"));
    rust.map(|path| (path.clone(), read(&path))).collect()
}

fn manifests() -> Vec<(String, toml::Table)> {
    let of_workspace = |path: &String| {
        path.ends_with("Cargo.toml") && path != "dev/rocksdb/Cargo.toml" && !path.starts_with("fuzz/")
    };
    files()
        .into_iter()
        .filter(of_workspace)
        .map(|path| (path.clone(), read(&path).parse().expect("a manifest")))
        .collect()
}

/// The names in every table of dependencies, normal, of tests and of builds.
fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let of = |table: &&str| manifest.get(*table).and_then(toml::Value::as_table);
    tables.iter().filter_map(of).flat_map(|table| table.keys().cloned()).collect()
}

#[track_caller]
fn assert_none(findings: &[String], rule: &str) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

#[test]
fn crates_depend_only_in_the_direction_of_the_house() {
    let (edges, foreign) = (BTreeMap::from(EDGES), BTreeMap::from(FOREIGN));
    let mut findings = Vec::new();
    for (path, manifest) in manifests() {
        let name = manifest["package"]["name"].as_str().expect("a package name").to_owned();
        let Some(allowed) = edges.get(name.as_str()) else {
            findings.push(format!("{path}: crate {name} is not in the list of tests/tidy.rs"));
            continue;
        };
        for dependency in dependencies(&manifest) {
            let ours = dependency.starts_with("strata");
            let banned =
                foreign.get(name.as_str()).is_some_and(|banned| banned.contains(&dependency.as_str()));
            if banned || (ours && !allowed.contains(&dependency.as_str())) {
                findings.push(format!("{path}: {name} must not depend on {dependency}"));
            }
        }
    }
    assert_none(&findings, "edges between crates that the design does not have");
}

#[test]
fn dependencies_of_tests_stay_out_of_the_binary() {
    let mut findings = Vec::new();
    for (path, manifest) in manifests() {
        let normal = manifest.get("dependencies").and_then(toml::Value::as_table);
        let name = manifest["package"]["name"].as_str().unwrap_or_default();
        let harness = normal.is_some_and(|normal| normal.contains_key("strata-harness"));
        if harness && name != "strata-benches" {
            findings.push(format!("{path}: strata-harness is for tests"));
        }
    }
    assert_none(&findings, "test crates among the dependencies of the product");
}

#[test]
fn layers_do_not_name_what_is_not_theirs() {
    let rules: [(&str, &[&str]); 5] = [
        ("transport/src/", &["strata_engine", "rocksdb"]),
        ("frontend-http/src/", &["strata_engine", "rocksdb"]),
        ("frontend-grpc/src/", &["strata_engine", "strata_frontend_http", "rocksdb"]),
        ("registry/src/", &["hyper::", "http::", "axum::", "tonic::", "rocksdb"]),
        ("engine/src/", &["serde_json", "hyper::", "http::", "strata_registry"]),
    ];
    let mut findings = Vec::new();
    for (path, text) in sources() {
        let Some((_, words)) = rules.iter().find(|(folder, _)| path.starts_with(folder)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(word) = words.iter().find(|word| code.contains(*word)) {
                findings.push(format!("{path}:{}: names {word}", number + 1));
            }
        }
    }
    assert_none(&findings, "a layer names what belongs to another");
}

#[test]
fn files_have_names_headers_and_an_end() {
    let mut findings = Vec::new();
    for (path, text) in sources() {
        let empty = Path::new(&path).iter().filter_map(|part| part.to_str()).find(|part| {
            let stem = part.strip_suffix(".rs").unwrap_or(part);
            EMPTY_NAMES.contains(&stem)
        });
        if let Some(name) = empty {
            findings.push(format!("{path}: {name} says nothing about what is inside"));
        }
        if !text.starts_with("//! ") {
            findings.push(format!("{path}: does not start with a `//!` header"));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{path}: {lines} lines, at most {LINES_MAX}; split it by role"));
        }
    }
    assert_none(&findings, "files that are hard to find or to read");
}

#[test]
fn nothing_is_left_for_later() {
    // Taken apart, so that this file does not find itself.
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["unimpl", "emented!"], ["tod", "o!("], ["#[ign", "ore"], ["HA", "CK"]]
            .map(|parts| parts.concat());
    let mut findings = Vec::new();
    for path in files() {
        let kinds = ["rs", "toml", "md", "sh", "yml"];
        let named = Path::new(&path)
            .extension()
            .and_then(|kind| kind.to_str())
            .is_some_and(|kind| kinds.contains(&kind));
        let script = path.starts_with("dev/")
            || path.starts_with(".ci/")
            || path == "Makefile"
            || path == "Dockerfile";
        if !named && !script {
            continue;
        }
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(mark) = marks.iter().find(|mark| line.contains(*mark)) {
                findings.push(format!("{path}:{}: {mark}", number + 1));
            }
        }
    }
    assert_none(&findings, "unfinished work");
}

#[test]
fn every_lint_that_is_silenced_says_why() {
    let openings = [["#[al", "low("], ["#![al", "low("], ["#[exp", "ect("], ["#![exp", "ect("]]
        .map(|parts| parts.concat());
    let mut findings = Vec::new();
    for (path, text) in sources() {
        for opening in &openings {
            for (start, _) in text.match_indices(opening.as_str()) {
                let attribute = text[start..].split(")]").next().unwrap_or_default();
                if !attribute.contains("reason") {
                    findings.push(format!("{path}:{}: {opening}…", text[..start].lines().count() + 1));
                }
            }
        }
    }
    assert_none(&findings, "lints silenced without a reason");
}

#[test]
fn tests_wait_for_conditions_and_not_for_time() {
    let pauses = [["thread::sl", "eep"], ["time::sl", "eep("]].map(|parts| parts.concat());
    let mut findings = Vec::new();
    for (path, text) in sources() {
        let file_of_tests = path.contains("tests/") || path.ends_with("tests.rs") || path.ends_with("/tests");
        let marker = ["#[cfg(te", "st)]"].concat();
        let from = if file_of_tests { Some(0) } else { text.find(&marker) };
        let Some(from) = from.filter(|_| !WAITS.contains(&path.as_str())) else { continue };
        let before = text[..from].lines().count();
        for (number, line) in text[from..].lines().enumerate() {
            if let Some(pause) = pauses.iter().find(|pause| {
                line.contains(*pause) && !line.contains("(pace)") && !line.contains("=> panic!(")
            }) {
                findings.push(format!("{path}:{}: {pause}", before + number + 1));
            }
        }
    }
    assert_none(&findings, "pauses in tests; wait for the condition");
}

#[test]
fn the_prebuilt_rocksdb_is_the_one_of_the_workspace() {
    let workspace: toml::Table = read("Cargo.toml").parse().expect("a manifest");
    let prebuilt: toml::Table = read("dev/rocksdb/Cargo.toml").parse().expect("a manifest");
    let ours = &workspace["workspace"]["dependencies"]["rocksdb"];
    assert_eq!(ours, &prebuilt["dependencies"]["rocksdb"], "dev/rocksdb/Cargo.toml and Cargo.toml differ");
    let locked = |path: &str| {
        let lock: toml::Table = read(path).parse().expect("a lock file");
        let packages = lock["package"].as_array().expect("packages").clone();
        let sys = packages.into_iter().find(|package| package["name"].as_str() == Some("librocksdb-sys"));
        sys.expect("librocksdb-sys is locked")["version"].as_str().expect("a version").to_owned()
    };
    assert_eq!(
        locked("Cargo.lock"),
        locked("dev/rocksdb/Cargo.lock"),
        "the lock files name different versions"
    );
}

#[test]
fn every_make_target_that_is_named_exists() {
    let makefile = read("Makefile");
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter_map(|line| line.split_once(':').map(|(name, _)| name))
        .filter(|name| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
        })
        .collect();
    let mut findings = Vec::new();
    let mut named = 0;
    for path in files() {
        let markdown = has_extension(&path, "md");
        if !markdown && path != ".ci/run" && !path.starts_with("dev/") {
            continue;
        }
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            // In prose "make sure" is no target: only code counts there.
            let commands = line.match_indices("make ").filter(|(at, _)| {
                let before = line[..*at].chars().next_back();
                matches!(before, Some('`'))
                    || (line.starts_with("make ") || line.starts_with("step make ")) && *at < 6
            });
            for (at, word) in commands {
                let rest = &line[at + word.len()..];
                let end = rest.find(|letter: char| {
                    !letter.is_ascii_lowercase() && !letter.is_ascii_digit() && letter != '-'
                });
                let target = &rest[..end.unwrap_or(rest.len())];
                named += 1;
                if !targets.contains(target) {
                    findings.push(format!("{path}:{}: make {target}", number + 1));
                }
            }
        }
    }
    assert!(named > 0, "no make target is named anywhere");
    assert_none(&findings, "make targets that do not exist");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut findings = Vec::new();
    for path in files().into_iter().filter(|path| has_extension(path, "md")) {
        let folder = Path::new(&path).parent().unwrap_or(Path::new("")).to_owned();
        for (number, line) in read(&path).lines().enumerate() {
            for (at, _) in line.match_indices("](") {
                let target = line[at + 2..].split(')').next().unwrap_or_default();
                let file = target.split('#').next().unwrap_or_default();
                let outside = file.is_empty() || file.contains("://") || file.starts_with("mailto:");
                if !outside && !root().join(&folder).join(file).exists() {
                    findings.push(format!("{path}:{}: {target}", number + 1));
                }
            }
        }
    }
    assert_none(&findings, "links to files that do not exist");
}

/// docs/errors.md as the code says it.
fn errors_markdown() -> String {
    let mut text = String::from(
        "# Errors\n\n\
         <!-- Generated from types/src/error_code.rs by `make docs`; a test compares this file with the code. -->\n\n\
         An error is answered with a JSON body `{\"errors\":[{\"code\":…,\"message\":…,\"detail\":…}]}`, by the [admin API](admin-api.md)\n\
         with problem details that have the same `code`. `code` is one of the words\n\
         below and stays as it is named here; `message` is for people and may change; `detail` is there where it helps. The header\n\
         `X-Request-Id` of the answer stands in the log line of the request as well, which also names the cause.\n\n\
         Not so a request whose head the HTTP parser itself refuses: a malformed one gets 400, one that is too long 431, both with an\n\
         empty body and without `X-Request-Id`; the log has a line `malformed request` with the peer at level `debug`.\n\n\
         The status is the usual one; a request can give reason for another (a range that does not fit an upload is 416 whatever\n\
         the code).\n\n\
         Over [gRPC](grpc.md) the code is the `reason` of a `google.rpc.ErrorInfo` of the domain `strata`, whose `metadata` has the plain fields of\n\
         `detail`. The status is the one below, but for these: what is there already is `ALREADY_EXISTS`, a quota `RESOURCE_EXHAUSTED`, and what\n\
         lost a race (another writer in the same session, too many concurrent changes) `ABORTED`.\n\n\
         ## Codes of the distribution-spec\n\n| code | status | gRPC | meaning |\n|---|---|---|---|\n",
    );
    let row = |text: &mut String, outcome: Outcome, meaning: &str| {
        let status = strata_frontend_http::status_of(outcome);
        let grpc = strata_frontend_grpc::status_name(outcome);
        let _ = writeln!(text, "| `{}` | {status} | `{grpc}` | {meaning} |", outcome.as_str());
    };
    for code in ErrorCode::ALL {
        row(&mut text, Outcome::from(*code), code.meaning());
    }
    text.push_str("\n## Failures that the distribution-spec has no code for\n\n| code | status | gRPC | meaning |\n|---|---|---|---|\n");
    for failure in Failure::ALL {
        row(&mut text, Outcome::from(*failure), failure.meaning());
    }
    text
}

#[test]
fn documentation_of_errors_equals_the_code() {
    let generated = errors_markdown();
    let path = root().join("docs/errors.md");
    if std::env::var_os("STRATA_WRITE_DOCS").is_some() {
        fs::write(&path, &generated).expect("docs/errors.md can be written");
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == generated,
        "docs/errors.md is not what the code says; run `make docs`"
    );
}

/// The table of docs/admin-api.md as the code says it.
fn operations_markdown() -> String {
    let mut text = String::from("| request | does |\n|---|---|\n");
    for operation in strata_frontend_http::openapi::operations() {
        let (method, template) = (operation.method(), operation.endpoint().template());
        let query: Vec<String> = operation.query().map(|name| format!("{name}=")).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let _ = writeln!(text, "| `{method} {template}{query}` | {} |", operation.summary());
    }
    text
}

#[test]
fn documentation_of_operations_equals_the_code() {
    const BEGIN: &str = "<!-- Generated from frontend-http/src/openapi/ by `make docs`; a test compares it with the code. -->\n\n";
    const END: &str = "\n<!-- End of what is generated. -->\n";
    let path = root().join("docs/admin-api.md");
    let text = fs::read_to_string(&path).expect("docs/admin-api.md can be read");
    let (before, rest) = text.split_once(BEGIN).expect("the table begins");
    let (table, behind) = rest.split_once(END).expect("the table ends");
    let generated = operations_markdown();
    if std::env::var_os("STRATA_WRITE_DOCS").is_some() {
        fs::write(&path, [before, BEGIN, &generated, END, behind].concat()).expect("it can be written");
    } else {
        assert!(table == generated, "docs/admin-api.md is not what the code says; run `make docs`");
    }
}
