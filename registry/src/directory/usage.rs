//! When keys were used last: gathered in memory, written now and then, many in one batch that nobody waits for.

use super::row::{self, USES};
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use strata_engine::UnixMillis;
use strata_engine::meta::Batch;

/// Uses closer together than this are one, milliseconds.
const STEP_MILLIS: u64 = 10_000;

/// When a key was used last, milliseconds since 1970; 0 for never.
#[derive(Debug, Default)]
pub(crate) struct LastUse {
    at: AtomicU64,
    written: AtomicU64,
}

impl LastUse {
    /// It was used at that moment, as the store says.
    pub(super) fn load(&self, at: UnixMillis) {
        self.at.store(at.0, Ordering::Relaxed);
        self.written.store(at.0, Ordering::Relaxed);
    }

    /// It is used now.
    pub(crate) fn touch(&self, now: UnixMillis) {
        // Reading is cheap on all processors, writing is not.
        if now.0.abs_diff(self.at.load(Ordering::Relaxed)) >= STEP_MILLIS {
            self.at.store(now.0, Ordering::Relaxed);
        }
    }

    /// When it was used; `None` for never.
    pub(crate) fn get(&self) -> Option<UnixMillis> {
        Some(self.at.load(Ordering::Relaxed)).filter(|at| *at > 0).map(UnixMillis)
    }

    /// The use that is not yet in the store.
    fn unwritten(&self) -> Option<u64> {
        let at = self.at.load(Ordering::Relaxed);
        (at != self.written.load(Ordering::Relaxed)).then_some(at)
    }
}

impl Registry {
    /// Writes down which keys were used since the last call. To be called now and then, and at the end. What a power cut loses of it is
    /// lost.
    ///
    /// # Errors
    /// The store's condition; the next call tries again.
    pub async fn flush_uses(&self) -> Result<()> {
        /// Rows of one batch.
        const ROWS_MAX: usize = 1000;
        // A key that is deleted meanwhile must not get a row.
        let _turn = self.directory_state().changing.lock().await;
        let snapshot = self.directory();
        let used: Vec<_> =
            snapshot.uses().filter_map(|(id, uses)| Some((id, uses, uses.unwritten()?))).collect();
        for some in used.chunks(ROWS_MAX) {
            let mut batch = Batch::new(self.engine().now());
            batch.set_unsynced();
            for (id, _, at) in some {
                batch.put_setting(&row::key(USES, id), row::encode_use(UnixMillis(*at)));
            }
            self.engine().commit(batch).await.map_err(RegistryError::store)?;
            for (_, uses, at) in some {
                uses.written.store(*at, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_close_together_are_one() {
        let uses = LastUse::default();
        assert_eq!((uses.get(), uses.unwritten()), (None, None));
        uses.touch(UnixMillis(1_000_000));
        uses.touch(UnixMillis(1_000_001));
        assert_eq!((uses.get(), uses.unwritten()), (Some(UnixMillis(1_000_000)), Some(1_000_000)));
        uses.load(UnixMillis(1_000_000));
        assert_eq!(uses.unwritten(), None);
        // A clock that was set back counts as well.
        uses.touch(UnixMillis(500_000));
        assert_eq!(uses.get(), Some(UnixMillis(500_000)));
    }
}
