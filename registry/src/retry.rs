//! What happens after a commit lost a race: the use case reads again, decides again and commits again, for a bounded time.
//!
//! No lock is held between reading and committing, so a commit can lose to another of the same tag, link or manifest. In every
//! round one of the rivals wins, so that all come through; the pauses grow so that many rivals do not burn the processor.

use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;
use strata_engine::EngineError;
use strata_engine::meta::{Batch, View};
use tokio::time::Instant;

/// How long a use case tries its transaction. A thousand rivals for one tag take a few seconds.
const PATIENCE: Duration = Duration::from_secs(15);
/// Attempts that follow each other without a pause.
const ATTEMPTS_EAGER: u32 = 3;
/// Longest pause between two attempts.
const PAUSE_MILLIS_MAX: u64 = 64;

/// Counts the attempts of one use case.
#[derive(Debug)]
pub(crate) struct Attempts {
    lost: u32,
    until: Instant,
}

impl Attempts {
    pub(crate) fn new() -> Self {
        Self { lost: 0, until: Instant::now() + PATIENCE }
    }

    /// Takes the outcome of a commit. `Ok(None)`: it lost a race, try again; the pause is over.
    pub(crate) async fn judge<T>(
        &mut self,
        registry: &Registry,
        ctx: &Context,
        outcome: std::result::Result<T, EngineError>,
    ) -> Result<Option<T>> {
        match outcome {
            Ok(done) => Ok(Some(done)),
            Err(EngineError::Conflict | EngineError::Overloaded) => {
                registry.counters().conflicts.add(1);
                self.lost = self.lost.saturating_add(1);
                if Instant::now() >= self.until {
                    return Err(RegistryError::Contended);
                }
                if self.lost > ATTEMPTS_EAGER {
                    tokio::time::sleep(pause(&ctx.request_id, self.lost)).await;
                }
                Ok(None)
            }
            Err(error) => Err(RegistryError::store(error)),
        }
    }
}

/// A pause that grows with the number of lost races and differs between requests, so that rivals do not meet again in step.
fn pause(request_id: &str, lost: u32) -> Duration {
    let mut hasher = DefaultHasher::new();
    (request_id, lost).hash(&mut hasher);
    let longest =
        1_u64.checked_shl(lost.saturating_sub(ATTEMPTS_EAGER)).unwrap_or(u64::MAX).min(PAUSE_MILLIS_MAX);
    Duration::from_micros(hasher.finish() % (longest * 1000))
}

impl Registry {
    /// Runs a transaction: `decide` reads a fresh view and fills the batch, as often as the commit loses a race. An empty batch is not
    /// committed.
    pub(crate) async fn transact<T: Send>(
        &self,
        ctx: &Context,
        decide: impl Fn(&View, &mut Batch) -> Result<T> + Send + Sync,
    ) -> Result<T> {
        let mut attempts = Attempts::new();
        loop {
            let mut batch = self.batch(ctx);
            let decided = decide(&self.view()?, &mut batch)?;
            if batch.is_empty() {
                return Ok(decided);
            }
            let outcome = self.engine().commit(batch).await;
            if attempts.judge(self, ctx, outcome).await?.is_some() {
                return Ok(decided);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_bounded_and_differ() {
        for lost in 0..200 {
            assert!(pause("a", lost) < Duration::from_millis(PAUSE_MILLIS_MAX), "{lost}");
        }
        assert_ne!(pause("a", 20), pause("b", 20));
    }
}
