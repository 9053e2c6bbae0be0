//! Sequences of requests, sweeps, faults, kills and power cuts on a whole store, against the model.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| strata_proof::targets::run("operations", data));
