//! What is tried against the registry and the engine on simulated ports: a model that random sequences are compared with, races under
//! a scheduler, and the bodies of the fuzz targets, which ordinary tests replay on every input that ever found something.
//!
//! For tests and the fuzzer only. What a failed expectation means is a panic, as in any test.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

pub mod model;
pub mod targets;
pub mod universe;
