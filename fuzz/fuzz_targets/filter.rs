//! Filters of content: no panic, whatever they match, and what is quoted is found by itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("filter", data));
