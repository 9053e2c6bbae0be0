//! Threads that nobody waits for leave the processor to those that somebody waits for.
//!
//! Two things make a thread give way. A niceness of 10 leaves it a tenth of a processor that others want as well: less would starve the merging of
//! tables on a busy machine, and pushes wait for that in the end. And turns of 0.1 ms: Linux lets whoever has begun a turn end it before somebody
//! who woke up has his, and such a turn is 3 ms long by default, which is thirty small answers. Since Linux 6.12 a thread can ask for shorter ones
//! (`sched_setattr(2)`: `sched_runtime` of the ordinary policy); older kernels take no notice.
//!
//! Kernels that preempt lazily look who else wants the processor only when the thread enters the kernel, or at the next tick of 1 to 4 ms. So those
//! who work through much give way themselves now and then ([`yield_now`]), or read and write in small pieces.

use rustix::process::{Pid, getpriority_process, setpriority_process};
use std::fs;
use std::io;
use std::time::Duration;

/// Niceness of such threads, if they have not a higher one already.
const NICE: i32 = 10;
/// How long they work before whoever woke up meanwhile has his turn.
const TURN: Duration = Duration::from_micros(100);

/// Makes the calling thread give way. Where the system refuses, nothing but latency is lost.
pub(crate) fn give_way() {
    let thread = rustix::thread::gettid();
    if let Err(error) = lower(thread) {
        tracing::debug!(%error, "a thread in the background keeps its priority");
    }
}

/// Lets whoever waits for the processor have it first. For work that goes on for long without entering the kernel.
pub(crate) fn yield_now() {
    std::thread::yield_now();
}

/// Makes all threads of this process with this name give way, for those that a library has started.
pub(crate) fn give_way_named(name: &str) {
    let lowered = threads(name).and_then(|threads| threads.into_iter().try_for_each(lower));
    if let Err(error) = lowered {
        tracing::debug!(%error, name, "threads in the background keep their priority");
    }
}

/// The threads of this process that have this name.
fn threads(name: &str) -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let entry = entry?;
        // One that has ended meanwhile has no name.
        let Ok(called) = fs::read_to_string(entry.path().join("comm")) else { continue };
        if called.trim_end() == name {
            let number = entry.file_name().to_str().and_then(|number| number.parse().ok());
            found.extend(number.and_then(Pid::from_raw));
        }
    }
    Ok(found)
}

fn lower(thread: Pid) -> io::Result<()> {
    // On Linux the priority is a thread's own.
    let nice = getpriority_process(Some(thread))?.max(NICE);
    match set_turn(thread, nice) {
        // No such call, or a policy of the container against it.
        Err(_) => Ok(setpriority_process(Some(thread), nice)?),
        done => done,
    }
}

/// Sets a thread's niceness and the length of its turns, and leaves its policy as it is.
fn set_turn(thread: Pid, nice: i32) -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: 0,
        sched_flags: libc::SCHED_FLAG_KEEP_POLICY as u64,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: TURN.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads as many bytes as `size` says, which are those of a value that lives until the call returns, and writes none.
    #[expect(unsafe_code, reason = "no library has this call")]
    let outcome = unsafe {
        libc::syscall(libc::SYS_sched_setattr, thread.as_raw_nonzero().get(), &raw const attributes, 0_u32)
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Niceness and length of a turn, as the kernel tells them.
    fn of(thread: Pid) -> (i32, u64) {
        let mut attributes = libc::sched_attr {
            size: 0,
            sched_policy: 0,
            sched_flags: 0,
            sched_nice: 0,
            sched_priority: 0,
            sched_runtime: 0,
            sched_deadline: 0,
            sched_period: 0,
        };
        // SAFETY: the kernel writes as many bytes as it is told that the value has, and it lives until the call returns.
        #[expect(unsafe_code, reason = "no library has this call")]
        let outcome = unsafe {
            let size = size_of::<libc::sched_attr>() as u32;
            libc::syscall(
                libc::SYS_sched_getattr,
                thread.as_raw_nonzero().get(),
                &raw mut attributes,
                size,
                0_u32,
            )
        };
        assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
        (attributes.sched_nice, attributes.sched_runtime)
    }

    #[test]
    fn a_thread_gives_way_and_no_other_does() {
        let before = of(rustix::thread::gettid());
        let (nice, turn) = std::thread::spawn(|| {
            give_way();
            of(rustix::thread::gettid())
        })
        .join()
        .unwrap();
        assert_eq!(nice, before.0.max(NICE));
        // Before Linux 6.12 no thread has turns of its own, and zero is told.
        assert!(turn == 100_000 || turn == before.1, "{turn}");
        assert_eq!(of(rustix::thread::gettid()), before);
    }

    #[test]
    fn threads_are_found_by_their_name() {
        let (tell, told) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("bystander-77".into()).spawn(move || {
            tell.send(rustix::thread::gettid()).unwrap();
            let _ = ended.recv();
        });
        let thread = thread.unwrap();
        let number = told.recv().unwrap();
        assert_eq!(threads("bystander-77").unwrap(), [number]);
        assert_eq!(threads("bystander-7").unwrap(), []);
        give_way_named("bystander-77");
        assert!(of(number).0 >= NICE);
        drop(end);
        thread.join().unwrap();
    }
}
