//! `strata-load`: one kind of load against one server, told on the command line; one line of JSON comes out.

use std::io::{self, BufRead as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use strata_benches::fill::Target;
use strata_benches::push::Shape;
use strata_benches::{fill, get, push};

/// A load generator for container registries.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    load: Load,
}

#[derive(Debug, Subcommand)]
enum Load {
    /// Reads the paths that come on standard input, one per line
    Get {
        /// Where the server listens
        address: SocketAddr,
        /// Connections that read at the same time
        #[arg(long, default_value_t = 16)]
        connections: usize,
        /// How long to go on
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
    },
    /// Pushes images of small layers
    PushImages {
        /// Where the server listens
        address: SocketAddr,
        /// Clients that push at the same time
        #[arg(long, default_value_t = 8)]
        clients: usize,
        /// Layers of an image
        #[arg(long, default_value_t = 5)]
        layers: usize,
        /// Size of a layer
        #[arg(long, default_value_t = 16384)]
        layer_bytes: usize,
        /// How long to go on
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
    },
    /// Pushes one blob of new content
    PushBlob {
        /// Where the server listens
        address: SocketAddr,
        /// Its size
        #[arg(long, default_value_t = 1 << 30)]
        bytes: usize,
    },
    /// Stores blobs to read later and prints their paths; 0 bytes for an image's manifest
    Fill {
        /// Where the server listens, or a folder for a server of files
        target: String,
        /// Size of each
        #[arg(long)]
        bytes: usize,
        /// How many
        #[arg(long, default_value_t = 1)]
        count: usize,
    },
}

fn main() -> io::Result<()> {
    // One thread: the load comes from one core, and the server has the others.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(Arguments::parse().load))
}

async fn run(load: Load) -> io::Result<()> {
    let span = Duration::from_secs_f64;
    let report = match load {
        Load::Get { address, connections, seconds } => {
            let paths = io::stdin().lock().lines().collect::<io::Result<Vec<_>>>()?;
            get::run(address, paths, connections, span(seconds)).await?
        }
        Load::PushImages { address, clients, layers, layer_bytes, seconds } => {
            push::images(address, clients, Shape { layers, layer_bytes }, span(seconds)).await?
        }
        Load::PushBlob { address, bytes } => push::blob(address, bytes).await?,
        Load::Fill { target, bytes, count } => {
            let folder = PathBuf::from(&target);
            let target = target.parse().map_or(Target::Folder(&folder), Target::Registry);
            let paths = if bytes == 0 {
                vec![fill::image(&target).await?]
            } else {
                fill::blobs(&target, bytes, count).await?
            };
            for path in paths {
                writeln!(io::stdout(), "{path}")?;
            }
            return Ok(());
        }
    };
    writeln!(io::stdout(), "{report}")
}
