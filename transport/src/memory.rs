//! A bound on the bytes that requests hold in memory: manifests on their way in, manifests, small blobs and lists on their way out.
//!
//! Slow clients make bytes stay. With every connection holding the largest manifest, memory would grow with the connections;
//! with this bound a request beyond it is told to come again. What streams (blobs of files, uploads) is bounded elsewhere and
//! not counted here.

use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bodies up to this size are not counted: even with every connection holding one they are few.
const UNCOUNTED_BYTES: usize = 4 * 1024;

/// Bytes that one unit of the bound stands for.
const UNIT_BYTES: usize = 1024;

/// The bound. One per process.
#[derive(Debug)]
pub struct Memory {
    units: Arc<Semaphore>,
    total: usize,
}

/// There is no room now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Room for bytes that are being gathered. Given back when dropped.
#[derive(Debug)]
pub struct Room {
    permit: Option<OwnedSemaphorePermit>,
    units: usize,
}

impl Memory {
    /// Room for `bytes` bytes together.
    pub fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)), total: units }
    }

    /// Bytes that are held now, as they are counted.
    pub fn held(&self) -> usize {
        self.total.saturating_sub(self.units.available_permits()) * UNIT_BYTES
    }

    /// Room that grows with what is gathered.
    pub fn room() -> Room {
        Room { permit: None, units: 0 }
    }

    /// Makes sure that `room` is enough for `bytes` bytes in all.
    ///
    /// # Errors
    /// [`Full`] where it cannot be. The room stays as it is.
    pub fn grow(&self, room: &mut Room, bytes: usize) -> Result<(), Full> {
        let wanted = units(bytes);
        let Some(more) = wanted.checked_sub(room.units).filter(|more| *more > 0) else { return Ok(()) };
        let count = u32::try_from(more).map_err(|_| Full)?;
        let permit = Arc::clone(&self.units).try_acquire_many_owned(count).map_err(|_| Full)?;
        match &mut room.permit {
            Some(held) => held.merge(permit),
            None => room.permit = Some(permit),
        }
        room.units = wanted;
        Ok(())
    }

    /// The same bytes, counted until the last clone of them is dropped.
    ///
    /// # Errors
    /// [`Full`] where there is no room.
    pub fn hold(&self, bytes: Bytes) -> Result<Bytes, Full> {
        let mut room = Self::room();
        self.grow(&mut room, bytes.len())?;
        Ok(if room.permit.is_none() { bytes } else { Bytes::from_owner(Held { bytes, _room: room }) })
    }
}

fn units(bytes: usize) -> usize {
    if bytes <= UNCOUNTED_BYTES { 0 } else { bytes.div_ceil(UNIT_BYTES) }
}

/// Bytes with the room that they take.
struct Held {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_room_until_their_last_clone_is_gone() {
        let memory = Memory::new(64 * 1024);
        let bytes = memory.hold(Bytes::from(vec![7; 40 * 1024])).unwrap();
        let part = bytes.slice(..10);
        assert_eq!((bytes.len(), memory.held()), (40 * 1024, 40 * 1024));
        drop(bytes);
        assert_eq!(memory.hold(Bytes::from(vec![7; 40 * 1024])), Err(Full));
        assert_eq!(part, &[7; 10][..]);
        drop(part);
        assert_eq!(memory.held(), 0);
        assert!(memory.hold(Bytes::from(vec![7; 40 * 1024])).is_ok());
    }

    #[test]
    fn little_is_not_counted() {
        let memory = Memory::new(1);
        let held: Vec<_> = (0..100).map(|_| memory.hold(Bytes::from(vec![0; UNCOUNTED_BYTES]))).collect();
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(memory.hold(Bytes::from(vec![0; UNCOUNTED_BYTES + 1])), Err(Full));
    }

    #[test]
    fn room_grows_as_bytes_come() {
        let memory = Memory::new(10 * 1024);
        let mut one = Memory::room();
        for bytes in [100, 5000, 5001, 9 * 1024, 10 * 1024] {
            assert_eq!(memory.grow(&mut one, bytes), Ok(()), "{bytes}");
        }
        assert_eq!(memory.grow(&mut one, 10 * 1024 + 1), Err(Full));
        let mut other = Memory::room();
        assert_eq!(memory.grow(&mut other, 5000), Err(Full));
        drop(one);
        assert_eq!(memory.grow(&mut other, 5000), Ok(()));
    }
}
