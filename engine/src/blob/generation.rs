//! Generations: the numbers that name blob files. Never handed out twice in a process; those not settled yet are known.
//!
//! A generation is *settled* when a committed row names it, or when its file is gone for good. The watermark (every number
//! below it is settled) is what lets recovery look at a few directories only.

use crate::limits::FILES_PER_DIRECTORY;
use crate::sync::lock;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;

/// The directory of all blob files.
pub(crate) const BLOBS: &str = "blobs";

/// The directory, among those of blob files, that holds a generation.
pub(crate) const fn directory_of(generation: u64) -> u64 {
    generation / FILES_PER_DIRECTORY
}

/// Path of a directory of blob files.
pub(crate) fn directory_path(directory: u64) -> PathBuf {
    PathBuf::from(format!("{BLOBS}/{directory:08x}"))
}

/// Path of a generation's file.
pub(crate) fn file_path(generation: u64) -> PathBuf {
    PathBuf::from(format!("{BLOBS}/{:08x}/{generation:016x}", directory_of(generation)))
}

/// Reads a number that a name spells: exactly `digits` or more lower-case hexadecimal digits, in the one way it is written.
pub(crate) fn parse_name(name: &str, digits: usize) -> Option<u64> {
    let number = u64::from_str_radix(name, 16).ok()?;
    (format!("{number:0digits$x}") == name).then_some(number)
}

#[derive(Debug)]
struct State {
    next: u64,
    unsettled: BTreeSet<u64>,
    /// Settled since the watermark was last written.
    settled_since: u64,
}

/// Hands out generations.
#[derive(Debug)]
pub(crate) struct Generations(Mutex<State>);

impl Generations {
    /// Goes on at `next`; everything below is settled.
    pub(crate) const fn new(next: u64) -> Self {
        Self(Mutex::new(State { next, unsettled: BTreeSet::new(), settled_since: 0 }))
    }

    /// A number that no file has, unsettled from now on.
    pub(crate) fn begin(&self) -> u64 {
        let mut state = lock(&self.0);
        let generation = state.next;
        state.next += 1;
        state.unsettled.insert(generation);
        generation
    }

    /// Says that a generation is settled.
    pub(crate) fn settle(&self, generation: u64) {
        let mut state = lock(&self.0);
        if state.unsettled.remove(&generation) {
            state.settled_since += 1;
        }
    }

    /// The watermark: all below are settled. A batch that carries it must be built after this call.
    pub(crate) fn settled(&self) -> u64 {
        let state = lock(&self.0);
        state.unsettled.first().copied().unwrap_or(state.next)
    }

    /// The watermark, if `step` generations were settled since it was last asked for in this way.
    pub(crate) fn settled_every(&self, step: u64) -> Option<u64> {
        let mut state = lock(&self.0);
        if state.settled_since < step {
            return None;
        }
        state.settled_since = 0;
        Some(state.unsettled.first().copied().unwrap_or(state.next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        assert_eq!(file_path(0x1_2345), PathBuf::from("blobs/00000012/0000000000012345"));
        assert_eq!(parse_name("0000000000012345", 16), Some(0x1_2345));
        assert_eq!(parse_name("123456789", 8), Some(0x1_2345_6789), "longer than padded");
        for wrong in ["", "12345", "000000000001234G", "00000000000ABCDE", "+000000000012345", "lost+found"] {
            assert_eq!(parse_name(wrong, 16), None, "{wrong}");
        }
    }

    #[test]
    fn the_watermark_waits_for_the_lowest() {
        let generations = Generations::new(10);
        assert_eq!(generations.settled(), 10);
        let (first, second) = (generations.begin(), generations.begin());
        assert_eq!((first, second), (10, 11));
        generations.settle(second);
        assert_eq!(generations.settled(), 10);
        assert_eq!(generations.settled_every(2), None);
        generations.settle(first);
        generations.settle(first);
        assert_eq!(generations.settled(), 12);
        assert_eq!(generations.settled_every(2), Some(12));
        assert_eq!(generations.settled_every(1), None);
    }
}
