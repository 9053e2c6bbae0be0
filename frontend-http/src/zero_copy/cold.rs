//! Is a range of a file in the page cache, and if not, bring it there without stalling the connections of this thread.

use super::huge;
use crate::body::FileSource;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;

/// The most that is read in at once: two huge pages. The kernel begins with the next one by itself, so the disk always has work.
const WINDOW: u64 = 2 * huge::PIECE;

/// From this much on a range is read into huge pages. Those who want little shall not wait for the rest of 2 MiB.
const HUGE_MIN: u64 = 1 << 20;

/// Threads of the blocking pool that read ahead at the same time, for all connections.
const READS_MAX: usize = 16;

/// What such a thread reads into, and forgets.
const SCRATCH: usize = 256 << 10;

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
    let page = rustix::param::page_size() as u64;
    let mut samples = match cached_pages(file, offset, len) {
        // Asked first: reading a byte that is not there makes the kernel read some pages around it, small ones, and where those lie no
        // huge page fits any more.
        Some(cached) if cached <= last / page - offset / page => return false,
        Some(_) => (offset..=offset).step_by(1),
        None => (offset..=last).step_by(SAMPLE_STEP as usize),
    };
    // Pages count as cached as soon as they are being read. Read-ahead fills a range in order, so its last byte tells.
    samples.all(|at| is_byte_ready(file, at)) && is_byte_ready(file, last)
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

/// Up to where [`warm`] reads a range of `left` bytes at `offset` at once.
pub(super) fn window_end(offset: u64, left: u64) -> u64 {
    let end = offset.saturating_add(left);
    end.min((offset + WINDOW) / huge::PIECE * huge::PIECE)
}

/// Reads a range into the page cache and returns when it is there. Errors are left for the transfer to meet.
pub(super) async fn warm(file: Arc<dyn FileSource>, offset: u64, end: u64) {
    static GATE: Semaphore = Semaphore::const_new(READS_MAX);
    // The gate is never closed, and the pool fails only when the runtime ends: then sendfile may wait for the disk itself.
    let permit = GATE.acquire().await.ok();
    let read = tokio::task::spawn_blocking(move || {
        read_in(&file, offset, end);
        drop(permit);
    });
    let _ = read.await;
}

fn read_in(file: &Arc<dyn FileSource>, offset: u64, end: u64) {
    let Some(fd) = file.as_fd() else { return };
    let is_large = end.saturating_sub(offset) >= HUGE_MIN;
    if !(is_large && huge::read_in(fd, offset, end, file.len())) {
        read_through(fd, offset, end);
    }
}

/// The way that works for every file.
fn read_through(file: BorrowedFd<'_>, mut offset: u64, end: u64) {
    let mut scratch = vec![0_u8; SCRATCH];
    while offset < end {
        let take = scratch.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
        let Some(buffer) = scratch.get_mut(..take) else { return };
        match rustix::io::pread(file, buffer, offset) {
            Ok(0) | Err(_) => return,
            Ok(read) => offset += read as u64,
        }
    }
}

/// Drops what the page cache holds of a file, as far as the file system has one.
#[cfg(test)]
pub(super) fn evict(file: &std::fs::File) {
    file.sync_all().unwrap();
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    #[test]
    fn windows_end_where_huge_pages_do_or_with_the_range() {
        const MIB: u64 = 1 << 20;
        assert_eq!(window_end(0, 100 * MIB), 4 * MIB);
        assert_eq!(window_end(4 * MIB, 100 * MIB), 8 * MIB);
        assert_eq!(window_end(3 * MIB, 100 * MIB), 6 * MIB);
        assert_eq!(window_end(3 * MIB, MIB), 4 * MIB);
        assert_eq!(window_end(3 * MIB + 5, 7), 3 * MIB + 12);
        assert_eq!(window_end(0, 0), 0);
    }

    #[test]
    fn what_was_read_through_is_warm() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&vec![7; 3_000_001], 0).unwrap();
        evict(&file);
        read_through(file.as_fd(), 1_000_000, 3_000_001);
        assert!(is_warm(file.as_fd(), 1_000_000, 2_000_001));
    }
}
