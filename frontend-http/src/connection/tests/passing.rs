//! Large bodies that are read past hyper: all of them arrives, the connection goes on, and nothing of it is taken for a request.

use super::client::Client;
use super::server::{TestServer, hex, quick, random};
use crate::limits::HttpLimits;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LARGE: usize = 3_000_001;

fn put(path: &str, len: usize, more: &str) -> String {
    format!("PUT {path} HTTP/1.1\r\nhost: t\r\ncontent-length: {len}\r\n{more}\r\n")
}

/// Reads the answer to a `/pass`: digest, length, bytes that came past hyper.
async fn passed(client: &mut Client) -> (String, usize, usize) {
    let head = client.head().await.unwrap();
    assert_eq!((head.status, head.field("connection")), (200, None));
    let text = client.text(head.len()).await;
    let words: Vec<&str> = text.split(' ').collect();
    (words[0].to_owned(), words[1].parse().unwrap(), words[2].parse().unwrap())
}

#[tokio::test]
async fn a_large_body_arrives_and_the_connection_goes_on() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    for len in [0, 1, 100_000, 400_000, LARGE, 20_000_000] {
        let bytes = random(len);
        client.send(put("/pass", len, "")).await;
        client.send(&bytes).await;
        let (digest, received, past) = passed(&mut client).await;
        assert_eq!((digest, received), (hex(&Sha256::digest(&bytes)), len));
        assert!(past == 0 || past >= 256 * 1024, "{past} of {len} bytes came past hyper");
        assert!(past > len / 2 || len < 1_000_000, "{past} of {len} bytes came past hyper");
    }
    assert_eq!(client.get("/bytes/10").await.1, 10);
    assert_eq!(server.metrics().requests.get(), 7);
    assert!(server.metrics().bytes_received.get() > 23_000_000);
}

#[tokio::test]
async fn what_follows_a_body_is_the_next_request() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    let bytes = random(LARGE);
    // All in one go, so that the next requests lie behind the body in the socket.
    let mut all = put("/pass", LARGE, "").into_bytes();
    all.extend(&bytes);
    all.extend(put("/pass", LARGE, "").as_bytes());
    all.extend(&bytes);
    all.extend(b"GET /bytes/3 HTTP/1.1\r\nhost: t\r\n\r\n");
    client.send(&all).await;
    for _ in 0..2 {
        let (digest, received, _) = passed(&mut client).await;
        assert_eq!((digest, received), (hex(&Sha256::digest(&bytes)), LARGE));
    }
    let head = client.head().await.unwrap();
    assert_eq!((head.status, client.text(head.len()).await.as_str()), (200, "xxx"));
}

#[tokio::test]
async fn expect_100_continue_comes_before_the_body_passes() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    client.send(put("/pass", LARGE, "expect: 100-continue\r\n")).await;
    assert_eq!(client.head().await.unwrap().status, 100);
    let bytes = random(LARGE);
    client.send(&bytes).await;
    let (digest, _, past) = passed(&mut client).await;
    assert_eq!((digest, past > LARGE / 2), (hex(&Sha256::digest(&bytes)), true));
    assert_eq!(client.get("/bytes/10").await.1, 10);
}

#[tokio::test]
async fn a_connection_that_is_to_end_is_read_by_hyper() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    let bytes = random(LARGE);
    client.send(put("/pass", LARGE, "connection: close\r\n")).await;
    client.send(&bytes).await;
    let head = client.head().await.unwrap();
    assert_eq!(client.text(head.len()).await, format!("{} {LARGE} 0", hex(&Sha256::digest(&bytes))));
    assert!(client.ended().await);
}

#[tokio::test]
async fn a_body_that_is_cut_while_it_passes_is_said_to_be() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    client.send(put("/pass", LARGE, "")).await;
    client.send(random(LARGE / 2)).await;
    client.stream.shutdown().await.unwrap();
    server.app.upload_failed.notified().await;
    let error = server.app.upload_error.lock().unwrap().take().unwrap();
    assert_eq!(error, format!("the client ended the body after {} bytes", LARGE / 2));
    assert!(client.ended().await);
    server.until("the connection is over", |metrics| metrics.open.get() == 0).await;
}

#[tokio::test]
async fn a_body_that_stalls_while_it_passes_is_too_slow() {
    let server = TestServer::start(quick());
    let mut client = Client::connect(server.address).await;
    client.send(put("/pass", LARGE, "")).await;
    client.send(random(LARGE / 2)).await;
    let head = client.head().await.unwrap();
    assert_eq!(head.status, 400);
    let text = client.text(head.len()).await;
    assert_eq!(text, format!("no byte of the body came for 0.2 s after {} bytes", LARGE / 2));
    assert_eq!(server.metrics().body_stalls.get(), 1);
    drop(client);
    server.until("the connection is over", |metrics| metrics.open.get() == 0).await;
}

#[tokio::test]
async fn a_body_that_is_given_up_while_it_passes_does_not_cost_the_client_the_answer() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    client.send(put("/pass/1000000", 8_000_000, "")).await;
    client.stream.write_all(&random(8_000_000)).await.expect("nothing is reset while the client still sends");
    client.stream.flush().await.expect("nothing is reset while the client still sends");
    let head = client.head().await.unwrap();
    assert_eq!((head.status, head.field("connection")), (200, Some("close")));
    assert!(client.text(head.len()).await.len() > 64);
    assert_eq!(client.stream.read(&mut [0]).await.unwrap(), 0, "the end, not a reset");
    drop(client);
    server.until("the connection is over", |metrics| metrics.open.get() == 0).await;
}

#[tokio::test]
async fn a_body_of_which_little_was_left_when_it_was_given_up_leaves_the_connection_usable() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    let enough = LARGE - 200_000;
    client.send(put(&format!("/pass/{enough}"), LARGE, "")).await;
    client.send(random(LARGE)).await;
    passed(&mut client).await;
    assert_eq!(client.get("/bytes/10").await.1, 10);
}

#[tokio::test]
async fn a_server_that_drains_takes_the_rest_of_a_body_that_passes() {
    let mut server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    let bytes = random(LARGE);
    client.send(put("/pass", LARGE, "")).await;
    client.send(&bytes[..LARGE / 2]).await;
    server.app.received.notified().await;
    server.stop();
    client.send(&bytes[LARGE / 2..]).await;
    let head = client.head().await.unwrap();
    assert_eq!(head.status, 200);
    assert!(client.text(head.len()).await.starts_with(&hex(&Sha256::digest(&bytes))));
    assert!(client.ended().await);
    assert_eq!(server.ended().await.cut, 0);
}
