//! Reading as fast as the server gives: kept-alive connections that ask for paths in turn.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::{Connection, bad};
use crate::report::Report;

/// Reads `paths` over `connections` connections for `span`.
///
/// # Errors
/// When a connection breaks or a reply is not `200`.
pub async fn run(
    address: SocketAddr,
    paths: Vec<String>,
    connections: usize,
    span: Duration,
) -> io::Result<Report> {
    if paths.is_empty() {
        return Err(bad("no paths to read"));
    }
    let paths: Arc<[String]> = paths.into();
    let started = Instant::now();
    let readers: Vec<_> = (0..connections)
        .map(|first| tokio::spawn(read(address, Arc::clone(&paths), first, started + span)))
        .collect();
    let mut report = Report::default();
    for reader in readers {
        report.join(reader.await??);
    }
    report.elapsed = started.elapsed();
    Ok(report)
}

async fn read(
    address: SocketAddr,
    paths: Arc<[String]>,
    first: usize,
    deadline: Instant,
) -> io::Result<Report> {
    let mut connection = Connection::open(address).await?;
    let requests: Vec<_> = paths.iter().map(|path| connection.request("GET", path, &[])).collect();
    let mut report = Report::default();
    for request in requests.iter().cycle().skip(first % requests.len().max(1)) {
        let asked = Instant::now();
        if asked >= deadline {
            break;
        }
        let head = connection.ask(request).await?;
        if head.status != 200 {
            return Err(bad(&format!("the server answers {}", head.status)));
        }
        report.record(asked.elapsed(), head.length);
    }
    Ok(report)
}
