//! Whether the registry can do its work, for `/readyz` and for people.

/// Whether the registry can do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Reads and writes are served.
    Ready,
    /// Reads are served, writes are refused.
    ReadOnly {
        /// Why, and what to do.
        why: String,
    },
}

impl Health {
    /// Whether reads and writes are served.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }
}
