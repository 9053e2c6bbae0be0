//! File ranges over plain HTTP/1: every byte, in every way the socket can take them.

use super::client::Client;
use super::server::{
    Offered, PlainFile, TestServer, digest_of, eventually, hex, open_descriptors, quick, random, random_file,
    sparse_file, unsendable,
};
use crate::limits::HttpLimits;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const SIZES: [usize; 8] = [0, 1, 4096, 65_536, 65_537, 1 << 20, (1 << 20) + 13, 64 << 20];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_files_of_every_size() {
    let server = TestServer::start(HttpLimits::default());
    let mut client = Client::connect(server.address).await;
    for len in SIZES {
        let (file, digest) = random_file(len);
        server.app.add("f", PlainFile::source(file, Offered::Own));
        assert_eq!(client.get("/file/f").await, (200, len as u64, digest), "{len} bytes");
    }
    let by_sendfile: usize = SIZES.iter().filter(|len| **len > 64 << 10).sum();
    assert_eq!(server.metrics().bytes_zero_copy.get(), by_sendfile as u64);
    assert_eq!(server.metrics().accepted.get(), 1, "one connection served them all");
    assert_eq!(server.metrics().requests.get(), SIZES.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_more_than_one_frame_holds() {
    let len = (1 << 30) + (300 << 20) + 77;
    let file = sparse_file(len);
    let server = TestServer::start(HttpLimits::default());
    let range = 3..len - 5;
    let digest = digest_of(&file, range.clone());
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let mut client = Client::connect(server.address).await;
    let path = format!("/file/f/{}-{}", range.start, range.end);
    assert_eq!(client.get(&path).await, (200, range.end - range.start, digest));
    assert_eq!(server.metrics().bytes_zero_copy.get(), range.end - range.start);
    assert_eq!(server.app.watched.sent.load(Ordering::SeqCst), range.end - range.start);
    assert_eq!(server.app.watched.finished.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn sends_ranges_and_rows_of_ranges() {
    let (file, _) = random_file(3 << 20);
    let bytes = random(3 << 20);
    let server = TestServer::start(HttpLimits::default());
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let mut client = Client::connect(server.address).await;
    let hash = |parts: &[&[u8]]| hex(&Sha256::digest(parts.concat()));

    let middle = &bytes[1_000_001..2_000_002];
    assert_eq!(client.get("/file/f/1000001-2000002").await, (200, 1_000_001, hash(&[middle])));
    let suffix = &bytes[(3 << 20) - 5..];
    assert_eq!(client.get("/file/f/3145723-3145728").await, (200, 5, hash(&[suffix])));
    assert_eq!(client.get("/file/f/7-7").await, (200, 0, hash(&[])));

    let row: [&[u8]; 8] = [
        b"|",
        &bytes[..100_000],
        b"|",
        &bytes[5..6],
        b"|",
        &bytes[1 << 20..3 << 20],
        b"|",
        &bytes[9..80_000],
    ];
    let whole: Vec<&[u8]> = row.into_iter().chain([&b"."[..]]).collect();
    let (status, _, digest) = client.get("/parts/f/0-100000,5-6,1048576-3145728,9-80000").await;
    assert_eq!((status, digest), (200, hash(&whole)));
    assert_eq!(server.app.watched.finished.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn many_small_and_large_parts_keep_their_order() {
    let (file, _) = random_file(2 << 20);
    let bytes = random(2 << 20);
    let server = TestServer::start(HttpLimits::default());
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let ranges: Vec<_> =
        (0..500_usize).map(|i| (i * 997, i * 997 + if i % 3 == 0 { 70_000 } else { 10 + i })).collect();
    let list: Vec<_> = ranges.iter().map(|(start, end)| format!("{start}-{end}")).collect();
    let mut hash = Sha256::new();
    for (start, end) in ranges {
        hash.update(b"|");
        hash.update(&bytes[start..end]);
    }
    hash.update(b".");
    let mut client = Client::connect(server.address).await;
    let (status, _, digest) = client.get(&format!("/parts/f/{}", list.join(","))).await;
    assert_eq!((status, digest), (200, hex(&hash.finalize())));
}

#[tokio::test]
async fn a_head_request_sends_nothing_and_the_connection_goes_on() {
    let (file, digest) = random_file(1 << 20);
    let server = TestServer::start(HttpLimits::default());
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let mut client = Client::connect(server.address).await;
    client.send("HEAD /file/f HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let head = client.head().await.unwrap();
    assert_eq!((head.status, head.len()), (200, 1 << 20));
    assert_eq!(client.get("/file/f").await, (200, 1 << 20, digest));
}

#[tokio::test]
async fn http_1_0_gets_the_file_and_the_end() {
    let (file, digest) = random_file(1 << 20);
    let server = TestServer::start(HttpLimits::default());
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let mut client = Client::connect(server.address).await;
    client.send("GET /file/f HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status, 200);
    assert_eq!(client.digest(1 << 20).await, (1 << 20, digest));
    assert!(client.ended().await);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::start(HttpLimits::default());
    let files = [(1 << 20) + 1, 70_000, 5, 3 << 20, 65_537].map(|len| (len, random_file(len)));
    let mut requests = String::new();
    let mut expected = Vec::new();
    for (len, (file, digest)) in files {
        server.app.add(&len.to_string(), PlainFile::source(file, Offered::Own));
        write!(requests, "GET /file/{len} HTTP/1.1\r\nhost: t\r\n\r\n").unwrap();
        expected.push((len as u64, digest));
    }
    let mut client = Client::connect(server.address).await;
    client.send(requests.repeat(4)).await;
    for (len, digest) in expected.iter().cycle().take(20) {
        assert_eq!(client.head().await.unwrap().len(), *len);
        assert_eq!(&client.digest(*len).await, &(*len, digest.clone()));
    }
}

#[tokio::test]
async fn a_socket_that_takes_little_at_a_time_gets_it_all() {
    let (file, digest) = random_file((5 << 20) + 3);
    let server = TestServer::start(HttpLimits { send_buffer: Some(2048), ..HttpLimits::default() });
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let mut client = Client::connect_narrow(server.address).await;
    assert_eq!(client.get("/file/f").await, (200, (5 << 20) + 3, digest));
}

#[tokio::test]
async fn files_that_cannot_be_sent_from_are_read() {
    let len = (1 << 20) + 5;
    let (file, digest) = random_file(len);
    let server = TestServer::start(HttpLimits::default());
    server
        .app
        .add("other", PlainFile::source(file.try_clone().unwrap(), Offered::Other(unsendable().unwrap())));
    server.app.add("none", PlainFile::source(file, Offered::None));
    let mut client = Client::connect(server.address).await;
    assert_eq!(client.get("/file/other").await, (200, len as u64, digest.clone()));
    assert_eq!(client.get("/file/none").await, (200, len as u64, digest));
    assert_eq!(server.metrics().bytes_zero_copy.get(), 0);
}

#[tokio::test]
async fn a_file_that_became_shorter_breaks_the_connection() {
    for offered in [Offered::Own, Offered::None, Offered::Other(unsendable().unwrap())] {
        let (file, _) = random_file(4 << 20);
        let shrink = file.try_clone().unwrap();
        let server = TestServer::start(HttpLimits::default());
        server.app.add("f", PlainFile::source(file, offered));
        shrink.set_len((1 << 20) + 100).unwrap();
        let mut client = Client::connect(server.address).await;
        client.send("GET /file/f HTTP/1.1\r\nhost: t\r\n\r\n").await;
        assert_eq!(client.head().await.unwrap().len(), 4 << 20);
        let (read, _) = client.digest(4 << 20).await;
        assert!(read <= (1 << 20) + 100, "{read} bytes of a file that has fewer");
        assert!(client.ended().await);
        assert_eq!(server.app.watched.finished.load(Ordering::SeqCst), 0, "a cut answer is not whole");
    }
}

#[tokio::test]
async fn clients_that_go_away_leave_nothing_behind() {
    let (file, _) = random_file(8 << 20);
    let server = TestServer::start(HttpLimits::default());
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let before = open_descriptors();
    for _ in 0..30 {
        let mut client = Client::connect(server.address).await;
        client.send("GET /file/f HTTP/1.1\r\nhost: t\r\n\r\n").await;
        assert_eq!(client.head().await.unwrap().status, 200);
        client.digest(100_000).await;
    }
    server.until("all connections end", |metrics| metrics.open.get() == 0).await;
    eventually("all answers are given up", || server.app.watched.dropped.load(Ordering::SeqCst) == 30).await;
    assert_eq!(server.app.watched.finished.load(Ordering::SeqCst), 0);
    // Other tests of this process open descriptors at the same time, but not thirty leaked sockets.
    eventually("descriptors are closed", || open_descriptors() < before + 30).await;
}

#[tokio::test]
async fn what_is_not_in_the_page_cache_is_read_ahead() {
    // Holes are in no cache, so a fresh sparse file is as cold as a file can be.
    let len = 20 << 20;
    let file = sparse_file(len);
    let server = TestServer::start(HttpLimits::default());
    server.app.add("f", PlainFile::source(file.try_clone().unwrap(), Offered::Own));
    let mut client = Client::connect(server.address).await;
    let (_, sent, digest) = client.get("/file/f").await;
    assert_eq!(sent, len);
    assert!(server.metrics().cold_reads.get() > 0);
    assert_eq!(digest, digest_of(&file, 0..len));
    // The system may drop what it read at any time, but not each time.
    let mut is_warm = false;
    for _ in 0..20 {
        let cold = server.metrics().cold_reads.get();
        assert_eq!(client.get("/file/f").await.2, digest);
        is_warm |= server.metrics().cold_reads.get() == cold;
    }
    assert!(is_warm, "what was just read is read ahead again");
}

#[tokio::test]
async fn one_thread_serves_others_while_it_sends() {
    let (file, digest) = random_file(64 << 20);
    let server = TestServer::start(quick());
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let mut large = Client::connect(server.address).await;
    large.send("GET /file/f HTTP/1.1\r\nhost: t\r\n\r\n".repeat(2)).await;
    assert_eq!(large.head().await.unwrap().status, 200);
    let mut small = Client::connect(server.address).await;
    for _ in 0..10 {
        assert_eq!(small.get("/bytes/10").await.1, 10);
    }
    assert_eq!(large.digest(64 << 20).await, (64 << 20, digest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_at_once_get_their_own_bytes() {
    const LEN: usize = 6 << 20;
    let (file, _) = random_file(LEN);
    let bytes = Arc::new(random(LEN));
    let server = TestServer::start(HttpLimits { send_buffer: Some(16 * 1024), ..HttpLimits::default() });
    server.app.add("f", PlainFile::source(file, Offered::Own));
    let clients = (0..24_usize).map(|number| {
        let (address, bytes) = (server.address, Arc::clone(&bytes));
        tokio::spawn(async move {
            let mut client = Client::connect(address).await;
            for round in 0..12_usize {
                let start = (number * 7_919 + round * 104_729) % (LEN / 2);
                let end = start + 1 + (number * 31 + round * 65_537) % (LEN / 2 - 1);
                let (status, len, digest) = client.get(&format!("/file/f/{start}-{end}")).await;
                assert_eq!((status, len), (200, (end - start) as u64));
                assert_eq!(digest, hex(&Sha256::digest(&bytes[start..end])));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert_eq!(server.app.watched.finished.load(Ordering::SeqCst), 24 * 12);
}
