//! A registry of one test: the real binary on a port and a directory of its own.

use crate::endpoint::Endpoint;
use crate::grpc::{Grpc, GrpcAddress};
use crate::process::{self, Process};
use crate::repository::Repository;
use crate::seccomp::spawn_without_io_uring;
use crate::wait;
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;
use tempfile::TempDir;

/// A server told to stop with nothing in flight is gone within this.
const STOP_BOUND: Duration = Duration::from_secs(15);

/// The variables that switch fast paths off, each with the word that does.
pub const FAST_PATHS: [(&str, &str); 5] = [
    ("STRATA_HTTP_DIRECT_BODIES", "off"),
    ("STRATA_HTTP_LOCAL_UNPACED", "off"),
    ("STRATA_HTTP_ZERO_COPY", "off"),
    ("STRATA_STORAGE_DIRECT_IO", "off"),
    ("STRATA_STORAGE_IO", "threads"),
];

/// Id and secret of the administrator's key, in a registry with accounts.
pub const ADMIN: (&str, &str) =
    ("SKADMINADMINADMIN234", "strata_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG");

/// How a [`TestRegistry`] is started.
#[derive(Debug)]
pub struct Builder {
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    config: Option<String>,
    data: Option<PathBuf>,
    listeners: usize,
    listen_by_config: bool,
    /// What `--grpc-listen` is to say; `None` where the configuration says it.
    grpc: Option<String>,
    under: Vec<String>,
    io_uring: bool,
    sound_at_end: bool,
}

impl Builder {
    /// One more argument after `strata serve …`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Builder {
        self.arguments.push(argument.to_owned());
        self
    }

    /// One variable of the server's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Builder {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With accounts: there is one, `admin`, whose key is [`ADMIN`]. Nobody gets in without credentials;
    /// [`TestRegistry::admin`] shows them.
    #[must_use]
    pub fn accounts(self) -> Builder {
        let (id, secret) = ADMIN;
        self.env("STRATA_AUTH_MODE", "accounts")
            .env("STRATA_ADMIN_KEY_ID", id)
            .env("STRATA_ADMIN_KEY_SECRET", secret)
    }

    /// The text of a configuration file, given by `--config`.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Builder {
        self.config = Some(toml.to_owned());
        self
    }

    /// A data directory other than the one in the test's own temporary directory.
    #[must_use]
    pub fn data(mut self, directory: &Path) -> Builder {
        self.data = Some(directory.to_owned());
        self
    }

    /// How many listeners the server is to announce.
    #[must_use]
    pub fn listeners(mut self, count: usize) -> Builder {
        self.listeners = count;
        self
    }

    /// With gRPC, on a free port.
    #[must_use]
    pub fn grpc(self) -> Builder {
        self.grpc_at("127.0.0.1:0")
    }

    /// With gRPC, at these addresses.
    #[must_use]
    pub fn grpc_at(mut self, addresses: &str) -> Builder {
        self.listeners += addresses.split(',').count();
        self.grpc = Some(addresses.to_owned());
        self
    }

    /// The configuration says where to listen for gRPC, or nothing does.
    #[must_use]
    pub fn grpc_by_config(mut self) -> Builder {
        self.grpc = None;
        self
    }

    /// The configuration says where to listen; no `--listen` is given.
    #[must_use]
    pub fn listen_by_config(mut self) -> Builder {
        self.listen_by_config = true;
        self
    }

    /// The server is started by another program that takes its place, such as prlimit(1): program and arguments.
    #[must_use]
    pub fn under(mut self, program: &[&str]) -> Builder {
        self.under = program.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// The server is forbidden to use io_uring, as containers are.
    #[must_use]
    pub fn without_io_uring(mut self) -> Builder {
        self.io_uring = false;
        self
    }

    /// The test damages the store on purpose: neither a clean stop nor a clean check is asserted at the end.
    #[must_use]
    pub fn damaged_at_end(mut self) -> Builder {
        self.sound_at_end = false;
        self
    }

    /// Starts the server and waits until it listens.
    #[track_caller]
    pub fn start(self) -> TestRegistry {
        let directory = TempDir::with_prefix("strata-test-").expect("a temporary directory can be made");
        let mut registry =
            TestRegistry { builder: self, directory, process: None, endpoints: Vec::new(), grpc: Vec::new() };
        registry.start();
        registry
    }

    /// Starts a server that may refuse to.
    ///
    /// # Errors
    /// Its exit status and what it logged.
    #[track_caller]
    pub fn try_start(self) -> Result<TestRegistry, (ExitStatus, String)> {
        let directory = TempDir::with_prefix("strata-test-").expect("a temporary directory can be made");
        let mut registry =
            TestRegistry { builder: self, directory, process: None, endpoints: Vec::new(), grpc: Vec::new() };
        registry.try_start().map(|()| registry)
    }

    /// Starts a server that is expected to refuse to; gives its exit status and its log.
    #[track_caller]
    pub fn start_refused(self) -> (ExitStatus, String) {
        match self.damaged_at_end().try_start() {
            Ok(_) => panic!("the server started"),
            Err(refusal) => refusal,
        }
    }
}

/// A running registry. Dropping it stops it and asserts a clean exit and a clean `strata check`.
#[derive(Debug)]
pub struct TestRegistry {
    builder: Builder,
    directory: TempDir,
    process: Option<Process>,
    endpoints: Vec<Endpoint>,
    grpc: Vec<GrpcAddress>,
}

impl TestRegistry {
    /// A registry on a free loopback port, all settings at their defaults. `built` is the path cargo built
    /// the binary at; the macro [`registry!`](crate::registry!) fills it in.
    pub fn builder(built: &str) -> Builder {
        Builder {
            binary: process::binary(built),
            arguments: Vec::new(),
            environment: Vec::new(),
            config: None,
            data: None,
            listeners: 1,
            listen_by_config: false,
            grpc: Some("off".to_owned()),
            under: Vec::new(),
            io_uring: true,
            sound_at_end: true,
        }
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.builder.data.clone().unwrap_or_else(|| self.directory.path().join("data"))
    }

    /// A directory of this test that outlives every restart.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The first listener.
    #[track_caller]
    pub fn endpoint(&self) -> Endpoint {
        *self.endpoints.first().expect("the server runs")
    }

    /// The first listener, for the administrator of [`Builder::accounts`].
    #[track_caller]
    pub fn admin(&self) -> Endpoint {
        let (id, secret) = ADMIN;
        self.endpoint().with_key(id, secret)
    }

    /// A client of the first listener of gRPC; to be made inside of [`run`](crate::grpc::run).
    #[track_caller]
    pub fn grpc(&self) -> Grpc {
        Grpc::new(self.grpc.first().expect("the server answers gRPC"))
    }

    /// The same, for the administrator of [`Builder::accounts`].
    #[track_caller]
    pub fn grpc_admin(&self) -> Grpc {
        let (id, secret) = ADMIN;
        self.grpc().with_key(id, secret)
    }

    /// All listeners of gRPC, in the order announced.
    pub fn grpc_addresses(&self) -> &[GrpcAddress] {
        &self.grpc
    }

    /// All listeners of HTTP, in the order announced.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// A repository behind the first listener; to be asked again after a restart, which moves the port.
    #[track_caller]
    pub fn repository(&self, name: &str) -> Repository {
        self.endpoint().repository(name)
    }

    /// The running process.
    #[track_caller]
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }

    /// What the server logged since the first start.
    pub fn log(&self) -> String {
        fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// With `STRATA_TEST_FAST_PATHS=off` every server of the tests takes the ways that work everywhere, with `io-uring` the ring
    /// for all it can do, unless it is told otherwise.
    fn switch_fast_paths(command: &mut Command) {
        match std::env::var("STRATA_TEST_FAST_PATHS").as_deref() {
            Ok("off") => drop(command.envs(FAST_PATHS).env("STRATA_HTTP_HOT_MEMORY", "0")),
            Ok("io-uring") => drop(command.env("STRATA_STORAGE_IO", "io-uring")),
            _ => {}
        }
    }

    fn command(&self, listen: &str) -> Command {
        let data = self.data();
        let mut command = match self.builder.under.split_first() {
            None => process::command(&self.builder.binary, &[]),
            Some((program, arguments)) => {
                let mut command = process::command(Path::new(program), &[]);
                command.args(arguments).arg(&self.builder.binary);
                command
            }
        };
        command.args(["serve", "--data"]).arg(&data);
        if !self.builder.listen_by_config {
            command.args(["--listen", listen]);
        }
        if let Some(addresses) = &self.builder.grpc {
            command.args(["--grpc-listen", addresses]);
        }
        if let Some(text) = &self.builder.config {
            let path = self.directory.path().join("strata.toml");
            fs::write(&path, text).expect("the configuration file can be written");
            command.arg("--config").arg(path);
        }
        TestRegistry::switch_fast_paths(&mut command);
        command
            .args(&self.builder.arguments)
            .envs(self.builder.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.directory.path());
        command
    }

    /// From the next start on, the server is started by itself; see [`Builder::under`].
    pub fn set_free(&mut self) {
        self.builder.under.clear();
    }

    /// Starts a server that was stopped or killed, on the same data and a free port.
    #[track_caller]
    pub fn start(&mut self) {
        self.start_at("127.0.0.1:0");
    }

    /// Starts a server that was stopped, on the same data and the port it had.
    #[track_caller]
    pub fn start_on_same_port(&mut self) {
        let address = self.endpoint().address.to_string();
        self.start_at(&address);
    }

    #[track_caller]
    fn start_at(&mut self, listen: &str) {
        if let Err((status, log)) = self.try_start_at(listen) {
            panic!("the server ended with {status}:\n{log}");
        }
    }

    /// Starts a server that may refuse to.
    ///
    /// # Errors
    /// Its exit status and what it logged.
    #[track_caller]
    pub fn try_start(&mut self) -> Result<(), (ExitStatus, String)> {
        self.try_start_at("127.0.0.1:0")
    }

    #[track_caller]
    fn try_start_at(&mut self, listen: &str) -> Result<(), (ExitStatus, String)> {
        assert!(self.process.is_none(), "the server runs already");
        let before = self.log().len();
        let mut process = if self.builder.io_uring {
            Process::start(self.command(listen), &self.log_path())
        } else {
            Process::start_by(spawn_without_io_uring, self.command(listen), &self.log_path())
        };
        match process.wait_listening(self.builder.listeners) {
            Ok(urls) => {
                let (grpc, http): (Vec<_>, Vec<_>) =
                    urls.iter().partition(|url| GrpcAddress::parse(url).is_some());
                self.endpoints = http.into_iter().map(|url| endpoint(url)).collect();
                self.grpc = grpc.into_iter().filter_map(|url| GrpcAddress::parse(url)).collect();
            }
            Err(status) => return Err((status, self.log()[before..].to_owned())),
        }
        self.process = Some(process);
        Ok(())
    }

    /// Starts a server that is expected to refuse to; gives its exit status and what it logged.
    #[track_caller]
    pub fn start_refused(&mut self) -> (ExitStatus, String) {
        match self.try_start() {
            Ok(()) => panic!("the server started"),
            Err(refusal) => refusal,
        }
    }

    /// Starts a server and kills it after `moment`, wherever its start has come to.
    #[track_caller]
    pub fn start_and_kill_within(&mut self, moment: Duration) {
        assert!(self.process.is_none(), "the server runs already");
        let process = Process::start(self.command("127.0.0.1:0"), &self.log_path());
        wait::pace(moment);
        drop(process);
    }

    /// Stops the server with SIGTERM and asserts a clean exit.
    #[track_caller]
    pub fn stop(&mut self) {
        self.process().signal(Signal::TERM);
        self.wait_stopped(STOP_BOUND);
    }

    /// Waits for the end of a server that was told to stop, and asserts a clean exit.
    #[track_caller]
    pub fn wait_stopped(&mut self, bound: Duration) {
        let status = self.wait_ended(bound);
        assert!(status.success(), "the server stopped with {status}:\n{}", self.log());
    }

    /// Waits for the end of a server that was told to stop, however it ends.
    #[track_caller]
    pub fn wait_ended(&mut self, bound: Duration) -> ExitStatus {
        let mut process = self.process.take().expect("the server runs");
        let exited = wait::within(bound, || (!process.is_running()).then_some(()));
        assert!(exited.is_some(), "the server did not stop within {bound:?}:\n{}", self.log());
        process.wait_exit(bound)
    }

    /// Kills the server at once.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops and starts again, on another port.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// Runs `strata check` on the data directory of a stopped server.
    #[track_caller]
    pub fn check(&self) -> Output {
        self.check_with(&[])
    }

    /// Runs `strata check` with more arguments on the data directory of a stopped server.
    #[track_caller]
    pub fn check_with(&self, arguments: &[&str]) -> Output {
        let data = self.data();
        let mut all = vec!["check", "--data", data.to_str().expect("a path in UTF-8")];
        all.extend(arguments);
        process::run(&self.builder.binary, &all)
    }

    /// Asserts that `strata check` finds nothing.
    #[track_caller]
    pub fn expect_sound(&self) {
        let output = self.check();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "strata check: {}\n{out}\n{err}\n{}", output.status, self.log());
    }

    /// Bytes that the files of the data directory take, but for the metadata store and its logs.
    pub fn blob_bytes(&self) -> u64 {
        files(&self.data())
            .iter()
            .filter(|(path, _)| path.starts_with("blobs") || path.starts_with("segments"))
            .map(|(_, length)| length)
            .sum()
    }

    /// The paths of blob files, relative to the data directory.
    pub fn blob_files(&self) -> Vec<PathBuf> {
        files(&self.data())
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| path.starts_with("blobs"))
            .collect()
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.kill();
            let log = self.log();
            let tail = log.len().saturating_sub(20_000);
            eprintln!("--- log of the server ---\n{}", String::from_utf8_lossy(&log.as_bytes()[tail..]));
            return;
        }
        if !self.builder.sound_at_end {
            return;
        }
        if self.process.is_some() {
            self.stop();
        }
        let log = self.log();
        assert!(!log.contains("panicked at"), "a thread of the server panicked:\n{log}");
        if self.data().exists() {
            self.expect_sound();
        }
    }
}

fn endpoint(url: &str) -> Endpoint {
    let (tls, address) = match url.split_once("://") {
        Some(("http", address)) => (false, address),
        Some(("https", address)) => (true, address),
        _ => panic!("{url} is no URL of a listener"),
    };
    let address = address.trim_end_matches('/').parse().unwrap_or_else(|_| panic!("{url} names no address"));
    Endpoint::new(address, tls)
}

/// All files below `root` with their lengths, relative to it; files that vanish meanwhile are passed over.
pub fn files(root: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let Ok(kind) = entry.metadata() else { continue };
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if let Ok(path) = entry.path().strip_prefix(root) {
                found.push((path.to_owned(), kind.len()));
            }
        }
    }
    found.sort();
    found
}
