//! The binary under test as a process: started, watched, signalled, and never left behind.

use crate::wait;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// `STRATA_BIN` of the environment, else the binary that cargo built.
pub fn binary(built: &str) -> PathBuf {
    std::env::var_os("STRATA_BIN").map_or_else(|| PathBuf::from(built), PathBuf::from)
}

/// A command of the binary that inherits no setting from the environment of the test, and no login of whoever runs it.
pub fn command(binary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("STRATA_") {
            command.env_remove(name);
        }
    }
    command.env_remove("XDG_CONFIG_HOME").env_remove("HOME");
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
#[track_caller]
pub fn run(binary: &Path, arguments: &[&str]) -> Output {
    command(binary, arguments).output().expect("the binary under test starts")
}

/// A running server process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; its standard output is gathered line by line, its log goes to the file `log`.
    #[track_caller]
    pub fn start(command: Command, log: &Path) -> Process {
        Process::start_by(|mut command| command.spawn().expect("the binary under test starts"), command, log)
    }

    /// As [`Process::start`], by another way to start a command.
    #[track_caller]
    pub fn start_by(spawn: impl FnOnce(Command) -> Child, mut command: Command, log: &Path) -> Process {
        let errors =
            File::options().create(true).append(true).open(log).expect("the log file can be written");
        command.stdout(Stdio::piped()).stderr(errors);
        let mut child = spawn(command);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let gathered = Arc::clone(&lines);
        let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                gathered.lock().expect("nobody panics while it is held").push(line);
            }
        });
        Process { child, lines, log: log.to_owned() }
    }

    /// Waits until `count` listeners are announced and gives their URLs; `Err` when the process ends before.
    ///
    /// # Errors
    /// The exit status of a process that could not start.
    #[track_caller]
    pub fn wait_listening(&mut self, count: usize) -> Result<Vec<String>, ExitStatus> {
        let bound = Duration::from_mins(1);
        wait::until("the server to say where it listens", bound, || {
            let urls: Vec<String> = self.announced();
            if urls.len() >= count {
                return Some(Ok(urls));
            }
            self.child.try_wait().expect("a child can be waited for").map(Err)
        })
    }

    fn announced(&self) -> Vec<String> {
        let lines = self.lines.lock().expect("nobody panics while it is held");
        let url = |line: &String| line.strip_prefix("listening on ").map(|url| url.trim().to_owned());
        lines.iter().filter_map(url).collect()
    }

    /// All lines of standard output so far.
    pub fn output(&self) -> Vec<String> {
        self.lines.lock().expect("nobody panics while it is held").clone()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the process is there to be signalled");
    }

    /// Sends a signal, if it is still there.
    pub fn try_signal(&self, signal: Signal) -> bool {
        kill_process(Pid::from_child(&self.child), signal).is_ok()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait_exit(&mut self, bound: Duration) -> ExitStatus {
        wait::until("the server process to end", bound, || {
            self.child.try_wait().expect("a child can be waited for")
        })
    }

    /// Ends it at once, as a power cut of the process would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How many files and sockets it has open.
    #[track_caller]
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).expect("the process runs").count()
    }

    /// A figure of `/proc/<pid>/status` in bytes, such as `VmRSS` or `VmHWM`.
    #[track_caller]
    pub fn memory(&self, figure: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the process runs");
        let line =
            status.lines().find_map(|line| line.strip_prefix(figure)).expect("the kernel knows this figure");
        let kib: u64 =
            line.trim_matches([':', '\t', ' ']).trim_end_matches(" kB").parse().expect("a number of kB");
        kib * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
