//! Reads over plain sockets at full speed or at a fixed rate: hot content, a herd, and hot content beside streams of cold files.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::content::Noise;
use crate::popularity::Zipf;
use crate::record::Record;
use crate::swarm::{self, Bodies, Closed, Group, Herd, Open, Order, Target};
use crate::wire::bad;

/// How long a run may go on after its end: replies under way are awaited.
const GRACE: Duration = Duration::from_mins(1);

/// How paths are read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// `GET` or `HEAD`.
    pub method: String,
    /// Connections.
    pub connections: usize,
    /// A new connection for every request.
    pub fresh: bool,
    /// Requests a second; as many as possible if there is none.
    pub rate: Option<f64>,
    /// How unevenly the paths are asked for; in turns if there is none.
    pub skew: Option<f64>,
    /// What becomes of the bodies.
    pub bodies: Bodies,
    /// The token that is shown for all of them, where there is one.
    pub token: Option<String>,
    /// How long the client spins before a request is due, where there is a rate.
    pub spin: Duration,
    /// How long to go on.
    pub span: Duration,
}

/// Reads `paths`; beside them, `beside` paths are streamed without end over as many connections.
///
/// # Errors
/// When a connection breaks or a reply is not what it should be.
pub fn paths(address: SocketAddr, paths: &[String], beside: &[String], how: &Reading) -> io::Result<Record> {
    if paths.is_empty() {
        return Err(bad("no paths to read"));
    }
    let target =
        |method: &str, path: &String| Target::with_token(address, method, path, how.token.as_deref());
    let mut targets: Vec<Target> = paths.iter().map(|path| target(&how.method, path)).collect();
    targets.extend(beside.iter().map(|path| target("GET", path)));
    let order = match how.skew {
        Some(exponent) => Order::Skewed(Zipf::new(paths.len(), exponent), Noise::new(1)),
        None => Order::turns(0, paths.len()),
    };
    let start = Instant::now();
    let end = start + how.span;
    let mut cold = Closed::new(Order::turns(paths.len(), beside.len()), end + GRACE);
    let surroundings =
        Group { lines: beside.len(), fresh: false, awaited: false, spin: Duration::ZERO, script: &mut cold };
    let limit = how.span + GRACE;
    let (mut closed, mut open);
    let group =
        |script| Group { lines: how.connections, fresh: how.fresh, awaited: true, spin: how.spin, script };
    let (outcome, latencies, bytes) = if let Some(rate) = how.rate {
        open = Open::new(order, rate, start, end);
        let outcome =
            swarm::run(address, &mut targets, how.bodies, vec![group(&mut open), surroundings], limit)?;
        (outcome, open.latencies, open.bytes)
    } else {
        closed = Closed::new(order, end);
        let outcome =
            swarm::run(address, &mut targets, how.bodies, vec![group(&mut closed), surroundings], limit)?;
        (outcome, closed.latencies, closed.bytes)
    };
    if !outcome.finished {
        return Err(bad(format!("replies were still missing {} s after the end", GRACE.as_secs())));
    }
    let record = Record { latencies, bytes, elapsed: outcome.elapsed, ..Record::default() };
    let record = record.with("bodies", how.bodies.name()).with("connections", how.connections);
    let record = match how.rate {
        Some(rate) => record.with("loop", "open").with("rate", rate),
        None => record.with("loop", "closed"),
    };
    Ok(if beside.is_empty() { record } else { record.with("beside_bytes", outcome.received - bytes) })
}

/// Clients that all pull one image at the same moment; the first path is its manifest, the others its blobs.
///
/// # Errors
/// When a connection breaks or a reply is not what it should be.
pub fn herd(
    address: SocketAddr,
    paths: &[String],
    clients: usize,
    width: usize,
    bodies: Bodies,
    limit: Duration,
) -> io::Result<Record> {
    let mut targets: Vec<Target> = paths.iter().map(|path| Target::new(address, "GET", path)).collect();
    let mut herd = Herd::new(clients, width, paths.len().saturating_sub(1), Instant::now());
    let group = Group {
        lines: clients * width,
        fresh: false,
        awaited: true,
        spin: Duration::ZERO,
        script: &mut herd,
    };
    let outcome = swarm::run(address, &mut targets, bodies, vec![group], limit)?;
    let (median, slowest) = (herd.latencies.quantile_us(0.5), herd.latencies.quantile_us(1.0));
    let record = Record {
        latencies: herd.latencies,
        // Those of images that were not finished in time count for the rate as well.
        bytes: outcome.received,
        elapsed: outcome.elapsed,
        ..Record::default()
    };
    let record =
        record.with("bodies", bodies.name()).with("clients", clients).with("finished", outcome.finished);
    Ok(if median > 0.0 { record.with("max_to_median", slowest / median) } else { record })
}
