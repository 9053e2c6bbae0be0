//! The `strata` binary: parse, build, serve. Holds no rule; those are in the crates that `wiring` puts together.
use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

mod cli;
mod config;
mod first_admin;
mod log;
mod shutdown;
mod wiring;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    keep_pages_small();
    keep_files_to_ourselves();
    cli::run(cli::Arguments::parse())
}

/// The allocator asks for huge pages, and the kernel then fills two megabytes where a few kilobytes were touched: half of what the
/// process took at rest, and nothing was faster for it. First of all, because what was touched before stays. A kernel
/// that refuses costs memory and nothing else.
fn keep_pages_small() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Content of private registries, hashes of keys and the keys that tokens are signed with are in the files of a store: whatever this process
/// makes is its user's alone.
fn keep_files_to_ourselves() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}
