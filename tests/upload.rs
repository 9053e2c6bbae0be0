//! Upload sessions: where they are, what they refuse, and that whatever happens to one, its client can go on.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use bytes::Bytes;
use std::time::Duration;
use strata_harness::random::noise;
use strata_harness::repository::{content_range, with_query};
use strata_harness::{Request, Response, registry, sha256, wait};

/// Asserts the 416 that tells a client where to go on.
#[track_caller]
fn expect_out_of_place(response: Response, location: &str, offset: usize) {
    let response = response.expect_error(416, "RANGE_INVALID");
    assert_eq!(
        response.header("range"),
        Some(format!("0-{}", offset.saturating_sub(1)).as_str()),
        "{response:?}"
    );
    assert_eq!(response.location(), location, "{response:?}");
}

#[test]
fn status_of_a_session() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let started = registry.endpoint().post(repository.uploads()).expect(202).expect_header("range", "0-0");
    let location = started.location();
    let id = started.header("docker-upload-uuid").expect("the legacy header").to_owned();
    assert_eq!(location, format!("{}{id}", repository.uploads()));
    assert!(id.len() == 36 && id.split('-').count() == 5, "an id of the form of a UUID: {id}");
    repository.expect_offset(&location, 0);
    repository.patch_at(&location, 0, &noise(1, 10));
    repository.expect_offset(&location, 10);
    repository.patch_at(&location, 10, &noise(2, 90_000));
    let status = repository.expect_offset(&location, 90_010);
    assert_eq!(status.header("docker-upload-uuid"), Some(id.as_str()));
    assert!(status.body.is_empty());
}

#[test]
fn cancel_frees_the_session() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for size in [0, 10, 1_000_000] {
        let location = repository.start_upload();
        if size > 0 {
            repository.patch(&location, &noise(3, size));
        }
        registry.endpoint().delete(location.as_str()).expect(204).expect_body(b"");
        registry.endpoint().get(location.as_str()).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        registry.endpoint().delete(location.as_str()).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        let patch = Request::patch(location.as_str()).body(noise(3, 10));
        registry.endpoint().send(&patch).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        let put = Request::put(with_query(&location, &format!("digest={}", sha256(b"")))).body(Bytes::new());
        registry.endpoint().send(&put).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    wait::until("the bytes of cancelled uploads to be gone", wait::SOON, || {
        registry.blob_files().is_empty().then_some(())
    });
}

#[test]
fn chunks_out_of_order_change_nothing() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for unit in [100, 80_000] {
        let bytes = noise(4, unit * 4);
        let location = repository.start_upload();
        let send = |start: usize, end: usize| {
            let range = content_range(start, end - start);
            let request = Request::patch(location.as_str()).header("content-range", range);
            registry.endpoint().send(&request.body(bytes.slice(start..end)))
        };
        // Not the first chunk.
        expect_out_of_place(send(unit, unit * 2), &location, 0);
        repository.expect_offset(&location, 0);
        send(0, unit).expect(202);
        // The same again, one that leaves a gap, one that overlaps.
        expect_out_of_place(send(0, unit), &location, unit);
        expect_out_of_place(send(unit * 2, unit * 3), &location, unit);
        expect_out_of_place(send(unit - 1, unit * 2), &location, unit);
        expect_out_of_place(send(unit + 1, unit * 2), &location, unit);
        repository.expect_offset(&location, unit);
        send(unit, unit * 2).expect(202);
        // A last chunk that comes too early, with the closing request.
        let digest = sha256(&bytes);
        let close = |start: usize| {
            let target = with_query(&location, &format!("digest={digest}"));
            let range = content_range(start, bytes.len() - start);
            let request = Request::put(target).header("content-range", range);
            registry.endpoint().send(&request.body(bytes.slice(start..)))
        };
        expect_out_of_place(close(unit * 3), &location, unit * 2);
        repository.expect_no_blob(&digest);
        repository.expect_offset(&location, unit * 2);
        repository.expect_created_blob(close(unit * 2), &digest);
        repository.expect_blob(&digest, &bytes);
    }
}

#[test]
fn content_ranges_that_do_not_fit_their_body() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(5, 1000);
    let location = repository.start_upload();
    for range in ["0-1000", "0-998", "0-0"] {
        let request = Request::patch(location.as_str()).header("content-range", range).body(bytes.clone());
        registry.endpoint().send(&request).expect_error(400, "SIZE_INVALID");
    }
    for range in ["", "-", "0-", "-999", "999-0", "a-b", "0-999999999999999999999999", "0,999", "0x0-0x9"] {
        let request = Request::patch(location.as_str()).header("content-range", range).body(bytes.clone());
        let response = registry.endpoint().send(&request);
        assert_eq!(response.status, 400, "{range}: {response:?}");
        assert_eq!(response.error_codes().len(), 1, "{response:?}");
        let target = with_query(&location, &format!("digest={}", sha256(&bytes)));
        let request = Request::put(target).header("content-range", range).body(bytes.clone());
        let response = registry.endpoint().send(&request);
        assert_eq!(response.status, 400, "{range}: {response:?}");
    }
    repository.expect_offset(&location, 0);
    repository.patch_at(&location, 0, &bytes);
    repository.commit(&location, &sha256(&bytes));
    repository.expect_blob(&sha256(&bytes), &bytes);
}

#[test]
fn a_chunked_body_that_is_not_as_long_as_its_range() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(6, 100_000);
    for (range, sent) in [("0-99999", 60_000), ("0-59999", 100_000)] {
        let location = repository.start_upload();
        let request = Request::patch(location.as_str()).header("content-range", range);
        let response = registry.endpoint().send(&request.chunked(&bytes.slice(..sent), 7000));
        assert_eq!(response.status, 400, "{response:?}");
        response.expect_error(400, "SIZE_INVALID");
        // Whatever of it was kept, the session knows and goes on from there.
        let status = registry.endpoint().get(location.as_str()).expect(204);
        let offset = offset_of(&status);
        assert!(offset <= sent.min(60_000), "{offset} of {sent}");
        repository.patch_at(&location, offset, &bytes.slice(offset..));
        repository.commit(&location, &sha256(&bytes));
        repository.expect_blob(&sha256(&bytes), &bytes);
        registry.endpoint().delete(repository.blob(&sha256(&bytes))).expect(202);
    }
}

fn offset_of(status: &Response) -> usize {
    let last: usize = status
        .header("range")
        .and_then(|range| range.strip_prefix("0-"))
        .expect("a range")
        .parse()
        .expect("a number");
    if last == 0 { 0 } else { last + 1 }
}

#[test]
fn a_session_belongs_to_its_repository() {
    let registry = registry!().start();
    let (mine, other) = (registry.repository("a/mine"), registry.repository("a/other"));
    other.push_blob(&noise(7, 10));
    let location = mine.start_upload();
    let id = location.rsplit('/').next().expect("an id");
    let foreign = format!("{}{id}", other.uploads());
    let bytes = noise(8, 50);
    let requests = [
        Request::get(foreign.as_str()),
        Request::patch(foreign.as_str()).body(bytes.clone()),
        Request::put(with_query(&foreign, &format!("digest={}", sha256(&bytes)))).body(bytes.clone()),
        Request::delete(foreign.as_str()),
    ];
    for request in requests {
        registry.endpoint().send(&request).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    mine.expect_offset(&location, 0);
    mine.patch(&location, &bytes);
    mine.commit(&location, &sha256(&bytes));
    other.expect_no_blob(&sha256(&bytes));
}

#[test]
fn sessions_that_never_were() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    repository.push_blob(&noise(9, 10));
    let ids = [
        "11111111-2222-4333-8444-555555555555",
        "1",
        "not-an-id",
        "%00",
        "11111111222243338444555555555555x",
    ];
    for id in ids {
        let location = format!("{}{id}", repository.uploads());
        let requests = [
            Request::get(location.as_str()),
            Request::patch(location.as_str()).body(noise(9, 10)),
            Request::put(with_query(&location, &format!("digest={}", sha256(b"x")))).body(&b"x"[..]),
            Request::delete(location.as_str()),
        ];
        for request in requests {
            registry.endpoint().send(&request).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
}

#[test]
fn of_two_clients_one_wins_and_the_other_goes_on() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(10, 900_000);
    let location = repository.start_upload();
    let mut first = registry.endpoint().connect();
    let request = Request::patch(location.as_str()).header("content-range", content_range(0, 600_000));
    first.send_head(&request.clone().header("content-length", 600_000)).expect("the head is taken");
    first.send_bytes(&bytes.slice(..200_000)).expect("a part is taken");
    // Asking for the status takes the session from nobody; a second writer could win it before the first has it.
    wait::until("the first client to hold the session", wait::SOON, || {
        let status = registry.endpoint().get(location.as_str()).expect(204);
        (offset_of(&status) > 0).then_some(())
    });
    let second =
        Request::patch(location.as_str()).header("content-range", "700000-700009").body(noise(0, 10));
    let refused = registry.endpoint().send(&second).expect_error(416, "RANGE_INVALID");
    assert!(offset_of(&refused) > 0, "{refused:?}");
    let close =
        Request::put(with_query(&location, &format!("digest={}", sha256(&bytes)))).body(bytes.clone());
    registry.endpoint().send(&close).expect_error(416, "RANGE_INVALID");
    first.send_bytes(&bytes.slice(200_000..600_000)).expect("the rest is taken");
    first
        .read_response("PATCH", &location)
        .expect("an answer")
        .expect(202)
        .expect_header("range", "0-599999");
    repository.expect_offset(&location, 600_000);
    repository.patch_at(&location, 600_000, &bytes.slice(600_000..));
    repository.commit(&location, &sha256(&bytes));
    repository.expect_blob(&sha256(&bytes), &bytes);
}

#[test]
fn many_clients_at_one_session_never_mix_their_bytes() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(11, 400_000);
    for _ in 0..10 {
        let location = repository.start_upload();
        let request =
            Request::patch(location.as_str()).header("content-range", content_range(0, bytes.len()));
        let request = request.body(bytes.clone());
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let clients: Vec<_> =
                (0..6).map(|_| scope.spawn(|| registry.endpoint().send(&request).status)).collect();
            clients.into_iter().map(|client| client.join().expect("no client panics")).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 416).count(), 5, "{statuses:?}");
        repository.commit(&location, &sha256(&bytes));
        repository.expect_blob(&sha256(&bytes), &bytes);
        registry.endpoint().delete(repository.blob(&sha256(&bytes))).expect(202);
    }
}

#[test]
fn every_location_ever_given_stays_valid() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(12, 3000);
    let mut locations = vec![repository.start_upload()];
    for start in [0, 1000, 2000] {
        for location in &locations {
            repository.expect_offset(location, start);
            repository.expect_offset(&with_query(location, &format!("digest={}", sha256(&bytes))), start);
        }
        let oldest = locations.first().expect("one at least").clone();
        let patched = repository.patch_at(&oldest, start, &bytes.slice(start..start + 1000));
        locations.push(patched.location());
    }
    assert!(locations.iter().all(|location| !location.contains('?')), "no state in the query: {locations:?}");
    repository.commit(locations.first().expect("one at least"), &sha256(&bytes));
    repository.expect_blob(&sha256(&bytes), &bytes);
    for location in locations {
        registry.endpoint().get(location).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

#[test]
fn an_expired_session_is_unknown_and_its_bytes_are_gone() {
    let mut registry = registry!().config("[storage]\nupload-expiry = \"1s\"\n").start();
    let repository = registry.repository("a/b");
    let location = repository.start_upload();
    repository.patch(&location, &noise(13, 500_000));
    wait::until("the session to expire", wait::SOON, || {
        let response = registry.endpoint().get(location.as_str());
        (response.status == 404).then(|| response.expect_error(404, "BLOB_UPLOAD_UNKNOWN"))
    });
    let patch = Request::patch(location.as_str()).body(noise(13, 10));
    registry.endpoint().send(&patch).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    // Housekeeping comes round at every start, and then every minute.
    registry.restart();
    wait::until("the bytes to be reclaimed", wait::SOON, || registry.blob_files().is_empty().then_some(()));
}

#[test]
fn an_upload_that_moves_does_not_expire() {
    let registry = registry!().config("[storage]\nupload-expiry = \"2s\"\n").start();
    let repository = registry.repository("a/b");
    let bytes = noise(19, 100_000);
    let location = repository.start_upload();
    let mut connection = registry.endpoint().connect();
    let request = Request::patch(location.as_str()).header("content-length", bytes.len());
    connection.send_head(&request).expect("the head is taken");
    // Twice as long as a session lives without anything happening.
    for start in (0..bytes.len()).step_by(10_000) {
        wait::pace(Duration::from_millis(400));
        connection.send_bytes(&bytes.slice(start..start + 10_000)).expect("a part is taken");
    }
    connection.read_response("PATCH", &location).expect("an answer").expect(202);
    repository.commit(&location, &sha256(&bytes));
    repository.expect_blob(&sha256(&bytes), &bytes);
}

#[test]
fn a_body_that_ends_early_is_resumed_where_it_was_cut() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for (size, sent) in [(1000, 400), (300_000, 150_000), (12_000_000, 9_999_999)] {
        let bytes = noise(14, size);
        let location = repository.start_upload();
        let mut connection = registry.endpoint().connect();
        let request = Request::patch(location.as_str()).header("content-length", size);
        connection.send_head(&request).expect("the head is taken");
        connection.send_bytes(&bytes.slice(..sent)).expect("a part is taken");
        drop(connection);
        wait::until("the session to know what came", wait::SOON, || {
            let status = registry.endpoint().get(location.as_str()).expect(204);
            (offset_of(&status) == sent).then_some(())
        });
        repository.resume_at(&location, sent, &bytes.slice(sent..));
        repository.commit(&location, &sha256(&bytes));
        repository.expect_blob(&sha256(&bytes), &bytes);
    }
}

#[test]
fn a_chunked_body_that_ends_early_is_resumed_where_it_was_cut() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(15, 300_000);
    let location = repository.start_upload();
    let mut connection = registry.endpoint().connect();
    let request = Request::patch(location.as_str()).header("transfer-encoding", "chunked");
    connection.send_head(&request).expect("the head is taken");
    for start in (0..120_000).step_by(40_000) {
        connection.send_chunk(&bytes.slice(start..start + 40_000)).expect("a chunk is taken");
    }
    drop(connection);
    wait::until("the session to know what came", wait::SOON, || {
        let status = registry.endpoint().get(location.as_str()).expect(204);
        (offset_of(&status) == 120_000).then_some(())
    });
    repository.resume_at(&location, 120_000, &bytes.slice(120_000..));
    repository.commit(&location, &sha256(&bytes));
    repository.expect_blob(&sha256(&bytes), &bytes);
}

#[test]
fn a_closing_request_that_ends_early_commits_nothing() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(16, 200_000);
    let digest = sha256(&bytes);
    let location = repository.start_upload();
    let mut connection = registry.endpoint().connect();
    let request = Request::put(with_query(&location, &format!("digest={digest}")));
    connection.send_head(&request.header("content-length", bytes.len())).expect("the head is taken");
    connection.send_bytes(&bytes.slice(..150_000)).expect("a part is taken");
    drop(connection);
    let offset = wait::until("the session to be free again", wait::SOON, || {
        let status = registry.endpoint().get(location.as_str()).expect(204);
        (offset_of(&status) == 150_000).then_some(150_000)
    });
    repository.expect_no_blob(&digest);
    repository.resume_at(&location, offset, &bytes.slice(offset..));
    repository.commit(&location, &digest);
    repository.expect_blob(&digest, &bytes);
}

#[test]
fn empty_chunks_are_no_harm() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let location = repository.start_upload();
    registry.endpoint().send(&Request::patch(location.as_str())).expect(202).expect_header("range", "0-0");
    repository.patch(&location, &noise(17, 5));
    registry.endpoint().send(&Request::patch(location.as_str())).expect(202).expect_header("range", "0-4");
    repository.commit(&location, &sha256(&noise(17, 5)));
    let empty = repository.start_upload();
    repository.commit(&empty, &sha256(b""));
    repository.expect_blob(&sha256(b""), b"");
}

#[test]
fn a_closing_request_needs_a_digest() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let location = repository.start_upload();
    repository.patch(&location, &noise(18, 5));
    registry.endpoint().put(location.as_str()).expect_error(400, "DIGEST_INVALID");
    repository.expect_offset(&location, 5);
    repository.commit(&location, &sha256(&noise(18, 5)));
}

#[test]
fn of_many_that_close_a_session_one_does() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for size in [100, 300_000] {
        for round in 0..8 {
            let bytes = noise(20 + round, size);
            let digest = sha256(&bytes);
            let location = repository.start_upload();
            repository.patch(&location, &bytes);
            let close = Request::put(with_query(&location, &format!("digest={digest}")));
            let statuses: Vec<u16> = std::thread::scope(|scope| {
                let closers: Vec<_> =
                    (0..6).map(|_| scope.spawn(|| registry.endpoint().send(&close).status)).collect();
                closers.into_iter().map(|closer| closer.join().expect("no client panics")).collect()
            });
            assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
            assert!(statuses.iter().all(|status| matches!(status, 201 | 404 | 416)), "{statuses:?}");
            repository.expect_blob(&digest, &bytes);
            registry.endpoint().get(location).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
}

#[test]
fn close_and_cancel_at_once() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for round in 0..15 {
        let bytes = noise(40 + round, 200_000);
        let digest = sha256(&bytes);
        let location = repository.start_upload();
        repository.patch(&location, &bytes);
        let close = Request::put(with_query(&location, &format!("digest={digest}")));
        let (closed, cancelled) = std::thread::scope(|scope| {
            let closer = scope.spawn(|| registry.endpoint().send(&close).status);
            let canceller = scope.spawn(|| registry.endpoint().delete(location.as_str()).status);
            (closer.join().expect("no client panics"), canceller.join().expect("no client panics"))
        });
        match (closed, cancelled) {
            (201, 404 | 416) => repository.expect_blob(&digest, &bytes),
            (404 | 416, 204) => repository.expect_no_blob(&digest),
            other => panic!("{other:?}"),
        }
        if cancelled != 416 {
            registry.endpoint().get(location).expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
}

#[test]
fn a_client_that_does_not_wait_for_the_answer() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for size in [100, 65_536, 65_537, 2_000_000] {
        let bytes = noise(60, size);
        let digest = sha256(&bytes);
        let location = repository.start_upload();
        let mut connection = registry.endpoint().connect();
        let close = Request::put(with_query(&location, &format!("digest={digest}"))).body(bytes.clone());
        connection.send(&close).expect("the request is taken");
        drop(connection);
        // Whole or not at all: the blob is there, or the session is and can be brought to its end.
        wait::until("the push to be over", wait::SOON, || {
            if registry.endpoint().head(repository.blob(&digest)).status == 200 {
                return Some(());
            }
            let status = registry.endpoint().get(location.as_str());
            if status.status == 404 {
                return None;
            }
            let offset = offset_of(&status.expect(204));
            let mut close = Request::put(with_query(&location, &format!("digest={digest}")));
            if offset < size {
                close = close
                    .header("content-range", content_range(offset, size - offset))
                    .body(bytes.slice(offset..));
            }
            let closed = registry.endpoint().send(&close);
            assert!(matches!(closed.status, 201 | 404 | 416), "{closed:?}");
            (closed.status == 201).then_some(())
        });
        repository.expect_blob(&digest, &bytes);
    }
}

#[test]
fn whoever_asks_first_is_refused_before_the_body() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let requests = [
        Request::patch(format!("{}11111111-2222-4333-8444-555555555555", repository.uploads())),
        Request::post("/v2/UPPER/blobs/uploads/?digest=x"),
        Request::post(format!("{}?digest=nonsense", repository.uploads())),
    ];
    for request in requests {
        let mut connection = registry.endpoint().connect();
        let asked = request.header("content-length", 100_000_000).header("expect", "100-continue");
        connection.send_head(&asked).expect("the head is taken");
        let head = connection.read_head().expect("an answer");
        assert!((400..500).contains(&head.status), "{head:?}");
    }
}

#[test]
fn a_range_that_is_there_twice() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let bytes = noise(61, 100);
    let location = repository.start_upload();
    let twice =
        Request::patch(location.as_str()).header("content-range", "0-99").header("content-range", "100-199");
    let response = registry.endpoint().send(&twice.body(bytes.clone()));
    assert_eq!(response.status, 400, "{response:?}");
    repository.expect_offset(&location, 0);
    repository.patch_at(&location, 0, &bytes);
    repository.commit(&location, &sha256(&bytes));
}

#[test]
fn thousands_of_sessions() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let mut connection = registry.endpoint().connect();
    let bytes = noise(62, 10);
    let locations: Vec<String> = (0..3000)
        .map(|_| {
            let started =
                connection.exchange(&Request::post(repository.uploads())).expect("an answer").expect(202);
            started.location()
        })
        .collect();
    for location in locations.iter().step_by(100) {
        repository.patch(location, &bytes);
        repository.commit(location, &sha256(&bytes));
    }
    for location in &locations {
        let gone = connection.exchange(&Request::delete(location.as_str())).expect("an answer");
        assert!(matches!(gone.status, 204 | 404), "{gone:?}");
    }
}
