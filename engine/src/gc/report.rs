//! What garbage collection did, does and would do, as plain values.

use crate::clock::UnixMillis;
use std::time::Duration;
use strata_types::{Digest, RepositoryName};

/// What is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum GcKind {
    /// A manifest that nothing names, out of its repository.
    Manifest,
    /// A blob that no manifest holds, out of its repository.
    Link,
    /// A blob that no repository has, out of the store. Its bytes count here.
    Blob,
    /// The bytes of a manifest that no repository has.
    ManifestBytes,
    /// An upload session whose time is over.
    Upload,
    /// A lease that has run out.
    Lease,
    /// The memory of a deletion that can no longer be undone.
    Undo,
    /// A file of a blob; its bytes are those that the file system got back, and were counted with the blob before.
    File,
    /// A segment file; its bytes are those that the file system got back.
    Segment,
}

impl GcKind {
    /// All of them, in a fixed order.
    pub const ALL: [Self; 9] = [
        Self::Manifest,
        Self::Link,
        Self::Blob,
        Self::ManifestBytes,
        Self::Upload,
        Self::Lease,
        Self::Undo,
        Self::File,
        Self::Segment,
    ];

    /// Its name in reports and metrics; names never change.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Link => "link",
            Self::Blob => "blob",
            Self::ManifestBytes => "manifest-bytes",
            Self::Upload => "upload",
            Self::Lease => "lease",
            Self::Undo => "undo",
            Self::File => "file",
            Self::Segment => "segment",
        }
    }
}

/// How many of one kind, and how many bytes they had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GcTally {
    /// How many.
    pub objects: u64,
    /// Bytes of content.
    pub bytes: u64,
}

/// A tally for each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GcCounts([GcTally; GcKind::ALL.len()]);

impl GcCounts {
    /// The tally of one kind.
    pub fn of(&self, kind: GcKind) -> GcTally {
        self.0.get(kind as usize).copied().unwrap_or_default()
    }

    /// Every kind with its tally.
    pub fn iter(&self) -> impl Iterator<Item = (GcKind, GcTally)> {
        GcKind::ALL.into_iter().zip(self.0)
    }

    /// Everything that was removed.
    pub fn objects(&self) -> u64 {
        self.0.iter().map(|tally| tally.objects).sum()
    }

    /// Bytes of content that are no longer kept: of blobs, manifests and uploads. Those of files and segments are the same bytes
    /// again, when the file system has them back.
    pub fn bytes(&self) -> u64 {
        let kinds = [GcKind::Blob, GcKind::ManifestBytes, GcKind::Upload];
        kinds.into_iter().map(|kind| self.of(kind).bytes).sum()
    }

    pub(crate) fn add(&mut self, kind: GcKind, bytes: u64) {
        self.add_many(kind, GcTally { objects: 1, bytes });
    }

    pub(crate) fn add_many(&mut self, kind: GcKind, more: GcTally) {
        if let Some(tally) = self.0.get_mut(kind as usize) {
            tally.objects += more.objects;
            tally.bytes += more.bytes;
        }
    }

    pub(crate) fn add_all(&mut self, more: &Self) {
        for (kind, tally) in more.iter() {
            self.add_many(kind, tally);
        }
    }
}

/// One thing that a run would remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcRemoval {
    /// What it is.
    pub kind: GcKind,
    /// The repository that it is removed from; `None` for what belongs to the whole store.
    pub repository: Option<RepositoryName>,
    /// The blob or manifest, where it is one.
    pub digest: Option<Digest>,
    /// Bytes of content that go with it; a link, a manifest of a repository and a lease have none.
    pub bytes: u64,
}

/// What a run would remove now, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcPlan {
    /// For which moment.
    pub at: UnixMillis,
    /// The removals, as many as were asked for.
    pub removals: Vec<GcRemoval>,
    /// Tallies of all of them.
    pub counts: GcCounts,
    /// Whether there is more than was asked for.
    pub cut: bool,
    /// Rows that were read for it.
    pub rows_read: u64,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GcReport {
    /// When it began.
    pub started_at: UnixMillis,
    /// How long it took, with the pauses that the rate asks for.
    pub took: Duration,
    /// What it removed.
    pub removed: GcCounts,
    /// Candidates that it looked at and that are needed.
    pub needed: u64,
    /// Candidates that it left for a later run: leased, seen by a client lately, or touched by somebody at the same moment.
    pub postponed: u64,
    /// Rows that it read.
    pub rows_read: u64,
    /// Rows that it wrote or removed.
    pub rows_written: u64,
    /// Bytes of live blobs that were moved out of segments that are mostly dead.
    pub bytes_moved: u64,
    /// Whether it was stopped before its end, because the store was closed.
    pub stopped: bool,
}

/// Where garbage collection stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GcStatus {
    /// Whether a run is under way.
    pub running: bool,
    /// Candidates in the queue at the end of the last run.
    pub queued: u64,
    /// Bytes that the end of the last run knew as garbage and that are not back yet: dead ones in segments, files to be removed.
    pub reclaimable_bytes: u64,
    /// What was removed since the store was opened.
    pub removed: GcCounts,
    /// Runs since the store was opened, those that failed too.
    pub runs: u64,
    /// Runs that failed.
    pub failures: u64,
    /// The last run that came to its end.
    pub last: Option<GcReport>,
    /// Why the last run failed, if it did.
    pub last_error: Option<String>,
}
