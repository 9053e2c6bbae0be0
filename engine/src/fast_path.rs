//! Which fast paths the engine may take. Its disk, and what else has two ways, is told at open, probes, and says what became of it.
//!
//! A new one is a field of [`FastPaths`] with a setting of its name in the root crate, and an entry in what
//! [`crate::Engine::fast_paths`] gives.

use crate::disk::{Disk, RealDisk, RingDisk, RingUse};
use std::path::PathBuf;
use std::sync::Arc;
use strata_types::FastPath;

/// Which fast paths the engine may take where the system has them. Each has a way beside it that works everywhere; what was
/// chosen is told by [`crate::Engine::fast_paths`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FastPaths {
    /// Large uploads are written past the page cache (`storage.direct-io`).
    pub direct_io: bool,
    /// What reads and writes files (`storage.io`).
    pub io: Io,
}

/// What reads and writes files where that may take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// An io_uring for what it does better than threads, where the system has it.
    Auto,
    /// Threads.
    Threads,
    /// An io_uring for all that it can do, where the system has it.
    Ring,
}

impl FastPaths {
    /// All that the system has.
    pub const AUTO: Self = Self { direct_io: true, io: Io::Auto };
    /// None.
    pub const OFF: Self = Self { direct_io: false, io: Io::Threads };
}

/// Name of the setting of [`FastPaths::io`].
const IO: &str = "storage.io";

/// The disk of a data directory, and what was chosen for it. Blocks: a ring is tried on a file of the directory.
pub(crate) fn open_disk(directory: PathBuf, io: Io) -> (Arc<dyn Disk>, FastPath) {
    let (takes, what) = match io {
        Io::Threads => return (Arc::new(RealDisk::new(directory)), FastPath::switched_off(IO)),
        Io::Auto => (RingUse::BETTER, "io_uring takes short reads, threads the rest"),
        Io::Ring => (RingUse::ALL, "io_uring takes reads, writes and syncs"),
    };
    match RingDisk::start(&directory, takes) {
        Ok(disk) => (Arc::new(disk), FastPath::taken(IO, what)),
        Err(error) => {
            let why = format!("no io_uring here, threads do its work: {error}");
            (Arc::new(RealDisk::new(directory)), FastPath::refused(IO, why))
        }
    }
}
