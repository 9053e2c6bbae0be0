//! `grpc`: what a byte costs over gRPC beside HTTP/1.1 and HTTP/2: reads of blobs of 1 MiB and of 64 MiB, writes of 64 MiB, each over one connection, in
//! turns, in processor time of the server; and what asking for 10,000 digests at once costs. Starts the real binary on an empty store.
//!
//! An example of this package and not part of its library, because only here the protocol's client is a dependency. `dev/grpc-cost` calls it.

#![expect(clippy::cast_precision_loss, reason = "bytes and clock ticks stay far below 2^52")]

mod client;
mod measure;
mod report;
mod server;

use clap::Parser;
use std::path::PathBuf;

/// Whatever goes wrong ends the run with its message.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Measures gRPC beside HTTP.
#[derive(Debug, Parser)]
struct Arguments {
    /// The binary under test
    #[arg(long)]
    binary: PathBuf,
    /// Where the store is made; it must not exist
    #[arg(long)]
    data: PathBuf,
    /// Turns of each protocol
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Bytes read in a turn
    #[arg(long, default_value_t = 1 << 30)]
    read_bytes: usize,
    /// Bytes written in a turn
    #[arg(long, default_value_t = 256 << 20)]
    write_bytes: usize,
    /// How much of what HTTP/2 reads for the same processor time gRPC has to read
    #[arg(long, default_value_t = 0.6)]
    share: f64,
    /// Milliseconds of the processor that asking for 10,000 digests may cost, where manifests hold those that are there
    #[arg(long, default_value_t = 20.0)]
    find_ms: f64,
    /// More arguments for `strata serve`
    #[arg(last = true)]
    serve: Vec<String>,
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let server = server::Server::start(&arguments.binary, &arguments.data, &arguments.serve)?;
    // One thread: the load comes from one core, and the server has the other.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let size = measure::Size {
        rounds: arguments.rounds,
        read_bytes: arguments.read_bytes,
        write_bytes: arguments.write_bytes,
    };
    let figures = runtime.block_on(measure::all(&server, &size))?;
    server.stop()?;
    report::print(&figures, arguments.share, arguments.find_ms)
}
