//! gRPC over a real socket, with a real client: what is written is there, for HTTP as well, and every refusal has its code.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::time::Duration;
use strata_harness::grpc::tonic::Code;
use strata_harness::grpc::tonic_types::StatusExt as _;
use strata_harness::grpc::{Grpc, GrpcAddress, health, reflection, refusal, run, stream, v1};
use strata_harness::http2::Client;
use strata_harness::{ADMIN, Endpoint, Random, registry, sha256, wait};

const REPOSITORY: &str = "demo/image";

fn stat(digest: &str) -> v1::BlobsStatRequest {
    v1::BlobsStatRequest { repository: REPOSITORY.into(), digest: digest.into() }
}

fn read(digest: &str, offset: u64, size: u64) -> v1::BlobsReadRequest {
    v1::BlobsReadRequest { repository: REPOSITORY.into(), digest: digest.into(), offset, size }
}

fn start(digest: &str) -> v1::BlobsWriteStart {
    v1::BlobsWriteStart { repository: REPOSITORY.into(), digest: digest.into(), ..Default::default() }
}

fn get(reference: &str) -> v1::ManifestsGetRequest {
    v1::ManifestsGetRequest { repository: REPOSITORY.into(), reference: reference.into() }
}

/// A manifest of nothing but this configuration.
fn manifest(config: &str, size: usize) -> Vec<u8> {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{size}}},"layers":[]}}"#
    )
    .into_bytes()
}

async fn put(grpc: &Grpc, content: Vec<u8>, tags: &[&str]) -> v1::ManifestsPutResponse {
    let request = v1::ManifestsPutRequest {
        repository: REPOSITORY.into(),
        content: content.into(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..Default::default()
    };
    grpc.manifests().put(request).await.expect("the manifest is taken").into_inner()
}

#[test]
fn a_blob_is_written_and_read_whole_and_in_part() {
    let registry = registry!().grpc().start();
    let mut random = Random::new(1);
    run(async {
        let grpc = registry.grpc();
        for size in [0, 1, 60_000, 70_000, 3_000_000] {
            let content = random.bytes(size);
            let digest = sha256(&content);
            let written = grpc.write(start(&digest), &content, 100_000).await.expect("written");
            assert_eq!((written.digest.as_str(), written.offset), (digest.as_str(), size as u64));
            let found = grpc.blobs().stat(stat(&digest)).await.expect("it is there").into_inner();
            assert_eq!((found.digest.as_str(), found.size), (digest.as_str(), size as u64));
            assert!(grpc.read(read(&digest, 0, 0)).await.expect("read") == content, "{size}");
            let (from, len) = (size / 3, size / 2);
            if len > 0 {
                let part = grpc.read(read(&digest, from as u64, len as u64)).await.expect("a part");
                assert!(part == content[from..from + len], "{size}");
            }
            let behind = grpc.read(read(&digest, size as u64 + 1, 0)).await;
            assert_eq!(refusal(behind), (Code::OutOfRange, "RANGE_INVALID".to_owned()));
        }
    });
}

#[test]
fn a_session_is_gone_on_with_after_a_restart() {
    let mut registry = registry!().grpc().start();
    let content = Random::new(2).bytes(2_500_000);
    let digest = sha256(&content);
    let session = run(async {
        let grpc = registry.grpc();
        let asked = v1::BlobsStartWriteRequest { repository: REPOSITORY.into(), algorithm: String::new() };
        let session = grpc.blobs().start_write(asked).await.expect("a session").into_inner().session;
        let first = v1::BlobsWriteStart { session: session.clone(), ..start("") };
        let status = grpc.write(first, &content[..1_000_000], 65_536).await.expect("a part");
        assert_eq!((status.digest.as_str(), status.offset), ("", 1_000_000));
        session
    });
    registry.restart();
    run(async {
        let grpc = registry.grpc();
        let asked = v1::BlobsWriteStatusRequest { repository: REPOSITORY.into(), session: session.clone() };
        let status = grpc.blobs().write_status(asked.clone()).await.expect("it is still there").into_inner();
        assert_eq!(status.offset, 1_000_000);
        let wrong = v1::BlobsWriteStart { session: session.clone(), offset: 999_999, ..start(&digest) };
        let error = grpc.write(wrong, &content[999_999..], 65_536).await.expect_err("a wrong offset");
        assert_eq!(error.code(), Code::OutOfRange);
        assert_eq!(error.get_details_error_info().unwrap().metadata["offset"], "1000000");
        let right = v1::BlobsWriteStart { session, offset: 1_000_000, ..start(&digest) };
        let written = grpc.write(right, &content[1_000_000..], 65_536).await.expect("the rest");
        assert_eq!((written.digest.as_str(), written.offset), (digest.as_str(), 2_500_000));
        assert!(grpc.read(read(&digest, 0, 0)).await.expect("read") == content);
        let gone = grpc.blobs().write_status(asked).await;
        assert_eq!(refusal(gone), (Code::NotFound, "BLOB_UPLOAD_UNKNOWN".to_owned()));
    });
}

#[test]
fn a_manifest_put_here_is_got_there() {
    let registry = registry!().grpc().start();
    let config = b"{}";
    let digest = sha256(config);
    let content = manifest(&digest, config.len());
    run(async {
        let grpc = registry.grpc();
        let request = v1::ManifestsPutRequest {
            repository: REPOSITORY.into(),
            content: content.clone().into(),
            tags: vec!["v1".into()],
            ..Default::default()
        };
        let missing = grpc.manifests().put(request).await.expect_err("its config is missing");
        assert_eq!(missing.code(), Code::FailedPrecondition);
        let violations = missing.get_details_precondition_failure().unwrap().violations;
        assert_eq!(
            (violations[0].subject.as_str(), violations[0].r#type.as_str()),
            (digest.as_str(), "MANIFEST_BLOB_UNKNOWN")
        );

        grpc.write(start(&digest), config, 10).await.expect("the config");
        let done = put(&grpc, content.clone(), &["v1", "v1.0"]).await;
        assert_eq!(
            (done.digest.clone(), done.tags),
            (sha256(&content), vec!["v1".to_owned(), "v1.0".to_owned()])
        );
        for reference in ["v1", "v1.0", &done.digest] {
            let got = grpc.manifests().get(get(reference)).await.expect("got").into_inner();
            assert_eq!(
                (got.content.as_ref(), got.digest.as_str()),
                (content.as_slice(), done.digest.as_str())
            );
        }
        // Without a tag, as what is found by its subject.
        let subject = format!(
            r#""layers":[],"subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{}}}}}"#,
            done.digest,
            content.len()
        );
        let text = String::from_utf8(content.clone()).unwrap();
        let about = text.replace(r#""layers":[]}"#, &subject).into_bytes();
        let done = put(&grpc, about.clone(), &[]).await;
        assert_eq!((done.digest, done.subject, done.tags), (sha256(&about), sha256(&content), vec![]));
        let asked =
            v1::TagsListRequest { repository: REPOSITORY.into(), page_size: 1, page_token: String::new() };
        let page = grpc.tags().list(asked).await.expect("a page").into_inner();
        assert_eq!((page.tags, page.next_page_token), (vec!["v1".to_owned()], "v1".to_owned()));
        assert_eq!(
            refusal(grpc.manifests().get(get("v2")).await),
            (Code::NotFound, "MANIFEST_UNKNOWN".into())
        );
    });
    let repository = registry.repository(REPOSITORY);
    assert_eq!(registry.endpoint().get(repository.manifest("v1.0")).body, content, "over HTTP as well");
}

#[test]
fn whoever_asks_says_who_he_is() {
    let registry = registry!().accounts().grpc().start();
    run(async {
        let (id, secret) = ADMIN;
        let digest = sha256(b"x");
        let outcome = registry.grpc().blobs().stat(stat(&digest)).await;
        assert_eq!(refusal(outcome), (Code::Unauthenticated, "UNAUTHORIZED".into()));
        let wrong = registry.grpc().with_key(id, "strata_wrong").blobs().stat(stat(&digest)).await;
        assert_eq!(refusal(wrong), (Code::Unauthenticated, "UNAUTHORIZED".into()));
        let bad = registry.grpc().with_token("a.b.c").blobs().stat(stat(&digest)).await;
        assert_eq!(refusal(bad), (Code::Unauthenticated, "UNAUTHORIZED".into()));
        let right = registry.grpc().with_key(id, secret).blobs().stat(stat(&digest)).await;
        assert_eq!(refusal(right), (Code::NotFound, "NAME_UNKNOWN".into()));
        // What tells nothing of the registry is open.
        let mut health = health::health_client::HealthClient::new(registry.grpc().service());
        let status = health.check(health::HealthCheckRequest { service: String::new() }).await.expect("open");
        assert_eq!(status.into_inner().status, 1);
    });
}

#[test]
fn tools_find_services_by_reflection_and_health_by_name() {
    use reflection::server_reflection_request::MessageRequest;
    use reflection::server_reflection_response::MessageResponse;
    let registry = registry!().grpc().start();
    run(async {
        let grpc = registry.grpc();
        let mut client = reflection::server_reflection_client::ServerReflectionClient::new(grpc.service());
        let ask =
            |asked| reflection::ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
        let details = MessageRequest::FileContainingSymbol("google.rpc.PreconditionFailure".into());
        let asked = [MessageRequest::ListServices(String::new()), details].map(ask);
        let mut answers =
            client.server_reflection_info(stream::iter(asked)).await.expect("open").into_inner();
        let answer = answers.message().await.expect("an answer").expect("an answer").message_response;
        let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("no list: {answer:?}") };
        let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
        for service in [
            "strata.registry.v1.Blobs",
            "strata.registry.v1.Manifests",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ] {
            assert!(names.iter().any(|name| name == service), "{service} is not in {names:?}");
        }
        let answer = answers.message().await.expect("an answer").expect("an answer").message_response;
        assert!(
            matches!(answer, Some(MessageResponse::FileDescriptorResponse(_))),
            "what the details of errors are: {answer:?}"
        );
        let mut health = health::health_client::HealthClient::new(grpc.service());
        let check = |service: &str| health::HealthCheckRequest { service: service.to_owned() };
        let status = health.check(check("strata.registry.v1.Blobs")).await.expect("known").into_inner();
        assert_eq!(status.status, 1);
        assert_eq!(health.check(check("no.such")).await.expect_err("unknown").code(), Code::NotFound);
    });
}

#[test]
fn a_unix_socket_is_there_as_long_as_its_server() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strata.sock");
    let at = format!("unix:{}", path.display());
    let mut registry = registry!().grpc_at(&at).start();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let digest = sha256(b"content");
    run(async {
        let grpc = registry.grpc();
        grpc.write(start(&digest), b"content", 3).await.expect("written");
    });
    let refused = registry!().grpc_at(&at).start_refused().1;
    assert!(refused.contains("a program listens there"), "{refused}");
    registry.kill();
    assert!(path.exists(), "nobody removes it for a server that was killed");
    registry.start();
    run(async {
        assert_eq!(registry.grpc().read(read(&digest, 0, 0)).await.expect("read"), b"content");
    });
    registry.stop();
    assert!(!path.exists());
}

#[test]
fn a_taken_default_port_hinders_nobody() {
    // Whoever has it: this test, or a program that had it before.
    let _taken = std::net::TcpListener::bind("127.0.0.1:5001");
    let registry = registry!().grpc_by_config().start();
    wait::until("the log to say so", wait::SOON, || {
        registry.log().contains("there is no gRPC, as another program listens there").then_some(())
    });
}

#[test]
fn a_stop_ends_what_only_waits_at_once() {
    let mut registry = registry!().grpc().start();
    run(async {
        let mut health = health::health_client::HealthClient::new(registry.grpc().service());
        let watch =
            health.watch(health::HealthCheckRequest { service: String::new() }).await.expect("a watch");
        let mut watch = watch.into_inner();
        assert_eq!(watch.message().await.expect("a status").expect("a status").status, 1);
        registry.process().signal(rustix::process::Signal::TERM);
        loop {
            match watch.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("ended without a word"),
                Err(status) => break assert_eq!(status.code(), Code::Unavailable),
            }
        }
    });
    registry.wait_stopped(Duration::from_secs(10));
}

#[test]
fn a_deadline_is_kept_and_calls_are_counted() {
    let registry = registry!().grpc().start();
    let GrpcAddress::Tcp(address) = registry.grpc_addresses()[0].clone() else { panic!("a port") };
    // By hand, since a client of gRPC gives up by itself as well.
    let client = Client::h2c(Endpoint::new(address, false));
    let request = strata_harness::Request::post("/strata.registry.v1.Blobs/Write");
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    let (feeder, answer) = client.feed(&request.header("grpc-timeout", "200m"));
    let answer = client.answer(answer).expect("an answer");
    assert_eq!((answer.status, answer.header("grpc-status")), (200, Some("4")));
    drop(feeder);
    run(async {
        let _ = registry.grpc().blobs().stat(stat(&sha256(b"x"))).await;
    });
    let counted =
        |what: &str| String::from_utf8_lossy(&registry.endpoint().get("/metrics").body).contains(what);
    for what in [
        "strata_grpc_requests_total{service=\"strata.registry.v1.Blobs\",method=\"Stat\",code=\"NOT_FOUND\"} 1",
        "strata_grpc_requests_in_flight 0",
    ] {
        wait::until("the calls to be counted", Duration::from_secs(10), || counted(what).then_some(()));
    }
    let line = |log: String| {
        log.lines().any(|line| line.contains("code=\"NOT_FOUND\"") && line.contains("method=\"Stat\""))
    };
    wait::until("the call to be logged", Duration::from_secs(10), || line(registry.log()).then_some(()));
}
