//! Starts the real `strata` binary and speaks to it over sockets, for the capability tests in `tests/`.
//!
//! It knows the wire protocol and the command line, nothing of the code behind them: no crate of the product
//! is a dependency, so a test proves what a client sees. Everything blocks, except inside the HTTP/2 client;
//! nothing sleeps outside of [`wait`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this crate is test code: a failed expectation is a failed test"
)]

pub mod content;
pub mod digest;
pub mod endpoint;
pub mod grpc;
pub mod http1;
pub mod http2;
pub mod image;
pub mod ledger;
pub mod login;
pub mod message;
pub mod mixed;
pub mod operator;
pub mod process;
pub mod random;
pub mod registry;
pub mod repository;
pub mod seccomp;
pub mod small_disk;
pub mod storm;
pub mod tls;
pub mod user;
pub mod wait;

pub use digest::{Algorithm, sha256, sha512};
pub use endpoint::{Endpoint, basic};
pub use http1::Connection;
pub use image::{Document, Image};
pub use message::{Body, Request, Response};
pub use random::Random;
pub use registry::{ADMIN, Builder, TestRegistry};
pub use repository::Repository;
pub use user::User;

/// A builder of a [`TestRegistry`] of the binary under test, from any test of the root package.
#[macro_export]
macro_rules! registry {
    () => {
        $crate::TestRegistry::builder(env!("CARGO_BIN_EXE_strata"))
    };
}

/// The path of the binary under test: `STRATA_BIN` of the environment, else the one cargo built.
#[macro_export]
macro_rules! binary {
    () => {
        $crate::process::binary(env!("CARGO_BIN_EXE_strata"))
    };
}
