//! Upload sessions, as a damaged store could hold them: no panic, and what is continued is continued right.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("session", data));
