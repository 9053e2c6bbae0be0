//! The `Authorization` field: no panic, an id without a colon, and nothing of a secret in what is logged.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("authorization", data));
