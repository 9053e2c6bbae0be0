//! Secrets that were found right a short while ago, so that HTTP Basic costs no argon2 at every request.
//!
//! What is kept is a MAC of id and secret under a random key of this process, never the secret. A verdict is good for the very hash that it
//! was made on: a key that was deleted, or got another secret, has another hash or none.

use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use quick_cache::sync::Cache;
use std::time::{Duration, Instant};

/// How long a verdict counts.
const LIFE: Duration = Duration::from_mins(5);

/// Most verdicts that are kept.
const VERDICTS_MAX: usize = 4096;

/// What stands for an id and a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mark([u8; 32]);

#[derive(Debug, Clone)]
struct Verdict {
    hash: Box<str>,
    until: Instant,
}

/// The verdicts. One per registry.
#[derive(Debug)]
pub(super) struct Verdicts {
    key: hmac::Key,
    kept: Cache<[u8; 32], Verdict>,
}

impl Verdicts {
    /// `None` where the system gives no randomness: then nothing is kept.
    pub(super) fn new() -> Option<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).ok()?;
        Some(Self { key, kept: Cache::new(VERDICTS_MAX) })
    }

    /// The mark of an id and a secret. The length keeps one pair apart from another.
    pub(super) fn mark(&self, id: &str, secret: &str) -> Mark {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(&(id.len() as u64).to_be_bytes());
        mac.update(id.as_bytes());
        mac.update(secret.as_bytes());
        let mut mark = [0; 32];
        mark.iter_mut().zip(mac.sign().as_ref()).for_each(|(to, from)| *to = *from);
        Mark(mark)
    }

    /// Whether the secret was found right, on this hash, and not too long ago.
    pub(super) fn is_right(&self, mark: Mark, hash: &str, now: Instant) -> bool {
        let Some(verdict) = self.kept.get(&mark.0) else { return false };
        let counts = *verdict.hash == *hash && now < verdict.until;
        if !counts {
            self.kept.remove(&mark.0);
        }
        counts
    }

    /// The secret was found right.
    pub(super) fn keep(&self, mark: Mark, hash: &str, now: Instant) {
        self.kept.insert(mark.0, Verdict { hash: hash.into(), until: now + LIFE });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_for_a_while_for_the_same_pair_and_hash() {
        let (verdicts, now) = (Verdicts::new().unwrap(), Instant::now());
        let mark = verdicts.mark("id", "secret");
        assert!(!verdicts.is_right(mark, "hash", now));
        verdicts.keep(mark, "hash", now);
        assert!(verdicts.is_right(mark, "hash", now));
        for (id, secret) in
            [("id", "secre"), ("ids", "ecret"), ("i", "dsecret"), ("", "idsecret"), ("id", "")]
        {
            assert!(!verdicts.is_right(verdicts.mark(id, secret), "hash", now), "{id} {secret}");
        }
        assert!(!verdicts.is_right(mark, "another hash", now));
        assert!(!verdicts.is_right(mark, "hash", now), "and is forgotten then");
        verdicts.keep(mark, "hash", now);
        assert!(verdicts.is_right(mark, "hash", now + LIFE.saturating_sub(Duration::from_millis(1))));
        assert!(!verdicts.is_right(mark, "hash", now + LIFE));
    }

    #[test]
    fn another_process_has_other_marks() {
        let (one, two) = (Verdicts::new().unwrap(), Verdicts::new().unwrap());
        assert!(one.mark("id", "secret") != two.mark("id", "secret"));
    }

    #[test]
    fn no_more_is_kept_than_the_bound() {
        let (verdicts, now) = (Verdicts::new().unwrap(), Instant::now());
        for i in 0..10_000 {
            verdicts.keep(verdicts.mark(&format!("{i}"), "secret"), "hash", now);
        }
        assert!(verdicts.kept.len() <= VERDICTS_MAX);
    }
}
