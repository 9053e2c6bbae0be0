//! One response on its way out: how much is still owed, who follows it, and that its connection is not idle.
//!
//! Shared by the body, by the file ranges it left in the zero-copy queue and by the pieces read for it; the exchange is over
//! when the last clone is gone.

use crate::activity::InFlight;
use crate::transfer::TransferWatch;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts down from the length of a body. When nothing is owed any more the watch is told so, once.
#[derive(Debug)]
pub(crate) struct Progress {
    owed: AtomicU64,
    /// A body without bytes is never asked for any; it is whole as it is, and says so when it is dropped.
    empty: bool,
    watch: Option<Arc<dyn TransferWatch>>,
    in_flight: Option<InFlight>,
}

impl Progress {
    /// A response of `len` bytes.
    pub(crate) fn new(len: u64) -> Self {
        Self { owed: AtomicU64::new(len), empty: len == 0, watch: None, in_flight: None }
    }

    /// Sets who follows it. Before the first byte only.
    pub(crate) fn set_watch(&mut self, watch: Arc<dyn TransferWatch>) {
        self.watch = Some(watch);
    }

    /// Ties the response to its connection, which is not idle as long as this lives. Before the first byte only.
    pub(crate) fn set_in_flight(&mut self, mut in_flight: InFlight) {
        in_flight.respond();
        self.in_flight = Some(in_flight);
    }

    /// `bytes` of the body were handed on.
    pub(crate) fn sent(&self, bytes: u64) {
        let owed = self.owed.fetch_sub(bytes, Ordering::AcqRel);
        if let Some(watch) = &self.watch {
            watch.sent(bytes);
            if owed == bytes {
                watch.finished();
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.empty
            && let Some(watch) = &self.watch
        {
            watch.finished();
        }
    }
}
