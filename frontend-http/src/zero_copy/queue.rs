//! Which file range each stand-in of one connection is for, in the order they were yielded and must be written.

use super::range::FileRange;
use super::region::Region;
use crate::body::{FileSource, Progress};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest stand-in. Longer ranges are yielded as several.
pub(crate) const FRAME_MAX: usize = 1 << 30;

/// The file ranges of one connection that hyper holds stand-ins of.
#[derive(Debug)]
pub(crate) struct Queue {
    region: &'static Region,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pending: VecDeque<Pending>,
    /// Where in the region the next stand-in begins.
    cursor: usize,
}

/// The rest of one stand-in.
#[derive(Debug)]
struct Pending {
    range: FileRange,
    /// Offset in the region of the next byte that hyper will show.
    at: usize,
    progress: Arc<Progress>,
}

impl Queue {
    /// An empty queue; `None` where zero copy is not to be had.
    pub(crate) fn new() -> Option<Arc<Self>> {
        let region = Region::get()?;
        Some(Arc::new(Self { region, state: Mutex::default() }))
    }

    /// Whether a slice that is to be written is a stand-in.
    pub(super) fn is_stand_in(&self, slice: &[u8]) -> bool {
        self.region.holds(slice)
    }

    /// Queues `len` bytes (at most [`FRAME_MAX`]) of `file` and returns what hyper shall carry in their place.
    pub(crate) fn push(
        &self,
        file: &Arc<dyn FileSource>,
        offset: u64,
        len: usize,
        progress: &Arc<Progress>,
    ) -> Bytes {
        let mut state = self.lock();
        if state.cursor + len > self.region.len() {
            // hyper holds some megabytes of stand-ins at most beside the last one, so those at the start are long gone; and
            // were they not, the check in `front` would tell.
            state.cursor = 0;
        }
        let at = state.cursor;
        state.cursor += len;
        let range = FileRange::new(Arc::clone(file), offset, len);
        state.pending.push_back(Pending { range, at, progress: Arc::clone(progress) });
        Bytes::from_static(self.region.slice(at, len))
    }

    /// The file range that `slice` stands for.
    ///
    /// # Errors
    /// `InvalidData` unless the slice is exactly what is left of the oldest stand-in. Then something between the body and
    /// the socket changed what it carried, and nothing may be sent any more.
    pub(super) fn front(&self, slice: &[u8]) -> io::Result<FileRange> {
        let state = self.lock();
        match state.pending.front() {
            Some(front) if front.at == self.region.offset(slice) && front.range.left == slice.len() => {
                Ok(front.range.clone())
            }
            _ => {
                let reason = "a stand-in for a file range came back changed: the connection is ended, no byte of it is sent";
                tracing::error!("{reason}");
                Err(io::Error::new(io::ErrorKind::InvalidData, reason))
            }
        }
    }

    /// `sent` bytes of the oldest stand-in were handed to the socket.
    pub(super) fn advance(&self, sent: usize) {
        let mut state = self.lock();
        let Some(front) = state.pending.front_mut() else { return };
        let sent = sent.min(front.range.left);
        front.range.advance(sent);
        front.at += sent;
        let progress = Arc::clone(&front.progress);
        if front.range.is_over() {
            state.pending.pop_front();
        }
        drop(state);
        progress.sent(sent as u64);
    }

    /// Remembers what was found out about the file of the oldest range.
    pub(super) fn learn(&self, range: &FileRange) {
        if let Some(front) = self.lock().pending.front_mut() {
            front.range.warm_until = range.warm_until;
            front.range.unsendable = range.unsendable;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
