//! What is cut and what is not.

use super::client::{Client, connect_narrow};
use super::server::{Offered, PlainFile, TestServer, eventually, open_descriptors, quick, random_file};
use crate::limits::HttpLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_head_that_does_not_end_is_cut() {
    let server = TestServer::start(HttpLimits { idle_timeout: Duration::from_mins(1), ..quick() });
    let mut client = Client::connect(server.address).await;
    client.send("GET /nothing HTTP/1.1\r\nhost: t\r\n").await;
    assert!(client.ended().await);
    server.until("it is counted", |metrics| metrics.header_timeouts.get() == 1).await;
}

#[tokio::test]
async fn a_head_that_drips_is_cut_all_the_same() {
    let server = TestServer::start(HttpLimits { idle_timeout: Duration::from_mins(1), ..quick() });
    let client = Client::connect(server.address).await;
    let (mut read, mut write) = tokio::io::split(client.stream.into_inner());
    let drip = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            if write.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut rest = Vec::new();
    tokio::select! {
        () = drip => {}
        _ = read.read_to_end(&mut rest) => {}
        () = tokio::time::sleep(Duration::from_secs(30)) => panic!("still not cut"),
    }
    server.until("it is counted", |metrics| metrics.header_timeouts.get() == 1).await;
}

#[tokio::test]
async fn a_second_head_has_the_same_limit_as_the_first() {
    let server = TestServer::start(HttpLimits { idle_timeout: Duration::from_mins(1), ..quick() });
    let mut client = Client::connect(server.address).await;
    assert_eq!(client.get("/bytes/5").await.1, 5);
    client.send("GET /nothing HTTP/1.1\r\n").await;
    assert!(client.ended().await);
    server.until("it is counted", |metrics| metrics.header_timeouts.get() == 1).await;
}

#[tokio::test]
async fn idle_connections_are_closed_whether_they_ever_spoke_or_not() {
    let server = TestServer::start(HttpLimits { header_timeout: Duration::from_mins(1), ..quick() });
    let mut silent = Client::connect(server.address).await;
    let mut served = Client::connect(server.address).await;
    assert_eq!(served.get("/bytes/5").await.1, 5);
    assert!(silent.ended().await);
    assert!(served.ended().await);
    server.until("both are counted", |metrics| metrics.idle_timeouts.get() == 2).await;
}

#[tokio::test]
async fn a_request_may_take_longer_than_any_limit_of_the_connection() {
    let limits = quick();
    let server = TestServer::start(limits.clone());
    let mut client = Client::connect(server.address).await;
    client.send("GET /wait HTTP/1.1\r\nhost: t\r\n\r\n").await;
    server.app.waiting.notified().await;
    let other = Client::connect(server.address).await;
    server.until("an idle connection went by", |metrics| metrics.idle_timeouts.get() == 1).await;
    drop(other);
    server.app.release.notify_waiters();
    assert_eq!(client.head().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut() {
    let (file, _) = random_file(16 << 20);
    let server = TestServer::start(HttpLimits { send_buffer: Some(4096), ..quick() });
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let mut client = Client::connect_narrow(server.address).await;
    client.send("GET /file/f HTTP/1.1\r\nhost: t\r\n\r\n").await;
    server.until("it is cut", |metrics| metrics.write_stalls.get() == 1).await;
    eventually("its answer is given up", || server.app.watched.dropped.load(Ordering::SeqCst) == 1).await;
    assert_eq!(server.app.watched.finished.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_slow_reader_that_moves_is_never_cut() {
    let (file, _) = random_file(1 << 20);
    let limits = HttpLimits { send_buffer: Some(4096), ..quick() };
    let server = TestServer::start(limits.clone());
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let mut client = Client::connect_narrow(server.address).await;
    client.send("GET /file/f HTTP/1.1\r\nhost: t\r\n\r\n").await;
    // Some kilobytes at a time, for several times the limit; the rest at once.
    let mut stream = client.stream.into_inner();
    let mut tick = tokio::time::interval(limits.write_stall / 4);
    let mut piece = vec![0; 32 * 1024];
    let mut read = 0;
    for _ in 0..16 {
        tick.tick().await;
        read += stream.read_exact(&mut piece).await.unwrap();
    }
    let mut rest = vec![0; (1 << 20) - read];
    stream.read_exact(&mut rest).await.unwrap();
    assert_eq!(server.metrics().write_stalls.get(), 0);
}

#[tokio::test]
async fn a_reader_too_slow_to_make_the_socket_writable_again_is_never_cut() {
    let (file, _) = random_file(8 << 20);
    let limits = HttpLimits { send_buffer: Some(200_000), ..quick() };
    let server = TestServer::start(limits.clone());
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let mut stream = connect_narrow(server.address, 16 * 1024).await;
    stream.write_all(b"GET /file/f HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    // A third of the send buffer would take a multiple of the limit at this pace.
    let mut tick = tokio::time::interval(limits.write_stall / 8);
    let mut piece = vec![0; 4 * 1024];
    for _ in 0..40 {
        tick.tick().await;
        stream.read_exact(&mut piece).await.unwrap();
    }
    assert_eq!(server.metrics().write_stalls.get(), 0);
    // And is cut once it stops.
    server.until("it is cut", |metrics| metrics.write_stalls.get() == 1).await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_with_431() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    let large = "x".repeat(40_000);
    client.send(format!("GET /nothing HTTP/1.1\r\nhost: t\r\nlarge: {large}\r\n\r\n")).await;
    assert_eq!(client.head().await.unwrap().status, 431);
    assert!(client.ended().await);
    let mut client = Client::connect(server.address).await;
    client.send("GET /nothing HTTP/1.1\r\n".to_owned() + &"a: b\r\n".repeat(101) + "\r\n").await;
    assert_eq!(client.head().await.unwrap().status, 431);
    let mut client = Client::connect(server.address).await;
    let fits = "x".repeat(31_000);
    client.send(format!("GET /nothing HTTP/1.1\r\nhost: t\r\nlarge: {fits}\r\n\r\n")).await;
    assert_eq!(client.head().await.unwrap().status, 200);
}

#[tokio::test]
async fn what_is_not_http_is_refused_with_400() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    client.send("\u{16}\u{3}\u{1} not http\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status, 400);
    assert!(client.ended().await);
}

#[tokio::test]
async fn at_the_limit_of_connections_an_idle_one_gives_way() {
    let server = TestServer::start(HttpLimits { connections_max: 2, ..HttpLimits::default() });
    let mut first = Client::connect(server.address).await;
    assert_eq!(first.get("/bytes/1").await.1, 1);
    let mut busy = Client::connect(server.address).await;
    busy.send("GET /wait HTTP/1.1\r\nhost: t\r\n\r\n").await;
    server.app.waiting.notified().await;
    let mut third = Client::connect(server.address).await;
    assert_eq!(third.get("/bytes/2").await.1, 2, "served once the idle one is gone");
    assert!(first.ended().await);
    server.app.release.notify_waiters();
    assert_eq!(busy.head().await.unwrap().status, 200, "a busy one is left alone");
}

#[tokio::test]
async fn a_handler_that_panics_ends_its_connection_only() {
    let server = TestServer::start(HttpLimits::default());
    let mut other = Client::connect(server.address).await;
    let mut client = Client::connect(server.address).await;
    client.send("GET /panic HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert!(client.ended().await);
    server.until("its place is free", |metrics| metrics.open.get() == 1).await;
    assert_eq!(other.get("/bytes/3").await.1, 3);
}

/// Runs in a process of its own, where the limit of open files is small.
#[tokio::test]
async fn want_of_descriptors_passes() {
    const CHILD: &str = "STRATA_TEST_WITHOUT_DESCRIPTORS";
    if std::env::var_os(CHILD).is_none() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "connection::tests::limits::want_of_descriptors_passes"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        return;
    }
    let server = TestServer::start(HttpLimits::default());
    let mut first = Client::connect(server.address).await;
    assert_eq!(first.get("/bytes/1").await.1, 1);
    let few = Rlimit { current: Some(open_descriptors() as u64 + 8), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, few).unwrap();
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(server.address).await {
        clients.push(client);
    }
    server.until("accepting fails", |metrics| metrics.accept_errors.get() > 0).await;
    assert_eq!(first.get("/bytes/2").await.1, 2, "what is open goes on");
    let last = clients.pop().unwrap();
    drop(clients);
    assert_eq!(Client::over(last).get("/bytes/3").await.1, 3, "what waited is served");
}
