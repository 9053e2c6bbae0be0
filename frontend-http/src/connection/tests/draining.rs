//! The end of a server.

use super::client::Client;
use super::server::{Offered, PlainFile, TestServer, quick, random_file};
use crate::limits::HttpLimits;
use tokio::net::TcpStream;

#[tokio::test]
async fn idle_connections_end_at_once_and_requests_in_flight_are_finished() {
    let mut server = TestServer::start(HttpLimits::default());
    let mut silent = Client::connect(server.address).await;
    let mut idle = Client::connect(server.address).await;
    assert_eq!(idle.get("/bytes/5").await.1, 5);
    let mut busy = Client::connect(server.address).await;
    busy.send("GET /wait HTTP/1.1\r\nhost: t\r\n\r\n").await;
    server.app.waiting.notified().await;
    server.until("all are accepted", |metrics| metrics.open.get() == 3).await;

    server.stop();
    assert!(idle.ended().await);
    assert!(silent.ended().await);
    let address = server.address;
    let app = std::sync::Arc::clone(&server.app);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    app.release.notify_waiters();
    let head = busy.head().await.unwrap();
    assert_eq!((head.status, head.field("connection")), (200, Some("close")));
    assert_eq!(busy.text(head.len()).await, "released");
    assert!(busy.ended().await);
    let report = server.ended().await;
    assert_eq!((report.open, report.cut), (3, 0));
}

#[tokio::test]
async fn a_download_in_flight_is_finished() {
    let (file, digest) = random_file(8 << 20);
    let mut server = TestServer::start(HttpLimits { send_buffer: Some(8192), ..HttpLimits::default() });
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let mut client = Client::connect_narrow(server.address).await;
    client.send("GET /file/f HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let head = client.head().await.unwrap();
    server.stop();
    assert_eq!(client.digest(head.len()).await, (8 << 20, digest));
    assert_eq!(server.ended().await.cut, 0);
}

#[tokio::test]
async fn what_is_not_done_in_time_is_cut_and_reported() {
    let mut server = TestServer::start(quick());
    let mut stuck = Client::connect(server.address).await;
    stuck.send("GET /wait HTTP/1.1\r\nhost: t\r\n\r\n").await;
    server.app.waiting.notified().await;
    server.stop();
    assert!(stuck.ended().await);
    let report = server.ended().await;
    assert_eq!((report.open, report.cut), (1, 1));
    assert!(report.took >= quick().drain);
}

#[tokio::test]
async fn a_server_without_connections_ends_at_once() {
    let mut server = TestServer::start(HttpLimits::default());
    server.stop();
    let report = server.ended().await;
    assert_eq!((report.open, report.cut), (0, 0));
}
