//! Tells whether something that was read a while ago would be read the same now, for a few nanoseconds and without a read.
//!
//! The commit queue numbers its writes and notes, for every key that it changed, the number of the last write that did so; keys
//! share slots by their hash, so a slot may say "changed" of a key that was not, and never the other way round. Whoever read at a
//! known [`Moment`] gets a [`Proof`] that holds as long as none of the keys that he read has changed since.

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use xxhash_rust::xxh3::xxh3_64;

/// Slots that keys share. With 100,000 changed keys a second a slot changes about three times a second.
const SLOTS: usize = 1 << 15;

/// Most keys that one proof rests on.
const KEYS_MAX: usize = 3;

/// Which write changed what last. One per store.
pub struct Freshness {
    /// Number of the last write.
    last: AtomicU64,
    /// For each slot, the number of the last write that changed a key of it.
    slots: Box<[AtomicU64]>,
}

/// A point in the order of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(u64);

/// Holds as long as what was read at its moment would be read the same.
#[derive(Clone)]
pub struct Proof {
    freshness: Arc<Freshness>,
    since: u64,
    /// As many as there are keys; the last one repeats.
    slots: [u16; KEYS_MAX],
}

impl Freshness {
    /// Nothing was written yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { last: AtomicU64::new(0), slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() })
    }

    /// The present moment. To be taken before the view that is read through: a write in between then counts as later than the
    /// read, which costs a read more, where the other order would prove what is no longer true.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.last.load(Ordering::Acquire))
    }

    /// These keys are about to be written. Called by the one commit thread before the write, which [`changed`](Self::changed) ends.
    // RACE: the slots change before anybody can see the new state, so that nobody who has seen it, in whatever way, is told the old one by
    // a proof afterwards. The moment moves on only after the write: whoever reads in between proves nothing by what he read.
    pub(crate) fn changing<'a>(&self, keys: impl IntoIterator<Item = &'a Bytes>) {
        let number = self.last.load(Ordering::Relaxed).wrapping_add(1);
        for key in keys {
            if let Some(slot) = self.slots.get(usize::from(slot(key))) {
                slot.store(number, Ordering::Release);
            }
        }
        // Before the write of the store, whatever that is made of.
        fence(Ordering::SeqCst);
    }

    /// The write is over and, unless it failed, visible. Called before anybody is answered.
    pub(crate) fn changed(&self) {
        let number = self.last.load(Ordering::Relaxed).wrapping_add(1);
        self.last.store(number, Ordering::Release);
    }

    /// What was read of these keys (one to three) at `moment` or later.
    pub(crate) fn proof(self: &Arc<Self>, moment: Moment, keys: &[Bytes]) -> Proof {
        debug_assert!((1..=KEYS_MAX).contains(&keys.len()), "a proof rests on one to three keys");
        let mut slots = [0; KEYS_MAX];
        for (at, place) in slots.iter_mut().enumerate() {
            if let Some(key) = keys.get(at).or(keys.last()) {
                *place = slot(key);
            }
        }
        Proof { freshness: Arc::clone(self), since: moment.0, slots }
    }
}

impl Proof {
    /// Whether none of the keys has changed. `false` also now and then where another key has.
    pub fn holds(&self) -> bool {
        let unchanged = |slot: &u16| {
            let changed = self.freshness.slots.get(usize::from(*slot));
            changed.is_some_and(|changed| changed.load(Ordering::Acquire) <= self.since)
        };
        self.slots.iter().all(unchanged)
    }
}

fn slot(key: &[u8]) -> u16 {
    let low = xxh3_64(key) & (SLOTS as u64 - 1);
    u16::try_from(low).unwrap_or_default()
}

impl fmt::Debug for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Freshness").field("last", &self.last).finish_non_exhaustive()
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").field("holds", &self.holds()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn change(freshness: &Freshness, key: &Bytes) {
        freshness.changing([key]);
        freshness.changed();
    }

    #[test]
    fn a_proof_ends_before_the_write_is_seen_and_none_begins_before_it_is_over() {
        let freshness = Freshness::new();
        let keys = [key("a")];
        let before = freshness.proof(freshness.moment(), &keys);
        freshness.changing(&keys);
        assert!(!before.holds(), "the new state may be visible from here on");
        let between = freshness.proof(freshness.moment(), &keys);
        assert!(!between.holds(), "it may have read either state");
        freshness.changed();
        assert!(!before.holds() && !between.holds());
        assert!(freshness.proof(freshness.moment(), &keys).holds());
    }

    #[test]
    fn a_proof_ends_with_the_first_change_of_any_of_its_keys() {
        let freshness = Freshness::new();
        let keys = [key("a"), key("b"), key("c")];
        for changed in &keys {
            let proof = freshness.proof(freshness.moment(), &keys);
            assert!(proof.holds());
            change(&freshness, &key("elsewhere"));
            assert!(proof.holds());
            change(&freshness, changed);
            assert!(!proof.holds());
        }
        let again = freshness.proof(freshness.moment(), &keys);
        assert!(again.holds(), "read anew, it holds again");
    }

    #[test]
    fn a_write_after_the_moment_ends_the_proof_whether_it_was_seen_or_not() {
        let freshness = Freshness::new();
        let moment = freshness.moment();
        change(&freshness, &key("a"));
        assert!(!freshness.proof(moment, &[key("a")]).holds());
        assert!(freshness.proof(moment, &[key("b")]).holds());
    }
}
