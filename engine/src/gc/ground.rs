//! What the sweeper stands on: the store, or for a plan a copy of its state that nobody sees.

use crate::error::EngineError;
use crate::meta::overlay::Overlay;
use crate::meta::{Batch, Committed, MetaView, View};
use crate::store::Store;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where entries are read and verdicts committed.
pub(crate) trait Ground {
    /// A state that holds all that was committed here.
    ///
    /// # Errors
    /// As the store's.
    fn view(&self) -> Result<View, EngineError>;

    /// Commits batches together; the answers are in order.
    fn commit(&self, batches: Vec<Batch>) -> Vec<Result<Committed, EngineError>>;

    /// Rows that were read so far.
    fn rows_read(&self) -> u64;
}

/// The store itself.
#[derive(Debug)]
pub(crate) struct Live<'a> {
    store: &'a Arc<Store>,
    rows: Arc<AtomicU64>,
}

impl<'a> Live<'a> {
    pub(crate) fn new(store: &'a Arc<Store>) -> Self {
        Self { store, rows: Arc::default() }
    }
}

impl Ground for Live<'_> {
    fn view(&self) -> Result<View, EngineError> {
        let inner = self.store.meta.view()?;
        Ok(View::new(Arc::new(Counted { inner, rows: Arc::clone(&self.rows) })))
    }

    fn commit(&self, batches: Vec<Batch>) -> Vec<Result<Committed, EngineError>> {
        self.store.commit_all(batches)
    }

    fn rows_read(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}

/// A copy.
#[derive(Debug)]
pub(crate) struct Dry {
    overlay: Arc<Overlay>,
    rows: Arc<AtomicU64>,
}

impl Dry {
    pub(crate) fn new(base: Arc<dyn MetaView>) -> Self {
        let rows = Arc::<AtomicU64>::default();
        let inner = Arc::new(Counted { inner: base, rows: Arc::clone(&rows) });
        Self { overlay: Overlay::new(inner), rows }
    }
}

impl Ground for Dry {
    fn view(&self) -> Result<View, EngineError> {
        let overlay: Arc<dyn MetaView> = Arc::<Overlay>::clone(&self.overlay);
        Ok(View::new(overlay))
    }

    fn commit(&self, batches: Vec<Batch>) -> Vec<Result<Committed, EngineError>> {
        batches.into_iter().map(|batch| self.overlay.apply(batch)).collect()
    }

    fn rows_read(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}

/// Counts the rows that are read through it, and looks that found none.
#[derive(Debug)]
struct Counted {
    inner: Arc<dyn MetaView>,
    rows: Arc<AtomicU64>,
}

impl MetaView for Counted {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.rows.fetch_add(1, Ordering::Relaxed);
        self.inner.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        let rows = self.inner.scan(prefix, after, limit)?;
        self.rows.fetch_add(rows.len().max(1) as u64, Ordering::Relaxed);
        Ok(rows)
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        self.rows.fetch_add(1, Ordering::Relaxed);
        self.inner.last(prefix)
    }
}
