//! Memory that pieces of blob files are read into for frontends: used again while it is still in the processor's cache.
//!
//! Fresh memory is zeroed first, faults on each page and is far from the processor when it is filled and sent; together that
//! costs more than the copying. Only a bounded number of buffers is kept; whoever finds none takes fresh memory.

use crate::limits::READ_BUFFERS;
use crate::sync::lock;
use bytes::Bytes;
use std::sync::{Arc, Mutex};

/// Shorter reads are not worth an account, bytes.
const POOLED_BYTES_MIN: usize = 64 * 1024;

/// The store's buffers for reading.
#[derive(Debug)]
pub(crate) struct ReadBuffers([Shelf; READ_BUFFERS.len()]);

/// Buffers of one length that nobody uses at the moment.
#[derive(Debug)]
struct Shelf {
    bytes: usize,
    count_max: usize,
    idle: Mutex<Vec<Vec<u8>>>,
}

impl Default for ReadBuffers {
    fn default() -> Self {
        Self(READ_BUFFERS.map(|(bytes, count_max)| Shelf { bytes, count_max, idle: Mutex::default() }))
    }
}

impl ReadBuffers {
    /// A buffer of `len` bytes. What is in it is of no meaning.
    pub(crate) fn take(&self, len: usize) -> Vec<u8> {
        let Some(shelf) = self.shelf(len) else { return vec![0; len] };
        let idle = lock(&shelf.idle).pop();
        let mut buffer = idle.unwrap_or_else(|| vec![0; shelf.bytes]);
        // Zeroes only what an earlier, shorter piece had cut off.
        buffer.resize(len, 0);
        buffer
    }

    /// What was read into a buffer that was [taken](Self::take) from here. The buffer comes back with the last clone.
    pub(crate) fn share(self: &Arc<Self>, buffer: Vec<u8>) -> Bytes {
        if self.shelf(buffer.len()).is_none() {
            return buffer.into();
        }
        Bytes::from_owner(Shared { buffer, home: Arc::clone(self) })
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let Some(shelf) = self.shelf(buffer.len()) else { return };
        let mut idle = lock(&shelf.idle);
        if idle.len() < shelf.count_max {
            idle.push(buffer);
        }
    }

    /// Where buffers for reads of `len` bytes are.
    fn shelf(&self, len: usize) -> Option<&Shelf> {
        self.0.iter().find(|shelf| len > POOLED_BYTES_MIN && len <= shelf.bytes)
    }
}

/// A buffer that frontends hold parts of.
struct Shared {
    buffer: Vec<u8>,
    home: Arc<ReadBuffers>,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: usize = READ_BUFFERS[0].0;
    const LONG: usize = READ_BUFFERS[1].0;

    #[test]
    fn a_buffer_is_used_again_when_its_last_part_is_gone() {
        let buffers = Arc::new(ReadBuffers::default());
        let mut buffer = buffers.take(SHORT);
        buffer.fill(7);
        let address = buffer.as_ptr();
        let bytes = buffers.share(buffer);
        let part = bytes.slice(5..10);
        drop(bytes);
        let other = buffers.take(SHORT);
        assert_ne!(other.as_ptr(), address, "a part of it is still held");
        assert_eq!(part, [7; 5][..]);
        drop(part);
        for len in [POOLED_BYTES_MIN + 1, SHORT] {
            let again = buffers.take(len);
            assert_eq!((again.as_ptr(), again.len()), (address, len));
            drop(buffers.share(again));
        }
    }

    #[test]
    fn few_are_kept_and_none_of_other_lengths() {
        let buffers = Arc::new(ReadBuffers::default());
        for len in [0, 1, POOLED_BYTES_MIN, POOLED_BYTES_MIN + 1, SHORT, SHORT + 1, LONG, LONG + 1] {
            let many: Vec<Bytes> = (0..2 * (READ_BUFFERS[0].1 + READ_BUFFERS[1].1))
                .map(|_| {
                    let buffer = buffers.take(len);
                    assert_eq!(buffer.len(), len);
                    buffers.share(buffer)
                })
                .collect();
            drop(many);
        }
        let kept =
            buffers.0.each_ref().map(|shelf| lock(&shelf.idle).iter().map(Vec::capacity).collect::<Vec<_>>());
        assert_eq!(kept, READ_BUFFERS.map(|(bytes, count)| vec![bytes; count]));
    }
}
