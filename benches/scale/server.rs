//! The real binary on one store: started, timed, looked at, ended.

use crate::Outcome;
use crate::client::{Client, request};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// For so long nothing may have been merged.
const SETTLED: Duration = Duration::from_secs(3);
/// Merging what a million manifests leave takes a minute or two.
const SETTLING_MAX: Duration = Duration::from_mins(5);

/// What is served with.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) binary: PathBuf,
    /// The one core that it may use.
    pub(crate) core: Option<usize>,
    /// More arguments for `strata serve`.
    pub(crate) arguments: Vec<String>,
}

impl Program {
    fn command(&self) -> Command {
        let Some(core) = self.core else { return Command::new(&self.binary) };
        // Becomes the program that it pins.
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", &core.to_string()]).arg(&self.binary);
        pinned
    }
}

/// A running server; it is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process to the first answer.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts the program on a store.
    pub(crate) fn start(program: &Program, data: &Path) -> Outcome<Server> {
        let begun = Instant::now();
        let mut child = program
            .command()
            .args(["serve", "--listen", "127.0.0.1:0", "--grpc-listen", "off", "--log-level", "warn"])
            // The blobs of these stores have no files: a scrub would find them all damaged.
            .args(["--scrub-interval", "0s", "--data"])
            .arg(data)
            .args(&program.arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("standard output is piped")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on http://").map(str::parse);
        let Some(Ok(address)) = address else {
            let status = child.wait()?;
            return Err(format!("{} did not start: {line:?}, {status}", program.binary.display()).into());
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

    /// Waits until the metadata store has merged what it had to merge: it does so for minutes after a store was filled.
    pub(crate) fn settle(&self) -> Outcome<()> {
        let deadline = Instant::now() + SETTLING_MAX;
        let mut before = self.merging_ticks()?;
        loop {
            std::thread::sleep(SETTLED);
            let now = self.merging_ticks()?;
            if now == before {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("the store still merges its tables after {SETTLING_MAX:?}").into());
            }
            before = now;
        }
    }

    /// What the threads that write and merge tables have worked, in ticks of the kernel (proc_pid_stat(5), utime and stime).
    fn merging_ticks(&self) -> Outcome<u64> {
        let mut ticks = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end meanwhile.
            let Ok(stat) = std::fs::read_to_string(task?.path().join("stat")) else { continue };
            let Some((name, fields)) = stat.rsplit_once(") ") else { continue };
            if name.contains("(rocksdb:") {
                // The first field behind the name is the third.
                ticks += fields.split(' ').skip(11).take(2).flat_map(str::parse::<u64>).sum::<u64>();
            }
        }
        Ok(ticks)
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
