//! Clients that want the server's memory, its file handles or its time: they get a bounded part of each, and everybody else is answered.
//!
//! Bounds are generous: what is proved is that there is one, not where it lies.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use strata_harness::random::noise;
use strata_harness::{Connection, Repository, Request, TestRegistry, registry, sha256, wait};

/// By then whatever is to be cut is cut.
const BOUND: Duration = Duration::from_secs(30);
/// What a flood may make the server hold more than before, bytes.
const MEMORY: u64 = 96 << 20;
/// Bytes that a flood sends at most.
const FLOOD: usize = 8 << 20;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame.
const SETTINGS: &[u8] = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// A server under attack, and somebody else who wants to work with it.
struct Victim {
    registry: TestRegistry,
    bytes: Bytes,
    digest: String,
    memory: u64,
    descriptors: usize,
}

impl Victim {
    fn new(config: &str) -> Victim {
        let registry = registry!().config(config).start();
        let bytes = noise(1, 300_000);
        let digest = registry.repository("a/b").push_blob(&bytes);
        let memory = registry.process().memory("VmRSS");
        let descriptors = registry.process().descriptors();
        Victim { registry, bytes, digest, memory, descriptors }
    }

    fn repository(&self) -> Repository {
        self.registry.repository("a/b")
    }

    fn connect(&self) -> Connection {
        self.registry.endpoint().connect()
    }

    /// Asserts that somebody else pulls and pushes as if nothing was.
    #[track_caller]
    fn expect_served(&self, seed: u64) {
        self.repository().expect_blob(&self.digest, &self.bytes);
        let pushed = noise(seed, 100_000);
        let digest = self.repository().push_blob(&pushed);
        self.repository().expect_blob(&digest, &pushed);
    }

    #[track_caller]
    fn expect_bounded(&self, what: &str) {
        let memory = self.registry.process().memory("VmRSS");
        assert!(memory < self.memory + MEMORY, "{what}: {} MiB, {} before", memory >> 20, self.memory >> 20);
    }

    /// Waits until the server holds no more handles than before.
    #[track_caller]
    fn expect_handles_back(&self, what: &str) {
        let few = self.descriptors + 32;
        let back = wait::within(BOUND, || (self.registry.process().descriptors() <= few).then_some(()));
        assert!(
            back.is_some(),
            "{what}: {} handles, {} before",
            self.registry.process().descriptors(),
            self.descriptors
        );
    }

    /// Sends `frames` again and again on a fresh HTTP/2 connection, and reads nothing, until the server takes no more or closes.
    fn flood(&self, first: &[u8], frames: &[u8]) -> Connection {
        let mut connection = self.connect();
        connection.send_bytes(&[PREFACE, SETTINGS, first].concat()).expect("a beginning is taken");
        let socket = connection.socket();
        socket.set_write_timeout(Some(Duration::from_secs(1))).expect("the socket is there");
        let many = frames.repeat(1 + 65_536 / frames.len());
        let mut sent = 0;
        while sent < FLOOD && (&*socket).write_all(&many).is_ok() {
            sent += many.len();
        }
        connection
    }

    /// Waits until so many connections were ended as floods.
    #[track_caller]
    fn expect_floods(&self, count: u64) {
        let counted = wait::within(BOUND, || {
            let metrics = self.registry.endpoint().get("/metrics");
            let text = String::from_utf8_lossy(&metrics.body).into_owned();
            let line = text.lines().find(|line| line.starts_with("strata_http_floods_total"))?;
            line.rsplit(' ').next()?.parse::<u64>().ok().filter(|floods| *floods >= count)
        });
        assert!(counted.is_some(), "no flood is counted");
    }

    #[track_caller]
    fn expect_survived(&self, what: &str, attackers: Vec<Connection>) {
        self.expect_served(sent_seed(what));
        self.expect_bounded(what);
        drop(attackers);
        self.expect_handles_back(what);
    }
}

/// Asserts that the server closes the connection; by then buffers between the two may have taken all that was sent.
#[track_caller]
fn expect_ended(mut socket: &TcpStream, what: &str) {
    socket.set_read_timeout(Some(BOUND)).expect("the socket is there");
    let mut scratch = vec![0; 65_536];
    let end = loop {
        match socket.read(&mut scratch) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(end.kind(), ErrorKind::ConnectionReset, "the server goes on with {what}: {end}");
}

fn sent_seed(what: &str) -> u64 {
    what.bytes().map(u64::from).sum()
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[test]
fn ten_thousand_idle_connections() {
    let victim = Victim::new("[http]\nidle-timeout = \"10m\"\n");
    let idle: Vec<Connection> = (0..9_900).map(|_| victim.connect()).collect();
    wait::until("the server to accept them", BOUND, || {
        (victim.registry.process().descriptors() >= 9_900).then_some(())
    });
    victim.expect_survived("idle connections", idle);
}

#[test]
fn heads_that_come_a_byte_at_a_time() {
    let victim = Victim::new("[http]\nheader-timeout = \"1s\"\n");
    let mut dripping: Vec<Connection> = (0..1500).map(|_| victim.connect()).collect();
    for part in [&b"GET /v2/ HT"[..], b"TP/1.1\r\nHo", b"st: x\r\nX-A: "] {
        for connection in &mut dripping {
            // Some may have been cut already.
            let _ = connection.send_bytes(part);
        }
    }
    victim.expect_served(7);
    victim.expect_bounded("slow heads");
    // Nobody closes them but the server.
    victim.expect_handles_back("slow heads");
    drop(dripping);
}

#[test]
fn bodies_that_stop_half_way() {
    let victim = Victim::new("[http]\nbody-stall = \"1s\"\n[storage]\nbuffer-memory = \"16 MiB\"\n");
    let bytes = noise(5, 300_000);
    let open: Vec<Connection> = (0..400)
        .map(|_| {
            let location = victim.repository().start_upload();
            let mut connection = victim.connect();
            let request = Request::patch(location.as_str()).header("content-length", 50_000_000);
            connection.send_head(&request).expect("the head is taken");
            connection.socket().set_nonblocking(true).expect("the socket is there");
            // As much as the server takes; it may well stop reading.
            let _ = connection.send_bytes(&bytes);
            connection
        })
        .collect();
    victim.expect_served(8);
    victim.expect_bounded("half bodies");
    victim.expect_handles_back("half bodies");
    drop(open);
    victim.expect_served(9);
}

#[test]
fn requests_in_a_pipe_that_nobody_reads() {
    let victim = Victim::new("");
    let request = format!("GET /v2/a/b/blobs/{} HTTP/1.1\r\nHost: x\r\n\r\n", victim.digest);
    let mut pipes: Vec<Connection> = (0..20).map(|_| victim.connect()).collect();
    for pipe in &mut pipes {
        pipe.socket().set_nonblocking(true).expect("the socket is there");
        let _ = pipe.send_bytes(request.repeat(2000).as_bytes());
    }
    victim.expect_served(10);
    victim.expect_bounded("full pipes");
    // One that is read is answered, all of it, in order.
    let mut reader = victim.connect();
    reader.send_bytes(request.repeat(50).as_bytes()).expect("the requests are taken");
    for _ in 0..50 {
        reader.read_response("GET", "a blob").expect("an answer").expect(200).expect_body(&victim.bytes);
    }
    victim.expect_survived("full pipes", pipes);
}

#[test]
fn streams_that_are_reset_at_once() {
    let victim = Victim::new("");
    let mut connection = victim.connect();
    connection.send_bytes(&[PREFACE, SETTINGS].concat()).expect("a beginning is taken");
    for round in 0..400_u32 {
        let mut pair = Vec::new();
        for number in 0..100 {
            let stream = 1 + 2 * (round * 100 + number);
            // "GET /" by the static table, with an authority of one byte; then RST_STREAM.
            pair.extend(frame(1, 5, stream, b"\x82\x84\x86\x41\x01x"));
            pair.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
        }
        if connection.send_bytes(&pair).is_err() {
            break;
        }
    }
    // 40,000 streams: the server had enough of it long before, and whoever comes from there next waits.
    expect_ended(connection.socket(), "a client that resets everything");
    victim.expect_floods(1);
    victim.expect_survived("rapid reset", Vec::new());
}

#[test]
fn settings_and_pings_without_end() {
    let victim = Victim::new("");
    let settings = frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]);
    let ping = frame(6, 0, 0, b"pingping");
    let attackers = vec![victim.flood(b"", &settings), victim.flood(b"", &ping)];
    victim.expect_survived("SETTINGS and PING", attackers);
}

#[test]
fn a_flood_whose_answers_are_read_is_ended_all_the_same() {
    let victim = Victim::new("");
    for frames in [frame(4, 0, 0, b""), frame(6, 0, 0, b"pingping"), frame(2, 0, 1, &[0, 0, 0, 3, 9])] {
        let mut connection = victim.connect();
        connection.send_bytes(&[PREFACE, SETTINGS].concat()).expect("a beginning is taken");
        let reader = connection.socket().try_clone().expect("a socket can be shared");
        let draining = std::thread::spawn(move || expect_ended(&reader, "a client that wants nothing"));
        let many = frames.repeat(1 + 65_536 / frames.len());
        // As many as a quick server would answer for ever.
        let _ = (0..FLOOD / many.len()).take_while(|_| connection.send_bytes(&many).is_ok()).count();
        draining.join().expect("the server has closed the connection");
    }
    victim.expect_survived("a flood that reads", Vec::new());
}

#[test]
fn after_a_flood_the_next_one_begins_later_and_others_at_once() {
    let victim = Victim::new("");
    let begun = Instant::now();
    let flood = victim.flood(b"", &frame(6, 0, 0, b"pingping"));
    victim.expect_floods(1);
    let mut next = victim.connect();
    next.send_bytes(&[PREFACE, SETTINGS].concat()).expect("a beginning is taken");
    victim.expect_served(11);
    let mut first = [0; 9];
    next.socket().read_exact(&mut first).expect("it is served in the end");
    assert_eq!(first[3], 4, "with the settings of the server");
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "a flood that begins anew at once costs as much as before"
    );
    victim.expect_survived("a flood that begins anew", vec![flood, next]);
}

#[test]
fn a_head_of_endless_continuations() {
    let victim = Victim::new("");
    // HEADERS without END_HEADERS; then frames that each continue it, empty or full.
    let open = frame(1, 0, 1, b"\x82\x84\x86");
    let field = [&b"\x00\x01a\x7f\xfd\x02"[..], &[b'v'; 508]].concat();
    let attackers = vec![
        victim.flood(&open, &frame(9, 0, 1, b"")),
        victim.flood(&open, &frame(9, 0, 1, &field.repeat(30))),
    ];
    victim.expect_survived("CONTINUATION", attackers);
}

#[test]
fn header_lists_that_unpack_to_much_more() {
    let victim = Victim::new("");
    // One large field goes into the dynamic table, then is named again and again by one byte.
    let name = [&b"\x40\x01a\x7f\xbd\x1d"[..], &[b'v'; 3900]].concat();
    let bomb = [&b"\x82\x84\x86\x41\x01x"[..], &name, &[0xbe; 10_000]].concat();
    let mut connection = victim.connect();
    connection.send_bytes(&[PREFACE, SETTINGS].concat()).expect("a beginning is taken");
    for stream in 0..200_u32 {
        if connection.send_bytes(&frame(1, 5, 1 + 2 * stream, &bomb)).is_err() {
            break;
        }
    }
    victim.expect_survived("a header bomb", vec![connection]);
    // The same on HTTP/1: more than a head may hold, again and again.
    let mut large = victim.connect();
    let head = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nX-A: {}\r\n\r\n", "v".repeat(1 << 20));
    let _ = large.send_bytes(head.as_bytes());
    let text = large.read_to_end().expect("the server closes the connection");
    assert!(text.is_empty() || text.starts_with(b"HTTP/1.1 431"), "{:?}", String::from_utf8_lossy(&text));
    victim.expect_survived("a long head", Vec::new());
}

#[test]
fn nothing_is_ever_unpacked() {
    let victim = Victim::new("");
    // The first bytes of a gzip stream that would unpack to a thousand times as much: to the server they are bytes.
    let packed = Bytes::from([&b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03"[..], &[0xed; 4000]].concat());
    let digest = sha256(&packed);
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let request = victim.repository().post_blob(&digest, &packed).header("content-encoding", coding);
        let response = victim.registry.endpoint().send(&request);
        assert!(matches!(response.status, 201 | 400 | 415), "{coding}: {response:?}");
        let all = Request::get(victim.repository().blob(&victim.digest)).header("accept-encoding", coding);
        let response = victim.registry.endpoint().send(&all).expect(200).expect_no_header("content-encoding");
        response.expect_body(&victim.bytes);
    }
    victim.repository().push_blob(&packed);
    victim.repository().expect_blob(&digest, &packed);
    victim.expect_bounded("packed bodies");
}

#[test]
fn a_reader_of_one_byte_at_a_time_holds_little() {
    let victim = Victim::new("");
    let large = noise(3, 32 << 20);
    let digest = victim.repository().push_blob(&large);
    let mut slow: Vec<Connection> = (0..300).map(|_| victim.connect()).collect();
    for connection in &mut slow {
        connection.send(&Request::get(victim.repository().blob(&digest))).expect("the request is taken");
        let mut first = [0; 1];
        connection.socket().read_exact(&mut first).expect("an answer begins");
    }
    victim.expect_survived("slow readers", slow);
}
