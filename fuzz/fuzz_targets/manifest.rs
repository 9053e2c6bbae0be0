//! Manifests: no panic on any bytes, and what is accepted is valid JSON whose references are all within the limits.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("manifest", data));
