//! Where gRPC is answered: certificates, public and private addresses, what a port must not be, and the bound on connections.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use serde_json::json;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use strata_harness::grpc::tonic::Code;
use strata_harness::grpc::{Grpc, GrpcAddress, refusal, run, v1};
use strata_harness::http2::Client;
use strata_harness::tls::Certificate;
use strata_harness::{ADMIN, Endpoint, Request, TestRegistry, registry, sha256, wait};

const CHECK: &str = "/grpc.health.v1.Health/Check";

fn check() -> Request {
    Request::post(CHECK).header("content-type", "application/grpc").header("te", "trailers").body(&[0; 5][..])
}

fn address(registry: &TestRegistry, at: usize) -> SocketAddr {
    match &registry.grpc_addresses()[at] {
        GrpcAddress::Tcp(address) | GrpcAddress::Tls(address) => *address,
        GrpcAddress::Unix(path) => panic!("{} is no port", path.display()),
    }
}

#[test]
fn a_listener_with_a_certificate_speaks_tls_and_takes_a_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Certificate::make(folder.path());
    let config = format!(
        "[http]\ncertificate-check = \"off\"\n[[grpc.listener]]\naddress = \"127.0.0.1:0\"\ncertificate = {:?}\nkey = {:?}\n",
        first.certificate, first.key
    );
    let registry = registry!().config(&config).grpc_by_config().listeners(2).start();
    let endpoint = Endpoint::new(address(&registry, 0), true);
    let mut client = Client::tls(endpoint, first.client(&["h2"])).expect("the handshake succeeds");
    assert_eq!(client.send(&check()).status, 200);
    assert!(
        Client::h2c(Endpoint::new(address(&registry, 0), false)).try_send(&check()).is_err(),
        "nothing in the clear"
    );

    let second = Certificate::make(folder.path());
    registry.process().signal(rustix::process::Signal::HUP);
    wait::until("the new certificate", Duration::from_secs(10), || {
        Client::tls(endpoint, second.client(&["h2"])).ok().map(|_| ())
    });
    assert_eq!(client.send(&check()).status, 200, "open connections go on");
}

#[test]
fn a_registry_without_a_public_address_is_there_on_private_ones_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("s");
    let config = format!(
        "[[grpc.listener]]\naddress = \"127.0.0.1:0\"\n[[grpc.listener]]\naddress = \"127.0.0.1:0\"\nscope = \"private\"\n\
         [[grpc.listener]]\naddress = \"unix:{}\"\nscope = \"private\"\n",
        socket.display()
    );
    let registry = registry!().accounts().config(&config).grpc_by_config().listeners(4).start();
    let request = Request::post("/api/v1/registries").header("content-type", "application/json");
    let body = json!({ "name": "hidden", "public": false }).to_string();
    assert_eq!(registry.admin().send(&request.body(body)).status, 201);
    run(async {
        let (id, secret) = ADMIN;
        let at = |place: usize| Grpc::new(&registry.grpc_addresses()[place]).with_key(id, secret);
        let digest = sha256(b"content");
        let start = || v1::BlobsWriteStart {
            repository: "hidden/a".into(),
            digest: digest.clone(),
            ..Default::default()
        };
        let outcome = refusal(at(0).write(start(), b"content", 10).await);
        assert!([Code::NotFound, Code::PermissionDenied].contains(&outcome.0), "{outcome:?}");
        at(1).write(start(), b"content", 10).await.expect("on a private address");
        let asked = || v1::BlobsStatRequest { repository: "hidden/a".into(), digest: digest.clone() };
        at(2).blobs().stat(asked()).await.expect("on a private socket");
        assert_eq!(refusal(at(0).blobs().stat(asked()).await).0, Code::NotFound);
    });
}

#[test]
fn an_open_server_stays_on_loopback() {
    let (status, log) = registry!().grpc_at("0.0.0.0:0").start_refused();
    assert!(!status.success() && log.contains("0.0.0.0:0 can be reached from other machines"), "{log}");
    registry!().grpc_at("0.0.0.0:0").argument("--open").start();
}

#[test]
fn beyond_the_limit_idle_connections_give_way() {
    let registry = registry!().env("STRATA_GRPC_MAX_CONNECTIONS", "2").grpc().start();
    let endpoint = Endpoint::new(address(&registry, 0), false);
    let mut clients: Vec<Client> = (0..2).map(|_| Client::h2c(endpoint)).collect();
    for client in &mut clients {
        assert_eq!(client.send(&check()).status, 200);
    }
    assert_eq!(Client::h2c(endpoint).send(&check()).status, 200);
}

#[test]
fn a_flood_of_empty_frames_loses_its_connection_and_nobody_else() {
    use std::io::{Read, Write};
    let registry = registry!().grpc().start();
    let mut flood = std::net::TcpStream::connect(address(&registry, 0)).expect("a connection");
    flood.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("a preface");
    let ping = b"\0\0\x08\x06\0\0\0\0\0abcdefgh".repeat(1000);
    let begun = Instant::now();
    let mut scratch = vec![0; 65_536];
    flood.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
    let cut = wait::within(Duration::from_secs(30), || {
        let written = flood.write_all(&ping);
        let read = flood.read(&mut scratch);
        let is_over = |error: &std::io::Error| {
            !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        };
        (written.as_ref().is_err_and(is_over)
            || read.as_ref().is_ok_and(|n| *n == 0)
            || read.as_ref().is_err_and(is_over))
        .then_some(())
    });
    assert!(cut.is_some(), "the flood goes on");
    assert_eq!(Client::h2c(Endpoint::new(address(&registry, 0), false)).send(&check()).status, 200);
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "a flood that begins anew at once costs as much as before"
    );
}
