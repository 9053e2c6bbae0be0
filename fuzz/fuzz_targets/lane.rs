//! The heads that are answered before hyper sees them: no panic, and what is taken is one whole head of a plain path, without a body.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("lane", data));
