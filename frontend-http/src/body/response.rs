//! The body of a response: bytes, ranges of files, or a row of both.
//!
//! Where a range of a file goes out over plain HTTP/1, the body yields a stand-in of the right length and leaves the range in
//! the connection's zero-copy queue (see `zero_copy`); everywhere else it reads the file in pieces. The choice is made here
//! and only here, from the connection and the version of the request.

use super::file_reader::FileReader;
use super::{FileSource, Progress};
use crate::activity::InFlight;
use crate::connection::ConnectionInfo;
use crate::read_budget::ReadBudget;
use crate::transfer::TransferWatch;
use crate::zero_copy::{self, Queue};
use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Up to this many bytes a range is read and written together with the head of the response: one system call instead of two,
/// and cheaper than sendfile.
const READ_INSTEAD_MAX: u64 = 64 * 1024;

/// Bytes read at a time for HTTP/1 over TLS: sixteen records.
const PIECE_H1: usize = 256 * 1024;

/// Bytes read at a time for HTTP/2, where many streams share a connection and a frame carries 16 KiB.
const PIECE_H2: usize = 128 * 1024;

/// One piece of a [multipart](ResponseBody::multipart) body.
#[derive(Debug)]
pub enum Part {
    /// These bytes.
    Bytes(Bytes),
    /// This range of a file.
    File(Arc<dyn FileSource>, Range<u64>),
}

/// What a handler answers with. Its length is always known.
pub struct ResponseBody {
    /// `None` once everything was yielded or the body failed.
    state: Option<State>,
    left: u64,
}

struct State {
    parts: VecDeque<Part>,
    reader: Option<FileReader>,
    path: Path,
    progress: Arc<Progress>,
}

/// How ranges of files leave.
#[derive(Clone)]
enum Path {
    ZeroCopy { queue: Arc<Queue>, budget: ReadBudget },
    Read { piece: usize, budget: ReadBudget },
}

impl Path {
    fn of(connection: &ConnectionInfo, version: Version) -> Self {
        let budget = connection.read_budget().clone();
        match (version, connection.zero_copy()) {
            (Version::HTTP_10 | Version::HTTP_11, Some(queue)) => {
                Self::ZeroCopy { queue: Arc::clone(queue), budget }
            }
            (Version::HTTP_10 | Version::HTTP_11, None) => Self::Read { piece: PIECE_H1, budget },
            _ => Self::Read { piece: PIECE_H2, budget },
        }
    }
}

impl ResponseBody {
    /// No bytes.
    pub fn empty() -> Self {
        Self::build(VecDeque::new(), 0, Path::Read { piece: PIECE_H1, budget: ReadBudget::none() })
    }

    /// These bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let len = bytes.len() as u64;
        Self::build(
            VecDeque::from([Part::Bytes(bytes)]),
            len,
            Path::Read { piece: PIECE_H1, budget: ReadBudget::none() },
        )
    }

    /// A range of a file, for a request of this `version` on this `connection`. A file that turns out shorter than the range
    /// breaks the connection (HTTP/1) or the stream (HTTP/2): the client never takes the answer for whole.
    pub fn file(
        connection: &ConnectionInfo,
        version: Version,
        file: Arc<dyn FileSource>,
        range: Range<u64>,
    ) -> Self {
        Self::multipart(connection, version, [Part::File(file, range)])
    }

    /// Bytes and ranges of files one after the other, as `multipart/byteranges` needs them. The caller writes the boundaries.
    pub fn multipart(
        connection: &ConnectionInfo,
        version: Version,
        parts: impl IntoIterator<Item = Part>,
    ) -> Self {
        let parts: VecDeque<Part> = parts.into_iter().filter(|part| part.len() > 0).collect();
        let len = parts.iter().map(Part::len).sum();
        Self::build(parts, len, Path::of(connection, version))
    }

    /// Lets `watch` follow the body. Has no effect once it is being sent.
    #[must_use]
    pub fn watched(mut self, watch: Arc<dyn TransferWatch>) -> Self {
        self.with_progress(|progress| progress.set_watch(watch));
        self
    }

    /// Bytes that were not yielded yet: before sending, the length of the body.
    pub fn len(&self) -> u64 {
        self.left
    }

    /// Whether nothing is left to yield.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Keeps the connection from being idle until the last byte has left.
    pub(crate) fn attach(&mut self, in_flight: InFlight) {
        self.with_progress(|progress| progress.set_in_flight(in_flight));
    }

    fn with_progress(&mut self, change: impl FnOnce(&mut Progress)) {
        if let Some(progress) = self.state.as_mut().and_then(|state| Arc::get_mut(&mut state.progress)) {
            change(progress);
        }
    }

    fn build(parts: VecDeque<Part>, len: u64, path: Path) -> Self {
        let progress = Arc::new(Progress::new(len));
        Self { state: Some(State { parts, reader: None, path, progress }), left: len }
    }
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, range) => range.end.saturating_sub(range.start),
        }
    }
}

impl State {
    /// The next piece, never empty; `None` when all parts were yielded.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some(reader) = &mut self.reader {
                match reader.poll_next(cx) {
                    Poll::Ready(None) => self.reader = None,
                    other => return other,
                }
            }
            match self.parts.pop_front() {
                None => return Poll::Ready(None),
                Some(Part::Bytes(bytes)) => {
                    self.progress.sent(bytes.len() as u64);
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Some(Part::File(file, range)) => {
                    if let Some(frame) = self.start_file(file, range) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
            }
        }
    }

    /// Either queues (the first frame of) the range and returns its stand-in, or sets up a reader for it.
    fn start_file(&mut self, file: Arc<dyn FileSource>, range: Range<u64>) -> Option<Bytes> {
        let len = range.end.saturating_sub(range.start);
        let (piece, budget) = match &self.path {
            Path::ZeroCopy { queue, .. } if len > READ_INSTEAD_MAX && file.as_fd().is_some() => {
                let frame = len.min(zero_copy::FRAME_MAX as u64);
                let stand_in = queue.push(&file, range.start, frame as usize, &self.progress);
                if frame < len {
                    self.parts.push_front(Part::File(file, range.start + frame..range.end));
                }
                return Some(stand_in);
            }
            // No more than a response without a file may be: not worth an account.
            _ if len <= READ_INSTEAD_MAX => (PIECE_H2, ReadBudget::none()),
            Path::ZeroCopy { budget, .. } => (PIECE_H1, budget.clone()),
            Path::Read { piece, budget } => (*piece, budget.clone()),
        };
        self.reader = Some(FileReader::new(file, range, piece, budget, Arc::clone(&self.progress)));
        None
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let Some(state) = &mut this.state else { return Poll::Ready(None) };
        let Poll::Ready(piece) = state.poll_piece(cx) else { return Poll::Pending };
        if let Some(Ok(bytes)) = &piece {
            this.left = this.left.saturating_sub(bytes.len() as u64);
        } else {
            this.state = None;
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Default for ResponseBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("left", &self.left).finish_non_exhaustive()
    }
}
