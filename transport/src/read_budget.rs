//! How much file content all connections together may hold in memory on its way out.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one permit stands for.
const UNIT: usize = 4096;

/// A shared amount of bytes. Taking never waits: who gets nothing makes do with little.
#[derive(Debug, Clone)]
pub struct ReadBudget(Option<Arc<Semaphore>>);

/// Bytes taken, given back on drop.
#[derive(Debug)]
pub struct Grant {
    permit: Option<OwnedSemaphorePermit>,
}

impl Grant {
    /// Whether there is anything to give back.
    pub fn is_counted(&self) -> bool {
        self.permit.is_some()
    }
}

impl ReadBudget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self(Some(Arc::new(Semaphore::new((bytes / UNIT).min(Semaphore::MAX_PERMITS)))))
    }

    /// No account is kept: for pieces that are small anyway.
    pub fn none() -> Self {
        Self(None)
    }

    /// Takes `bytes`, or nothing if they are not there.
    pub fn take(&self, bytes: usize) -> Option<Grant> {
        let Some(semaphore) = &self.0 else { return Some(Grant { permit: None }) };
        let permits = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        let permit = Arc::clone(semaphore).try_acquire_many_owned(permits).ok()?;
        Some(Grant { permit: Some(permit) })
    }
}
