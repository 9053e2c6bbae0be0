//! The log: lines on stderr, for people or as JSON, from `tracing`. The line of each request is frontend-http's.
use std::io::{self, IsTerminal};
use std::panic;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{Registry, fmt, registry, reload};

use crate::config::{LogFormat, LogLevel};

/// Lines that wait for a reader of stderr that is slower than the server; later ones are dropped, so that whoever stops reading
/// the log (a paused terminal, a stuck collector) stops the log and not the server.
const WAITING_LINES_MAX: usize = 8192;

/// The running log; its level can be changed.
#[derive(Debug)]
pub(crate) struct Log {
    level: reload::Handle<Targets, Registry>,
}

impl Log {
    /// Starts logging for the whole process. A second call has no effect, since the first log stays. Dropping the guard writes what
    /// waits, or gives up after about a second where nobody reads.
    pub(crate) fn start(format: LogFormat, level: &LogLevel) -> (Log, WorkerGuard) {
        let (filter, handle) = reload::Layer::new(level.targets());
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(WAITING_LINES_MAX)
            .lossy(true)
            .finish(io::stderr());
        let lines = fmt::layer().with_writer(writer);
        let lines = match format {
            LogFormat::Human => lines.with_ansi(io::stderr().is_terminal()).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
        };
        if tracing::subscriber::set_global_default(registry().with(filter).with(lines)).is_err() {
            tracing::warn!("the log was started twice");
        }
        panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let message = panic.payload_as_str().unwrap_or("no message");
            tracing::error!(
                "a thread panicked at {place}: {message}; this must not happen, please report it"
            );
        }));
        (Log { level: handle }, guard)
    }

    /// Changes what is logged.
    pub(crate) fn set_level(&self, level: &LogLevel) {
        if let Err(error) = self.level.reload(level.targets()) {
            tracing::error!(%error, "the log level cannot be changed");
        }
    }
}
