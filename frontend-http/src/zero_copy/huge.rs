//! Bringing file content into the page cache in pieces of 2 MiB.
//!
//! How the page cache holds a file is decided when it is read in, and paid for at every sending: pages of 4 KiB cost twice the
//! time of large ones, and reading them in costs ten times as much. The kernel takes the largest it has for a mapping that asks for
//! huge pages, whatever the system's default for those. So a range is mapped, asked for and unmapped again; not one byte
//! of the mapping is touched from here, so nothing can go wrong in it.

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use std::ffi::c_void;
use std::os::fd::BorrowedFd;
use std::ptr::null_mut;
use std::sync::LazyLock;

/// The size of a huge page where it is not larger.
pub(super) const PIECE: u64 = 2 << 20;

/// Whether the kernel knows how: Linux 5.14, built with huge pages.
static AVAILABLE: LazyLock<bool> = LazyLock::new(|| match probe() {
    Ok(()) => true,
    Err(error) => {
        tracing::info!(%error, "cold files are not read into huge pages here, but into those that reading gives");
        false
    }
});

/// Reads `offset..end` of a file that is `len` long into the page cache, widened to whole pieces, and returns when it is there.
/// Returns whether that was to be had: not every file can be mapped, and a disk that fails is for the transfer to meet.
pub(super) fn read_in(file: BorrowedFd<'_>, offset: u64, end: u64, len: u64) -> bool {
    if !*AVAILABLE {
        return false;
    }
    (offset - offset % PIECE..end.min(len)).step_by(PIECE as usize).all(|piece| {
        let size = usize::try_from((len - piece).min(PIECE)).unwrap_or(PIECE as usize);
        read_piece(file, piece, size).is_ok()
    })
}

fn read_piece(file: BorrowedFd<'_>, offset: u64, size: usize) -> Result<(), Errno> {
    #[expect(unsafe_code, reason = "mmap has no safe form")]
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory that exists. No reference into it is made, so it
    // does not matter who changes or cuts the file.
    let mapping = unsafe { mmap(null_mut(), size, ProtFlags::READ, MapFlags::SHARED, file, offset) }?;
    populate(mapping, size)
}

/// Tries it with memory of no file.
fn probe() -> Result<(), Errno> {
    let size = rustix::param::page_size();
    #[expect(unsafe_code, reason = "mmap has no safe form")]
    // SAFETY: as in `read_piece`.
    let mapping = unsafe { mmap_anonymous(null_mut(), size, ProtFlags::READ, MapFlags::PRIVATE) }?;
    populate(mapping, size)
}

/// Has the pages of a fresh mapping read in as huge as they can be, and unmaps it.
fn populate(mapping: *mut c_void, size: usize) -> Result<(), Errno> {
    #[expect(unsafe_code, reason = "madvise has no safe form")]
    // SAFETY: both advices change nothing that a program can see, and the range is a mapping that the caller has just made and nobody
    // else knows. Past the end of a file that was cut the second is an error, not a signal.
    let read = unsafe {
        madvise(mapping, size, Advice::LinuxHugepage)
            .and_then(|()| madvise(mapping, size, Advice::LinuxPopulateRead))
    };
    #[expect(unsafe_code, reason = "munmap has no safe form")]
    // SAFETY: the mapping from above, into which there are no references.
    let unmapped = unsafe { munmap(mapping, size) };
    read.and(unmapped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zero_copy::cold::{evict, is_warm};
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    #[test]
    fn what_is_read_in_is_warm_and_nothing_is_changed() {
        let mut file: File = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..5_000_011_u32).map(|i| (i >> 3) as u8).collect();
        file.write_all(&content).unwrap();
        let len = content.len() as u64;
        evict(&file);
        for (offset, end) in [(0, 1), (2_100_000, 2_200_000), (4_999_999, len), (0, len)] {
            assert_eq!(read_in(file.as_fd(), offset, end, len), *AVAILABLE);
            if !*AVAILABLE {
                return;
            }
            assert!(is_warm(file.as_fd(), offset, end - offset), "{offset}..{end}");
        }
        let mut after = vec![0; content.len()];
        file.read_exact_at(&mut after, 0).unwrap();
        assert!(after == content);
    }

    #[test]
    fn a_file_that_was_cut_is_no_signal() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(3 << 20).unwrap();
        file.set_len(100).unwrap();
        assert!(!read_in(file.as_fd(), 0, 3 << 20, 3 << 20), "the part that is gone cannot be read");
        assert_eq!(read_in(file.as_fd(), 0, 100, 100), *AVAILABLE);
    }

    #[test]
    fn what_cannot_be_mapped_is_left_to_reading() {
        let directory = File::open(".").unwrap();
        assert!(!read_in(directory.as_fd(), 0, 100, 100));
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"some", 0).unwrap();
        assert_eq!(read_in(file.as_fd(), 0, 4, 4), *AVAILABLE, "one file says nothing about the others");
    }
}
