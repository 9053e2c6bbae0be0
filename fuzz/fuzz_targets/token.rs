//! Tokens and refresh tokens: no panic, and none that this store has not signed is taken, whatever it looks like.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("token", data));
