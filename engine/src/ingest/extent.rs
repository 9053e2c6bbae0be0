//! One filled buffer on its way: hashed by one thread, written by another, given back when both are done.

use super::buffer::Buffer;
use super::flow::{Flow, Passage};
use super::hasher::Running;
use crate::meta::HashState;
use crate::sync::lock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::OwnedSemaphorePermit;

/// State of hash and checksum at the end of an extent.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) hash: HashState,
    pub(crate) folded: u64,
}

/// Receives the hash state behind a certain extent.
pub(crate) type SnapshotSlot = Arc<Mutex<Option<Snapshot>>>;

/// A filled buffer and where it belongs.
#[derive(Debug)]
pub(crate) struct Extent {
    buffer: Buffer,
    offset: u64,
    left: AtomicU8,
    snapshot: Option<SnapshotSlot>,
    passage: Passage,
    /// The stretch between two checkpoints that the extent belongs to, in a session.
    stretch: Option<Passage>,
    _permit: OwnedSemaphorePermit,
}

impl Extent {
    pub(crate) fn new(buffer: Buffer, offset: u64, passage: Passage, permit: OwnedSemaphorePermit) -> Self {
        Self {
            buffer,
            offset,
            left: AtomicU8::new(2),
            snapshot: None,
            passage,
            stretch: None,
            _permit: permit,
        }
    }

    /// Counts the extent into a stretch between two checkpoints; the last one of it takes a snapshot.
    pub(crate) fn in_stretch(mut self, stretch: Passage, snapshot: Option<SnapshotSlot>) -> Self {
        self.stretch = Some(stretch);
        self.snapshot = snapshot;
        self
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.filled()
    }

    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) const fn flow(&self) -> &Arc<Flow> {
        self.passage.flow()
    }

    /// Keeps the state of the hash, where a checkpoint asked for it.
    pub(crate) fn snapshot(&self, running: &Running) {
        if let Some(slot) = &self.snapshot {
            let hash = running.hasher.export();
            *lock(slot) = Some(Snapshot { hash, folded: running.checksum.folded() });
        }
    }

    /// Says that the extent is hashed.
    pub(crate) fn hashed(&self) {
        self.step();
    }

    /// Says that the extent is written.
    pub(crate) fn written(&self) {
        self.step();
    }

    fn step(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.passage.done();
            if let Some(stretch) = &self.stretch {
                stretch.done();
            }
        }
    }
}
