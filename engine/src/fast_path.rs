//! Which fast paths the engine may take. Its disk, and what else has two ways, is told at open, probes, and says what became of it.
//!
//! A new one is a field of [`FastPaths`] with a setting of its name in the root crate, and an entry in what
//! [`crate::Engine::fast_paths`] gives.

/// Which fast paths the engine may take where the system has them. Each has a way beside it that works everywhere; what was
/// chosen is told by [`crate::Engine::fast_paths`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FastPaths {
    /// Large uploads are written past the page cache (`storage.direct-io`).
    pub direct_io: bool,
}

impl FastPaths {
    /// All that the system has.
    pub const AUTO: Self = Self { direct_io: true };
    /// None.
    pub const OFF: Self = Self { direct_io: false };
}
