//! Metadata: one ordered key space of small versioned records, written through one commit queue.
//!
//! [`store`] is the seam at the level of bytes, [`rocks`] and `memory` stand behind it. [`view::View`] reads and
//! [`batch::Batch`] writes by meaning: its verbs keep every invariant between the tables ([`check`] proves them).
//! `docs/format.md` says what each key and record looks like, byte by byte. No manifest is parsed here.

#[cfg(test)]
mod arbitrary;
pub mod batch;
pub mod check;
pub(crate) mod codec;
#[cfg(any(test, feature = "sim"))]
pub mod contract;
pub mod digest;
mod feed;
pub mod format;
pub(crate) mod freshness;
pub mod key;
#[cfg(any(test, feature = "sim"))]
pub mod memory;
pub(crate) mod overlay;
mod queue;
pub mod record;
pub mod rocks;
pub mod store;
#[cfg(test)]
mod tests;
mod usage;
pub mod verb;
pub mod view;

pub use batch::{Batch, Durability, Expectation};
pub use digest::digest_of;
pub use feed::EventFeed;
pub(crate) use format::refuse_old;
pub use format::{FORMAT_VERSION, StoreIdentity, commit, identity, prepare};
pub use freshness::{Freshness, Moment, Proof};
#[cfg(any(test, feature = "sim"))]
pub use memory::MemoryStore;
pub use record::{
    BlobRecord, Damage, Edge, EdgeRole, Edges, Event, EventKind, FrameRecord, GcItem, GenerationOwner,
    HashState, Held, HistoryRecord, IngestRecord, LeaseId, LeaseRecord, LinkRecord, ManifestRecord,
    PinRecord, Placement, Quarantine, RepositoryRecord, RoleSet, ScrubRecord, ScrubRound, ScrubTally,
    SettingRecord, SinceRecord, StoredBlob, TagRecord, Target, TombstoneItem, TombstoneRecord, TrashRecord,
    Trashed, TrashedManifest, UploadRecord, Usage,
};
pub use rocks::{RocksConfig, RocksStore};
pub use store::{CommitDone, Committed, MetaStore, MetaView};
pub(crate) use usage::recount;
pub use verb::{Lost, ManifestPut, RepositoryRemoved, Restore};
pub use view::{Lease, Queued, View};
