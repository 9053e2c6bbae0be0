//! Upload buffers: aligned memory of one size, a bounded number for the whole store.
//!
//! Whoever wants one waits until another is given back, which is the back-pressure on clients that send faster than the disk
//! and the processors can take.

use crate::disk::DIRECT_ALIGNMENT;
use crate::limits::{BUFFER_BYTES, BUFFERS_IDLE_MAX, BUFFERS_MIN};
use crate::sync::lock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The store's buffers.
#[derive(Debug)]
pub(crate) struct BufferPool {
    permits: Arc<Semaphore>,
    count: usize,
    idle: Mutex<Vec<Memory>>,
    waiting: AtomicUsize,
}

/// Memory of [`BUFFER_BYTES`] that starts at a multiple of [`DIRECT_ALIGNMENT`]: a longer allocation, used from its first
/// aligned byte on. It is never grown, so it never moves.
#[derive(Debug)]
struct Memory {
    allocation: Box<[u8]>,
    start: usize,
}

impl Memory {
    fn new() -> Self {
        let allocation = vec![0; BUFFER_BYTES + DIRECT_ALIGNMENT].into_boxed_slice();
        let start = allocation.as_ptr().align_offset(DIRECT_ALIGNMENT);
        Self { allocation, start }
    }
}

/// One buffer, filled from the front. Goes back to its pool when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    memory: Option<Memory>,
    filled: usize,
    pool: Arc<BufferPool>,
    _permit: OwnedSemaphorePermit,
}

impl BufferPool {
    /// A pool that uses at most `memory_bytes`, but has [`BUFFERS_MIN`] buffers in any case.
    pub(crate) fn new(memory_bytes: u64) -> Arc<Self> {
        let count = usize::try_from(memory_bytes / BUFFER_BYTES as u64).unwrap_or(usize::MAX);
        let count = count.clamp(BUFFERS_MIN, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(count)),
            count,
            idle: Mutex::new(Vec::new()),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Waits for a buffer; whoever asked first is served first. Dropping the future gives the place up.
    ///
    /// # Errors
    /// After [`BufferPool::close`].
    pub(crate) async fn take(self: &Arc<Self>) -> Result<Buffer, AcquireError> {
        let permits = Arc::clone(&self.permits);
        let permit = if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            permit
        } else {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let _waiting = Waiting(self);
            permits.acquire_owned().await?
        };
        let memory = lock(&self.idle).pop().unwrap_or_else(Memory::new);
        Ok(Buffer { memory: Some(memory), filled: 0, pool: Arc::clone(self), _permit: permit })
    }

    /// Whether somebody waits for a buffer.
    pub(crate) fn is_short(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Buffers that there are at most.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Buffers in use.
    pub(crate) fn used(&self) -> usize {
        self.count.saturating_sub(self.permits.available_permits())
    }

    /// Gives no more buffers out.
    pub(crate) fn close(&self) {
        self.permits.close();
    }
}

struct Waiting<'a>(&'a BufferPool);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Buffer {
    /// The bytes filled so far.
    pub(crate) fn filled(&self) -> &[u8] {
        let Some(memory) = &self.memory else { return &[] };
        memory.allocation.get(memory.start..memory.start + self.filled).unwrap_or_default()
    }

    /// Copies from the front of `bytes` what still fits and returns how much that was.
    pub(crate) fn fill(&mut self, bytes: &[u8]) -> usize {
        let Some(memory) = &mut self.memory else { return 0 };
        let rest = memory.allocation.get_mut(memory.start + self.filled..memory.start + BUFFER_BYTES);
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(bytes.len());
        if let (Some(to), Some(from)) = (rest.get_mut(..count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        self.filled += count;
        count
    }

    /// The memory behind the bytes filled so far.
    pub(crate) fn free(&mut self) -> &mut [u8] {
        let Some(memory) = &mut self.memory else { return &mut [] };
        memory.allocation.get_mut(memory.start + self.filled..memory.start + BUFFER_BYTES).unwrap_or_default()
    }

    /// Says that so many bytes of [`Buffer::free`] were filled.
    pub(crate) fn advance(&mut self, count: usize) {
        self.filled = BUFFER_BYTES.min(self.filled + count);
    }

    /// Bytes filled.
    pub(crate) const fn len(&self) -> usize {
        self.filled
    }

    /// Whether nothing fits any more.
    pub(crate) const fn is_full(&self) -> bool {
        self.filled == BUFFER_BYTES
    }

    /// Keeps the first `len` bytes only.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.filled = self.filled.min(len);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(memory) = self.memory.take() else { return };
        let mut idle = lock(&self.pool.idle);
        idle.push(memory);
        // This buffer's permit is still out: when it is the only one, no upload holds a buffer any more.
        if self.pool.used() <= 1 && idle.len() > BUFFERS_IDLE_MAX {
            idle.truncate(BUFFERS_IDLE_MAX);
            idle.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn take(pool: &Arc<BufferPool>) -> Option<Buffer> {
        match pin!(pool.take()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(buffer) => buffer.ok(),
            Poll::Pending => None,
        }
    }

    #[test]
    fn memory_is_aligned_and_bounded() {
        let pool = BufferPool::new(0);
        let mut buffers: Vec<Buffer> = std::iter::from_fn(|| take(&pool)).collect();
        assert_eq!((buffers.len(), pool.used(), pool.count()), (BUFFERS_MIN, BUFFERS_MIN, BUFFERS_MIN));
        for buffer in &mut buffers {
            assert_eq!(buffer.fill(b"front"), 5);
            assert_eq!(buffer.filled().as_ptr().addr() % DIRECT_ALIGNMENT, 0);
            assert_eq!(buffer.fill(&vec![7; BUFFER_BYTES]), BUFFER_BYTES - 5);
            assert!(buffer.is_full() && buffer.fill(b"x") == 0);
            assert_eq!(buffer.filled().get(..6), Some(&b"front\x07"[..]));
            buffer.truncate(2);
            assert_eq!((buffer.filled(), buffer.len()), (&b"fr"[..], 2));
        }
        drop(buffers);
        assert_eq!(pool.used(), 0);
        assert_eq!(take(&pool).map(|buffer| buffer.len()), Some(0), "a buffer comes back empty");
    }

    #[test]
    fn who_waits_is_counted_and_may_leave() {
        let pool = BufferPool::new(0);
        let held: Vec<Buffer> = std::iter::from_fn(|| take(&pool)).collect();
        {
            let mut waiting = pin!(pool.take());
            assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert!(pool.is_short());
        }
        assert!(!pool.is_short(), "the dropped future waits no more");
        drop(held);
        pool.close();
        assert!(take(&pool).is_none());
    }

    #[test]
    fn idle_memory_is_given_back() {
        let pool = BufferPool::new(64 * BUFFER_BYTES as u64);
        let held: Vec<Buffer> = (0..32).filter_map(|_| take(&pool)).collect();
        assert_eq!(held.len(), 32);
        drop(held);
        assert_eq!(lock(&pool.idle).len(), BUFFERS_IDLE_MAX);
    }
}
