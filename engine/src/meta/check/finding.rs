//! What a check can find.

use crate::meta::record::Quarantine;
use bytes::Bytes;
use std::fmt;
use strata_types::Digest;

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The row: its table and what its key names; a key that cannot be understood with `\xNN` for unprintable bytes.
    pub key: String,
    /// The key's bytes.
    pub(crate) row: Bytes,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The store cannot read it, or what follows it in its table.
    Unreadable {
        /// What the store says.
        why: String,
    },
    /// Its key or value is no record of this format.
    Undecodable {
        /// What the decoder says.
        why: String,
    },
    /// A row that belongs to it is not there.
    Missing {
        /// What the other row is.
        what: &'static str,
        /// Its key.
        key: String,
        /// The key's bytes.
        row: Bytes,
    },
    /// A row that belongs to it says something else.
    Disagrees {
        /// About what.
        what: &'static str,
    },
    /// A manifest's bytes are not what its digest names.
    WrongDigest {
        /// What they are.
        actual: Digest,
    },
    /// Events are missing before this one.
    EventGap {
        /// The number of the event before.
        after: u64,
    },
    /// A figure is not what a count shows.
    Miscounted {
        /// What is counted.
        what: &'static str,
        /// What the row says; 0 where it is missing.
        says: u64,
        /// What there is.
        counted: u64,
    },
    /// Nothing keeps it, and it is not on the queue of garbage collection: it would stay for ever.
    NotQueued,
    /// A blob whose bytes are bad, and known to be: it is not served until it is healed.
    Quarantined {
        /// Since when, and what was found.
        quarantine: Quarantine,
    },
    /// A manifest holds what the repository has not: a sparse index, or a blob that was deleted on purpose.
    Dangling {
        /// What is not there.
        digest: Digest,
    },
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Can come about in a healthy store.
    Note,
    /// A promise is broken.
    Error,
}

impl Finding {
    /// How bad it is.
    pub const fn severity(&self) -> Severity {
        match self.problem {
            Problem::Dangling { .. } => Severity::Note,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { why } => write!(f, "cannot be read: {why}"),
            Self::Undecodable { why } => write!(f, "cannot be understood: {why}"),
            Self::Missing { what, key, .. } => write!(f, "{what} is missing ({key})"),
            Self::Disagrees { what } => write!(f, "disagrees with {what}"),
            Self::WrongDigest { actual } => write!(f, "its bytes have digest {actual}"),
            Self::EventGap { after } => write!(f, "events between {after} and this one are missing"),
            Self::Miscounted { what, says, counted } => {
                write!(f, "says {says} {what}, a count shows {counted}")
            }
            Self::NotQueued => write!(f, "is kept by nothing, and garbage collection does not know of it"),
            Self::Quarantined { quarantine: Quarantine { damage, at } } => {
                write!(f, "in quarantine since {} ({})", at.0, damage.as_str())
            }
            Self::Dangling { digest } => write!(f, "holds {digest}, which is not in the repository"),
        }
    }
}
