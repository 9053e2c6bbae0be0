//! Says on stderr how far a run is: a bar on a terminal, a line every ten seconds elsewhere.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a bar moves.
const BAR_EVERY: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shown from its making until it is dropped. It has a thread of its own, so that no run has to think of it.
#[derive(Debug)]
pub struct Progress {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Shows `label` for a run that takes about `span` (zero: not known).
    pub fn show(label: &str, span: Duration) -> Progress {
        let over = Arc::new(AtomicBool::new(false));
        let (label, ended) = (label.to_owned(), Arc::clone(&over));
        let thread = thread::spawn(move || {
            if stderr().is_terminal() {
                bar(&label, span, &ended);
            } else {
                lines(&label, &ended);
            }
        });
        Progress { over, thread: Some(thread) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn bar(label: &str, span: Duration, over: &AtomicBool) {
    let started = Instant::now();
    let bar = if span.is_zero() {
        ProgressBar::new_spinner()
    } else {
        ProgressBar::new(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    };
    let template = if span.is_zero() { "{spinner} {msg} {elapsed}" } else { "{bar:30} {msg} {elapsed}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(label.to_owned());
    while !over.load(Ordering::Acquire) {
        bar.set_position(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        thread::park_timeout(BAR_EVERY);
    }
    bar.finish_and_clear();
}

fn lines(label: &str, over: &AtomicBool) {
    let started = Instant::now();
    loop {
        thread::park_timeout(LINE_EVERY);
        if over.load(Ordering::Acquire) {
            return;
        }
        let _ = writeln!(stderr(), "{label}: {} s", started.elapsed().as_secs());
    }
}
