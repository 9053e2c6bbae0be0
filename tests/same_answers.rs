//! One scenario, run over HTTP and over gRPC, each at a server of its own: the same results, the same codes, the same lines in the audit log.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;
use strata_harness::grpc::tonic::Status;
use strata_harness::grpc::tonic_types::StatusExt as _;
use strata_harness::grpc::{Grpc, run, v1};
use strata_harness::operator::done;
use strata_harness::random::noise;
use strata_harness::{Document, Endpoint, Image, Request, Response, TestRegistry, registry, sha256, wait};

const REPOSITORY: &str = "hy/image";
const OTHER: &str = "hy/other";

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Admin,
    Viewer,
    Uploader,
    /// No credentials.
    Nobody,
    /// An account without a role.
    Stranger,
}

use Who::{Admin, Nobody, Stranger, Uploader, Viewer};

/// What is asked.
#[derive(Debug, Clone)]
enum Deed {
    Stat(&'static str, String),
    Read(String, u64, u64),
    /// The content, and the digest that is claimed.
    Write(Bytes, String),
    Mount(String, &'static str),
    DeleteBlob(String),
    /// The manifest, and a tag or digest to store it under.
    Put(Document, String),
    Get(&'static str, String),
    Delete(String),
    Tags(&'static str, u32, &'static str),
    Referrers(String),
    /// A chunk at a place in a new session that holds three bytes.
    Append(u64),
    /// Where a session stands that is none.
    NoSession,
    CreateRegistry(&'static str),
    Accounts,
    GetTag(&'static str),
}

/// What came of it: something to compare, or the code of the refusal.
type Outcome = Result<String, String>;

struct Servers {
    registry: TestRegistry,
    keys: Vec<(Who, (String, String))>,
}

impl Servers {
    fn start() -> Self {
        let registry = registry!().accounts().grpc().start();
        let admin = registry.admin();
        let post = |path: &str, body: Value| {
            let request = Request::new("POST", format!("/api/v1/{path}"));
            let request = request.header("content-type", "application/json").body(body.to_string());
            let answer = admin.send(&request);
            assert_eq!(answer.status, 201, "{answer:?}");
            answer.json()
        };
        post("registries", json!({ "name": "hy" }));
        let mut keys = Vec::new();
        for (who, name, role) in
            [(Viewer, "vera", Some("viewer")), (Uploader, "uli", Some("uploader")), (Stranger, "stan", None)]
        {
            post("accounts", json!({ "name": name, "kind": "person" }));
            let key = post(&format!("accounts/{name}/keys"), json!({}));
            let text = |field: &str| key[field].as_str().expect("a text").to_owned();
            keys.push((who, (text("id"), text("secret"))));
            if let Some(role) = role {
                let path = format!("/api/v1/registries/hy/members/{name}");
                let request = Request::put(path).header("content-type", "application/json");
                done(&admin.send(&request.body(json!({ "role": role }).to_string())));
            }
        }
        let (id, secret) = strata_harness::ADMIN;
        keys.push((Admin, (id.to_owned(), secret.to_owned())));
        Self { registry, keys }
    }

    fn key(&self, who: Who) -> Option<&(String, String)> {
        self.keys.iter().find(|(of, _)| *of == who).map(|(_, key)| key)
    }

    fn http(&self, who: Who) -> Endpoint {
        let endpoint = self.registry.endpoint();
        self.key(who).map_or(endpoint, |(id, secret)| endpoint.with_key(id, secret))
    }

    fn grpc(&self, who: Who) -> Grpc {
        let grpc = self.registry.grpc();
        match self.key(who) {
            Some((id, secret)) => grpc.with_key(id, secret),
            None => grpc,
        }
    }

    /// The audit log, oldest first, without what no two servers have in common.
    fn audit(&self) -> Vec<Value> {
        let page = done(&self.registry.admin().get("/api/v1/audit?limit=1000"));
        let mut entries = page["entries"].as_array().expect("a list").clone();
        entries.reverse();
        for entry in &mut entries {
            let entry = entry.as_object_mut().expect("an object");
            for own in ["id", "at_millis", "request", "key"] {
                entry.remove(own);
            }
            // The id of a key made for this server.
            if entry["action"].as_str().is_some_and(|action| action.starts_with("key.")) {
                entry.remove("target");
            }
        }
        entries
    }
}

fn text(bytes: &[u8]) -> String {
    sha256(bytes)
}

/// The outcome of an answer of which `take` reads what is to be compared.
fn of_answer(answer: &Response, take: impl FnOnce(&Response) -> String) -> Outcome {
    if answer.status < 300 {
        return Ok(take(answer));
    }
    if answer.body.is_empty() {
        // A HEAD says it by its status alone.
        return Err(match answer.status {
            401 => "UNAUTHORIZED",
            403 => "DENIED",
            404 => "BLOB_UNKNOWN",
            other => panic!("{other}: {answer:?}"),
        }
        .to_owned());
    }
    let body = answer.json();
    let code = body["errors"][0]["code"].as_str().or_else(|| body["code"].as_str());
    Err(code.unwrap_or_else(|| panic!("no code in {answer:?}")).to_owned())
}

fn over_http(servers: &Servers, who: Who, deed: &Deed) -> Outcome {
    let endpoint = servers.http(who);
    let repository = |name: &str| endpoint.repository(name);
    let here = repository(REPOSITORY);
    let ok = |_: &Response| String::new();
    let digest = |answer: &Response| answer.header("docker-content-digest").unwrap_or_default().to_owned();
    match deed {
        Deed::Stat(name, blob) => {
            let answer = endpoint.head(repository(name).blob(blob));
            of_answer(&answer, |answer| answer.header("content-length").unwrap_or_default().to_owned())
        }
        Deed::Read(blob, offset, len) => {
            let range = if *len == 0 {
                format!("bytes={offset}-")
            } else {
                format!("bytes={offset}-{}", offset + len - 1)
            };
            let answer = endpoint.send(&Request::get(here.blob(blob)).header("range", range));
            of_answer(&answer, |answer| text(&answer.body))
        }
        Deed::Write(content, claimed) => of_answer(&endpoint.send(&here.post_blob(claimed, content)), digest),
        Deed::Mount(blob, from) => {
            let answer = endpoint.post(format!("{}?mount={blob}&from={from}", repository(OTHER).uploads()));
            of_answer(&answer, |answer| (answer.status == 201).to_string())
        }
        Deed::DeleteBlob(blob) => of_answer(&endpoint.delete(here.blob(blob)), ok),
        Deed::Put(document, reference) => {
            of_answer(&endpoint.send(&here.put_manifest(reference, document)), digest)
        }
        Deed::Get(name, reference) => {
            of_answer(&endpoint.get(repository(name).manifest(reference)), |answer| text(&answer.body))
        }
        Deed::Delete(reference) => of_answer(&endpoint.delete(here.manifest(reference)), ok),
        Deed::Tags(name, n, last) => {
            let answer = endpoint.get(repository(name).target(&format!("tags/list?n={n}&last={last}")));
            of_answer(&answer, |answer| format!("{} {}", answer.json()["tags"], answer.next_page().is_some()))
        }
        Deed::Referrers(subject) => {
            let answer = endpoint.get(here.target(&format!("referrers/{subject}")));
            of_answer(&answer, |answer| {
                let found = answer.json();
                let digests =
                    found["manifests"].as_array().expect("a list").iter().map(|one| one["digest"].clone());
                Value::Array(digests.collect()).to_string()
            })
        }
        Deed::Append(start) => {
            let answer = endpoint.post(here.uploads());
            if answer.status >= 300 {
                return of_answer(&answer, ok);
            }
            let location = answer.location();
            here.patch(&location, &Bytes::from_static(b"abc"));
            let range = format!("{start}-{}", start + 2);
            let request = Request::patch(location).header("content-range", range).body("def");
            of_answer(&endpoint.send(&request), |answer| {
                let range = answer.header("range").unwrap_or_default();
                let end: u64 = range.trim_start_matches("0-").parse().expect("an end");
                (end + 1).to_string()
            })
        }
        Deed::NoSession => {
            let nowhere = here.target("blobs/uploads/00000000000000000000000000000000");
            of_answer(&endpoint.get(nowhere), ok)
        }
        Deed::CreateRegistry(name) => {
            let request = Request::post("/api/v1/registries").header("content-type", "application/json");
            of_answer(&endpoint.send(&request.body(json!({ "name": name }).to_string())), |answer| {
                answer.json()["name"].as_str().unwrap_or_default().to_owned()
            })
        }
        Deed::Accounts => of_answer(&endpoint.get("/api/v1/accounts"), |answer| {
            answer.json()["accounts"].as_array().expect("a list").len().to_string()
        }),
        Deed::GetTag(tag) => {
            let name = REPOSITORY.replace('/', "%2F");
            let answer = endpoint.get(format!("/api/v1/images/{name}/tags/{tag}"));
            of_answer(&answer, |answer| answer.json()["digest"].as_str().unwrap_or_default().to_owned())
        }
    }
}

fn refused(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no reason in {status:?}"));
    info.reason
}

async fn over_grpc(servers: &Servers, who: Who, deed: &Deed) -> Outcome {
    let outcome = call(&servers.grpc(who), deed).await;
    let outcome = outcome.map_err(|status| refused(&status));
    match (deed, outcome) {
        // What is not there a HEAD cannot say.
        (Deed::Stat(..), Err(code)) if code == "NAME_UNKNOWN" => Err("BLOB_UNKNOWN".to_owned()),
        (_, outcome) => outcome,
    }
}

async fn call(grpc: &Grpc, deed: &Deed) -> Result<String, Status> {
    let here = || REPOSITORY.to_owned();
    Ok(match deed.clone() {
        Deed::Stat(name, digest) => {
            let asked = v1::BlobsStatRequest { repository: name.to_owned(), digest };
            grpc.blobs().stat(asked).await?.into_inner().size.to_string()
        }
        Deed::Read(digest, offset, size) => {
            text(&grpc.read(v1::BlobsReadRequest { repository: here(), digest, offset, size }).await?)
        }
        Deed::Write(content, digest) => {
            let start = v1::BlobsWriteStart { repository: here(), digest, ..Default::default() };
            grpc.write(start, &content, 4096).await?.digest
        }
        Deed::Mount(digest, from) => {
            let asked = v1::BlobsMountRequest { repository: OTHER.to_owned(), digest, from: from.to_owned() };
            grpc.blobs().mount(asked).await?.into_inner().mounted.to_string()
        }
        Deed::DeleteBlob(digest) => {
            grpc.blobs().delete(v1::BlobsDeleteRequest { repository: here(), digest }).await?;
            String::new()
        }
        Deed::Put(document, reference) => {
            let (digest, tags) =
                if reference.contains(':') { (reference, vec![]) } else { (String::new(), vec![reference]) };
            let (content, media_type) = (document.bytes.clone(), document.media_type.clone());
            let asked = v1::ManifestsPutRequest {
                repository: here(),
                content,
                media_type,
                digest,
                tags,
                ..Default::default()
            };
            grpc.manifests().put(asked).await?.into_inner().digest
        }
        Deed::Get(name, reference) => {
            let asked = v1::ManifestsGetRequest { repository: name.to_owned(), reference };
            text(&grpc.manifests().get(asked).await?.into_inner().content)
        }
        Deed::Delete(digest) if digest.contains(':') => {
            grpc.manifests().delete(v1::ManifestsDeleteRequest { repository: here(), digest }).await?;
            String::new()
        }
        Deed::Delete(tag) => {
            grpc.tags().delete(v1::TagsDeleteRequest { repository: here(), tag }).await?;
            String::new()
        }
        Deed::Tags(name, page_size, last) => {
            let asked =
                v1::TagsListRequest { repository: name.to_owned(), page_size, page_token: last.to_owned() };
            let page = grpc.tags().list(asked).await?.into_inner();
            format!("{} {}", json!(page.tags), !page.next_page_token.is_empty())
        }
        Deed::Referrers(subject) => {
            let asked = v1::ManifestsReferrersRequest { repository: here(), subject, ..Default::default() };
            let page = grpc.manifests().referrers(asked).await?.into_inner();
            json!(page.referrers.iter().map(|one| &one.digest).collect::<Vec<_>>()).to_string()
        }
        Deed::Append(offset) => {
            let asked = v1::BlobsStartWriteRequest { repository: here(), ..Default::default() };
            let session = grpc.blobs().start_write(asked).await?.into_inner().session;
            let start = v1::BlobsWriteStart { repository: here(), session, ..Default::default() };
            grpc.write(start.clone(), b"abc", 3).await?;
            grpc.write(v1::BlobsWriteStart { offset, ..start }, b"def", 3).await?.offset.to_string()
        }
        Deed::NoSession => {
            let session = "00000000000000000000000000000000".to_owned();
            let asked = v1::BlobsWriteStatusRequest { repository: here(), session };
            grpc.blobs().write_status(asked).await?;
            String::new()
        }
        Deed::CreateRegistry(name) => {
            let asked = v1::AdminCreateRegistryRequest { name: name.to_owned(), ..Default::default() };
            grpc.admin().create_registry(asked).await?.into_inner().registry.expect("a registry").name
        }
        Deed::Accounts => {
            let page = grpc.admin().list_accounts(v1::AdminListAccountsRequest::default()).await?;
            page.into_inner().accounts.len().to_string()
        }
        Deed::GetTag(tag) => {
            let asked = v1::AdminGetTagRequest { image: here(), tag: tag.to_owned() };
            grpc.admin().get_tag(asked).await?.into_inner().tag.expect("a tag").digest
        }
    })
}

/// What is done, in order, and by whom.
fn scenario() -> Vec<(Who, Deed)> {
    let image = Image::small(7);
    let manifest = image.manifest.clone();
    let blob = sha256(&image.layers[0]);
    let large = noise(9, 300_000);
    let (missing, bad) = (sha256(b"nobody has this"), "sha256:short".to_owned());
    let broken = Document::raw("application/vnd.oci.image.manifest.v1+json", "{\"schemaVersion\":2");
    let signature = strata_harness::image::artifact("a/signature", Some(&manifest.descriptor()), "x");
    let mut steps = vec![
        (Nobody, Deed::Stat(REPOSITORY, blob.clone())),
        (Stranger, Deed::Stat(REPOSITORY, blob.clone())),
        (Stranger, Deed::Write(large.clone(), sha256(&large))),
        (Viewer, Deed::Write(large.clone(), sha256(&large))),
        (Uploader, Deed::Write(large.clone(), missing.clone())),
        (Uploader, Deed::Write(large.clone(), bad.clone())),
        (Uploader, Deed::Write(large.clone(), sha256(&large))),
        (Uploader, Deed::Stat(REPOSITORY, sha256(&large))),
        (Uploader, Deed::Read(sha256(&large), 0, 0)),
        (Viewer, Deed::Read(sha256(&large), 0, 0)),
        (Viewer, Deed::Read(sha256(&large), 100_000, 70_000)),
        (Viewer, Deed::Read(sha256(&large), 300_001, 0)),
        (Viewer, Deed::Read(missing.clone(), 0, 0)),
        (Viewer, Deed::Stat("hy/nothing", blob.clone())),
        (Uploader, Deed::Put(manifest.clone(), "v1".to_owned())),
        (Uploader, Deed::Put(broken, "v1".to_owned())),
    ];
    steps.extend(image.blobs().map(|bytes| (Uploader, Deed::Write(bytes.clone(), sha256(bytes)))));
    steps.extend([
        (Viewer, Deed::Put(manifest.clone(), "v1".to_owned())),
        (Uploader, Deed::Put(manifest.clone(), "-x".to_owned())),
        (Uploader, Deed::Put(manifest.clone(), missing.clone())),
        (Uploader, Deed::Put(manifest.clone(), "v1".to_owned())),
        (Uploader, Deed::Put(manifest.clone(), "v2".to_owned())),
        (Uploader, Deed::Put(manifest.clone(), manifest.digest())),
        (Uploader, Deed::Write(Bytes::from_static(b"{}"), sha256(b"{}"))),
        (Uploader, Deed::Put(signature, "sig".to_owned())),
        (Uploader, Deed::Get(REPOSITORY, "v1".to_owned())),
        (Viewer, Deed::Get(REPOSITORY, "v1".to_owned())),
        (Viewer, Deed::Get(REPOSITORY, manifest.digest())),
        (Viewer, Deed::Get(REPOSITORY, "v9".to_owned())),
        (Viewer, Deed::Get(REPOSITORY, "-x".to_owned())),
        (Viewer, Deed::Get("hy/nothing", "v1".to_owned())),
        (Viewer, Deed::Get("HY/x", "v1".to_owned())),
        (Nobody, Deed::Get(REPOSITORY, "v1".to_owned())),
        (Viewer, Deed::Tags(REPOSITORY, 2, "")),
        (Viewer, Deed::Tags(REPOSITORY, 2, "v1")),
        (Viewer, Deed::Tags("hy/nothing", 2, "")),
        (Viewer, Deed::Referrers(manifest.digest())),
        (Viewer, Deed::Referrers(bad)),
        (Uploader, Deed::Mount(blob.clone(), REPOSITORY)),
        (Uploader, Deed::Mount(missing.clone(), REPOSITORY)),
        (Viewer, Deed::Mount(blob.clone(), REPOSITORY)),
        (Uploader, Deed::Append(3)),
        (Uploader, Deed::Append(2)),
        (Uploader, Deed::NoSession),
        (Uploader, Deed::DeleteBlob(blob.clone())),
        (Admin, Deed::DeleteBlob(blob)),
        (Admin, Deed::DeleteBlob(missing)),
        (Admin, Deed::DeleteBlob(sha256(&large))),
        (Viewer, Deed::Delete("v2".to_owned())),
        (Admin, Deed::Delete("v2".to_owned())),
        (Admin, Deed::Delete("v2".to_owned())),
        (Admin, Deed::Delete(manifest.digest())),
        (Admin, Deed::Get(REPOSITORY, "v1".to_owned())),
        (Viewer, Deed::CreateRegistry("mine")),
        (Admin, Deed::CreateRegistry("mine")),
        (Admin, Deed::CreateRegistry("mine")),
        (Admin, Deed::CreateRegistry("NOT")),
        (Viewer, Deed::Accounts),
        (Admin, Deed::Accounts),
        (Viewer, Deed::GetTag("sig")),
        (Viewer, Deed::GetTag("v1")),
    ]);
    steps
}

#[test]
fn one_scenario_has_the_same_answers_over_http_and_grpc() {
    let (left, right) = (Servers::start(), Servers::start());
    let scenario = scenario();
    let over_http: Vec<Outcome> = scenario.iter().map(|(who, deed)| over_http(&left, *who, deed)).collect();
    let over_grpc: Vec<Outcome> = run(async {
        let mut outcomes = Vec::new();
        for (who, deed) in &scenario {
            outcomes.push(over_grpc(&right, *who, deed).await);
        }
        outcomes
    });
    let mut different = Vec::new();
    for (((who, deed), http), grpc) in scenario.iter().zip(&over_http).zip(&over_grpc) {
        if http != grpc {
            different.push(format!("{who:?} {deed:?}:\n    HTTP {http:?}\n    gRPC {grpc:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(over_http.iter().filter(|outcome| outcome.is_err()).count() >= 25, "many are refused");

    // Refusals are written a moment later, by a task of their own.
    let same = wait::within(Duration::from_secs(30), || {
        let (http, grpc) = (left.audit(), right.audit());
        let denied = |entries: &[Value]| {
            entries.iter().any(|entry| entry["result"].as_str().is_some_and(|result| result != "done"))
        };
        (http == grpc && denied(&http)).then_some(())
    });
    if same.is_none() {
        let lines = |entries: Vec<Value>| {
            entries.iter().map(|entry| format!("  {entry}")).collect::<Vec<_>>().join("\n")
        };
        panic!("HTTP:\n{}\ngRPC:\n{}", lines(left.audit()), lines(right.audit()));
    }
}
