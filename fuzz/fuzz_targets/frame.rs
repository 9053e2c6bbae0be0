//! Frames of a segment, as a damaged one could hold them: no panic, and what is served is what was stored.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("frame", data));
