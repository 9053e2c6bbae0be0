//! A server that may not use io_uring, as in a container with the default policy.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use std::collections::BTreeMap;
use std::process::{Child, Command};

/// `io_uring_setup(2)`; the same number on every architecture.
const IO_URING_SETUP: i64 = 425;

/// Starts `command` with a filter under which the kernel refuses to make a ring: `EPERM`.
#[track_caller]
pub fn spawn_without_io_uring(mut command: Command) -> Child {
    let arch = TargetArch::try_from(std::env::consts::ARCH).expect("an architecture with filters");
    let refused = SeccompAction::Errno(1);
    let rules = BTreeMap::from([(IO_URING_SETUP, Vec::new())]);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).expect("a filter");
    let program: BpfProgram = filter.try_into().expect("a filter that fits");
    // A filter is that of one thread and of what it starts; it cannot be taken away, so the thread ends with it.
    let starting = std::thread::spawn(move || {
        seccompiler::apply_filter(&program).expect("a process may forbid itself something");
        command.spawn().expect("the binary under test starts")
    });
    starting.join().expect("the thread that starts the server")
}
