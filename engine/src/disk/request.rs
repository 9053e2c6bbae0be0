//! Work on a file that is handed over with all it needs, and comes back when it is done.
//!
//! The request owns its memory: whoever waits for it may go away at any time. How a transfer goes on after an answer of the
//! system (a short one, an interruption) is decided here once, for threads that wait and for the ring alike.

use super::{DiskFile, Pool};
use bytes::Bytes;
use std::fmt;
use std::io;
use std::sync::Arc;

/// What is to be done with a file.
#[derive(Debug)]
pub enum Work {
    /// Fills `buffer` from `offset` on, as far as the file goes.
    Read {
        /// Where the bytes go, whole; it is as long as the read.
        buffer: Vec<u8>,
        /// Where they are, bytes.
        offset: u64,
    },
    /// Writes all of `bytes` at `offset`.
    Write {
        /// What is written.
        bytes: Bytes,
        /// Where, bytes.
        offset: u64,
        /// A write that the system cut short off this alignment ends there: what is left cannot be written directly. 1 for a
        /// file that is not open for direct writes.
        alignment: usize,
    },
    /// Makes content and length durable, of all writes that were begun before on this handle.
    Sync,
}

/// Work that came to its end.
#[derive(Debug)]
pub struct Ended {
    /// The work, with its memory.
    pub work: Work,
    /// Bytes read or written. A read is short only where the file ends, a write only off its alignment.
    pub outcome: io::Result<usize>,
}

/// Work under way. Dropped before its end (a thread panicked, the store was closed), it drops what waits for it, which is how
/// that learns of it.
pub struct Request {
    work: Work,
    progress: usize,
    done: Box<dyn FnOnce(Ended) + Send>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, offset) = match &self.work {
            Work::Read { offset, .. } => ("read", *offset),
            Work::Write { offset, .. } => ("write", *offset),
            Work::Sync => ("sync", 0),
        };
        f.debug_struct(name)
            .field("offset", &offset)
            .field("len", &self.len())
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// A request. `done` runs on the thread that did the work: it must be short and must not wait.
    pub fn new(work: Work, done: impl FnOnce(Ended) + Send + 'static) -> Self {
        Self { work, progress: 0, done: Box::new(done) }
    }

    /// The work, with its memory.
    pub const fn work(&self) -> &Work {
        &self.work
    }

    /// The work, to be pointed at by the kernel. What has been transferred is before [`Request::progress`].
    pub(super) const fn work_mut(&mut self) -> &mut Work {
        &mut self.work
    }

    /// Bytes transferred so far.
    pub(super) const fn progress(&self) -> usize {
        self.progress
    }

    const fn len(&self) -> usize {
        match &self.work {
            Work::Read { buffer, .. } => buffer.len(),
            Work::Write { bytes, .. } => bytes.len(),
            Work::Sync => 0,
        }
    }

    /// Takes one answer of the system in. `None`: the transfer goes on.
    pub(super) fn advance(&mut self, answer: io::Result<usize>) -> Option<io::Result<usize>> {
        let count = match answer {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return None,
            Err(error) => return Some(Err(error)),
        };
        self.progress += count;
        let ended = match &self.work {
            Work::Sync => true,
            Work::Read { .. } => count == 0 || self.progress >= self.len(),
            Work::Write { .. } if self.progress >= self.len() => true,
            Work::Write { .. } if count == 0 => return Some(Err(io::ErrorKind::WriteZero.into())),
            Work::Write { alignment, .. } => !self.progress.is_multiple_of((*alignment).max(1)),
        };
        ended.then_some(Ok(self.progress))
    }

    /// Tells whoever waits how it went.
    pub(super) fn finish(self, outcome: io::Result<usize>) {
        (self.done)(Ended { work: self.work, outcome });
    }

    /// Does the work on this thread, which may wait.
    pub fn run(mut self, file: &dyn DiskFile) {
        loop {
            let from = self.progress;
            let answer = match &mut self.work {
                Work::Read { buffer, offset } => {
                    file.read_at(buffer.get_mut(from..).unwrap_or_default(), *offset + from as u64)
                }
                Work::Write { bytes, offset, .. } => {
                    file.write_at(bytes.get(from..).unwrap_or_default(), *offset + from as u64)
                }
                Work::Sync => file.sync().map(|()| 0),
            };
            if let Some(outcome) = self.advance(answer) {
                return self.finish(outcome);
            }
        }
    }
}

/// Begins work on a file: where its disk takes it, else on one of `threads`.
pub fn begin(threads: &Pool, file: &Arc<dyn DiskFile>, request: Request) {
    if let Err(request) = file.begin(request) {
        let file = Arc::clone(file);
        threads.run(move || request.run(&*file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(len: usize, alignment: usize) -> Request {
        Request::new(Work::Write { bytes: vec![0; len].into(), offset: 0, alignment }, drop)
    }

    fn kind(outcome: Option<io::Result<usize>>) -> Option<Result<usize, io::ErrorKind>> {
        outcome.map(|outcome| outcome.map_err(|error| error.kind()))
    }

    #[test]
    fn a_short_write_goes_on_and_an_interrupted_one_too() {
        let mut request = write(10, 1);
        assert_eq!(kind(request.advance(Ok(3))), None);
        assert_eq!(kind(request.advance(Err(io::ErrorKind::Interrupted.into()))), None);
        assert_eq!(request.progress(), 3);
        assert_eq!(kind(request.advance(Ok(7))), Some(Ok(10)));
        assert_eq!(kind(write(4, 1).advance(Ok(0))), Some(Err(io::ErrorKind::WriteZero)));
        assert_eq!(kind(write(0, 1).advance(Ok(0))), Some(Ok(0)));
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        assert_eq!(kind(write(4, 1).advance(Err(full))), Some(Err(io::ErrorKind::StorageFull)));
    }

    #[test]
    fn a_direct_write_ends_where_it_cannot_go_on() {
        let mut request = write(12_288, 4096);
        assert_eq!(kind(request.advance(Ok(4096))), None);
        assert_eq!(kind(request.advance(Ok(512))), Some(Ok(4608)));
    }

    #[test]
    fn a_read_ends_with_the_file() {
        let mut request = Request::new(Work::Read { buffer: vec![0; 10], offset: 5 }, drop);
        assert_eq!(kind(request.advance(Ok(4))), None);
        assert_eq!(kind(request.advance(Ok(0))), Some(Ok(4)));
        let mut sync = Request::new(Work::Sync, drop);
        assert_eq!(kind(sync.advance(Err(io::ErrorKind::Interrupted.into()))), None);
        assert_eq!(kind(sync.advance(Ok(0))), Some(Ok(0)));
    }
}
