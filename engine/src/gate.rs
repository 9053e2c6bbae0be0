//! Whether the store may be written to: poisoned after a failed sync, closed, or short of space. One gate for all writers.
//!
//! Knows no blob and no row; everybody who writes asks it first and tells it of failures.
//!
//! Space has three marks. Below the *reserve* nothing may grow. What takes something away (a deletion, an untagging) goes on down to the mark of
//! releases, garbage collection to that of reclaims. Below that, nothing: the metadata store writes what is in its memory to a table sooner or
//! later, and must never find the disk full then, because that would be a failed write of an unknown outcome.

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
    marks: Marks,
    shortage: OnceLock<Shortage>,
    space: Mutex<Option<(Instant, Space)>>,
    poison: OnceLock<Arc<str>>,
    closed: AtomicBool,
}

/// Free space that each kind of write leaves alone, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    reserve: u64,
    release: u64,
    reclaim: u64,
}

impl Marks {
    /// Marks for a reserve, and for a metadata store that may have so many bytes to write at once.
    pub(crate) fn new(reserve: u64, memtable_bytes: u64) -> Self {
        // Who chose a small reserve knows that little is written.
        let reclaim = memtable_bytes.min(reserve / 2);
        Self { reserve, release: reclaim.max(reserve / 4), reclaim }
    }
}

/// Who wants to know whether space is short.
struct Shortage(Box<dyn Fn(bool) + Send + Sync>);

impl std::fmt::Debug for Shortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shortage")
    }
}

impl Gate {
    pub(crate) const fn new(disk: Arc<dyn Disk>, marks: Marks) -> Self {
        Self {
            disk,
            marks,
            shortage: OnceLock::new(),
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

    /// Has `told` told at every look at the disk whether there is less than the reserve. Once, before the gate is used.
    pub(crate) fn tell_shortage(&self, told: impl Fn(bool) + Send + Sync + 'static) {
        // There is one who wants to know.
        let _ = self.shortage.set(Shortage(Box::new(told)));
    }

    /// Passes a write of a request that was let in; the end of the store waits for it.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`], [`EngineError::NoSpace`] below the reserve.
    pub(crate) fn pass(&self) -> Result<(), EngineError> {
        self.pass_in_reserve(self.marks.reserve)
    }

    /// Lets a request in that takes something away: else nothing could be deleted on a disk that uploads have filled up to the
    /// reserve.
    ///
    /// # Errors
    /// As [`Gate::admit`].
    pub(crate) fn admit_release(&self) -> Result<(), EngineError> {
        self.check()?;
        self.pass_in_reserve(self.marks.release)
    }

    /// Lets garbage collection in, which writes a little to give a lot back.
    ///
    /// # Errors
    /// As [`Gate::admit`].
    pub(crate) fn admit_reclaim(&self) -> Result<(), EngineError> {
        self.check()?;
        self.pass_in_reserve(self.marks.reclaim)
    }

    fn pass_in_reserve(&self, keep: u64) -> Result<(), EngineError> {
        if let Some(why) = self.poison.get() {
            return Err(EngineError::Poisoned { why: Arc::clone(why) });
        }
        if keep > 0 && self.space()?.available < keep { Err(EngineError::NoSpace) } else { Ok(()) }
    }

    /// Free space, at most [`SPACE_AGE_MILLIS_MAX`] old.
    pub(crate) fn space(&self) -> Result<Space, EngineError> {
        let space = {
            let mut known = lock(&self.space);
            if let Some((asked_at, space)) = *known
                && asked_at.elapsed() < Duration::from_millis(SPACE_AGE_MILLIS_MAX)
                // Near the reserve an old answer is not good enough: one upload can cross it in that time.
                && space.available / 2 > self.marks.reserve
            {
                return Ok(space);
            }
            let space = self.disk.space();
            let space = space.map_err(|error| EngineError::io("free space of the data directory", error))?;
            *known = Some((Instant::now(), space));
            space
        };
        if let Some(Shortage(told)) = self.shortage.get() {
            told(space.available < self.marks.reserve);
        }
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
        let gate = Gate::new(Arc::new(disk.clone()), Marks::new(600, 50));
        let short = Arc::<AtomicBool>::default();
        let told = Arc::clone(&short);
        gate.tell_shortage(move |is_short| told.store(is_short, Ordering::Relaxed));
        let can = |gate: &Gate| {
            let outcomes = [gate.admit(), gate.admit_release(), gate.admit_reclaim(), gate.check()];
            outcomes.map(|outcome| match outcome {
                Ok(()) => true,
                Err(error) => {
                    assert!(matches!(error, EngineError::NoSpace), "{error}");
                    false
                }
            })
        };
        for (free, allowed) in [
            (600, [true, true, true, true]),
            (599, [false, true, true, true]),
            (150, [false, true, true, true]),
            (149, [false, false, true, true]),
            (49, [false, false, false, true]),
        ] {
            disk.set_capacity(Some(free));
            assert_eq!(can(&gate), allowed, "{free} bytes are free");
            assert_eq!(short.load(Ordering::Relaxed), free < 600);
        }
        disk.set_capacity(None);
        assert!(gate.pass().is_ok());
        assert!(!short.load(Ordering::Relaxed));
    }

    #[test]
    fn marks_are_in_order_whatever_the_settings() {
        const MIB: u64 = 1024 * 1024;
        assert_eq!(
            Marks::new(256 * MIB, 32 * MIB),
            Marks { reserve: 256 * MIB, release: 64 * MIB, reclaim: 32 * MIB }
        );
        for (reserve, memtable) in [(0, 0), (0, MIB), (MIB, 32 * MIB), (4 * MIB, 4 * MIB), (1 << 40, MIB)] {
            let marks = Marks::new(reserve, memtable);
            assert!(marks.reclaim <= marks.release && marks.release <= marks.reserve, "{marks:?}");
        }
    }

    #[test]
    fn the_first_failure_stays_the_reason() {
        let gate = Gate::new(Arc::new(SimDisk::new()), Marks::new(0, 0));
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
        let gate = Gate::new(Arc::new(SimDisk::new()), Marks::new(0, 0));
        gate.close();
        assert!(matches!(gate.admit(), Err(EngineError::Closed)));
        assert!(gate.pass().is_ok(), "what was let in comes to its end");
        assert!(gate.poisoned().is_none(), "closed is not broken");
    }
}
