//! How long the audit log is kept.

use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use std::time::Duration;

/// How often the log is looked at.
const EVERY: Duration = Duration::from_hours(1);
/// Entries that one commit removes.
const ROWS_PER_COMMIT: usize = 2000;

impl Registry {
    /// Removes the entries of the audit log that are older than the configuration keeps them, and says how many they were. The history of
    /// tags loses what is as old, but for where each tag stands.
    ///
    /// # Errors
    /// The store's condition; what was removed before stays so.
    pub async fn trim_audit(&self) -> Result<u64> {
        let retention = self.config().audit.retention;
        if retention.is_zero() {
            return Ok(0);
        }
        let before = self.engine().now().before(retention);
        let mut removed = 0;
        loop {
            let engine = self.engine().clone();
            let runtime = tokio::runtime::Handle::current();
            // Reads a few thousand rows: not on a thread that serves connections.
            let trimmed =
                away(move || Ok(runtime.block_on(engine.trim_events(before, ROWS_PER_COMMIT)))).await?;
            match trimmed.map_err(RegistryError::store)? {
                0 => return Ok(removed),
                count => removed += count,
            }
        }
    }

    /// Keeps the audit log as long as the configuration says: looks at it now and every hour, and never ends.
    pub async fn keep_audit_trimmed(self) {
        let mut hours = tokio::time::interval(EVERY);
        hours.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            hours.tick().await;
            match self.trim_audit().await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "old entries of the audit log were removed"),
                // The next hour tries again.
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the audit log was not trimmed");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_engine::meta::Batch;

    #[tokio::test]
    async fn what_is_older_than_the_retention_goes() {
        let (registry, _directory) = crate::registry::tests::empty();
        let (now, kept) = (registry.engine().now(), registry.config().audit.retention);
        assert_eq!(kept, Duration::from_hours(24 * 90));
        for at in [now.before(kept * 2), now.before(kept + EVERY), now.before(kept).after(EVERY), now] {
            let mut batch = Batch::new(at);
            batch.note(None);
            registry.engine().commit(batch).await.unwrap();
        }
        let numbers = || {
            let events = registry.engine().view().unwrap().events(0, 9).unwrap();
            events.into_iter().map(|(number, _)| number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(), [1, 2, 3, 4]);
        assert_eq!(registry.trim_audit().await.unwrap(), 2);
        assert_eq!(numbers(), [3, 4]);
        assert_eq!(registry.trim_audit().await.unwrap(), 0);
        registry.engine().close();
    }
}
