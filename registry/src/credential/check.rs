//! Whether a secret is the one of an access key: from memory where that is known, else by hashing it, a few at a time.
//!
//! An id that nobody has costs just what a wrong secret costs: the secret is hashed and compared with a stand-in.

use super::hash;
use super::throttle::Throttle;
use super::verdict::{Mark, Verdicts};
use crate::registry::{Result, away};
use crate::secret::Secret;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Secrets that are hashed at the same time: each takes a processor and 19 MiB.
const AT_ONCE: usize = 2;

/// Secrets that are hashed or wait for it. More are turned away at once.
const WAITING_MAX: usize = 128;

/// When one who was turned away may come again.
const TURNED_AWAY: Duration = Duration::from_secs(1);

/// What came of a look at a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It is the one.
    Right,
    /// It is not, or there is no such key.
    Wrong,
    /// It was not looked at: there were too many attempts.
    TooMany {
        /// When to try again.
        retry_after: Duration,
    },
}

/// Looks at secrets. One per registry.
#[derive(Debug)]
pub(crate) struct SecretChecks {
    hashing: Arc<Semaphore>,
    waiting: Semaphore,
    stand_in: Secret,
    verdicts: Option<Verdicts>,
    throttle: Throttle,
    runs: AtomicU64,
}

impl SecretChecks {
    /// `stand_in` is the hash of a secret that nobody knows.
    pub(crate) fn new(stand_in: Secret) -> Self {
        Self {
            hashing: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Semaphore::new(WAITING_MAX),
            stand_in,
            verdicts: Verdicts::new(),
            throttle: Throttle::new(Instant::now()),
            runs: AtomicU64::new(0),
        }
    }

    /// Secrets hashed so far.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    /// Whether the secret is known to be the one with this hash. Blocks on nothing.
    pub(crate) fn recall(&self, id: &str, secret: &str, hash: &Secret) -> bool {
        self.verdicts.as_ref().is_some_and(|verdicts| {
            verdicts.is_right(verdicts.mark(id, secret), hash.expose(), Instant::now())
        })
    }

    /// Whether the secret is the one with this hash; `None` for an id that nobody has.
    pub(crate) async fn check(
        &self,
        id: &str,
        secret: &str,
        hash: Option<&Secret>,
        address: Option<IpAddr>,
    ) -> Result<Checked> {
        let mark = self.verdicts.as_ref().map(|verdicts| verdicts.mark(id, secret));
        if self.is_known(mark, hash) {
            return Ok(Checked::Right);
        }
        if let Some(retry_after) = self.throttle.refuses(id, address, Instant::now()) {
            return Ok(Checked::TooMany { retry_after });
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            return Ok(Checked::TooMany { retry_after: TURNED_AWAY });
        };
        let Ok(turn) = Arc::clone(&self.hashing).acquire_owned().await else {
            return Ok(Checked::TooMany { retry_after: TURNED_AWAY });
        };
        // The same may have been found out while this waited: clients come with many requests at once.
        if self.is_known(mark, hash) {
            return Ok(Checked::Right);
        }
        let attempt = match self.throttle.begin(id, address, Instant::now()) {
            Ok(attempt) => attempt,
            Err(retry_after) => return Ok(Checked::TooMany { retry_after }),
        };
        // The turn is over when the verdict is kept: who is next asks for it first.
        let (is_of, _turn) = self.run(hash, secret, turn).await?;
        if !is_of || hash.is_none() {
            return Ok(Checked::Wrong);
        }
        let now = Instant::now();
        attempt.succeeded(now);
        if let (Some(verdicts), Some(mark), Some(hash)) = (&self.verdicts, mark, hash) {
            verdicts.keep(mark, hash.expose(), now);
        }
        Ok(Checked::Right)
    }

    /// Counts a failure that no secret was hashed for, such as a refresh token that is none.
    ///
    /// # Errors
    /// There were too many: when to try again.
    pub(crate) fn failed(&self, id: &str, address: Option<IpAddr>) -> std::result::Result<(), Duration> {
        // Dropped, it counts.
        self.throttle.begin(id, address, Instant::now()).map(drop)
    }

    fn is_known(&self, mark: Option<Mark>, hash: Option<&Secret>) -> bool {
        match (&self.verdicts, mark, hash) {
            (Some(verdicts), Some(mark), Some(hash)) => {
                verdicts.is_right(mark, hash.expose(), Instant::now())
            }
            _ => false,
        }
    }

    /// Hashes the secret and compares, elsewhere. The turn goes with the work: who gives up waiting does not make room for more of it.
    async fn run(
        &self,
        hash: Option<&Secret>,
        secret: &str,
        turn: OwnedSemaphorePermit,
    ) -> Result<(bool, OwnedSemaphorePermit)> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let (hash, secret) = (hash.unwrap_or(&self.stand_in).clone(), Secret::new(secret));
        away(move || Ok((hash::is_of(&hash, secret.expose()), turn))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    fn checks() -> (SecretChecks, Secret) {
        let hash = |text: &str| hash::hash(&Secret::new(text)).unwrap();
        (SecretChecks::new(hash("nobody knows")), hash("right"))
    }

    #[tokio::test]
    async fn an_unknown_id_costs_what_a_wrong_secret_costs() {
        let (checks, hash) = checks();
        for (id, secret, hash, checked, runs) in [
            ("SK1", "wrong", Some(&hash), Checked::Wrong, 1),
            ("SK2", "wrong", None, Checked::Wrong, 1),
            ("SK2", "nobody knows", None, Checked::Wrong, 1),
            ("", "", None, Checked::Wrong, 1),
            ("SK1", "right", Some(&hash), Checked::Right, 1),
            ("SK1", "right", Some(&hash), Checked::Right, 0),
        ] {
            let before = checks.runs();
            assert_eq!(checks.check(id, secret, hash, ADDRESS).await.unwrap(), checked, "{id} {secret}");
            assert_eq!(checks.runs() - before, runs, "{id} {secret}");
        }
        assert!(checks.recall("SK1", "right", &hash) && !checks.recall("SK1", "wrong", &hash));
        let other = hash::hash(&Secret::new("right")).unwrap();
        assert!(!checks.recall("SK1", "right", &other), "the key's row is another");
    }

    #[tokio::test]
    async fn after_some_wrong_secrets_none_is_looked_at() {
        let (checks, hash) = checks();
        let mut refused = None;
        for _ in 0..10 {
            match checks.check("SK1", "wrong", Some(&hash), ADDRESS).await.unwrap() {
                Checked::Wrong => {}
                other => refused = Some(other),
            }
        }
        assert!(matches!(refused, Some(Checked::TooMany { retry_after }) if retry_after > Duration::ZERO));
        let before = checks.runs();
        let right = checks.check("SK1", "right", Some(&hash), ADDRESS).await.unwrap();
        assert!(matches!(right, Checked::TooMany { .. }), "{right:?}");
        assert_eq!(checks.runs(), before, "none was hashed");
        let elsewhere = Some(IpAddr::from([192, 0, 2, 2]));
        assert_eq!(checks.check("SK1", "right", Some(&hash), elsewhere).await.unwrap(), Checked::Right);
        // What is known to be right needs no look.
        assert_eq!(checks.check("SK1", "right", Some(&hash), ADDRESS).await.unwrap(), Checked::Right);
        assert!(checks.failed("SK1", ADDRESS).is_err());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_at_once_cost_few_hashes_and_more_are_turned_away() {
        let (checks, hash) = checks();
        let same = (0..WAITING_MAX).map(|_| checks.check("SK1", "right", Some(&hash), ADDRESS));
        let all = futures_util::future::join_all(same).await;
        assert!(all.into_iter().all(|checked| checked.unwrap() == Checked::Right));
        assert!(checks.runs() <= AT_ONCE as u64, "{}", checks.runs());
        // Of different keys and addresses, so that only the number is in the way.
        let ids: Vec<(String, Option<IpAddr>)> = (0..WAITING_MAX + 40)
            .map(|i| (format!("SK{i}"), Some(IpAddr::from((i as u32).to_be_bytes()))))
            .collect();
        let runs = checks.runs();
        let many = ids.iter().map(|(id, address)| checks.check(id, "wrong", None, *address));
        let all = futures_util::future::join_all(many).await;
        let all: Vec<Checked> = all.into_iter().map(Result::unwrap).collect();
        let away = all.iter().filter(|checked| **checked == Checked::TooMany { retry_after: TURNED_AWAY });
        assert_eq!(away.count(), 40);
        assert_eq!(checks.runs() - runs, WAITING_MAX as u64);
    }
}
