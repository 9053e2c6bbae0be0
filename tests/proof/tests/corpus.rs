//! Every input under `fuzz/corpus/`: seeds, and what the fuzzer ever found. What it found once, an ordinary test finds again.

#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::path::Path;
use strata_proof::targets::{TARGETS, run};

/// Fewest seeds of a target.
const SEEDS_MIN: usize = 2;

#[test]
fn every_committed_input_is_fine() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (target, _) in TARGETS {
        let folder = corpus.join(target);
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut inputs = 0;
        for entry in entries {
            let path = entry.expect("a file").path();
            println!("{}", path.display());
            run(target, &std::fs::read(&path).expect("a file that can be read"));
            inputs += 1;
        }
        assert!(inputs >= SEEDS_MIN, "{target} has {inputs} inputs");
    }
}

#[test]
fn every_target_has_its_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .expect("the targets")
        .map(|entry| entry.expect("a file").file_name().into_string().expect("UTF-8"))
        .collect();
    files.sort();
    let named: Vec<String> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    assert_eq!(files, named);
}

/// Inputs nobody chose: whatever the fuzzer has not been given time for, at least the shallow part of it.
#[test]
fn noise_is_fine() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for (target, _) in TARGETS {
        for len in (0..200).chain([1000, 5000]) {
            let bytes: Vec<u8> = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .take(len)
            .collect();
            run(target, &bytes);
        }
    }
}
