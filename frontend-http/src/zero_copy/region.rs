//! The reserved address space that stand-ins point into. No page of it is ever used.

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use std::sync::OnceLock;

/// Sizes to try. The address space is not memory, but a process may be limited in it as well (`ulimit -v`).
const SIZES: [usize; 3] = [1 << 40, 1 << 36, 1 << 32];

/// Set to anything but `0`, the region is not readable. A debugging aid: a reference to memory that cannot be read is more
/// than the language promises to work.
const GUARD_VARIABLE: &str = "STRATA_ZERO_COPY_GUARD";

/// A range of addresses that belongs to nothing.
#[derive(Debug)]
pub(super) struct Region {
    base: usize,
    len: usize,
}

impl Region {
    /// The region of the process, reserved at the first call. `None` where the system does not give one; then nothing is sent
    /// without a copy.
    pub(super) fn get() -> Option<&'static Self> {
        static REGION: OnceLock<Option<Region>> = OnceLock::new();
        REGION.get_or_init(Self::reserve).as_ref()
    }

    fn reserve() -> Option<Self> {
        let guarded = std::env::var_os(GUARD_VARIABLE).is_some_and(|value| value != "0");
        let protection = if guarded { ProtFlags::empty() } else { ProtFlags::READ };
        let mut refused = None;
        for len in SIZES {
            #[expect(unsafe_code, reason = "mmap has no safe form")]
            // SAFETY: a new private anonymous mapping at an address of the kernel's choice touches no memory that exists.
            let mapped = unsafe {
                mmap_anonymous(std::ptr::null_mut(), len, protection, MapFlags::PRIVATE | MapFlags::NORESERVE)
            };
            match mapped {
                Ok(address) => return Some(Self { base: address as usize, len }),
                Err(error) => refused = Some(error),
            }
        }
        tracing::warn!(error = ?refused, "no address space for zero-copy sending: files are read instead");
        None
    }

    /// Size in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether a slice begins inside the region.
    pub(super) fn holds(&self, slice: &[u8]) -> bool {
        (slice.as_ptr() as usize).wrapping_sub(self.base) < self.len
    }

    /// The offset of the first byte of a slice that the region [holds](Self::holds).
    pub(super) fn offset(&self, slice: &[u8]) -> usize {
        (slice.as_ptr() as usize).wrapping_sub(self.base)
    }

    /// The stand-in of `len` bytes at `offset`; shorter where it would leave the region.
    pub(super) fn slice(&self, offset: usize, len: usize) -> &'static [u8] {
        let offset = offset.min(self.len);
        let len = len.min(self.len - offset);
        let start = std::ptr::with_exposed_provenance::<u8>(self.base + offset);
        #[expect(unsafe_code, reason = "a slice of a mapping that Rust did not allocate")]
        // SAFETY: the range lies inside a mapping that is readable zeros (but see `GUARD_VARIABLE`), never written, never unmapped.
        unsafe {
            std::slice::from_raw_parts(start, len)
        }
    }
}
