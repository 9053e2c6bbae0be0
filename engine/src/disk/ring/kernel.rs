//! The one place that shares memory with the kernel: submission and completion of the operations of an io_uring.
//!
//! Everything an operation points at (its buffer, its file) is owned by the table in here from before its submission until its
//! completion was seen, and given back with it. Used by the reactor alone, on one thread; knows no queue and no caller.

use super::Operation;
use crate::disk::request::Work;
use io_uring::{IoUring, opcode, squeue, types};
use rustix::event::{EventfdFlags, eventfd};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// Bytes that one operation transfers at most; the kernel takes no more than 2 GiB less a page.
const TRANSFER_BYTES_MAX: usize = 1 << 30;

/// Stands for the wake-up read in completions; operations are their places in the table.
const WAKE: u64 = u64::MAX;

/// What is written to [`Kernel::wake`]: eight bytes, any number but 0.
pub(super) const WAKE_UP: [u8; 8] = [1; 8];

/// A ring and the operations that the kernel works on.
#[derive(Debug)]
pub(super) struct Kernel {
    ring: Ring,
    table: Vec<Option<Operation>>,
    /// Places of the table that are free.
    free: Vec<usize>,
    wake: Arc<File>,
    /// What the wake-up read reads into. Boxed: it must not move.
    wake_buffer: Box<[u8; 8]>,
    wake_armed: bool,
}

struct Ring(IoUring);

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ring").field(&self.0.as_raw_fd()).finish()
    }
}

impl Kernel {
    /// A ring for `entries` operations at a time. It belongs to the calling thread.
    ///
    /// # Errors
    /// As the operating system: `EPERM` where a policy forbids rings, `ENOSYS` where there are none.
    pub(super) fn new(entries: u32) -> io::Result<Self> {
        let wake = Arc::new(File::from(eventfd(0, EventfdFlags::CLOEXEC)?));
        // One thread submits and reaps, and completions may wait until it comes by: since Linux 6.1 that can be said.
        let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(entries);
        let ring = match ring {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => IoUring::new(entries)?,
            other => other?,
        };
        // One place less than the queue has entries: the wake-up read needs one.
        let places = (entries as usize).saturating_sub(1);
        Ok(Self {
            ring: Ring(ring),
            table: (0..places).map(|_| None).collect(),
            free: (0..places).rev().collect(),
            wake,
            wake_buffer: Box::new([0; 8]),
            wake_armed: false,
        })
    }

    /// What ends a [`Kernel::submit`] that waits: write [`WAKE_UP`] to it.
    pub(super) const fn wake(&self) -> &Arc<File> {
        &self.wake
    }

    /// Whether another operation can be taken.
    pub(super) const fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Operations that the kernel works on.
    pub(super) const fn under_way(&self) -> usize {
        self.table.len() - self.free.len()
    }

    /// Takes an operation; it begins with the next [`Kernel::submit`]. Given back where there is no room.
    pub(super) fn push(&mut self, operation: Operation) -> Result<(), Operation> {
        let Some(place) = self.free.pop() else { return Err(operation) };
        let Some(entry) = self.table.get_mut(place) else { return Err(operation) };
        let operation = entry.insert(operation);
        let described = describe(operation).user_data(place as u64);
        #[expect(unsafe_code, reason = "the kernel is given addresses")]
        // SAFETY: the addresses in the entry are those of memory and of a file that the operation in the table owns. It stays
        // there until the completion with its place as user data was taken from the ring (`reap`, also in `drop`); moving the
        // operation moves neither the heap block of its `Vec` nor what its `Bytes` points at. Nobody touches the `Vec` meanwhile:
        // the table is private and `reap` is its only reader.
        let pushed = unsafe { self.ring.0.submission().push(&described) };
        // The queue is longer than the table and is emptied by every submission, so it has room after one.
        if pushed.is_err() {
            let taken = self.table.get_mut(place).and_then(Option::take);
            self.free.push(place);
            return taken.map_or(Ok(()), Err);
        }
        Ok(())
    }

    /// Lets the next [`Kernel::submit`] that waits end when somebody writes to [`Kernel::wake`].
    pub(super) fn arm_wake(&mut self) {
        if self.wake_armed {
            return;
        }
        let fd = types::Fd(self.wake.as_raw_fd());
        let read = opcode::Read::new(fd, self.wake_buffer.as_mut_ptr(), 8).build().user_data(WAKE);
        #[expect(unsafe_code, reason = "the kernel is given an address")]
        // SAFETY: the buffer is boxed, eight bytes long and used by nothing else; `drop` waits for the read, or leaks the buffer.
        let pushed = unsafe { self.ring.0.submission().push(&read) };
        self.wake_armed = pushed.is_ok();
    }

    /// Begins what was pushed and, with `wait`, waits until something is complete.
    ///
    /// # Errors
    /// As the operating system; an interruption and a kernel short of memory for the moment are none.
    pub(super) fn submit(&mut self, wait: bool) -> io::Result<()> {
        match self.ring.0.submit_and_wait(usize::from(wait)) {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// An operation that is complete, with the kernel's answer.
    pub(super) fn reap(&mut self) -> Option<(Operation, io::Result<usize>)> {
        loop {
            let completion = self.ring.0.completion().next()?;
            if completion.user_data() == WAKE {
                self.wake_armed = false;
                continue;
            }
            let place = completion.user_data() as usize;
            let operation = self.table.get_mut(place).and_then(Option::take);
            // Each place is completed once for each time it was pushed; another one is of no operation of ours.
            let Some(operation) = operation else { continue };
            self.free.push(place);
            let answer = match usize::try_from(completion.result()) {
                Ok(count) => Ok(count),
                Err(_) => Err(io::Error::from_raw_os_error(-completion.result())),
            };
            return Some((operation, answer));
        }
    }

    /// Asks the kernel for nothing and waits for the answer: whether the ring works at all.
    ///
    /// # Errors
    /// As the operating system.
    pub(super) fn nop(&mut self) -> io::Result<()> {
        #[expect(unsafe_code, reason = "the queue cannot know that this entry holds no address")]
        // SAFETY: a NOP points at nothing.
        let pushed = unsafe { self.ring.0.submission().push(&opcode::Nop::new().build()) };
        pushed.map_err(|_| io::Error::other("the submission queue has no room"))?;
        self.submit(true)?;
        match self.ring.0.completion().next().map(|completion| completion.result()) {
            Some(0) => Ok(()),
            Some(error) => Err(io::Error::from_raw_os_error(-error)),
            None => Err(io::Error::other("the ring lost an operation")),
        }
    }
}

/// What the kernel is told of an operation: the part of its work that is not done yet.
fn describe(operation: &mut Operation) -> squeue::Entry {
    let from = operation.request.progress();
    let fd = types::Fd(operation.target.file().as_raw_fd());
    let entry = match operation.request.work_mut() {
        Work::Read { buffer, offset } => {
            let at = *offset + from as u64;
            let rest = buffer.get_mut(from..).unwrap_or_default();
            let len = rest.len().min(TRANSFER_BYTES_MAX) as u32;
            opcode::Read::new(fd, rest.as_mut_ptr(), len).offset(at).build()
        }
        Work::Write { bytes, offset, .. } => {
            let rest = bytes.get(from..).unwrap_or_default();
            let len = rest.len().min(TRANSFER_BYTES_MAX) as u32;
            opcode::Write::new(fd, rest.as_ptr(), len).offset(*offset + from as u64).build()
        }
        Work::Sync => opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build(),
    };
    if operation.may_wait { entry.flags(squeue::Flags::ASYNC) } else { entry }
}

impl Drop for Kernel {
    /// Waits for all that the kernel works on: until then it may read and write the memory of the operations.
    fn drop(&mut self) {
        use std::io::Write as _;
        if self.wake_armed {
            // Ends the wake-up read. Never full: its counter is near 0.
            drop((&*self.wake).write_all(&WAKE_UP));
        }
        while self.under_way() > 0 || self.wake_armed {
            if let Err(error) = self.submit(true) {
                // Memory that the kernel may write to can be neither freed nor reused, and who waits for it would wait for
                // ever. What was acknowledged is durable: a restart is the one safe way on.
                tracing::error!(%error, "the kernel answers no more for operations that are under way; the process ends");
                std::process::abort();
            }
            while self.reap().is_some() {}
        }
    }
}
