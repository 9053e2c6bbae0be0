//! The swarm against a server of a few lines that answers what it is told to.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::content::digest;

/// Answers every request with what `reply` makes of its path; counts connections.
fn serve(reply: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, reply) = (listener.local_addr().unwrap(), Arc::new(reply));
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
            let reply = Arc::clone(&reply);
            thread::spawn(move || answer(stream.unwrap(), &*reply));
        }
    });
    (address, connections)
}

fn answer(mut stream: TcpStream, reply: &dyn Fn(&str) -> Vec<u8>) {
    let (mut input, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        while let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(input.drain(..end + 4).collect()).unwrap();
            if stream.write_all(&reply(head.split(' ').nth(1).unwrap())).is_err() {
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(read) => input.extend_from_slice(&buffer[..read]),
        }
    }
}

fn ok(body: &[u8]) -> Vec<u8> {
    let mut reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    reply.extend_from_slice(body);
    reply
}

/// `count` requests by a closed loop of `lines` connections.
struct Few(usize, u64);

impl Script for Few {
    fn step(&mut self, _: usize, now: Instant) -> Step {
        if self.0 == 0 {
            return Step::Stop;
        }
        self.0 -= 1;
        Step::Ask { target: self.0 % 2, asked: now }
    }

    fn done(&mut self, line: usize, _: Duration, bytes: u64, _: Instant) -> Range<usize> {
        self.1 += bytes;
        line..line + 1
    }
}

fn read(address: SocketAddr, paths: [&str; 2], bodies: Bodies, fresh: bool) -> io::Result<u64> {
    let mut targets = paths.map(|path| Target::new(address, "GET", path));
    let mut script = Few(20, 0);
    let group = Group { lines: 3, fresh, awaited: true, spin: Duration::ZERO, script: &mut script };
    let outcome = run(address, &mut targets, bodies, vec![group], Duration::from_mins(1))?;
    assert!(outcome.finished);
    assert_eq!(outcome.received, script.1);
    Ok(script.1)
}

#[test]
fn every_mode_counts_every_byte() {
    let (small, large) = (vec![1; 5000], vec![2; 3_000_000]);
    let paths = [digest([small.as_slice()]), digest([large.as_slice()])]
        .map(|digest| format!("/v2/a/blobs/{digest}"));
    let first = paths[0].clone();
    let (address, connections) = serve(move |path| ok(if path == first { &small } else { &large }));
    for bodies in [Bodies::Discard, Bodies::Copy, Bodies::Verify] {
        let bytes = read(address, [&paths[0], &paths[1]], bodies, false).unwrap();
        assert_eq!(bytes, 10 * 5000 + 10 * 3_000_000, "{bodies:?}");
    }
    assert_eq!(connections.load(Ordering::Relaxed), 9);
    read(address, [&paths[0], &paths[0]], Bodies::Verify, true).unwrap();
    assert_eq!(connections.load(Ordering::Relaxed), 29);
}

#[test]
fn wrong_bytes_and_refusals_are_errors() {
    let path = format!("/v2/a/blobs/{}", digest([b"right".as_slice()]));
    let (address, _) = serve(|path| {
        if path == "/missing" {
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec()
        } else {
            ok(b"wrong")
        }
    });
    let why = |path, bodies| read(address, [path, path], bodies, false).unwrap_err().to_string();
    assert!(why(&path, Bodies::Verify).contains("not what its digest says"));
    assert_eq!(read(address, [&path, &path], Bodies::Copy, false).unwrap(), 100);
    assert!(why("/missing", Bodies::Copy).contains("reading /missing: the server answers 404"));
}

#[test]
fn a_head_that_changes_its_length_is_read_again() {
    let turn = AtomicUsize::new(0);
    let (address, _) = serve(move |_| match turn.fetch_add(1, Ordering::Relaxed) % 3 {
        0 => ok(b"four"),
        1 => ok(b"seventeen letters"),
        _ => b"HTTP/1.1 200 OK\r\nX: yes\r\nContent-Length: 1\r\n\r\n1".to_vec(),
    });
    // Twenty turns: seven of 4, seven of 17, six of 1.
    assert_eq!(read(address, ["/a", "/b"], Bodies::Copy, false).unwrap(), 7 * 4 + 7 * 17 + 6);
}

#[test]
fn a_herd_takes_the_manifest_first_and_everything_once() {
    let (address, connections) = serve(|path| ok(path.as_bytes()));
    let mut targets: Vec<Target> =
        ["/m", "/b1", "/b2", "/b3", "/b4"].map(|path| Target::new(address, "GET", path)).into();
    let mut herd = Herd::new(10, 3, 4, Instant::now());
    let group = Group { lines: 30, fresh: false, awaited: true, spin: Duration::ZERO, script: &mut herd };
    let outcome = run(address, &mut targets, Bodies::Copy, vec![group], Duration::from_mins(1)).unwrap();
    assert!(outcome.finished);
    assert_eq!((herd.latencies.count(), herd.bytes), (10, 10 * (2 + 4 * 3)));
    assert_eq!(connections.load(Ordering::Relaxed), 30);
}

#[test]
fn an_open_loop_keeps_its_rate_and_its_surroundings_end_with_it() {
    let (address, _) = serve(|path| ok(path.as_bytes()));
    let mut targets: Vec<Target> = ["/a", "/beside"].map(|path| Target::new(address, "GET", path)).into();
    let start = Instant::now();
    let end = start + Duration::from_millis(300);
    let mut open = Open::new(Order::turns(0, 1), 1000.0, start, end);
    let mut beside = Closed::new(Order::turns(1, 1), start + Duration::from_hours(1));
    let groups = vec![
        Group { lines: 4, fresh: false, awaited: true, spin: Duration::ZERO, script: &mut open },
        Group { lines: 2, fresh: false, awaited: false, spin: Duration::ZERO, script: &mut beside },
    ];
    let outcome = run(address, &mut targets, Bodies::Discard, groups, Duration::from_mins(1)).unwrap();
    assert!(outcome.finished);
    assert_eq!(open.latencies.count(), 300);
    assert!(beside.latencies.count() > 0);
}

#[test]
fn a_run_ends_when_its_time_is_over() {
    let (address, _) = serve(|path| if path == "/silent" { Vec::new() } else { ok(b"1") });
    let mut targets = vec![Target::new(address, "GET", "/silent")];
    let mut closed = Closed::new(Order::turns(0, 1), Instant::now() + Duration::from_hours(1));
    let group = Group { lines: 1, fresh: false, awaited: true, spin: Duration::ZERO, script: &mut closed };
    let outcome =
        run(address, &mut targets, Bodies::Discard, vec![group], Duration::from_millis(50)).unwrap();
    assert!(!outcome.finished);
    assert_eq!(outcome.received, 0);
}
