//! The same with stand-ins that nobody can read: a single touch in user space would end the process.

use super::server::{Offered, PlainFile, TestServer, random_file};
use crate::limits::HttpLimits;
use crate::zero_copy::Queue;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::Arc;

/// Set in the child processes of these tests.
const GUARD: &str = "STRATA_ZERO_COPY_GUARD";

fn in_guarded_child(test: &str) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--test-threads", "1", test])
        .env(GUARD, "1")
        .output()
        .unwrap()
        .status
}

#[test]
fn serving_never_touches_a_stand_in() {
    let status = in_guarded_child("connection::tests::sending");
    assert!(status.success(), "{status}");
}

#[test]
fn a_touch_would_be_noticed() {
    let status = in_guarded_child("connection::tests::guarded::touches_a_stand_in_when_guarded");
    assert_eq!(status.signal(), Some(libc::SIGSEGV), "{status}");
}

/// Dies in a guarded process, and finds a zero in any other.
#[tokio::test]
async fn touches_a_stand_in_when_guarded() {
    let (file, _) = random_file(100_000);
    let file = PlainFile::source(file, Offered::Own);
    let queue = Queue::new().unwrap();
    let stand_in = queue.push(&file, 0, 100_000, &Arc::new(crate::body::Progress::new(100_000)));
    assert_eq!(std::hint::black_box(&stand_in)[4711], 0);
    drop(TestServer::start(HttpLimits::default()));
}
