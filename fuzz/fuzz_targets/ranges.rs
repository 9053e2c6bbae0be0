//! `Range` and `Content-Range`: no panic, and what is chosen lies within the blob, without overlap and never more than it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("ranges", data));
