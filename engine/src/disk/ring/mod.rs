//! The disk over io_uring: reads, writes and syncs that are [begun](DiskFile::begin) go to one thread with a ring, which hands
//! their ends back. No thread waits for them.
//!
//! Everything else (opening, names, lengths, reads of what is in memory) is one short system call and stays one: it is that of
//! [`super::RealDisk`]. Containers forbid rings by default, so whoever starts one must be ready to do without.

mod kernel;
mod order;
mod reactor;

use super::real::RealFile;
use super::request::{Request, Work};
use super::{DirEntry, Disk, DiskFile, OpenMode, RealDisk, Space};
use crate::sync::lock;
use kernel::Kernel;
use reactor::{Inbox, Reactor};
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

/// Operations that the kernel works on at a time.
const ENTRIES: u32 = 128;

/// Requests that are taken and not ended; more are refused, and go to threads.
const REQUESTS_MAX: usize = 1024;

/// Which requests go to the ring. The others are refused, and go to threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingUse {
    /// Length of the longest reads that do, bytes.
    pub read_bytes_max: usize,
    /// Whether writes and syncs do.
    pub writes: bool,
}

impl RingUse {
    /// All of them.
    pub const ALL: Self = Self { read_bytes_max: usize::MAX, writes: true };

    /// Those that the ring does better than threads, as `benches/benches/disk.rs` shows: short reads. It copies all bytes on
    /// its one thread, so long ones are faster on several; writes and syncs the kernel gives to threads of its own.
    pub const BETTER: Self = Self { read_bytes_max: 32 * 1024, writes: false };

    const fn takes(self, work: &Work) -> bool {
        match work {
            Work::Read { buffer, .. } => buffer.len() <= self.read_bytes_max,
            Work::Write { .. } | Work::Sync => self.writes,
        }
    }
}

/// An open file, kept open while an operation on it is under way.
#[derive(Debug)]
struct Target(RealFile);

impl Target {
    #[cfg(test)]
    fn new(file: File) -> Self {
        Self(RealFile::new(file))
    }

    fn file(&self) -> &File {
        self.0.file()
    }

    /// Tells handles apart as long as they live.
    fn key(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }
}

/// A request and the file that it is for.
#[derive(Debug)]
struct Operation {
    target: Arc<Target>,
    request: Request,
    /// Whether the kernel is to give it to a thread of its own at once.
    may_wait: bool,
}

/// Files under a directory, with a ring for what would keep a thread waiting.
#[derive(Debug)]
pub struct RingDisk {
    real: RealDisk,
    ring: Arc<Ring>,
}

/// The ring's thread. Ends with its last disk or file.
#[derive(Debug)]
struct Ring {
    inbox: Arc<Inbox>,
    takes: RingUse,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl RingDisk {
    /// A disk whose paths are relative to `root`, which must exist. Blocks until the ring has done a NOP, and has written, synced
    /// and read a file there that leaves no trace.
    ///
    /// # Errors
    /// Whatever kept it from that, as the operating system says: `EPERM` where a policy forbids rings (containers do), `ENOSYS`
    /// and `EINVAL` where the kernel has none or too old ones, `ENOMEM` under a limit of locked memory.
    pub fn start(root: impl AsRef<Path>, takes: RingUse) -> io::Result<Self> {
        let real = RealDisk::new(root.as_ref());
        let probe = probe_file(&real)?;
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::Builder::new().name("strata-ring".into());
        // The ring belongs to the thread that makes it.
        let thread = thread.spawn(move || {
            let reactor = match set_up(&Arc::new(Target(probe))) {
                Ok(kernel) => Reactor::new(kernel),
                Err(error) => return drop(sender.send(Err(error))),
            };
            drop(sender.send(Ok(reactor.inbox())));
            drop(sender);
            if let Err(error) = reactor.run() {
                tracing::error!(%error, "the ring failed; files are read and written on threads from now on");
            }
        })?;
        let inbox =
            receiver.recv().unwrap_or_else(|_| Err(io::Error::other("the ring's thread panicked")))?;
        let ring = Ring { inbox, takes, thread: Mutex::new(Some(thread)) };
        Ok(Self { real, ring: Arc::new(ring) })
    }
}

/// Name of the file that the ring is tried on.
const PROBE: &str = "ring-probe";

/// A file without a name.
fn probe_file(disk: &RealDisk) -> io::Result<RealFile> {
    let path = Path::new(PROBE);
    // What an interrupted start left behind.
    drop(disk.remove(path));
    let file = disk.open_file(path, OpenMode::Create)?;
    disk.remove(path)?;
    Ok(file)
}

/// A ring that was seen to work on `file`.
fn set_up(file: &Arc<Target>) -> io::Result<Kernel> {
    let mut kernel = Kernel::new(ENTRIES)?;
    kernel.nop()?;
    let written = bytes::Bytes::from_static(&[0xa5; 4096]);
    let write = Work::Write { bytes: written.clone(), offset: 0, alignment: 1 };
    let (_, count) = try_out(&mut kernel, file, write)?;
    try_out(&mut kernel, file, Work::Sync)?;
    let (read, _) = try_out(&mut kernel, file, Work::Read { buffer: vec![0; 4096], offset: 0 })?;
    match read {
        Work::Read { buffer, .. } if count == written.len() && buffer == written => Ok(kernel),
        _ => Err(io::Error::other("the ring read other bytes than it wrote")),
    }
}

/// Does one piece of work and waits for its end.
fn try_out(kernel: &mut Kernel, file: &Arc<Target>, work: Work) -> io::Result<(Work, usize)> {
    let (sender, receiver) = mpsc::channel();
    let request = Request::new(work, move |ended| drop(sender.send(ended)));
    let mut next = Some(Operation { target: Arc::clone(file), request, may_wait: false });
    while let Some(operation) = next.take() {
        kernel.push(operation).map_err(|_| io::Error::other("the ring has no room"))?;
        let (mut operation, answer) = loop {
            kernel.submit(true)?;
            if let Some(answered) = kernel.reap() {
                break answered;
            }
        };
        match operation.request.advance(answer) {
            Some(outcome) => operation.request.finish(outcome),
            None => next = Some(operation),
        }
    }
    let ended = receiver.recv().map_err(io::Error::other)?;
    Ok((ended.work, ended.outcome?))
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.inbox.close();
        if let Some(thread) = lock(&self.thread).take()
            // The last file may be dropped by what follows a request, on the ring's own thread; that ends by itself.
            && thread.thread().id() != std::thread::current().id()
        {
            drop(thread.join());
        }
    }
}

impl Disk for RingDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let target = Arc::new(Target(self.real.open_file(path, mode)?));
        Ok(Arc::new(RingFile { target, ring: Arc::clone(&self.ring) }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.real.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.real.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.real.create_dir(dir)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.real.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.real.sync_dir(dir)
    }

    fn space(&self) -> io::Result<Space> {
        self.real.space()
    }
}

#[derive(Debug)]
struct RingFile {
    target: Arc<Target>,
    ring: Arc<Ring>,
}

impl DiskFile for RingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.target.0.read_at(buffer, offset)
    }

    fn read_at_cached(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.target.0.read_at_cached(buffer, offset)
    }

    fn read_at_passing(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.target.0.read_at_passing(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.target.0.write_at(bytes, offset)
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.target.0.write_vectored_at(slices, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.target.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.target.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.target.0.sync()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.target.0.as_fd()
    }

    fn begins_writes(&self) -> bool {
        self.ring.takes.writes
    }

    fn begin(&self, request: Request) -> Result<(), Request> {
        if !self.ring.takes.takes(request.work()) {
            return Err(request);
        }
        let target = Arc::clone(&self.target);
        self.ring.inbox.bring(Operation { target, request, may_wait: false })
    }
}

#[cfg(test)]
pub(super) mod tests;
