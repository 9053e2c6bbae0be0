//! Digests, names, tags, references and upload ids: no panic, and what parses prints as it was.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("names", data));
