//! One copy of a blob for the whole store, however many repositories hold it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use strata_harness::random::noise;
use strata_harness::{Request, registry, sha256};

#[test]
fn the_store_grows_once() {
    let registry = registry!().start();
    let blobs = [noise(1, 30_000), noise(1, 2_000_000), noise(1, 12_000_000)];
    let first = registry.repository("r/0");
    for bytes in &blobs {
        first.push_blob(bytes);
    }
    let once = registry.blob_bytes();
    assert!(once >= 14_030_000, "{once} bytes are stored");
    for number in 1..10 {
        let repository = registry.repository(&format!("r/{number}"));
        for bytes in &blobs {
            let digest = repository.push_blob(bytes);
            repository.expect_blob(&digest, bytes);
        }
    }
    strata_harness::wait::until(
        "nine more repositories to take no more space",
        strata_harness::wait::SOON,
        || (registry.blob_bytes() == once).then_some(()),
    );
}

#[test]
fn clients_that_push_the_same_at_the_same_time_share_it() {
    let registry = registry!().start();
    for (seed, size) in [(2, 20_000), (3, 3_000_000)] {
        let bytes = noise(seed, size);
        std::thread::scope(|scope| {
            for number in 0..12 {
                let repository = registry.repository(&format!("c/{number}"));
                let bytes = &bytes;
                scope.spawn(move || repository.push_blob(bytes));
            }
        });
        for number in 0..12 {
            registry.repository(&format!("c/{number}")).expect_blob(&sha256(&bytes), &bytes);
        }
    }
    // What the losers of the race had written to files is given back at once.
    strata_harness::wait::until("one file to be left", strata_harness::wait::SOON, || {
        (registry.blob_files().len() == 1).then_some(())
    });
    // And from now on nobody adds anything.
    let before = registry.blob_bytes();
    for number in 0..24 {
        for (seed, size) in [(2, 20_000), (3, 3_000_000)] {
            registry.repository(&format!("d/{number}")).push_blob(&noise(seed, size));
        }
    }
    strata_harness::wait::until("what was written in vain to be gone", strata_harness::wait::SOON, || {
        (registry.blob_bytes() == before).then_some(())
    });
}

#[test]
fn a_copy_within_one_request_is_no_new_blob() {
    let registry = registry!().start();
    let (one, two) = (registry.repository("r/one"), registry.repository("r/two"));
    let bytes = noise(4, 1_000_000);
    let digest = one.push_blob(&bytes);
    let before = registry.blob_bytes();
    let target = format!("{}?mount={digest}&from=r/one", two.uploads());
    two.expect_created_blob(registry.endpoint().send(&Request::post(target)), &digest);
    assert_eq!(registry.blob_bytes(), before);
    two.expect_blob(&digest, &bytes);
}
