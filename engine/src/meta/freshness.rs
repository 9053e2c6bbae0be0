//! Tells whether something that was read a while ago would be read the same now, for a few nanoseconds and without a read.
//!
//! The commit queue numbers its writes and notes, for every key that it changed, the number of the last write that did so; keys
//! share slots by their hash, so a slot may say "changed" of a key that was not, and never the other way round. Whoever read at a
//! known [`Moment`] gets a [`Proof`] that holds as long as none of the keys that he read has changed since.

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

    /// These keys were written. Called by the one commit thread, after the write is visible and before it is answered.
    // RACE: whoever heard of the write, or of anything that came after it, finds the slots changed already. Who reads between
    // the write and this call may still be told the old state, as if he had come a moment sooner: nobody was answered yet.
    pub(crate) fn changed<'a>(&self, keys: impl IntoIterator<Item = &'a Bytes>) {
        let number = self.last.load(Ordering::Relaxed).wrapping_add(1);
        for key in keys {
            if let Some(slot) = self.slots.get(usize::from(slot(key))) {
                slot.store(number, Ordering::Release);
            }
        }
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

    #[test]
    fn a_proof_ends_with_the_first_change_of_any_of_its_keys() {
        let freshness = Freshness::new();
        let keys = [key("a"), key("b"), key("c")];
        for changed in &keys {
            let proof = freshness.proof(freshness.moment(), &keys);
            assert!(proof.holds());
            freshness.changed([&key("elsewhere")]);
            assert!(proof.holds());
            freshness.changed([changed]);
            assert!(!proof.holds());
        }
        let again = freshness.proof(freshness.moment(), &keys);
        assert!(again.holds(), "read anew, it holds again");
    }

    #[test]
    fn a_write_after_the_moment_ends_the_proof_whether_it_was_seen_or_not() {
        let freshness = Freshness::new();
        let moment = freshness.moment();
        freshness.changed([&key("a")]);
        assert!(!freshness.proof(moment, &[key("a")]).holds());
        assert!(freshness.proof(moment, &[key("b")]).holds());
    }
}
