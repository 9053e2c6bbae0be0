//! One filled buffer on its way: hashed and summed by one thread, written by another, given back when both are done.

use super::buffer::Buffer;
use super::flow::{Flow, Passage};
use super::hasher::Hasher;
use crate::blob::checksum_part;
use crate::meta::HashState;
use crate::sync::lock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::OwnedSemaphorePermit;

/// Bytes that hash and checksum go over in turns: what the first has read is still in the core's cache for the second.
const PASS_BYTES: usize = 64 * 1024;

/// Receives the hash state behind a certain extent.
pub(crate) type SnapshotSlot = Arc<Mutex<Option<HashState>>>;

/// A filled buffer and where it belongs.
#[derive(Debug)]
pub(crate) struct Extent {
    buffer: Buffer,
    offset: u64,
    left: AtomicU8,
    snapshot: Option<SnapshotSlot>,
    /// The checksum of the stretch that the extent belongs to.
    sum: Arc<AtomicU64>,
    passages: [Passage; 2],
    _permit: OwnedSemaphorePermit,
}

impl Extent {
    /// An extent on its way for the upload (the first passage) and for the stretch between two of its checkpoints (the second).
    pub(crate) const fn new(
        buffer: Buffer,
        offset: u64,
        passages: [Passage; 2],
        snapshot: Option<SnapshotSlot>,
        sum: Arc<AtomicU64>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self { buffer, offset, left: AtomicU8::new(2), snapshot, sum, passages, _permit: permit }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.filled()
    }

    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) const fn flow(&self) -> &Arc<Flow> {
        let [upload, _] = &self.passages;
        upload.flow()
    }

    /// Takes the bytes into the hash and adds their checksum, and keeps the state of the hash where a checkpoint asked for it.
    pub(crate) fn digest(&self, hasher: &mut Hasher) {
        let mut sum = 0_u64;
        for (block, offset) in self.passes() {
            hasher.update(block);
            sum = sum.wrapping_add(checksum_part(block, offset));
        }
        self.digested(hasher, sum);
    }

    /// The same for two extents of different uploads at once.
    pub(crate) fn digest_both([left, right]: [&Self; 2], mut hashers: [&mut Hasher; 2]) {
        let mut sums = [0_u64; 2];
        let mut passes = [left.passes(), right.passes()];
        loop {
            let next = passes.each_mut().map(Iterator::next);
            let blocks = next.map(|pass| pass.map_or(&[][..], |(block, _)| block));
            Hasher::update_both(hashers.each_mut().map(|hasher| &mut **hasher), blocks);
            if next == [None; 2] {
                break;
            }
            for (sum, pass) in sums.iter_mut().zip(next) {
                *sum = sum.wrapping_add(pass.map_or(0, |(block, offset)| checksum_part(block, offset)));
            }
        }
        for ((extent, hasher), sum) in [left, right].into_iter().zip(hashers).zip(sums) {
            extent.digested(hasher, sum);
        }
    }

    /// The bytes in pieces, each with its offset.
    fn passes(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.bytes().chunks(PASS_BYTES).zip((self.offset..).step_by(PASS_BYTES))
    }

    fn digested(&self, hasher: &Hasher, sum: u64) {
        self.sum.fetch_add(sum, Ordering::AcqRel);
        if let Some(slot) = &self.snapshot {
            *lock(slot) = Some(hasher.export());
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
            self.passages.iter().for_each(Passage::done);
        }
    }
}
