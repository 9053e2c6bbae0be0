//! `growth`: what must not grow with a store. Opens a store of 10,000 small blobs and one of 1,000,000 in turns, deletes a tag in a repository of 10 and in
//! one of 100,000 in turns, and collects one percent of garbage in each store, with everything counted that a run touches.
//!
//! An example of this package and not part of its library, because only here the engine is a dependency. `dev/growth` calls it.

mod fill;
mod measure;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Whatever goes wrong ends the run with its message.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Measures what must not grow with a store.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Fills two stores, compares them, and removes them
    Compare {
        /// Where they are made; removed at the end
        directory: PathBuf,
        /// Blobs in the small store
        #[arg(long, default_value_t = 10_000)]
        small: usize,
        /// Blobs in the large store
        #[arg(long, default_value_t = 1_000_000)]
        large: usize,
        /// Tags in the repository that has many
        #[arg(long, default_value_t = 100_000)]
        tags: usize,
        /// Turns of each
        #[arg(long, default_value_t = 7)]
        rounds: usize,
    },
    /// Opens a store and prints how long that took, in milliseconds, and the memory of the process before and after it, in KiB
    Open {
        /// The data directory
        directory: PathBuf,
    },
}

fn main() -> Outcome<()> {
    match Arguments::parse().work {
        Work::Compare { directory, small, large, tags, rounds } => {
            let compared = measure::compare(&directory, [small, large], tags, rounds);
            if directory.exists() {
                std::fs::remove_dir_all(&directory)?;
            }
            compared
        }
        Work::Open { directory } => measure::open(&directory),
    }
}
