//! Request bodies: whole, in chunks, cut, slow, unwanted.

use super::client::Client;
use super::server::{TestServer, hex, quick, random};
use crate::limits::HttpLimits;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_body_arrives_as_it_was_sent() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    for len in [0, 1, 4096, 1 << 20, 9_999_999] {
        let bytes = random(len);
        client.send(format!("PUT /upload HTTP/1.1\r\nhost: t\r\ncontent-length: {len}\r\n\r\n")).await;
        client.send(&bytes).await;
        let head = client.head().await.unwrap();
        let text = client.text(head.len()).await;
        assert_eq!(text, format!("{} {len} Some({len})", hex(&Sha256::digest(&bytes))));
    }
}

#[tokio::test]
async fn a_chunked_body_has_no_declared_length() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    client.send("PATCH /upload HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n").await;
    client.send("3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n").await;
    let head = client.head().await.unwrap();
    assert_eq!(client.text(head.len()).await, format!("{} 8 None", hex(&Sha256::digest(b"abcdefgh"))));
}

#[tokio::test]
async fn expect_100_continue_is_answered_when_the_body_is_wanted() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    client.send("PUT /upload HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status, 100);
    client.send("abc").await;
    assert_eq!(client.head().await.unwrap().status, 200);
    let mut client = Client::connect(server.address).await;
    client.send("PUT /ignore HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n").await;
    let head = client.head().await.unwrap();
    assert_eq!((head.status, head.field("connection")), (413, Some("close")));
}

#[tokio::test]
async fn a_body_that_ends_early_is_cut() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    client.send("PUT /upload HTTP/1.1\r\nhost: t\r\ncontent-length: 100\r\n\r\nonly this").await;
    server.app.received.notified().await;
    drop(client);
    server.app.upload_failed.notified().await;
    let error = server.app.upload_error.lock().unwrap().take().unwrap();
    assert_eq!(error, "the client ended the body after 9 bytes");
}

#[tokio::test]
async fn a_chunked_body_that_ends_early_is_cut() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    client.send("PUT /upload HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    server.app.received.notified().await;
    drop(client);
    server.app.upload_failed.notified().await;
    let error = server.app.upload_error.lock().unwrap().take().unwrap();
    assert_eq!(error, "the client ended the body after 3 bytes");
}

#[tokio::test]
async fn a_malformed_chunk_is_named_as_such() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    client.send("PUT /upload HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nabc\r\n").await;
    server.app.upload_failed.notified().await;
    let error = server.app.upload_error.lock().unwrap().take().unwrap();
    assert!(error.starts_with("the body is not framed as HTTP says"), "{error}");
}

#[tokio::test]
async fn a_stalled_body_is_too_slow_and_the_client_is_told() {
    let server = TestServer::start(quick());
    let mut client = Client::connect(server.address).await;
    client.send("PUT /upload HTTP/1.1\r\nhost: t\r\ncontent-length: 100\r\n\r\nonly this").await;
    let head = client.head().await.unwrap();
    assert_eq!(head.status, 408);
    assert_eq!(client.text(head.len()).await, "no byte of the body came for 0.2 s after 9 bytes");
    assert_eq!(server.metrics().body_stalls.get(), 1);
    drop(client);
    server.until("the connection is over", |metrics| metrics.open.get() == 0).await;
}

#[tokio::test]
async fn a_slow_body_that_moves_is_never_cut() {
    let limits = quick();
    let server = TestServer::start(limits.clone());
    let mut client = Client::connect(server.address).await;
    // Four times the stall limit in all, one byte each quarter of it.
    let bytes = random(16);
    client.send(format!("PUT /upload HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n", bytes.len())).await;
    let mut tick = tokio::time::interval(limits.body_stall / 4);
    for byte in &bytes {
        tick.tick().await;
        client.send([*byte]).await;
        server.app.received.notified().await;
    }
    let head = client.head().await.unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(server.metrics().body_stalls.get(), 0);
}

#[tokio::test]
async fn an_unwanted_body_does_not_cost_the_client_the_answer() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    client.send("PUT /ignore HTTP/1.1\r\nhost: t\r\ncontent-length: 8000000\r\n\r\n").await;
    // A client that writes all of it before it reads, as many do.
    let body = random(8_000_000);
    client.stream.write_all(&body).await.expect("nothing is reset while the client still sends");
    let head = client.head().await.unwrap();
    assert_eq!((head.status, head.field("connection")), (413, Some("close")));
    assert_eq!(client.text(head.len()).await, "no");
    assert_eq!(client.stream.read(&mut [0]).await.unwrap(), 0, "the end, not a reset");
    drop(client);
    server.until("the connection is over", |metrics| metrics.open.get() == 0).await;
}

#[tokio::test]
async fn the_handler_of_a_client_that_went_away_is_dropped() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    client.send("GET /wait HTTP/1.1\r\nhost: t\r\n\r\n").await;
    server.app.waiting.notified().await;
    drop(client);
    server.app.abandoned.notified().await;
    server.until("the connection is over", |metrics| metrics.open.get() == 0).await;
}
