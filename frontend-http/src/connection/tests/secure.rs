//! TLS and HTTP/2: nothing is sent without a copy, and everything arrives.

use super::client::Client;
use super::server::{Offered, PlainFile, TestServer, eventually, hex, quick, random, random_file};
use crate::limits::HttpLimits;
use crate::serve::{HttpConfig, Server};
use crate::{ListenError, ListenerConfig, TlsConfig};
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::ServerName;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use strata_registry::Scope;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A self-signed certificate in files.
struct Identity {
    dir: TempDir,
    config: TlsConfig,
}

impl Identity {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config =
            TlsConfig { certificate: dir.path().join("certificate.pem"), key: dir.path().join("key.pem") };
        let identity = Self { dir, config };
        identity.renew();
        identity
    }

    /// Writes a fresh pair over the old one and returns the certificate.
    fn renew(&self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&self.config.certificate, made.cert.pem()).unwrap();
        std::fs::write(&self.config.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    }
}

fn connector(trusted: CertificateDer<'static>, protocols: &[&[u8]]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

async fn connect_tls(address: SocketAddr, connector: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
}

type H2 = SendRequest<Full<Bytes>>;

async fn h2_over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> H2 {
    let (client, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

async fn h2_get(client: &mut H2, path: &str) -> (u16, u64, String) {
    let request = Request::get(format!("http://localhost{path}")).body(Full::default()).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let (mut hash, mut len) = (Sha256::new(), 0);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.unwrap().into_data() {
            len += data.len() as u64;
            hash.update(&data);
        }
    }
    (status, len, hex(&hash.finalize()))
}

const SIZES: [usize; 6] = [0, 1, 65_536, 65_537, (1 << 20) + 13, 24 << 20];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_1_over_tls_gets_every_byte_and_no_stand_in() {
    let identity = Identity::new();
    let connector = connector(identity.renew(), &[b"http/1.1"]);
    let server = TestServer::start_with(HttpLimits::default(), Some(identity.config.clone()));
    let stream = connect_tls(server.address, &connector).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut client = Client::over(stream);
    for len in SIZES {
        let (file, digest) = random_file(len);
        server.app.add("f", PlainFile::source(file, Offered::Own));
        assert_eq!(client.get("/file/f").await, (200, len as u64, digest), "{len} bytes");
    }
    assert_eq!(server.metrics().bytes_zero_copy.get(), 0);
    assert_eq!(server.app.watched.finished.load(Ordering::SeqCst), SIZES.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_over_tls_gets_every_byte_and_no_stand_in() {
    let identity = Identity::new();
    let connector = connector(identity.renew(), &[b"h2", b"http/1.1"]);
    let server = TestServer::start_with(HttpLimits::default(), Some(identity.config.clone()));
    let stream = connect_tls(server.address, &connector).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut client = h2_over(stream).await;
    for len in SIZES {
        let (file, digest) = random_file(len);
        server.app.add("f", PlainFile::source(file, Offered::Own));
        assert_eq!(h2_get(&mut client, "/file/f").await, (200, len as u64, digest), "{len} bytes");
    }
    assert_eq!(server.metrics().bytes_zero_copy.get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_by_prior_knowledge_gets_every_byte_and_no_stand_in() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = h2_over(TcpStream::connect(server.address).await.unwrap()).await;
    for len in SIZES {
        let (file, digest) = random_file(len);
        server.app.add("f", PlainFile::source(file, Offered::Own));
        assert_eq!(h2_get(&mut client, "/file/f").await, (200, len as u64, digest), "{len} bytes");
    }
    let (file, _) = random_file(200_000);
    let bytes = random(200_000);
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let row = [b"|", &bytes[7..150_000], b"|", &bytes[1..3], b"."].concat();
    let digest = hex(&Sha256::digest(&row));
    assert_eq!(h2_get(&mut client, "/parts/f/7-150000,1-3").await, (200, row.len() as u64, digest));
    assert_eq!(server.metrics().bytes_zero_copy.get(), 0);
    assert_eq!(server.metrics().accepted.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_share_a_connection() {
    let (file, digest) = random_file(3 << 20);
    // So little is allowed to be read ahead that most streams get small pieces.
    let server = TestServer::start(HttpLimits { read_bytes_max: 256 * 1024, ..HttpLimits::default() });
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let client = h2_over(TcpStream::connect(server.address).await.unwrap()).await;
    let gets = (0..20).map(|_| {
        let mut client = client.clone();
        async move { h2_get(&mut client, "/file/f").await }
    });
    for got in futures_util::future::join_all(gets).await {
        assert_eq!(got, (200, 3 << 20, digest.clone()));
    }
}

#[tokio::test]
async fn http_2_uploads_arrive_as_they_were_sent() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = h2_over(TcpStream::connect(server.address).await.unwrap()).await;
    let bytes = random(5_000_001);
    let expected = format!("{} 5000001 Some(5000001)", hex(&Sha256::digest(&bytes)));
    let request = Request::put("http://localhost/upload").body(Full::from(bytes)).unwrap();
    let answer = client.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_file_that_became_shorter_resets_the_stream_only() {
    let (file, _) = random_file(4 << 20);
    let shrink = file.try_clone().unwrap();
    let server = TestServer::start(HttpLimits::default());
    server.app.add("f", PlainFile::source(file, Offered::Own));
    shrink.set_len(1_000_000).unwrap();
    let mut client = h2_over(TcpStream::connect(server.address).await.unwrap()).await;
    let request = Request::get("http://localhost/file/f").body(Full::default()).unwrap();
    let body = client.send_request(request).await.unwrap().into_body();
    assert!(body.collect().await.is_err(), "a cut answer is not whole");
    assert_eq!(h2_get(&mut client, "/bytes/3").await.1, 3);
    assert_eq!(server.app.watched.finished.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stream_whose_reader_takes_nothing_is_cut() {
    let (file, _) = random_file(8 << 20);
    let server = TestServer::start(quick());
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let mut client = h2_over(TcpStream::connect(server.address).await.unwrap()).await;
    let request = Request::get("http://localhost/file/f").body(Full::default()).unwrap();
    let response = client.send_request(request).await.unwrap();
    // The window is never opened again, while the socket itself stays free.
    server.until("it is cut", |metrics| metrics.write_stalls.get() == 1).await;
    eventually("its answer is given up", || server.app.watched.dropped.load(Ordering::SeqCst) == 1).await;
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn an_idle_http_2_connection_is_told_to_go() {
    let server = TestServer::start(quick());
    let mut client = h2_over(TcpStream::connect(server.address).await.unwrap()).await;
    assert_eq!(h2_get(&mut client, "/bytes/3").await.1, 3);
    server.until("it is idle", |metrics| metrics.idle_timeouts.get() == 1).await;
    server.until("it is over", |metrics| metrics.open.get() == 0).await;
}

#[tokio::test]
async fn an_idle_http_2_connection_is_given_a_reason_for_its_end() {
    let server = TestServer::start(quick());
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    let mut answer = Vec::new();
    let mut kinds = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut answer).await {
        while let Some(len) = answer.get(..3).map(|len| 9 + usize::from(len[1]) * 256 + usize::from(len[2])) {
            if answer.len() < len {
                break;
            }
            let got: Vec<u8> = answer.drain(..len).collect();
            kinds.push((got[3], got[9..].to_vec()));
            if got[3] == 6 && got[4] == 0 {
                // The ping by which the server knows that no request of ours is still on its way.
                stream.write_all(&frame(6, 1, 0, &got[9..])).await.unwrap();
            }
        }
    }
    let (kind, payload) = kinds.pop().unwrap();
    assert_eq!((kind, &payload[4..8]), (7, &[0, 0, 0, 0][..]), "GOAWAY, no error");
}

#[tokio::test]
async fn draining_lets_http_2_streams_finish() {
    let mut server = TestServer::start(HttpLimits::default());
    let mut client = h2_over(TcpStream::connect(server.address).await.unwrap()).await;
    let request = Request::get("http://localhost/wait").body(Full::default()).unwrap();
    let response = tokio::spawn(client.send_request(request));
    server.app.waiting.notified().await;
    server.stop();
    // Streams that are opened before the client has seen that it shall go are still served, later ones are not.
    let late = || Request::get("http://localhost/bytes/3").body(Full::default()).unwrap();
    while client.send_request(late()).await.is_ok() {}
    server.app.release.notify_waiters();
    let body = response.await.unwrap().unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "released");
    assert_eq!(server.ended().await.cut, 0);
}

/// A raw HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![len[1], len[2], len[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test]
async fn a_client_that_only_opens_and_resets_is_sent_away() {
    let server = TestServer::start(HttpLimits::default());
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    flood.extend(frame(4, 0, 0, &[]));
    // GET http /wait, with literal fields only where the static table has none.
    let mut fields = vec![0x82, 0x86, 0x04, 5];
    fields.extend_from_slice(b"/wait");
    fields.extend_from_slice(&[0x01, 9]);
    fields.extend_from_slice(b"localhost");
    for request in 0..5_000_u32 {
        flood.extend(frame(1, 0x5, 2 * request + 1, &fields));
        flood.extend(frame(3, 0, 2 * request + 1, &8_u32.to_be_bytes()));
    }
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    let _ = tokio::join!(
        async {
            let _ = write.write_all(&flood).await;
        },
        tokio::time::timeout(Duration::from_secs(10), read.read_to_end(&mut answer)),
    );
    let enhance_your_calm = 11_u32.to_be_bytes();
    assert!(
        answer.windows(4).any(|window| window == enhance_your_calm),
        "GOAWAY says why: {} bytes of answer",
        answer.len()
    );
    server.until("it is over", |metrics| metrics.open.get() == 0).await;
}

#[tokio::test]
async fn a_record_that_takes_long_to_arrive_is_not_a_stalled_body() {
    let identity = Identity::new();
    let connector = connector(identity.renew(), &[b"http/1.1"]);
    let limits = quick();
    let server = TestServer::start_with(limits.clone(), Some(identity.config.clone()));
    // Between client and server: everything at once, then a thousand bytes at a time.
    let (near, far) = tokio::io::duplex(1 << 20);
    let (mut from_client, mut to_client) = tokio::io::split(far);
    let (mut from_server, mut to_server) = TcpStream::connect(server.address).await.unwrap().into_split();
    let is_slow = Arc::new(AtomicBool::new(false));
    let slow = Arc::clone(&is_slow);
    let pace = limits.body_stall / 8;
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    tokio::spawn(async move {
        let mut piece = [0; 1000];
        while let Ok(read @ 1..) = from_client.read(&mut piece).await {
            if slow.load(Ordering::SeqCst) {
                tokio::time::sleep(pace).await;
            }
            to_server.write_all(&piece[..read]).await.unwrap();
        }
    });
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), near).await.unwrap();
    let mut client = Client::over(stream);
    assert_eq!(client.get("/bytes/3").await.1, 3);
    is_slow.store(true, Ordering::SeqCst);
    // One record of 16 KiB: sixteen pieces, twice the limit in all.
    let bytes = random(16_000);
    client.send("PUT /upload HTTP/1.1\r\nhost: t\r\ncontent-length: 16000\r\n\r\n").await;
    client.send(&bytes).await;
    assert_eq!(client.head().await.unwrap().status, 200);
    assert_eq!(server.metrics().body_stalls.get(), 0);
}

#[tokio::test]
async fn certificates_are_re_read_without_a_break() {
    let identity = Identity::new();
    let old = connector(identity.renew(), &[]);
    let server = TestServer::start_with(HttpLimits::default(), Some(identity.config.clone()));
    let mut before = Client::over(connect_tls(server.address, &old).await.unwrap());
    assert_eq!(before.get("/bytes/3").await.1, 3);

    let new = connector(identity.renew(), &[]);
    assert!(connect_tls(server.address, &new).await.is_err(), "not yet");
    assert_eq!(server.handle.reload_tls().unwrap(), 1);
    let mut after = Client::over(connect_tls(server.address, &new).await.unwrap());
    assert_eq!(after.get("/bytes/4").await.1, 4);
    assert_eq!(before.get("/bytes/5").await.1, 5, "the old connection goes on");

    std::fs::write(&identity.config.certificate, "not a certificate").unwrap();
    let error = server.handle.reload_tls().unwrap_err();
    assert!(error.to_string().contains("certificate.pem"), "{error}");
    let mut still = Client::over(connect_tls(server.address, &new).await.unwrap());
    assert_eq!(still.get("/bytes/6").await.1, 6, "the last good one stays");
}

#[tokio::test]
async fn unusable_identities_are_named_at_the_start() {
    let bind = |config: &TlsConfig| {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = vec![ListenerConfig { address, tls: Some(config.clone()), scope: Scope::Public }];
        let app = Arc::new(super::server::TestApp::default());
        Server::bind(&HttpConfig { listeners, ..HttpConfig::default() }, app).unwrap_err()
    };
    let identity = Identity::new();
    let other = Identity::new();
    let missing = TlsConfig { key: identity.dir.path().join("missing"), ..identity.config.clone() };
    let ListenError::Tls { path, .. } = bind(&missing) else { panic!("not an error of TLS") };
    assert_eq!(path, missing.key);
    let mixed = TlsConfig { key: other.config.key.clone(), ..identity.config.clone() };
    assert!(matches!(bind(&mixed), ListenError::Tls { .. }));
    let swapped = TlsConfig { certificate: identity.config.key.clone(), ..identity.config.clone() };
    assert!(bind(&swapped).to_string().contains("no certificate"), "{}", bind(&swapped));
}

#[tokio::test]
async fn handshakes_that_fail_or_stall_are_counted_and_ended() {
    let identity = Identity::new();
    let server = TestServer::start_with(quick(), Some(identity.config.clone()));
    let mut silent = Client::connect(server.address).await;
    assert!(silent.ended().await);
    let mut plain = Client::connect(server.address).await;
    plain.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert!(plain.ended().await);
    server.until("both are counted", |metrics| metrics.handshake_errors.get() == 2).await;
    server.until("both are over", |metrics| metrics.open.get() == 0).await;
}

#[tokio::test]
async fn one_server_listens_at_several_addresses() {
    let identity = Identity::new();
    let connector = connector(identity.renew(), &[b"http/1.1"]);
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let listeners = vec![
        ListenerConfig { address, tls: None, scope: Scope::Public },
        ListenerConfig { address, tls: Some(identity.config.clone()), scope: Scope::Public },
    ];
    let app = Arc::new(super::server::TestApp::default());
    let server = Server::bind(&HttpConfig { listeners, ..HttpConfig::default() }, app).unwrap();
    let addresses = server.addresses();
    assert_eq!(addresses.iter().map(|(_, tls)| *tls).collect::<Vec<_>>(), [false, true]);
    let running = tokio::spawn(server.run(std::future::pending()));
    assert_eq!(Client::connect(addresses[0].0).await.get("/bytes/1").await.1, 1);
    let stream = connect_tls(addresses[1].0, &connector).await.unwrap();
    assert_eq!(Client::over(stream).get("/bytes/2").await.1, 2);
    running.abort();

    let none = HttpConfig { listeners: Vec::new(), ..HttpConfig::default() };
    let app = Arc::new(super::server::TestApp::default());
    assert!(matches!(Server::bind(&none, app).unwrap_err(), ListenError::NoListener));
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let server = TestServer::start(HttpLimits::default());
    let listeners = vec![ListenerConfig { address: server.address, tls: None, scope: Scope::Public }];
    let app = Arc::new(super::server::TestApp::default());
    let error = Server::bind(&HttpConfig { listeners, ..HttpConfig::default() }, app).unwrap_err();
    assert!(error.to_string().contains(&server.address.to_string()), "{error}");
}
