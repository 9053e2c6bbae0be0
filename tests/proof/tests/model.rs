//! The model over sequences that nobody chose. `STRATA_MODEL_SEED` repeats a run, `STRATA_MODEL_STEPS` says how long it is.

#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use strata_proof::model;
use strata_proof::universe::noise;

/// Steps in all, if nothing else is said.
const STEPS: u64 = 24_000;
/// Bytes that spell one sequence; about three make a step.
const BYTES: usize = 900;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn every_sequence_keeps_what_was_promised() {
    let steps = setting("STRATA_MODEL_STEPS").unwrap_or(STEPS);
    let first = setting("STRATA_MODEL_SEED");
    let start = first.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("the clock is past 1970").as_nanos() as u64
    });
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get) as u64;
    let count = |thread: u64| {
        let mut done = 0;
        let mut seed = start.wrapping_add(thread << 32);
        while done < steps / threads {
            let bytes = noise(seed, BYTES);
            let outcome = catch_unwind(AssertUnwindSafe(|| model::run(&bytes)));
            done += outcome.unwrap_or_else(|_| panic!("STRATA_MODEL_SEED={seed}")) as u64;
            if first.is_some() && steps < STEPS {
                break;
            }
            seed = seed.wrapping_add(1);
        }
        done
    };
    let done: u64 = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|thread| scope.spawn(move || count(thread))).collect();
        runs.into_iter().map(|run| run.join().expect("a sequence failed")).sum()
    });
    println!("STRATA_MODEL_SEED={start}: {done} steps");
    assert!(done > 0);
}
