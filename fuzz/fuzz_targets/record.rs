//! Keys and rows of the metadata, as a damaged store could hold them: no panic, and a key that is read is written the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("record", data));
