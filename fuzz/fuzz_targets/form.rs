//! The form of the endpoint of tokens: no panic, and one value where one is asked for.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("form", data));
