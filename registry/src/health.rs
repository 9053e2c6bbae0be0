//! Whether the registry can do its work, for `/readyz` and for people.

use strata_engine::Health as StoreHealth;

/// Whether the registry can do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Reads and writes are served.
    Ready,
    /// Reads and deletions are served, and nothing that needs room, until there is some again.
    Full {
        /// How much is missing, and what to do.
        why: String,
    },
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

    pub(crate) fn of(store: &StoreHealth) -> Self {
        match store {
            StoreHealth::Ready => Self::Ready,
            StoreHealth::NoSpace { available, reserve } => Self::Full {
                why: format!(
                    "{available} bytes are free for the data directory, {reserve} are kept in reserve: free some space, or delete \
                     what is not needed; pulls and deletions go on"
                ),
            },
            StoreHealth::Poisoned { why } => Self::ReadOnly {
                why: format!("a write to the data directory failed: {why}. Check the disk, then restart"),
            },
            _ => Self::ReadOnly { why: "the store takes no writes".into() },
        }
    }
}
