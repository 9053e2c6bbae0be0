//! Figures for metrics: what the registry and its store did since the start. Reading them costs a few loads.

use crate::credential::Gate;
use crate::registry::Registry;
use std::sync::atomic::{AtomicU64, Ordering};
use strata_engine::{EngineMetrics, GcKind, GcStatus};

/// How a figure behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureKind {
    /// Only grows, from 0 at the start.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// Its name: `snake_case`, without the product's prefix and without a suffix for its kind. Names never change.
    pub name: &'static str,
    /// What it counts, with its unit.
    pub help: &'static str,
    /// How it behaves.
    pub kind: FigureKind,
    /// Its value.
    pub value: u64,
}

/// A count that grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the service layer counts itself.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) manifests_pushed: Counter,
    pub(crate) manifests_pulled: Counter,
    pub(crate) manifests_refused: Counter,
    pub(crate) manifests_deleted: Counter,
    pub(crate) tags_deleted: Counter,
    pub(crate) repositories_deleted: Counter,
    pub(crate) deletions_undone: Counter,
    pub(crate) blobs_pushed: Counter,
    pub(crate) blobs_pulled: Counter,
    pub(crate) blobs_deleted: Counter,
    pub(crate) content_deleted: Counter,
    pub(crate) mounts: Counter,
    pub(crate) mounts_missed: Counter,
    pub(crate) conflicts: Counter,
    pub(crate) refusals_dropped: Counter,
}

impl Registry {
    /// All figures, in a fixed order.
    pub fn figures(&self) -> Vec<Figure> {
        let own = self.counters();
        let store = self.engine().metrics();
        let gc = self.engine().gc_status();
        let counter = |name, help, value| Figure { name, help, kind: FigureKind::Counter, value };
        let gauge = |name, help, value| Figure { name, help, kind: FigureKind::Gauge, value };
        let mut figures = vec![
            counter("manifests_pushed", "Manifests pushed.", own.manifests_pushed.get()),
            counter("manifests_pulled", "Manifests read by GET.", own.manifests_pulled.get()),
            counter(
                "manifests_refused",
                "Manifests refused as invalid or incomplete.",
                own.manifests_refused.get(),
            ),
            counter("manifests_deleted", "Manifests deleted.", own.manifests_deleted.get()),
            counter("tags_deleted", "Tags deleted by name.", own.tags_deleted.get()),
            counter("blobs_pushed", "Blobs pushed by upload.", own.blobs_pushed.get()),
            counter("blobs_pulled", "Blobs opened for GET.", own.blobs_pulled.get()),
            counter("content_deleted", "Content that was no longer pinned.", own.content_deleted.get()),
            counter("blobs_deleted", "Blobs deleted from a repository.", own.blobs_deleted.get()),
            counter("blobs_mounted", "Blobs mounted from another repository.", own.mounts.get()),
            counter(
                "mounts_missed",
                "Mounts that found no blob and became uploads.",
                own.mounts_missed.get(),
            ),
            counter("commit_conflicts", "Commits tried again after a lost race.", own.conflicts.get()),
            counter(
                "uploads_expired",
                "Upload sessions removed after their time.",
                gc.removed.of(GcKind::Upload).objects,
            ),
            counter("store_blobs_stored", "Uploads finished with a new blob.", store.blobs_stored),
            counter(
                "store_blobs_deduplicated",
                "Uploads finished with a known blob.",
                store.blobs_deduplicated,
            ),
            counter("store_bytes_stored", "Bytes of new blobs.", store.bytes_stored),
            counter(
                "store_digest_mismatches",
                "Uploads whose bytes were not their digest's.",
                store.digest_mismatches,
            ),
            counter("store_uploads_abandoned", "Uploads given up before their end.", store.uploads_abandoned),
            counter("store_sessions_started", "Upload sessions started.", store.sessions_started),
            counter("store_checkpoints", "Checkpoints of upload sessions.", store.checkpoints),
            counter(
                "store_segment_appends",
                "Appends to segment files, one sync each.",
                store.segment_appends,
            ),
            counter("store_segment_frames", "Small blobs that those appends carried.", store.segment_frames),
            counter("store_blobs_opened", "Blobs opened for reading.", store.blobs_opened),
            counter("store_reads_inline", "Small reads answered from memory.", store.reads_inline),
            counter("store_reads_deferred", "Reads that had to ask the device.", store.reads_deferred),
            counter("store_corruptions", "Reads that found stored bytes damaged.", store.corruptions),
            gauge("store_buffers_used", "Upload buffers in use.", store.buffers_used),
            gauge("store_buffers_max", "Upload buffers that there are at most.", store.buffers_max),
            gauge("store_uploads_open", "Uploads that are being written.", store.writers),
            gauge("store_files_open", "Blob files held open for readers.", store.files_open),
            gauge("store_backups", "Backups under way; each holds back the removal of files.", store.backups),
            gauge("store_space_available_bytes", "Free space for the data directory.", store.space_available),
            gauge("store_space_total_bytes", "Size of the data directory's file system.", store.space_total),
        ];
        figures.extend(damage(&store));
        figures.extend(collection(&gc));
        figures.extend(deletions(own).into_iter().chain([logins(self.gate()), refusals(own)]));
        figures
    }
}

/// The figures of bytes that went bad, and of looking for them.
fn damage(store: &EngineMetrics) -> Vec<Figure> {
    let counter = |name, help, value| Figure { name, help, kind: FigureKind::Counter, value };
    let help = "Blobs that are in quarantine.";
    vec![
        counter("store_blobs_quarantined", "Blobs put into quarantine.", store.blobs_quarantined),
        counter("store_blobs_healed", "Damaged blobs that have good bytes again.", store.blobs_healed),
        Figure { name: "store_quarantined", help, kind: FigureKind::Gauge, value: store.quarantined },
        counter("store_scrubbed_bytes", "Bytes that the scrub read.", store.scrubbed_bytes),
        counter("store_scrub_rounds", "Rounds of the scrub that ended.", store.scrub_rounds),
        counter("store_reads_verified", "Large blobs verified before sending.", store.reads_verified),
    ]
}

/// The figures of deletions that are not one manifest, tag or blob.
fn deletions(own: &Counters) -> [Figure; 2] {
    let counter = |name, help, value| Figure { name, help, kind: FigureKind::Counter, value };
    let (repositories, undone) = (own.repositories_deleted.get(), own.deletions_undone.get());
    [
        counter("repositories_deleted", "Repositories deleted with all that they had.", repositories),
        counter("deletions_undone", "Deletions of manifests and tags that were undone.", undone),
    ]
}

/// What the audit log does not tell.
fn refusals(own: &Counters) -> Figure {
    let help = "Refusals that the audit log has no entry of, as there were too many.";
    let (name, value) = ("audit_refusals_dropped", own.refusals_dropped.get());
    Figure { name, help, kind: FigureKind::Counter, value }
}

/// What logging in costs.
fn logins(gate: Option<&Gate>) -> Figure {
    let help = "Secrets hashed, to be compared with an access key's.";
    Figure { name: "secrets_hashed", help, kind: FigureKind::Counter, value: gate.map_or(0, Gate::hashes) }
}

/// The figures of garbage collection.
fn collection(gc: &GcStatus) -> Vec<Figure> {
    let removed = |kind| gc.removed.of(kind);
    let last = gc.last.as_ref();
    let counters = [
        ("gc_runs", "Runs of garbage collection.", gc.runs),
        ("gc_failures", "Runs of garbage collection that failed.", gc.failures),
        ("gc_manifests_removed", "Untagged manifests removed.", removed(GcKind::Manifest).objects),
        ("gc_links_removed", "Unused blobs taken out of a repository.", removed(GcKind::Link).objects),
        ("gc_blobs_removed", "Blobs removed from the store.", removed(GcKind::Blob).objects),
        ("gc_files_removed", "Files of blobs removed from the disk.", removed(GcKind::File).objects),
        ("gc_segments_removed", "Files of small blobs removed.", removed(GcKind::Segment).objects),
        ("gc_leases_expired", "Leases removed after their time.", removed(GcKind::Lease).objects),
        ("gc_undo_expired", "Deletions that can no longer be undone.", removed(GcKind::Undo).objects),
        ("gc_reclaimed_bytes", "Bytes of content removed from the store.", gc.removed.bytes()),
    ];
    let gauges = [
        ("gc_running", "Whether a run is under way.", u64::from(gc.running)),
        ("gc_queue", "Candidates in the queue after the last run.", gc.queued),
        ("gc_reclaimable_bytes", "Bytes known as garbage after the last run.", gc.reclaimable_bytes),
        (
            "gc_last_run_seconds",
            "When the last run began, seconds since 1970.",
            last.map_or(0, |last| last.started_at.0 / 1000),
        ),
        (
            "gc_last_run_milliseconds",
            "How long the last run took.",
            last.map_or(0, |last| u64::try_from(last.took.as_millis()).unwrap_or(u64::MAX)),
        ),
    ];
    let figure = |kind| move |(name, help, value)| Figure { name, help, kind, value };
    let counters = counters.into_iter().map(figure(FigureKind::Counter));
    counters.chain(gauges.into_iter().map(figure(FigureKind::Gauge))).collect()
}
