//! Path and query to a route: no panic, and no name or reference that a proxy in front could read otherwise.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("path", data));
