//! Is a range of a file in the page cache, and if not, bring it there without stalling the connections of this thread.

use crate::body::FileSource;
use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::io::IoSliceMut;
use std::num::NonZeroU64;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;

/// A range is asked for this far ahead of the part that is waited for, so that the disk always has work.
const AHEAD: u64 = 8 << 20;

/// Threads of the blocking pool that read ahead at the same time, for all connections.
const READS_MAX: usize = 32;

/// What such a thread reads into, and forgets.
const SCRATCH: usize = 128 << 10;

/// Distance of the samples where the kernel cannot count cached pages: half of the smallest usual read-ahead window.
const SAMPLE_STEP: u64 = 64 << 10;

/// Number of the system call on every architecture (Linux 6.5).
const SYS_CACHESTAT: libc::c_long = 451;

/// `struct cachestat_range` of the kernel.
#[repr(C)]
struct CachestatRange {
    offset: u64,
    len: u64,
}

/// `struct cachestat` of the kernel.
#[repr(C)]
#[derive(Default)]
struct Cachestat {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// Whether sending `len` bytes at `offset` will find them in the page cache. Costs microseconds; says yes when it cannot know.
pub(super) fn is_warm(file: BorrowedFd<'_>, offset: u64, len: u64) -> bool {
    let Some(last) = (offset + len).checked_sub(1) else { return true };
    // Pages count as cached as soon as they are being read. Read-ahead fills a range in order, so its last byte tells.
    if !is_byte_ready(file, last) {
        return false;
    }
    if len <= SAMPLE_STEP {
        return is_byte_ready(file, offset);
    }
    match cached_pages(file, offset, len) {
        Some(cached) => {
            let page = rustix::param::page_size() as u64;
            cached > last / page - offset / page
        }
        None => (offset..last).step_by(SAMPLE_STEP as usize).all(|at| is_byte_ready(file, at)),
    }
}

/// Whether one byte can be read without waiting for the disk.
fn is_byte_ready(file: BorrowedFd<'_>, offset: u64) -> bool {
    let mut byte = [0_u8];
    let read = preadv2(file, &mut [IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT);
    // Anything but "not without waiting" is for the transfer itself to find out.
    !matches!(read, Err(Errno::AGAIN))
}

/// How many pages of a range are in the page cache; `None` where the system call is not to be had (older kernels, seccomp).
fn cached_pages(file: BorrowedFd<'_>, offset: u64, len: u64) -> Option<u64> {
    static UNAVAILABLE: AtomicBool = AtomicBool::new(false);
    if UNAVAILABLE.load(Ordering::Relaxed) {
        return None;
    }
    let range = CachestatRange { offset, len };
    let mut found = Cachestat::default();
    #[expect(unsafe_code, reason = "no crate wraps this system call")]
    // SAFETY: both structs have the layout of the kernel's and outlive the call, which writes to the second one only.
    let answer =
        unsafe { libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut found, 0_u32) };
    if answer == 0 {
        return Some(found.cached);
    }
    UNAVAILABLE.store(true, Ordering::Relaxed);
    None
}

/// Reads a range into the page cache and returns when it is there. Errors are left for the transfer to meet.
pub(super) async fn warm(file: Arc<dyn FileSource>, offset: u64, len: u64) {
    static GATE: Semaphore = Semaphore::const_new(READS_MAX);
    // The gate is never closed, and the pool fails only when the runtime ends: then sendfile may wait for the disk itself.
    let permit = GATE.acquire().await.ok();
    let read = tokio::task::spawn_blocking(move || {
        read_through(&file, offset, len);
        drop(permit);
    });
    let _ = read.await;
}

fn read_through(file: &Arc<dyn FileSource>, offset: u64, len: u64) {
    let Some(fd) = file.as_fd() else { return };
    let ahead = file.len().saturating_sub(offset).min(AHEAD.max(len));
    let _ = fadvise(fd, offset, NonZeroU64::new(ahead), Advice::WillNeed);
    let mut scratch = vec![0_u8; SCRATCH];
    let mut done = 0;
    while done < len {
        let take = scratch.len().min(usize::try_from(len - done).unwrap_or(usize::MAX));
        let Some(buffer) = scratch.get_mut(..take) else { return };
        match rustix::io::pread(fd, buffer, offset + done) {
            Ok(0) | Err(_) => return,
            Ok(read) => done += read as u64,
        }
    }
}
