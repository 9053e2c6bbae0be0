//! The command line of `strata-load`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use strata_benches::clients::Kind;
use strata_benches::swarm::Bodies;

/// A load generator for container registries.
///
/// One kind of load against one server; one line of JSON comes out. Where paths are read, they come on standard input, one per line, as
/// `strata-load fill` prints them.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) load: Load,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|why| why.to_string())
}

#[derive(Debug, Subcommand)]
pub(crate) enum Load {
    /// Reads paths over plain sockets
    Get {
        /// Where the server listens
        address: SocketAddr,
        /// `GET` or `HEAD`
        #[arg(long, default_value = "GET")]
        method: String,
        /// Connections that read at the same time
        #[arg(long, default_value_t = 16)]
        connections: usize,
        /// A new connection for every request
        #[arg(long)]
        fresh: bool,
        /// Requests a second (an open loop: latencies count from when each was due); default: as many as there can be
        #[arg(long)]
        rate: Option<f64>,
        /// Before a request is due, spin for so many seconds instead of trusting the kernel's timers
        #[arg(long, value_parser = seconds, default_value = "0.0005")]
        spin: Duration,
        /// Ask by popularity, with this exponent of Zipf's law; default: in turns
        #[arg(long)]
        skew: Option<f64>,
        /// What becomes of the bodies
        #[arg(long, value_enum, default_value_t = Bodies::Discard)]
        bodies: Bodies,
        /// Stream the paths of this file at the same time, one connection each
        #[arg(long)]
        beside: Option<PathBuf>,
        /// Show the token that this file holds
        #[arg(long)]
        token_file: Option<PathBuf>,
        /// How long to go on
        #[arg(long, value_parser = seconds, default_value = "3")]
        seconds: Duration,
    },
    /// Lets many clients pull one image at the same moment; the first path is its manifest
    Herd {
        /// Where the server listens
        address: SocketAddr,
        /// Clients
        #[arg(long, default_value_t = 500)]
        clients: usize,
        /// Connections of each
        #[arg(long, default_value_t = 3)]
        width: usize,
        /// What becomes of the bodies
        #[arg(long, value_enum, default_value_t = Bodies::Discard)]
        bodies: Bodies,
        /// When to give up
        #[arg(long, value_parser = seconds, default_value = "120")]
        limit: Duration,
    },
    /// Reads paths over TLS 1.3
    Secure {
        /// Where the server listens
        address: SocketAddr,
        /// The certificate to trust (PEM)
        #[arg(long)]
        certificate: PathBuf,
        /// By HTTP/2
        #[arg(long)]
        http2: bool,
        /// Connections that read at the same time
        #[arg(long, default_value_t = 8)]
        connections: usize,
        /// Requests at the same time on each, with HTTP/2
        #[arg(long, default_value_t = 1)]
        streams: usize,
        /// How long to go on
        #[arg(long, value_parser = seconds, default_value = "3")]
        seconds: Duration,
    },
    /// Pushes images of small layers, every client to a repository of its own
    PushImages {
        /// Where the server listens
        address: SocketAddr,
        /// Whose sequence of requests
        #[arg(long = "as", value_enum, default_value_t = Kind::Containerd)]
        kind: Kind,
        /// Clients that push at the same time
        #[arg(long, default_value_t = 32)]
        clients: usize,
        /// Layers of an image
        #[arg(long, default_value_t = 5)]
        layers: usize,
        /// Size of a layer
        #[arg(long, default_value_t = 16384)]
        layer_bytes: usize,
        /// How long to go on
        #[arg(long, value_parser = seconds, default_value = "3")]
        seconds: Duration,
    },
    /// Pushes blobs of new content side by side
    PushBlobs {
        /// Where the server listens
        address: SocketAddr,
        /// Whose sequence of requests
        #[arg(long = "as", value_enum, default_value_t = Kind::Containerd)]
        kind: Kind,
        /// How many
        #[arg(long, default_value_t = 1)]
        count: usize,
        /// Size of each
        #[arg(long, default_value_t = 1 << 30)]
        bytes: usize,
    },
    /// Pulls one image again and again, each time as a new client
    Pull {
        /// Where the server listens
        address: SocketAddr,
        /// Whose sequence of requests
        #[arg(long = "as", value_enum, default_value_t = Kind::Containerd)]
        kind: Kind,
        /// The repository
        #[arg(long, default_value = strata_benches::fill::REPOSITORY)]
        repository: String,
        /// The tag
        #[arg(long)]
        tag: String,
        /// Clients that pull at the same time
        #[arg(long, default_value_t = 16)]
        clients: usize,
        /// Compare what is read with its digest
        #[arg(long)]
        verify: bool,
        /// How long to go on
        #[arg(long, value_parser = seconds, default_value = "3")]
        seconds: Duration,
    },
    /// Reads by popularity mixed with pushes; the first path is a manifest, the others blobs
    Mixed {
        /// Where the server listens
        address: SocketAddr,
        /// Clients, each doing one thing at a time
        #[arg(long, default_value_t = 16)]
        clients: usize,
        /// The share of pushes
        #[arg(long, default_value_t = 0.05)]
        writes: f64,
        /// The exponent of Zipf's law
        #[arg(long, default_value_t = 0.9)]
        skew: f64,
        /// The largest blob that is pushed
        #[arg(long, default_value_t = 4 << 20)]
        push_bytes_max: usize,
        /// How long to go on
        #[arg(long, value_parser = seconds, default_value = "3")]
        seconds: Duration,
    },
    /// Opens connections, asks one thing on each, prints a line, and holds them until its standard input ends
    Idle {
        /// Where the server listens
        address: SocketAddr,
        /// What to ask for
        #[arg(long, default_value = "/v2/")]
        path: String,
        /// How many
        #[arg(long, default_value_t = 5000)]
        connections: usize,
    },
    /// Stores content to read later and prints the paths: blobs of one size, blobs of production's sizes, or an image
    Fill {
        /// Where the server listens, or a folder for a server of files
        target: String,
        /// How many blobs, or layers of the image
        #[arg(long, default_value_t = 1)]
        count: usize,
        /// Size of each; default: those of production
        #[arg(long)]
        bytes: Option<usize>,
        /// The tag of the image; default: blobs alone
        #[arg(long)]
        tag: Option<String>,
    },
    /// Measures what the machine can do at most: one core's SHA-256, syncs a second, writing a file
    Limits {
        /// A folder on the disk in question
        folder: PathBuf,
        /// Size of the large file
        #[arg(long, default_value_t = 1 << 30)]
        bytes: usize,
        /// How long each rate is measured
        #[arg(long, value_parser = seconds, default_value = "0.5")]
        seconds: Duration,
    },
    /// Makes a self-signed certificate for loopback: certificate.pem and key.pem in a folder
    Certificate {
        /// The folder
        folder: PathBuf,
    },
    /// Writes performance.md and its charts from the figures that a comparison saved
    Render {
        /// The folder with the figures
        results: PathBuf,
        /// The folder to write to
        #[arg(long)]
        to: PathBuf,
    },
}
