//! How much of each segment is dead: a sum per segment, built once from the tombstones of frames and kept up to date in memory.
//!
//! Only a hint where it is worth looking; what may be removed is decided by rows.

use crate::error::EngineError;
use crate::limits::PAGE_ROWS;
use crate::meta::{Placement, TombstoneItem, View};
use crate::sync::lock;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The sums; `None` until they are asked for first.
#[derive(Debug, Default)]
pub(crate) struct Dead(Mutex<Option<BTreeMap<u32, u64>>>);

impl Dead {
    /// Reads the tombstones, unless that was done before.
    ///
    /// # Errors
    /// Errors of the view.
    pub(crate) fn load(&self, view: &View) -> Result<(), EngineError> {
        if lock(&self.0).is_some() {
            return Ok(());
        }
        let mut sums = BTreeMap::<u32, u64>::new();
        let mut after = TombstoneItem::File { generation: u64::MAX };
        loop {
            let page = view.tombstones(Some(after), PAGE_ROWS)?;
            let full = page.len() == PAGE_ROWS;
            for (item, record) in page {
                after = item;
                if let TombstoneItem::Frame { segment, .. } = item {
                    *sums.entry(segment).or_default() += record.length;
                }
            }
            if !full {
                break;
            }
        }
        // What died meanwhile may be counted not at all, until the next start, which a hint may.
        lock(&self.0).get_or_insert(sums);
        Ok(())
    }

    /// Counts a frame whose tombstone is committed.
    pub(crate) fn add(&self, place: &Placement) {
        if let (Placement::Segment { segment, length, .. }, Some(sums)) = (place, lock(&self.0).as_mut()) {
            *sums.entry(*segment).or_default() += u64::from(*length);
        }
    }

    /// Segments with at least so many dead bytes.
    pub(crate) fn above(&self, bytes: u64) -> Vec<(u32, u64)> {
        let sums = lock(&self.0);
        let all = sums.iter().flatten().map(|(segment, dead)| (*segment, *dead));
        all.filter(|(_, dead)| *dead >= bytes).collect()
    }

    /// Dead bytes of all segments.
    pub(crate) fn total(&self) -> u64 {
        lock(&self.0).iter().flatten().map(|(_, dead)| dead).sum()
    }

    /// Leaves a segment out from now on: it is gone, or there is nothing to be done about it.
    pub(crate) fn forget(&self, segment: u32) {
        if let Some(sums) = lock(&self.0).as_mut() {
            sums.remove(&segment);
        }
    }
}
