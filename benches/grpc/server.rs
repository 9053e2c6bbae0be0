//! The real binary on an empty store, and what its processor time comes to.

use crate::Outcome;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The core that the server runs on; `dev/grpc-cost` leaves the other one to this program.
const CORE: &str = "0";

/// A running server; it is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    ticks: f64,
}

impl Server {
    /// Starts the binary.
    pub(crate) fn start(binary: &Path, data: &Path, arguments: &[String]) -> Outcome<Server> {
        let mut child = Command::new("taskset")
            .args(["-c", CORE])
            .arg(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"])
            .args(["--log-level", "warn", "--data"])
            .arg(data)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("standard output is piped")?;
        let mut lines = BufReader::new(output).lines();
        let mut address = |scheme: &str| -> Outcome<SocketAddr> {
            let line = lines.next().ok_or("the server did not start")??;
            let address = line.strip_prefix("listening on ").and_then(|url| url.strip_prefix(scheme));
            Ok(address.ok_or_else(|| format!("the server says {line:?}"))?.parse()?)
        };
        let (http, grpc) = (address("http://")?, address("grpc://")?);
        Ok(Server { child, http, grpc, ticks: rustix::param::clock_ticks_per_second() as f64 })
    }

    /// What the process has used of processors so far, seconds.
    pub(crate) fn cpu_seconds(&self) -> Outcome<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("no such process")?;
        // The 14th and 15th field of all are the 12th and 13th behind the name.
        let used = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        Ok(used.sum::<Result<u64, _>>()? as f64 / self.ticks)
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) -> Outcome<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the server ended with {status}").into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
