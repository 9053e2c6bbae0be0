//! Who was told lately that a blob is there: a client that saw it may go on and use it, so it stays for the grace.
//!
//! Only of blobs that no manifest holds, and only in memory, because no read writes. Bounded: when there is no room left, everything
//! counts as seen at that moment, and so it does when the store is opened.
//!
//! A client's question notes the blob before it reads the link; the sweeper claims it before it removes the link. Both go through one
//! lock, so one of them comes first: a question behind the claim is told that the blob is not there, a claim behind the question
//! leaves the blob alone.

use crate::clock::UnixMillis;
use crate::meta::key;
use crate::sync::lock;
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;
use strata_types::{Digest, RepositoryName};
use xxhash_rust::xxh3::xxh3_64;

/// Most blobs that are remembered one by one; about 2 MiB.
const NOTES_MAX: usize = 65_536;

/// The memory.
#[derive(Debug)]
pub(crate) struct Seen(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Until here everything counts as seen.
    floor: UnixMillis,
    /// By a hash of repository and digest. Two that share one protect each other, which costs a little space for a while.
    notes: HashMap<u64, UnixMillis>,
    /// What is being removed.
    claims: HashSet<u64>,
    notes_max: usize,
}

/// What a claim found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// It may be removed now; to be released.
    Yes,
    /// It was seen at this time.
    Seen(UnixMillis),
}

impl Seen {
    /// Counts everything as seen at `now`.
    pub(crate) fn new(now: UnixMillis) -> Self {
        Self::with_room(now, NOTES_MAX)
    }

    fn with_room(now: UnixMillis, notes_max: usize) -> Self {
        let (notes, claims) = (HashMap::new(), HashSet::new());
        Self(Mutex::new(State { floor: now, notes, claims, notes_max }))
    }

    /// Notes that somebody asks for the blob. `false`: it is being removed, and the answer is that it is not there.
    pub(crate) fn note(&self, repository: &RepositoryName, digest: &Digest, now: UnixMillis) -> bool {
        let hash = hash(repository, digest);
        let mut state = lock(&self.0);
        if state.claims.contains(&hash) {
            return false;
        }
        if state.notes.len() >= state.notes_max && !state.notes.contains_key(&hash) {
            state.notes.clear();
            state.floor = state.floor.max(now);
        } else {
            state.notes.insert(hash, now);
        }
        true
    }

    /// Claims the blob for its removal, unless it was seen less than `grace` before `now`.
    pub(crate) fn claim(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        now: UnixMillis,
        grace: Duration,
    ) -> Claimed {
        let hash = hash(repository, digest);
        let mut state = lock(&self.0);
        if let Some(seen) = state.seen(hash, now, grace) {
            return Claimed::Seen(seen);
        }
        state.claims.insert(hash);
        Claimed::Yes
    }

    /// Lets go of a claim.
    pub(crate) fn release(&self, repository: &RepositoryName, digest: &Digest) {
        lock(&self.0).claims.remove(&hash(repository, digest));
    }

    /// What a claim would find, without one.
    pub(crate) fn look(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        now: UnixMillis,
        grace: Duration,
    ) -> Claimed {
        lock(&self.0).seen(hash(repository, digest), now, grace).map_or(Claimed::Yes, Claimed::Seen)
    }

    /// Until when everything counts as seen.
    pub(crate) fn floor(&self) -> UnixMillis {
        lock(&self.0).floor
    }

    /// Forgets what protects nothing any more.
    pub(crate) fn forget(&self, now: UnixMillis, grace: Duration) {
        lock(&self.0).notes.retain(|_, at| at.after(grace) > now);
    }
}

impl State {
    fn seen(&self, hash: u64, now: UnixMillis, grace: Duration) -> Option<UnixMillis> {
        let noted = self.notes.get(&hash).copied().unwrap_or_default();
        Some(noted.max(self.floor)).filter(|at| at.after(grace) > now)
    }
}

fn hash(repository: &RepositoryName, digest: &Digest) -> u64 {
    xxh3_64(&key::link(repository, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_millis(100);

    fn blob(number: u8) -> (RepositoryName, Digest) {
        (RepositoryName::parse("a/b").unwrap(), Digest::Sha256([number; 32]))
    }

    #[test]
    fn what_was_seen_stays_for_the_grace_and_no_longer() {
        let seen = Seen::new(UnixMillis(0));
        let (name, one) = blob(1);
        assert!(seen.note(&name, &one, UnixMillis(50)));
        assert_eq!(seen.claim(&name, &one, UnixMillis(149), GRACE), Claimed::Seen(UnixMillis(50)));
        assert_eq!(seen.look(&name, &one, UnixMillis(150), GRACE), Claimed::Yes);
        seen.forget(UnixMillis(149), GRACE);
        assert_eq!(seen.claim(&name, &one, UnixMillis(149), GRACE), Claimed::Seen(UnixMillis(50)));
        assert_eq!(seen.claim(&name, &one, UnixMillis(150), GRACE), Claimed::Yes);
        assert!(!seen.note(&name, &one, UnixMillis(150)), "it is being removed");
        seen.release(&name, &one);
        assert!(seen.note(&name, &one, UnixMillis(151)));
        assert_eq!(seen.claim(&name, &one, UnixMillis(151), Duration::ZERO), Claimed::Yes, "no grace");
    }

    #[test]
    fn everything_counts_as_seen_at_the_start_and_when_there_is_no_room() {
        let seen = Seen::with_room(UnixMillis(1000), 2);
        let (name, other) = blob(9);
        assert_eq!(seen.claim(&name, &other, UnixMillis(1099), GRACE), Claimed::Seen(UnixMillis(1000)));
        for (number, at) in [(1, 1100), (2, 1200), (1, 1250)] {
            assert!(seen.note(&name, &blob(number).1, UnixMillis(at)));
        }
        assert_eq!(seen.floor(), UnixMillis(1000));
        assert!(seen.note(&name, &blob(3).1, UnixMillis(1300)));
        assert_eq!(seen.floor(), UnixMillis(1300));
        assert_eq!(seen.claim(&name, &other, UnixMillis(1399), GRACE), Claimed::Seen(UnixMillis(1300)));
        assert_eq!(seen.claim(&name, &other, UnixMillis(1400), GRACE), Claimed::Yes);
    }
}
