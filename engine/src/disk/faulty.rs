//! A disk that fails on order: the n-th operation of a kind gives a chosen error, takes only part of a write, or hangs until it is let go.
//!
//! For tests only; wraps any other disk.

use super::{DirEntry, Disk, DiskFile, OpenMode, Request, Space, Work};
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Kinds of operation that can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// [`Disk::open`] with [`OpenMode::Create`].
    Create,
    /// [`Disk::open`] with any other mode.
    Open,
    /// [`DiskFile::read_at`] and [`DiskFile::read_at_cached`].
    Read,
    /// [`DiskFile::write_at`] and [`DiskFile::write_vectored_at`].
    Write,
    /// [`DiskFile::set_len`].
    SetLen,
    /// [`DiskFile::sync`].
    Sync,
    /// [`Disk::sync_dir`].
    SyncDir,
    /// [`Disk::create_dir`].
    CreateDir,
    /// [`Disk::remove`].
    Remove,
}

/// Every kind, for tests that go through all of them.
pub const OPERATIONS: [Operation; 9] = [
    Operation::Create,
    Operation::Open,
    Operation::Read,
    Operation::Write,
    Operation::SetLen,
    Operation::Sync,
    Operation::SyncDir,
    Operation::CreateDir,
    Operation::Remove,
];

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Input/output error.
    Eio,
    /// No space left.
    Enospc,
    /// Interrupted by a signal: to be tried again.
    Eintr,
    /// A read or write handles half of the bytes only; other operations succeed.
    Short,
}

#[derive(Debug, Clone, Copy)]
struct Order {
    operation: Operation,
    fault: Fault,
    /// Operations of the kind that still succeed.
    countdown: u64,
    /// Failures that follow; then the disk is well again.
    times: u64,
}

#[derive(Debug, Default)]
struct Plan {
    orders: Vec<Order>,
    failures: u64,
    hang: Option<Hang>,
}

/// An operation that is to hang.
#[derive(Debug)]
struct Hang {
    operation: Operation,
    /// Operations of the kind that do not.
    countdown: u64,
    latch: Arc<Latch>,
}

/// Where an operation hangs.
struct Latch {
    open: Mutex<bool>,
    opened: Condvar,
    reached: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Latch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Latch").field("open", &self.open).finish_non_exhaustive()
    }
}

impl Latch {
    fn wait(&self) {
        (self.reached)();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open {
            open = self.opened.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// An operation that hangs, or is going to: until it is let go, or this is dropped.
#[derive(Debug)]
#[must_use = "an operation hangs only as long as this lives"]
pub struct Hanging(Arc<Latch>);

impl Hanging {
    /// Lets the operation go on.
    pub fn let_go(&self) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.opened.notify_all();
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl Plan {
    /// What the next operation of the kind will meet.
    fn peek(&self, operation: Operation) -> Option<Fault> {
        let order = self.orders.iter().find(|order| order.operation == operation && order.times > 0)?;
        (order.countdown == 0).then_some(order.fault)
    }

    /// Whether the next operation of the kind hangs.
    fn hangs(&self, operation: Operation) -> bool {
        self.hang.as_ref().is_some_and(|hang| hang.operation == operation && hang.countdown == 0)
    }

    /// Where the next operation of the kind hangs, if it does; the one after it does not.
    fn next_latch(&mut self, operation: Operation) -> Option<Arc<Latch>> {
        let hang = self.hang.as_mut().filter(|hang| hang.operation == operation)?;
        if hang.countdown > 0 {
            hang.countdown -= 1;
            return None;
        }
        self.hang.take().map(|hang| hang.latch)
    }

    fn next(&mut self, operation: Operation) -> Option<Fault> {
        let order = self.orders.iter_mut().find(|order| order.operation == operation && order.times > 0)?;
        if order.countdown > 0 {
            order.countdown -= 1;
            return None;
        }
        order.times -= 1;
        self.failures += 1;
        Some(order.fault)
    }
}

/// The faulty disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct FaultyDisk {
    inner: Arc<dyn Disk>,
    plan: Arc<Mutex<Plan>>,
}

impl FaultyDisk {
    /// Wraps `inner`; nothing fails until it is ordered.
    pub fn new(inner: Arc<dyn Disk>) -> Self {
        Self { inner, plan: Arc::default() }
    }

    /// Lets `operation` succeed `countdown` times, then fail `times` times.
    pub fn order(&self, operation: Operation, fault: Fault, countdown: u64, times: u64) {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.orders.push(Order { operation, fault, countdown, times });
    }

    /// Lets `operation` go on `countdown` times; the next one hangs, after it called `reached`, until it is let go. Others of its kind, and
    /// reads of what is in memory, never hang.
    pub fn hang(
        &self,
        operation: Operation,
        countdown: u64,
        reached: impl Fn() + Send + Sync + 'static,
    ) -> Hanging {
        let latch = Latch { open: Mutex::new(false), opened: Condvar::new(), reached: Box::new(reached) };
        let latch = Arc::new(latch);
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.hang = Some(Hang { operation, countdown, latch: Arc::clone(&latch) });
        Hanging(latch)
    }

    /// Forgets all orders and returns how many failures there were.
    pub fn heal(&self) -> u64 {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.orders.clear();
        plan.hang = None;
        std::mem::take(&mut plan.failures)
    }

    fn meet(&self, operation: Operation) -> io::Result<Option<Fault>> {
        meet(&self.plan, operation)
    }
}

fn meet(plan: &Mutex<Plan>, operation: Operation) -> io::Result<Option<Fault>> {
    let (latch, fault) = {
        let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
        (plan.next_latch(operation), plan.next(operation))
    };
    if let Some(latch) = latch {
        latch.wait();
    }
    match fault {
        Some(Fault::Eio) => Err(io::Error::from_raw_os_error(libc::EIO)),
        Some(Fault::Enospc) => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
        Some(Fault::Eintr) => Err(io::Error::from_raw_os_error(libc::EINTR)),
        Some(Fault::Short) | None => Ok(fault),
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.meet(if mode == OpenMode::Create { Operation::Create } else { Operation::Open })?;
        let inner = self.inner.open(path, mode)?;
        Ok(Arc::new(FaultyFile { inner, plan: Arc::clone(&self.plan) }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.meet(Operation::Remove)?;
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.meet(Operation::CreateDir)?;
        self.inner.create_dir(dir)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.meet(Operation::Remove)?;
        self.inner.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.meet(Operation::SyncDir)?;
        self.inner.sync_dir(dir)
    }

    fn space(&self) -> io::Result<Space> {
        self.inner.space()
    }
}

#[derive(Debug)]
struct FaultyFile {
    inner: Arc<dyn DiskFile>,
    plan: Arc<Mutex<Plan>>,
}

/// Half of a length, rounded up to whole blocks where there are some, so that direct writes stay aligned.
fn half(len: usize) -> usize {
    let half = len / 2;
    if half >= super::DIRECT_ALIGNMENT { half - half % super::DIRECT_ALIGNMENT } else { half.max(1).min(len) }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let short = meet(&self.plan, Operation::Read)?.is_some();
        let len = if short { half(buffer.len()) } else { buffer.len() };
        self.inner.read_at(buffer.get_mut(..len).unwrap_or_default(), offset)
    }

    fn read_at_cached(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.plan.lock().unwrap_or_else(PoisonError::into_inner).hangs(Operation::Read) {
            // It would wait for the device.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let short = meet(&self.plan, Operation::Read)?.is_some();
        let len = if short { half(buffer.len()) } else { buffer.len() };
        self.inner.read_at_cached(buffer.get_mut(..len).unwrap_or_default(), offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let short = meet(&self.plan, Operation::Write)?.is_some();
        let len = if short { half(bytes.len()) } else { bytes.len() };
        self.inner.write_at(bytes.get(..len).unwrap_or_default(), offset)
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        if meet(&self.plan, Operation::Write)?.is_none() {
            return self.inner.write_vectored_at(slices, offset);
        }
        let bytes = slices.iter().find(|slice| !slice.is_empty()).map(|slice| &**slice).unwrap_or_default();
        self.inner.write_at(bytes.get(..half(bytes.len())).unwrap_or_default(), offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        meet(&self.plan, Operation::SetLen)?;
        self.inner.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        meet(&self.plan, Operation::Sync)?;
        self.inner.sync()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.as_fd()
    }

    /// An error comes from another thread, as from a ring. What is to be taken up again is met by the caller, who gets the
    /// request back and runs it.
    fn begin(&self, request: Request) -> Result<(), Request> {
        if !self.inner.begins_writes() {
            return Err(request);
        }
        let operation = match request.work() {
            Work::Read { .. } => Operation::Read,
            Work::Write { .. } => Operation::Write,
            Work::Sync => Operation::Sync,
        };
        let (latch, next) = {
            let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            (plan.next_latch(operation), plan.peek(operation))
        };
        if let Some(latch) = latch {
            let inner = Arc::clone(&self.inner);
            std::thread::spawn(move || {
                latch.wait();
                if let Err(request) = inner.begin(request) {
                    request.run(&*inner);
                }
            });
            return Ok(());
        }
        if matches!(next, Some(Fault::Eintr | Fault::Short)) {
            return Err(request);
        }
        match meet(&self.plan, operation) {
            Ok(_) => self.inner.begin(request),
            Err(error) => {
                std::thread::spawn(move || request.finish(Err(error)));
                Ok(())
            }
        }
    }

    fn begins_writes(&self) -> bool {
        self.inner.begins_writes()
    }
}
