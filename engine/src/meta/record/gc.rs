//! What garbage collection needs: leases, the queue of what to look at again, tombstones.

use super::Record;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::codec::{Reader, Writer};
use std::fmt;
use strata_types::{Digest, RepositoryName};

/// Names a lease: 16 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub [u8; 16]);

impl fmt::Debug for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// A digest is kept alive, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Until when.
    pub expires_at: UnixMillis,
}

impl Record for LeaseRecord {
    const NAME: &'static str = "lease";

    fn write(&self, to: &mut Writer) {
        to.time(self.expires_at);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self { expires_at: from.time()? })
    }
}

/// What the sweeper looks at again: it may have become garbage. Stands in the key; the row's value is empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GcItem {
    /// A blob's link in a repository: was it referenced since, or is it still?
    Link {
        /// The repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// A manifest of a repository: does a tag or another manifest still name it?
    Manifest {
        /// The repository.
        repository: RepositoryName,
        /// The manifest.
        digest: Digest,
    },
    /// A blob of the store: is it linked anywhere?
    Blob {
        /// The blob.
        digest: Digest,
    },
    /// A manifest's bytes: is it in any repository?
    ManifestBytes {
        /// The manifest.
        digest: Digest,
    },
}

/// Stored bytes that no blob names any more and that are to be removed. Stands in the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TombstoneItem {
    /// The file of a generation.
    File {
        /// The file's number.
        generation: u64,
    },
    /// A frame of a segment.
    Frame {
        /// The segment's number.
        segment: u32,
        /// Where the frame starts, bytes.
        offset: u64,
    },
    /// A whole segment file, of which no row names a frame any more.
    Segment {
        /// The segment's number.
        segment: u32,
    },
}

/// Since when something is queued for garbage collection: an entry of an earlier time means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinceRecord {
    /// The time of the entry that counts.
    pub at: UnixMillis,
}

impl Record for SinceRecord {
    const NAME: &'static str = "queued since";

    fn write(&self, to: &mut Writer) {
        to.time(self.at);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self { at: from.time()? })
    }
}

/// When and what a tombstone frees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TombstoneRecord {
    /// When the bytes became garbage.
    pub at: UnixMillis,
    /// How many they are.
    pub length: u64,
}

impl Record for TombstoneRecord {
    const NAME: &'static str = "tombstone";

    fn write(&self, to: &mut Writer) {
        to.time(self.at);
        to.u64(self.length);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self { at: from.time()?, length: from.u64()? })
    }
}
