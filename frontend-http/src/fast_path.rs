//! Which fast paths the frontend may take, and which it takes.
//!
//! A new one is a field of [`FastPaths`] with a setting of its name in the root crate, and an entry of [`FastPaths::chosen`]
//! that says after a probe what became of it. Nothing else decides: connections look at what was chosen.

use crate::{congestion, intake, zero_copy};
use strata_types::FastPath;

/// Which fast paths the frontend may take where the system has them. Each has a way beside it that works everywhere; what was
/// chosen is told by [`crate::Server::fast_paths`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FastPaths {
    /// Files go to plain HTTP/1 clients by sendfile (`http.zero-copy`).
    pub zero_copy: bool,
    /// Connections from this machine are not paced by timers (`http.local-unpaced`).
    pub local_unpaced: bool,
    /// Large bodies of known length are read past hyper on plain HTTP/1 (`http.direct-bodies`).
    pub direct_bodies: bool,
}

impl FastPaths {
    /// All that the system has.
    pub const AUTO: Self = Self { zero_copy: true, local_unpaced: true, direct_bodies: true };
    /// None.
    pub const OFF: Self = Self { zero_copy: false, local_unpaced: false, direct_bodies: false };
}

impl Default for FastPaths {
    fn default() -> Self {
        Self::AUTO
    }
}

impl FastPaths {
    /// What becomes of each here, and why.
    pub(crate) fn chosen(self) -> Vec<FastPath> {
        vec![
            zero_copy::fast_path(self.zero_copy),
            congestion::fast_path(self.local_unpaced),
            intake::fast_path(self.direct_bodies),
        ]
    }
}
