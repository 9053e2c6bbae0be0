//! Somebody at a command line, with a home of his own.

use crate::operator::url;
use crate::{TestRegistry, process};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A user of the command line.
#[derive(Debug)]
pub struct User {
    binary: PathBuf,
    home: TempDir,
}

/// An ended command.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub out: String,
    /// What it complained of.
    pub err: String,
}

impl User {
    /// Somebody new. The macro [`user!`](crate::user!) fills in the binary under test.
    #[track_caller]
    pub fn new(binary: PathBuf) -> User {
        User {
            binary,
            home: TempDir::with_prefix("strata-home-").expect("a temporary directory can be made"),
        }
    }

    /// Where logins are kept.
    pub fn credentials(&self) -> PathBuf {
        self.home.path().join(".config/strata/credentials.json")
    }

    /// A command of this user, with nothing on standard input.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = process::command(&self.binary, arguments);
        command.env("HOME", self.home.path()).current_dir(self.home.path());
        command
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().expect("the binary under test starts").into()
    }

    /// Runs it with something on standard input.
    #[track_caller]
    pub fn run_with(&self, input: &str, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary under test starts");
        // A command that reads nothing may be gone.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends").into()
    }

    /// Logs in.
    #[track_caller]
    pub fn login(&self, registry: &TestRegistry, (id, secret): (&str, &str)) -> Ended {
        self.run_with(secret, &["login", "--server", &url(registry), "--key-id", id, "--secret-stdin"])
    }

    /// Runs a command that does it, and gives what it printed.
    #[track_caller]
    pub fn text(&self, arguments: &[&str]) -> String {
        self.run(arguments).expect(0).out
    }

    /// Runs a command that does it with `--json`, and gives the document.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.text(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// Runs a command that cannot do it, and gives its complaint.
    #[track_caller]
    pub fn refused(&self, code: i32, arguments: &[&str]) -> String {
        self.run(arguments).expect(code).err
    }
}

impl Ended {
    /// Asserts how it ended.
    #[track_caller]
    pub fn expect(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is UTF-8");
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Somebody new at the command line of the binary under test.
#[macro_export]
macro_rules! user {
    () => {
        $crate::User::new($crate::binary!())
    };
}
