//! `scale`: how the metadata holds up at a million manifests. Fills a large and a small store through the engine's own verbs,
//! serves both with the real binary, asks both in turns over loopback, and writes a table (Markdown) and figures (JSON).
//!
//! An example of this package and not part of its library, because only here the engine is a dependency. `dev/scale` calls it.

mod client;
mod fill;
mod measure;
mod report;
mod server;
mod shape;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Whatever goes wrong ends the run with its message.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Measures the metadata of a large store beside that of a small one.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Makes a store of so many manifests, each with a tag and five links
    Fill {
        /// The data directory, which must not exist
        directory: PathBuf,
        /// Manifests, and as many tags
        #[arg(long, default_value_t = 1_000_000)]
        manifests: usize,
        /// How many of them are in one repository; the others are spread, a hundred to each
        #[arg(long, default_value_t = 100_000)]
        in_one: usize,
    },
    /// Serves both stores and compares them
    Measure {
        /// The binary under test
        #[arg(long)]
        binary: PathBuf,
        /// Data directory of the large store
        #[arg(long)]
        large: PathBuf,
        /// Manifests in it, as it was filled
        #[arg(long, default_value_t = 1_000_000)]
        manifests: usize,
        /// How many of them are in one repository
        #[arg(long, default_value_t = 100_000)]
        in_one: usize,
        /// Data directory of the small store; filled where it does not exist
        #[arg(long)]
        small: PathBuf,
        /// Requests of each kind to each store
        #[arg(long, default_value_t = 4000)]
        requests: usize,
        /// Core that the servers are pinned to; without it they run where the system puts them
        #[arg(long)]
        server_core: Option<usize>,
        /// Where the JSON goes; the table goes to standard output
        #[arg(long)]
        json: Option<PathBuf>,
        /// More arguments for `strata serve`
        #[arg(last = true)]
        serve: Vec<String>,
    },
}

fn main() -> Outcome<()> {
    match Arguments::parse().work {
        Work::Fill { directory, manifests, in_one } => {
            fill::store(&directory, &shape::Shape::new(manifests, in_one))
        }
        Work::Measure { binary, large, manifests, in_one, small, requests, server_core, json, serve } => {
            if !small.exists() {
                fill::store(&small, &shape::Shape::SMALL)?;
            }
            let stores = [(small, shape::Shape::SMALL), (large, shape::Shape::new(manifests, in_one))];
            let program = server::Program { binary, core: server_core, arguments: serve };
            let figures = measure::compare(&program, &stores, requests)?;
            if let Some(path) = json {
                std::fs::write(path, report::json(&figures))?;
            }
            report::print(&figures)
        }
    }
}
