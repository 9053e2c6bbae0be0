//! Signals: SIGTERM and SIGINT drain, a second one leaves at once, SIGHUP reads again what can change while running.
use std::io;
use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end the process.
#[derive(Debug)]
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Takes the signals from now on; call it before anything is worth draining.
    ///
    /// # Errors
    /// The operating system refuses the handler.
    pub(crate) fn listen() -> io::Result<Stop> {
        Ok(Stop { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next of the signals and gives its name and the exit code that stands for it.
    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", 128 + 15),
            _ = self.interrupt.recv() => ("SIGINT", 128 + 2),
        }
    }

    /// Waits for the first signal. From then on a second one ends the process at once: what was acknowledged is
    /// durable, so leaving without a goodbye loses nothing but the answers on their way.
    pub(crate) async fn requested(mut self) {
        let (name, _) = self.next().await;
        tracing::info!(signal = name, "draining; a second signal leaves at once");
        tokio::spawn(async move {
            let (name, code) = self.next().await;
            tracing::warn!(signal = name, "leaving at once");
            process::exit(code);
        });
    }
}

/// Calls `reload` at each SIGHUP, for as long as the process runs.
///
/// # Errors
/// The operating system refuses the handler.
pub(crate) fn on_hangup(mut reload: impl FnMut() + Send + 'static) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            reload();
        }
    });
    Ok(())
}
