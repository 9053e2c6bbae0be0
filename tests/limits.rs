//! Limits: what stalls is cut, what moves is not, and many connections take bounded memory.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::io::Read as _;
use std::time::{Duration, Instant};
use strata_harness::random::noise;
use strata_harness::{Connection, Request, TestRegistry, registry, sha256, wait};

/// The limits of these servers are one second; by then whatever hangs is cut.
const BOUND: Duration = Duration::from_secs(20);

/// Reads until the server closes; gives what came, or panics when the server goes on waiting.
#[track_caller]
fn read_until_cut(connection: &mut Connection) -> String {
    connection.socket().set_read_timeout(Some(BOUND)).expect("the socket is there");
    let bytes = connection.read_to_end().expect("the server closes the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_head_that_does_not_end() {
    let registry = registry!().config("[http]\nheader-timeout = \"1s\"\n").start();
    let mut stalled = registry.endpoint().connect();
    stalled.send_bytes(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n").expect("a part is taken");
    let text = read_until_cut(&mut stalled);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    // One that moves, but so slowly that the head never ends.
    let mut dripping = registry.endpoint().connect();
    let start = Instant::now();
    wait::until("the dripping client to be cut", BOUND, || {
        wait::pace(Duration::from_millis(100));
        dripping.send_bytes(b"X").is_err().then_some(())
    });
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
}

#[test]
fn a_connection_that_is_idle() {
    let registry = registry!().config("[http]\nidle-timeout = \"1s\"\n").start();
    let fresh = registry.endpoint().connect();
    let mut used = registry.endpoint().connect();
    used.exchange(&Request::get("/v2/")).expect("an answer").expect(200);
    let start = Instant::now();
    used.expect_closed();
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
    fresh.expect_closed();
}

#[test]
fn a_body_that_stalls() {
    let registry = registry!().config("[http]\nbody-stall = \"1s\"\n").start();
    let repository = registry.repository("a/b");
    let bytes = noise(1, 500_000);
    let location = repository.start_upload();
    let mut connection = registry.endpoint().connect();
    let request = Request::patch(location.as_str()).header("content-length", bytes.len());
    connection.send_head(&request).expect("the head is taken");
    connection.send_bytes(&bytes.slice(..200_000)).expect("a part is taken");
    if let Ok(response) = connection.read_response("PATCH", &location) {
        response.expect_error(408, "TIMEOUT");
    }
    connection.expect_closed();
    repository.expect_offset(&location, 200_000);
    repository.resume_at(&location, 200_000, &bytes.slice(200_000..));
    repository.commit(&location, &sha256(&bytes));
    repository.expect_blob(&sha256(&bytes), &bytes);
}

#[test]
fn a_reader_that_stalls() {
    let registry = registry!().config("[http]\nwrite-stall = \"1s\"\n").start();
    let repository = registry.repository("a/b");
    let bytes = noise(2, 64 << 20);
    let digest = repository.push_blob(&bytes);
    let mut connection = registry.endpoint().connect();
    connection.send(&Request::get(repository.blob(&digest))).expect("the request is taken");
    wait::until("the server to give the reader up", BOUND, || {
        registry.log().lines().any(|line| line.contains("cut=true") && line.contains("/blobs/")).then_some(())
    });
    let read = connection.read_to_end().expect("the connection is cut");
    assert!(read.len() < bytes.len(), "{} bytes came", read.len());
    repository.expect_blob(&digest, &bytes);
}

#[test]
fn what_moves_slowly_is_never_cut() {
    let limits =
        "[http]\nheader-timeout = \"2s\"\nidle-timeout = \"2s\"\nbody-stall = \"2s\"\nwrite-stall = \"2s\"\n";
    let registry = registry!().config(limits).start();
    let repository = registry.repository("a/b");
    let bytes = noise(3, 32 << 20);
    let digest = sha256(&bytes);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let small = bytes.slice(..1000);
            let mut connection = registry.endpoint().connect();
            let request = repository.post_blob(&sha256(&small), &small);
            connection.send_head(&request).expect("the head is taken");
            for start in (0..1000).step_by(100) {
                wait::pace(Duration::from_millis(300));
                connection.send_bytes(&small.slice(start..start + 100)).expect("a part is taken");
            }
            let response = connection.read_response("POST", &request.target).expect("an answer");
            repository.expect_created_blob(response, &sha256(&small));
        });
        scope.spawn(|| {
            repository.push_blob(&bytes);
            let mut connection = registry.endpoint().connect();
            connection.send(&Request::get(repository.blob(&digest))).expect("the request is taken");
            assert_eq!(connection.read_head().expect("a head").status, 200);
            let mut read = Vec::new();
            while read.len() < bytes.len() {
                wait::pace(Duration::from_millis(250));
                let piece = (bytes.len() - read.len()).min(bytes.len() / 16 + 1);
                read.extend_from_slice(&connection.read_exact(piece).expect("the bytes come"));
            }
            assert_eq!(sha256(&read), digest);
        });
    });
}

#[test]
fn more_connections_than_allowed() {
    let registry = registry!().config("[http]\nmax-connections = 8\n").start();
    let repository = registry.repository("a/b");
    let bytes = noise(4, 100_000);
    let digest = repository.push_blob(&bytes);
    // Idle ones give way to those that ask.
    let idle: Vec<Connection> = (0..20).map(|_| registry.endpoint().connect()).collect();
    for _ in 0..10 {
        repository.expect_blob(&digest, &bytes);
    }
    drop(idle);
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| repository.expect_blob(&digest, &bytes));
        }
    });
}

/// Opens connections of which each has a request half sent.
fn half_sent(registry: &TestRegistry, count: usize, sent: usize) -> Vec<Connection> {
    let repository = registry.repository("a/b");
    let bytes = noise(5, sent);
    let open = |_| {
        let mut connection = registry.endpoint().connect();
        let request = Request::post(format!("{}?digest={}", repository.uploads(), sha256(b"never")));
        connection.send_head(&request.header("content-length", 100_000_000)).expect("the head is taken");
        connection.socket().set_nonblocking(true).expect("the socket is there");
        // As much as the server takes; it may well stop reading.
        let _ = connection.send_bytes(&bytes);
        connection
    };
    (0..count).map(open).collect()
}

#[test]
fn memory_is_bounded_however_many_connections() {
    let limits = "[storage]\nbuffer-memory = \"16 MiB\"\nmetadata-memory = \"16 MiB\"\n";
    let registry = registry!().config(limits).start();
    let repository = registry.repository("a/b");
    let bytes = noise(6, 8 << 20);
    let digest = repository.push_blob(&bytes);
    let idle: Vec<Connection> = (0..1500).map(|_| registry.endpoint().connect()).collect();
    let writers = half_sent(&registry, 300, 2 << 20);
    let mut readers: Vec<Connection> = (0..300).map(|_| registry.endpoint().connect()).collect();
    for reader in &mut readers {
        reader.send(&Request::get(repository.blob(&digest))).expect("the request is taken");
    }
    for reader in &mut readers {
        let mut first = [0; 1];
        reader.socket().read_exact(&mut first).expect("an answer begins");
    }
    let peak = registry.process().memory("VmHWM");
    assert!(peak < 240 << 20, "{} MiB", peak >> 20);
    // Writers that hold their buffers still must not starve one that moves.
    repository.expect_blob(&digest, &bytes);
    let moving = noise(7, 3 << 20);
    repository.push_blob(&moving);
    drop((idle, writers, readers));
    wait::until("the server to notice", BOUND, || (registry.blob_files().len() == 2).then_some(()));
}

#[test]
fn no_descriptors_left() {
    let mut registry = registry!().under(&["prlimit", "--nofile=96:96"]).start();
    let repository = registry.repository("a/b");
    let bytes = noise(8, 200_000);
    let digest = repository.push_blob(&bytes);
    // More connections than the process may open files; the kernel holds the rest in its queue.
    let mut idle: Vec<Connection> = (0..200).map(|_| registry.endpoint().connect()).collect();
    for connection in &mut idle {
        connection.send(&Request::get(repository.blob(&digest))).expect("the request is taken");
    }
    // Those that were let in are answered, right or with an error, never short.
    let mut answered = 0;
    for mut connection in idle {
        if let Ok(response) = connection.read_response("GET", "a blob") {
            if response.status == 200 {
                response.expect(200).expect_body(&bytes);
                answered += 1;
            } else {
                assert!(response.status >= 500, "{response:?}");
            }
        }
    }
    assert!(answered > 0);
    // And when they are gone, everything is as before.
    wait::until("the server to be itself again", BOUND, || {
        let response = registry.endpoint().try_send(&Request::get(repository.blob(&digest))).ok()?;
        (response.status == 200).then(|| response.expect_body(&bytes))
    });
    for seed in 0..20 {
        repository.push_blob(&noise(100 + seed, 100_000));
    }
    registry.restart();
    for seed in 0..20 {
        let pushed = noise(100 + seed, 100_000);
        registry.repository("a/b").expect_blob(&sha256(&pushed), &pushed);
    }
}
