//! The command line and the configuration through the real binary: what is refused and how it is said, what counts before
//! what, how a server starts, is told to stop and stops.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::Signal;
use strata_harness::process::{self, Process};
use strata_harness::{binary, registry, wait};
use tempfile::TempDir;

const STOPS_WITHIN: Duration = Duration::from_secs(15);

/// An ended command: exit code, standard output, standard error.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is UTF-8");
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ended {
    #[track_caller]
    fn expect(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        assert!(
            !self.err.contains("RUST_BACKTRACE") && !self.err.contains("Error {"),
            "a dump:\n{}",
            self.err
        );
        self
    }

    #[track_caller]
    fn says(self, parts: &[&str]) -> Ended {
        for part in parts {
            assert!(
                self.err.contains(part) || self.out.contains(part),
                "{part:?} is not in\n{}{}",
                self.out,
                self.err
            );
        }
        self
    }
}

/// A directory in which the binary is run.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(TempDir::with_prefix("strata-cli-").expect("a temporary directory can be made"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the file can be written");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = process::command(&binary!(), arguments);
        command.current_dir(self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(&[], arguments)
    }

    fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
        let output = self.command(arguments).envs(variables.iter().copied()).output();
        output.expect("the binary under test starts").into()
    }
}

#[test]
fn version_and_help() {
    let place = Place::new();
    let version = place.run(&["--version"]).expect(0);
    assert_eq!(version.out, format!("strata {}\n", env!("CARGO_PKG_VERSION")));
    place.run(&["--help"]).expect(0).says(&["serve", "check", "config"]);
    place.run(&["serve", "--help"]).expect(0).says(&[
        "--listen",
        "--data",
        "--open",
        "STRATA_STORAGE_RESERVE",
        "256 MiB",
    ]);
}

#[test]
fn wrong_use_ends_with_2_and_touches_nothing() {
    let place = Place::new();
    for arguments in [
        &[][..],
        &["sevre"],
        &["serve", "--lisen", "127.0.0.1:0"],
        &["serve", "--listen", "here"],
        &["serve", "--storage-reserve", "64"],
        &["serve", "--config", "missing.toml"],
        &["check", "--jsno"],
        &["config"],
    ] {
        let ended = place.run(arguments).expect(2);
        assert!(!ended.err.is_empty(), "{arguments:?} says nothing");
        assert_eq!(ended.out, "", "{arguments:?}");
    }
    assert_eq!(fs::read_dir(place.0.path()).expect("the place").count(), 0, "something was made");
}

#[test]
fn unknown_names_are_refused_with_place_and_suggestion() {
    let place = Place::new();
    place.write("strata.toml", "[storage]\nreserv = \"1 GiB\"\n\n[htpp]\n");
    let ended =
        place.run_with(&[("STRATA_LOG_LEVLE", "debug")], &["serve", "--config", "strata.toml"]).expect(2);
    ended.says(&[
        "the configuration has 3 problems",
        "strata.toml:2: unknown key `storage.reserv`; did you mean `storage.reserve`?",
        "strata.toml:4: unknown table [htpp]; did you mean [http]?",
        "STRATA_LOG_LEVLE: no setting has this name; did you mean STRATA_LOG_LEVEL?",
    ]);
    place.run(&["config", "check", "--config", "strata.toml"]).expect(1).says(&["strata.toml:2"]);
}

#[test]
fn a_network_address_is_refused_unless_open_is_said() {
    let place = Place::new();
    let refused = place.run(&["serve", "--listen", "0.0.0.0:0"]).expect(2);
    refused.says(&["0.0.0.0:0", "no accounts", "push, pull and delete", "--open", "127.0.0.1:5000"]);
    assert!(!place.path("strata-data").exists(), "a refused start makes no data directory");

    let open = registry!().argument("--open").argument("--listen").argument("0.0.0.0:0").listeners(2).start();
    assert_eq!(open.endpoint().get("/v2/").status, 200);
}

#[test]
fn flag_before_environment_before_file_before_default() {
    let place = Place::new();
    place.write("a.toml", "[storage]\ndata = \"file\"\nreserve = \"1 GiB\"\nopen-files = 7\n");
    let variables = [
        ("STRATA_CONFIG", "a.toml"),
        ("STRATA_STORAGE_DATA", "variable"),
        ("STRATA_STORAGE_RESERVE", "2 GiB"),
    ];
    let shown = place.run_with(&variables, &["config", "show", "--data", "flag"]).expect(0).out;
    for line in [
        "data = \"flag\"  # --data",
        "reserve = \"2 GiB\"  # STRATA_STORAGE_RESERVE",
        "open-files = 7  # a.toml:4",
        "upload-expiry = \"1d\"  # default",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line:?} is not in\n{shown}");
    }
    place.write("b.toml", &shown);
    place.run(&["config", "check", "--config", "b.toml"]).expect(0);
}

#[test]
fn the_printed_defaults_are_a_configuration() {
    let place = Place::new();
    let printed = place.run(&["config", "default"]).expect(0).out;
    place.write("strata.toml", &printed);
    place.run(&["config", "check", "--config", "strata.toml"]).expect(0);
    let of_file = place.run(&["config", "show", "--config", "strata.toml"]).expect(0).out;
    assert_eq!(of_file, place.run(&["config", "show"]).expect(0).out);
    let reference = place.run(&["config", "default", "--markdown"]).expect(0).out;
    let committed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md"));
    assert!(reference == committed.expect("docs/config.md"), "docs/config.md is not what the binary prints");
}

#[test]
fn a_start_that_fails_says_what_to_do_and_ends_with_1() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    place.run(&["serve", "--listen", &address]).expect(1).says(&[&address, "another port with --listen"]);

    place.write("file", "");
    place
        .run(&["serve", "--data", "file", "--listen", "127.0.0.1:0"])
        .expect(1)
        .says(&["data directory file", "--data"]);
    let tls = ["serve", "--listen", "127.0.0.1:0", "--http-certificate", "no.crt", "--http-key", "no.key"];
    place.run(&tls).expect(1).says(&["no.crt"]);
}

#[test]
fn check_tells_clean_from_damaged_from_impossible() {
    let place = Place::new();
    place.run(&["check", "--data", "missing"]).expect(2).says(&["missing", "No such file"]);
    assert!(!place.path("missing").exists(), "check makes nothing");
    fs::create_dir(place.path("empty")).expect("a directory");
    place.run(&["check", "--data", "empty"]).expect(2).says(&["it is empty, no server has used it yet"]);
    assert_eq!(fs::read_dir(place.path("empty")).expect("it is there").count(), 0, "check makes nothing");

    let mut registry = registry!().damaged_at_end().start();
    registry.repository("a/b").push_blob(&Bytes::from(vec![7_u8; 300_000]));
    registry.stop();
    let clean: Ended = registry.check().into();
    clean.expect(0);
    let json: Ended = registry.check_with(&["--json", "--verify", "digest"]).into();
    let report: serde_json::Value = serde_json::from_str(&json.expect(0).out).expect("the report is JSON");
    assert_eq!(report["findings"], serde_json::json!([]), "{report}");

    let [file] = registry.blob_files().try_into().expect("one large blob is one file");
    let path = registry.data().join(&file);
    let mut bytes = fs::read(&path).expect("the blob's file");
    bytes[150_000] ^= 1;
    fs::write(&path, &bytes).expect("the damage");
    let verified: Ended = registry.check_with(&[]).into();
    verified.expect(1);
    let sizes: Ended = registry.check_with(&["--verify", "size"]).into();
    sizes.expect(0);
    fs::remove_file(&path).expect("the damage");
    let missing: Ended = registry.check_with(&["--verify", "size"]).into();
    missing.expect(1);
    let json: Ended = registry.check_with(&["--json"]).into();
    let report: serde_json::Value = serde_json::from_str(&json.expect(1).out).expect("the report is JSON");
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(1), "{report}");
}

#[test]
fn a_start_announces_its_addresses_and_three_lines_to_try() {
    let registry = registry!().start();
    let address = registry.endpoint().address.to_string();
    let output = wait::until("three lines to try", wait::SOON, || {
        let lines = registry.process().output();
        (lines.len() >= 4).then_some(lines)
    });
    assert_eq!(output[0], format!("listening on http://{address}"));
    for (line, program) in output[1..].iter().zip(["docker", "podman", "curl"]) {
        assert!(line.contains(program) && line.contains(&address), "{line:?}");
    }
    let open_files =
        fs::read_to_string(format!("/proc/{}/limits", registry.process().id())).expect("its limits");
    let limits = open_files.lines().find(|line| line.starts_with("Max open files")).expect("the limit");
    let figures: Vec<&str> = limits.split_whitespace().skip(3).take(2).collect();
    assert_eq!(figures.first(), figures.get(1), "the soft limit is raised to the hard one: {limits}");
}

#[test]
fn both_signals_stop_with_0_and_a_second_one_leaves_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut registry = registry!().start();
        registry.process().signal(signal);
        registry.wait_stopped(STOPS_WITHIN);
    }
    let mut registry = registry!().argument("--http-drain").argument("10m").damaged_at_end().start();
    // A request that is never finished holds the drain.
    let location = registry.repository("a/b").start_upload();
    let mut stream = TcpStream::connect(registry.endpoint().address).expect("it listens");
    let head =
        format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut start = [0; 12];
    stream.read_exact(&mut start).expect("it asks for the body");
    assert_eq!(&start, b"HTTP/1.1 100");
    registry.process().signal(Signal::TERM);
    wait::until("the drain", wait::SOON, || registry.log().contains("draining").then_some(()));
    registry.process().signal(Signal::TERM);
    assert_eq!(registry.wait_ended(STOPS_WITHIN).code(), Some(128 + 15));
}

#[test]
fn hangup_reads_the_log_level_again() {
    let place = Place::new();
    place.write("strata.toml", "[log]\nlevel = \"off\"\n");
    let log = place.path("log");
    let arguments = ["serve", "--config", "strata.toml", "--listen", "127.0.0.1:0", "--data", "data"];
    let mut server = Process::start(place.command(&arguments), &log);
    server.wait_listening(1).expect("it starts");
    assert_eq!(server.log(), "");
    place.write("strata.toml", "[log]\nlevel = \"nonsense\"\n");
    server.signal(Signal::HUP);
    place.write("strata.toml", "[log]\nlevel = \"info\"\n");
    wait::until("the level to change", wait::SOON, || {
        server.signal(Signal::HUP);
        server.log().contains("read again").then_some(())
    });
    server.signal(Signal::TERM);
    assert!(server.wait_exit(STOPS_WITHIN).success());
}

#[test]
fn a_closed_standard_output_is_no_reason_to_stop() {
    let place = Place::new();
    let mut command = Command::new("sh");
    // The reader leaves after the first line; what is written later meets a closed pipe.
    let script = format!(
        "exec 3>&1; {} serve --listen 127.0.0.1:0 --data data 2>log | {{ head -n 1 >&3; exec 0<&-; }}",
        binary!().display()
    );
    let child =
        command.args(["-c", &script]).current_dir(place.0.path()).stdout(std::process::Stdio::piped());
    let mut child = child.spawn().expect("a shell");
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().expect("piped")), &mut line)
        .expect("the first line");
    let address = line.trim().strip_prefix("listening on http://").expect("an address");
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 "), "{answer}");
    let lock = fs::read_to_string(place.path("data/LOCK")).expect("the lock names the process");
    let id: i32 = lock.split_whitespace().find_map(|word| word.parse().ok()).expect("a process id");
    let id = rustix::process::Pid::from_raw(id).expect("a process id");
    rustix::process::kill_process(id, Signal::TERM).expect("it runs");
    child.wait().expect("the shell ends");
}
