//! The real binary on one store: started, timed, looked at, ended.

use crate::Outcome;
use crate::client::{Client, request};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server; it is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process to the first answer.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts the binary on a store, on the first core where there are several.
    pub(crate) fn start(binary: &Path, data: &Path, arguments: &[String]) -> Outcome<Server> {
        let begun = Instant::now();
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn", "--data"])
            .arg(data)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("standard output is piped")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://").map(str::parse);
        let Some(Ok(address)) = address else {
            let status = child.wait()?;
            return Err(format!("{} did not start: {line:?}, {status}", binary.display()).into());
        };
        let answer = Client::connect(address)?.ask(&request("GET", "/v2/", "", b""))?;
        if answer.status != 200 {
            return Err(format!("GET /v2/ was answered {}", answer.status).into());
        }
        Ok(Server { child, address, started_in: begun.elapsed() })
    }

    /// A figure of the process in KiB, such as `VmRSS`, `VmHWM` or `RssAnon`.
    pub(crate) fn memory_kib(&self, figure: &str) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(figure)).ok_or("no such figure")?;
        Ok(line.trim_matches([':', '\t', ' ']).trim_end_matches(" kB").parse()?)
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
