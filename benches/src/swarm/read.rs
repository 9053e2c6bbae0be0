//! Reading a reply off a socket: its head, then its body, which is counted, copied or hashed.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use sha2::{Digest as _, Sha256};

use crate::content::written;
use crate::wire::{Head, Request, bad};

/// Replies with at most this much are read in one call, head and body together.
const SMALL_BYTES: u64 = 16 << 10;
/// How much is read when only the head is wanted.
const HEAD_BYTES: usize = 2 << 10;
/// How much one call may discard or copy.
const RECEIVE_BYTES: usize = 1 << 20;
/// What a line may take before it is another's turn.
const TURN_BYTES: u64 = 2 << 20;

/// What becomes of the bodies of replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Bodies {
    /// Counted and thrown away inside the kernel: the cheapest client there can be
    Discard,
    /// Copied out of the kernel and thrown away: what every real client pays at least
    Copy,
    /// Copied, hashed and compared with the digest asked for
    Verify,
}

impl Bodies {
    /// As results name it.
    pub fn name(self) -> &'static str {
        match self {
            Bodies::Discard => "discarded in the kernel",
            Bodies::Copy => "copied",
            Bodies::Verify => "verified",
        }
    }
}

/// Something to ask for.
#[derive(Debug)]
pub struct Target {
    pub(super) path: String,
    pub(super) request: Vec<u8>,
    bodyless: bool,
    /// What the body is compared with.
    digest: Option<String>,
    /// How the head of the last reply looked: the next one most likely looks the same.
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    /// Length of the head.
    head: usize,
    /// Where its `Content-Length` line is, and that line.
    line: (Range<usize>, Vec<u8>),
    length: u64,
}

impl Target {
    /// `GET` or `HEAD` of a path. The digest that its body is to have is the last part of the path, if that is one.
    pub fn new(address: SocketAddr, method: &str, path: &str) -> Target {
        Target::with_token(address, method, path, None)
    }

    /// The same, shown a token for.
    pub fn with_token(address: SocketAddr, method: &str, path: &str, token: Option<&str>) -> Target {
        let request =
            Request::new(method, path).head(&address.to_string(), "strata-load", token).into_bytes();
        let last = path.rsplit('/').next().unwrap_or_default();
        let digest = last.starts_with("sha256:").then(|| last.to_owned());
        Target { path: path.to_owned(), request, bodyless: method == "HEAD", digest, known: None }
    }

    /// The length of the body behind a head that looks like the last one, and of that head.
    fn guess(&self, bytes: &[u8]) -> Option<(usize, u64)> {
        let Known { head, line: (at, line), length } = self.known.as_ref()?;
        let same = bytes.starts_with(b"HTTP/1.1 200 ")
            && bytes.get(at.clone())? == line.as_slice()
            && bytes.get(head - 4..*head)? == b"\r\n\r\n"
            // A head that is shorter today ends before.
            && !bytes.get(..head - 3)?.windows(4).any(|four| four == b"\r\n\r\n");
        same.then_some((*head, *length))
    }

    fn learn(&mut self, bytes: &[u8], end: usize) -> io::Result<u64> {
        let text = bytes.get(..end).unwrap_or_default();
        let head = Head::parse(text).ok_or_else(|| bad("the reply's head was not understood"))?;
        if head.status != 200 {
            return Err(bad(format!("the server answers {}", head.status)));
        }
        if self.bodyless {
            return Ok(0);
        }
        let length = head.length.ok_or_else(|| bad("a reply without a length"))?;
        if head.close {
            return Err(bad("the server closes the connection"));
        }
        let lower = text.to_ascii_lowercase();
        if let Some(start) = lower.windows(15).position(|name| name == b"content-length:") {
            let line = text
                .get(start..)
                .and_then(|rest| rest.split(|&byte| byte == b'\n').next())
                .unwrap_or_default();
            self.known = Some(Known { head: end, line: (start..start + line.len(), line.to_vec()), length });
        }
        Ok(length)
    }
}

/// Memory that all lines share: they take turns.
#[derive(Debug)]
pub(super) struct Buffers {
    bodies: Bodies,
    bytes: Vec<u8>,
    /// Where discarded bytes would go if the kernel wrote them: it does not, so these pages are never touched.
    void: Vec<u8>,
}

impl Buffers {
    pub(super) fn new(bodies: Bodies) -> Buffers {
        Buffers { bodies, bytes: vec![0; RECEIVE_BYTES], void: vec![0; RECEIVE_BYTES] }
    }
}

/// How far a line came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// The socket has no more for now.
    Blocked,
    /// There may be more, but it is another line's turn.
    More,
    /// The reply is complete.
    Done,
}

/// A reply that is coming.
#[derive(Debug)]
pub(super) struct Reply {
    /// The beginning of a head that did not come at once.
    begun: Vec<u8>,
    /// The body bytes still to come, once the head is read.
    left: Option<u64>,
    taken: u64,
    hasher: Option<Sha256>,
}

impl Reply {
    pub(super) fn awaited(buffers: &Buffers) -> Reply {
        let hasher = (buffers.bodies == Bodies::Verify).then(Sha256::default);
        Reply { begun: Vec::new(), left: None, taken: 0, hasher }
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    pub(super) fn advance(
        &mut self,
        socket: &OwnedFd,
        target: &mut Target,
        buffers: &mut Buffers,
    ) -> io::Result<Moved> {
        let limit = self.taken + TURN_BYTES;
        loop {
            let drained = match self.left {
                None => self.head(socket, target, buffers)?,
                Some(left) => self.body(left, socket, buffers)?,
            };
            if self.left == Some(0) {
                return self.complete(target).map(|()| Moved::Done);
            }
            if drained {
                return Ok(Moved::Blocked);
            }
            if self.taken >= limit {
                return Ok(Moved::More);
            }
        }
    }

    /// Reads towards the end of the head. True if the socket has no more for now.
    fn head(&mut self, socket: &OwnedFd, target: &mut Target, buffers: &mut Buffers) -> io::Result<bool> {
        let expected = target.known.as_ref().map_or(u64::MAX, |known| known.length);
        let most = if expected <= SMALL_BYTES { HEAD_BYTES + SMALL_BYTES as usize } else { HEAD_BYTES };
        let Some(came) =
            receive(socket, buffers.bytes.get_mut(..most).unwrap_or_default(), RecvFlags::empty())?
        else {
            return Ok(true);
        };
        let here = buffers.bytes.get(..came).unwrap_or_default();
        let drained = came < most;
        if self.begun.is_empty()
            && let Some((end, length)) = target.guess(here)
        {
            return self.begin(here.get(end..).unwrap_or_default(), length).map(|()| drained);
        }
        self.begun.extend_from_slice(here);
        let Some(end) = self.begun.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if self.begun.len() > 64 << 10 { Err(bad("a head without an end")) } else { Ok(drained) };
        };
        let begun = std::mem::take(&mut self.begun);
        let length = target.learn(&begun, end + 4)?;
        self.begin(begun.get(end + 4..).unwrap_or_default(), length).map(|()| drained)
    }

    fn begin(&mut self, body: &[u8], length: u64) -> io::Result<()> {
        let here = body.len() as u64;
        let left = length.checked_sub(here).ok_or_else(|| bad("more bytes than the reply announced"))?;
        (self.left, self.taken) = (Some(left), here);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(body);
        }
        Ok(())
    }

    /// Reads some of the body. True if the socket has no more for now.
    fn body(&mut self, left: u64, socket: &OwnedFd, buffers: &mut Buffers) -> io::Result<bool> {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(RECEIVE_BYTES);
        // TCP with MSG_TRUNC counts the bytes off its queue without copying them.
        let (buffer, flags) = match buffers.bodies {
            Bodies::Discard => (&mut buffers.void, RecvFlags::TRUNC),
            Bodies::Copy | Bodies::Verify => (&mut buffers.bytes, RecvFlags::empty()),
        };
        let Some(came) = receive(socket, buffer.get_mut(..most).unwrap_or_default(), flags)? else {
            return Ok(true);
        };
        if let Some(hasher) = &mut self.hasher {
            hasher.update(buffer.get(..came).unwrap_or_default());
        }
        (self.left, self.taken) = (Some(left - came as u64), self.taken + came as u64);
        Ok(came < most)
    }

    fn complete(&mut self, target: &Target) -> io::Result<()> {
        let hash = self.hasher.take().filter(|_| !target.bodyless).map(written);
        match (hash, &target.digest) {
            (Some(hash), Some(digest)) if hash != *digest => {
                Err(bad("the content is not what its digest says"))
            }
            _ => Ok(()),
        }
    }
}

/// Receives what is there; nothing if there is nothing now.
fn receive(socket: &OwnedFd, buffer: &mut [u8], flags: RecvFlags) -> io::Result<Option<usize>> {
    loop {
        match recv(socket, &mut *buffer, flags) {
            Ok((_, 0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((_, came)) => return Ok(Some(came)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(why) => return Err(why.into()),
        }
    }
}
