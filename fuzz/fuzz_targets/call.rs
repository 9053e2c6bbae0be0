//! Calls of gRPC, from their bytes to their use cases: no panic, documented codes, and nothing is held afterwards.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("call", data));
