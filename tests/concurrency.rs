//! Many clients at once: the same blob, the same tag, pushes against deletes, and a storm that ends in peace.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;
use strata_harness::ledger::Ledger;
use strata_harness::random::noise;
use strata_harness::storm::{Storm, held};
use strata_harness::{Image, Random, Request, registry, sha256, wait};

#[test]
fn many_push_the_same_blob() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for (seed, size) in [(1, 0), (2, 5000), (3, 65_536), (4, 65_537), (5, 2_000_000)] {
        let bytes = noise(seed, size);
        let digest = sha256(&bytes);
        std::thread::scope(|scope| {
            for number in 0..16 {
                let (repository, bytes, digest) = (&repository, &bytes, &digest);
                scope.spawn(move || {
                    let response = if number % 2 == 0 {
                        repository.endpoint.send(&repository.post_blob(digest, bytes))
                    } else {
                        repository.try_push_blob(bytes).expect("an answer")
                    };
                    repository.expect_created_blob(response, digest);
                    repository.expect_blob(digest, bytes);
                });
            }
        });
    }
}

#[test]
fn many_small_pushes_at_once() {
    let registry = registry!().start();
    std::thread::scope(|scope| {
        for client in 0..12_u64 {
            let repository = registry.repository(&format!("c/{}", client % 4));
            scope.spawn(move || {
                let mut connection = repository.endpoint.connect();
                for number in 0..60 {
                    let bytes = noise(client * 1000 + number, 3000 + number as usize);
                    let digest = sha256(&bytes);
                    let pushed =
                        connection.exchange(&repository.post_blob(&digest, &bytes)).expect("an answer");
                    repository.expect_created_blob(pushed, &digest);
                    let pulled =
                        connection.exchange(&Request::get(repository.blob(&digest))).expect("an answer");
                    pulled.expect(200).expect_body(&bytes);
                }
            });
        }
    });
}

#[test]
fn push_and_delete_of_a_blob_at_once() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    for (seed, size) in [(6, 3000), (7, 500_000)] {
        let bytes = noise(seed, size);
        let digest = sha256(&bytes);
        for _ in 0..15 {
            std::thread::scope(|scope| {
                for number in 0..6 {
                    let (repository, bytes, digest) = (&repository, &bytes, &digest);
                    scope.spawn(move || match number % 3 {
                        0 => {
                            let response =
                                repository.endpoint.send(&Request::delete(repository.blob(digest)));
                            assert!(matches!(response.status, 202 | 404), "{response:?}");
                        }
                        1 => {
                            let response = repository.endpoint.get(repository.blob(digest));
                            assert!(matches!(response.status, 200 | 404), "{response:?}");
                            if response.status == 200 {
                                response.expect_body(bytes);
                            }
                        }
                        _ => {
                            let response = repository.endpoint.send(&repository.post_blob(digest, bytes));
                            repository.expect_created_blob(response, digest);
                        }
                    });
                }
            });
        }
        repository.push_blob(&bytes);
        repository.expect_blob(&digest, &bytes);
    }
}

#[test]
fn an_image_whose_blobs_others_delete() {
    let registry = registry!().start();
    let repository = registry.repository("a/b");
    let image = Image::small(8);
    let layer = sha256(&image.layers[0]);
    repository.push_image("latest", &image);
    for _ in 0..20 {
        registry.endpoint().delete(repository.manifest(&image.manifest.digest()));
        repository.push_blob(&image.layers[0]);
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let put = scope.spawn(|| {
                registry.endpoint().send(&repository.put_manifest("latest", &image.manifest)).status
            });
            let delete = scope.spawn(|| registry.endpoint().delete(repository.blob(&layer)).status);
            [put, delete].into_iter().map(|client| client.join().expect("no client panics")).collect()
        });
        // Whichever came first, an image that was acknowledged is whole.
        match statuses[..] {
            [201, 405] => repository.expect_blob(&layer, &image.layers[0]),
            [400, 202] => repository.expect_no_blob(&layer),
            _ => panic!("{statuses:?}"),
        }
    }
}

#[test]
fn a_storm_that_ends_in_peace() {
    let seed = 20_260_101;
    let mut random = Random::new(seed);
    let mut registry = registry!().start();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let storm = Storm::start(registry.endpoint(), &ledger, seed, 8);
    wait::until("the storm to have done a lot", Duration::from_mins(2), || {
        (storm.acknowledged() >= 600 || !held(&ledger).surprises.is_empty()).then_some(())
    });
    // Whoever is being answered now is answered to the end.
    registry.stop();
    storm.join();
    registry.start();
    held(&ledger).verify(registry.endpoint(), &mut random, 1);
    registry.restart();
    held(&ledger).verify(registry.endpoint(), &mut random, 1);
}
