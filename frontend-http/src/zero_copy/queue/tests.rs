//! Bookkeeping of the queue.
