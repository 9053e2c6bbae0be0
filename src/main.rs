//! The `strata` binary: parse, build, serve. Holds no rule; those are in the crates that `wiring` puts together.
use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

mod cli;
mod config;
mod log;
mod shutdown;
mod wiring;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run(cli::Arguments::parse())
}
