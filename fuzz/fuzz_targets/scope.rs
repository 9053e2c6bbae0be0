//! Scopes of a token: no panic, only what something can be granted on, and what was understood reads as itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("scope", data));
