//! Whether the store may be written to: poisoned after a failed sync, closed, or short of space. One gate for all writers.
//!
//! Knows no blob and no row; everybody who writes asks it first and tells it of failures.

use crate::disk::{Disk, Space};
use crate::error::EngineError;
use crate::limits::SPACE_AGE_MILLIS_MAX;
use crate::sync::lock;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Decides over writes.
#[derive(Debug)]
pub(crate) struct Gate {
    disk: Arc<dyn Disk>,
    reserve_bytes: u64,
    space: Mutex<Option<(Instant, Space)>>,
    poison: OnceLock<Arc<str>>,
    closed: AtomicBool,
}

impl Gate {
    pub(crate) const fn new(disk: Arc<dyn Disk>, reserve_bytes: u64) -> Self {
        Self {
            disk,
            reserve_bytes,
            space: Mutex::new(None),
            poison: OnceLock::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Lets a request in that makes the store grow.
    ///
    /// # Errors
    /// [`EngineError::Closed`], [`EngineError::Poisoned`]; [`EngineError::NoSpace`] below the reserve, or what keeps the
    /// disk from telling its space.
    pub(crate) fn admit(&self) -> Result<(), EngineError> {
        self.check()?;
        self.pass()
    }

    /// Lets a request in that gives space back, or goes on with one that was let in.
    ///
    /// # Errors
    /// [`EngineError::Closed`], [`EngineError::Poisoned`].
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(EngineError::Closed);
        }
        self.pass_in_reserve(0)
    }

    /// Passes a write of a request that was let in; the end of the store waits for it.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`], [`EngineError::NoSpace`] below the reserve.
    pub(crate) fn pass(&self) -> Result<(), EngineError> {
        self.pass_in_reserve(self.reserve_bytes)
    }

    /// Passes a write of metadata alone, which may use the upper half of the reserve: else nothing could be deleted on a disk
    /// that uploads have filled up to it.
    ///
    /// # Errors
    /// As [`Gate::admit`].
    pub(crate) fn admit_metadata(&self) -> Result<(), EngineError> {
        self.check()?;
        self.pass_in_reserve(self.reserve_bytes / 2)
    }

    fn pass_in_reserve(&self, keep: u64) -> Result<(), EngineError> {
        if let Some(why) = self.poison.get() {
            return Err(EngineError::Poisoned { why: Arc::clone(why) });
        }
        if keep > 0 && self.space()?.available < keep { Err(EngineError::NoSpace) } else { Ok(()) }
    }

    /// Free space, at most [`SPACE_AGE_MILLIS_MAX`] old.
    pub(crate) fn space(&self) -> Result<Space, EngineError> {
        let mut known = lock(&self.space);
        if let Some((asked_at, space)) = *known
            && asked_at.elapsed() < Duration::from_millis(SPACE_AGE_MILLIS_MAX)
            // Near the reserve an old answer is not good enough: one upload can cross it in that time.
            && space.available / 2 > self.reserve_bytes
        {
            return Ok(space);
        }
        let space =
            self.disk.space().map_err(|error| EngineError::io("free space of the data directory", error))?;
        *known = Some((Instant::now(), space));
        Ok(space)
    }

    /// Refuses all writes from now on.
    pub(crate) fn poison(&self, why: impl Into<Arc<str>>) -> EngineError {
        let mut first = false;
        let why = self.poison.get_or_init(|| {
            first = true;
            why.into()
        });
        if first {
            tracing::error!(%why, "the store stops accepting writes; reads go on");
        }
        EngineError::Poisoned { why: Arc::clone(why) }
    }

    /// The first failure, where there was one.
    pub(crate) fn poisoned(&self) -> Option<Arc<str>> {
        self.poison.get().cloned()
    }

    /// Refuses writes because the store is being closed.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// What a failed sync means: nobody can say what is durable, so the store is poisoned. A full disk is told apart: then
    /// the caller knows that nothing since the last good sync counts, and gives it up.
    pub(crate) fn sync_failed(&self, what: &str, error: io::Error) -> EngineError {
        match failed(what, error) {
            EngineError::NoSpace => EngineError::NoSpace,
            other => self.poison(format!("sync of {other}")),
        }
    }

    /// What a failed commit means to later writers.
    pub(crate) fn commit_failed(&self, error: &EngineError) {
        if let EngineError::Poisoned { why } = error {
            self.poison(Arc::clone(why));
        }
    }
}

/// What a failed operation on a file means.
pub(crate) fn failed(what: impl Into<String>, error: io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => EngineError::NoSpace,
        io::ErrorKind::ReadOnlyFilesystem => EngineError::ReadOnly,
        _ => EngineError::io(what, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;

    #[test]
    fn a_full_disk_stops_growth_only() {
        let disk = SimDisk::new();
        disk.set_capacity(Some(1000));
        let gate = Gate::new(Arc::new(disk.clone()), 600);
        assert!(gate.pass().is_ok());
        disk.set_capacity(Some(599));
        assert!(matches!(gate.pass(), Err(EngineError::NoSpace)));
        assert!(gate.check().is_ok() && gate.admit_metadata().is_ok());
        disk.set_capacity(Some(299));
        assert!(matches!(gate.admit_metadata(), Err(EngineError::NoSpace)));
        disk.set_capacity(None);
        assert!(gate.pass().is_ok());
    }

    #[test]
    fn the_first_failure_stays_the_reason() {
        let gate = Gate::new(Arc::new(SimDisk::new()), 0);
        assert!(matches!(gate.sync_failed("f", io::ErrorKind::StorageFull.into()), EngineError::NoSpace));
        assert!(gate.pass().is_ok());
        drop(gate.sync_failed("blobs/1", io::Error::from_raw_os_error(libc::EIO)));
        drop(gate.poison("later"));
        let error = gate.pass().unwrap_err().to_string();
        assert!(error.contains("sync of blobs/1") && !error.contains("later"), "{error}");
        assert!(gate.check().is_err());
    }

    #[test]
    fn a_closed_store_takes_nothing() {
        let gate = Gate::new(Arc::new(SimDisk::new()), 0);
        gate.close();
        assert!(matches!(gate.admit(), Err(EngineError::Closed)));
        assert!(gate.pass().is_ok(), "what was let in comes to its end");
        assert!(gate.poisoned().is_none(), "closed is not broken");
    }
}
