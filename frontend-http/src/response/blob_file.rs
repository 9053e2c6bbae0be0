//! A stored blob as a source that response bodies send from.

use crate::body::{FileSource, ReadFuture};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use strata_registry::BlobFile;

impl FileSource for BlobFile {
    fn len(&self) -> u64 {
        Self::len(self)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Self::as_fd(self)
    }

    fn read_at(self: Arc<Self>, offset: u64, len: usize) -> ReadFuture {
        Box::pin(async move { Self::read_at(&self, offset, len).await })
    }
}
