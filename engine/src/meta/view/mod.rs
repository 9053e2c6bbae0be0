//! Typed reading of a consistent state. Lookups are one get, lists are pages: `after` is exclusive and need not exist,
//! `limit` bounds the entries, and an empty or short page is the end.

mod blob;
mod content;
mod event;
mod gc;
mod manifest;
mod repository;
mod setting;
mod trash;
mod upload;
mod usage;

pub use gc::{Lease, Queued};

use super::key::Key;
use super::record::Record;
use super::store::MetaView;
use crate::error::EngineError;
use bytes::Bytes;
use std::sync::Arc;

/// A consistent state of the metadata. Cheap to make and to clone; do not keep it for longer than a request.
#[derive(Debug, Clone)]
pub struct View(Arc<dyn MetaView>);

impl View {
    /// Reads through `view`.
    pub fn new(view: Arc<dyn MetaView>) -> Self {
        Self(view)
    }

    /// Whether the store has no row at all.
    pub(crate) fn is_empty(&self) -> Result<bool, EngineError> {
        Ok(self.0.scan(&[], None, 1)?.is_empty())
    }

    /// The value of a key as it is.
    pub(crate) fn raw(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.0.get(key)
    }

    /// A page of rows as they are.
    pub(crate) fn raw_page(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.0.scan(prefix, after, limit)
    }

    /// The last row of a prefix as it is.
    pub(crate) fn raw_last(&self, prefix: &[u8]) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        self.0.last(prefix)
    }

    fn record<R: Record>(&self, key: &[u8]) -> Result<Option<R>, EngineError> {
        self.0.get(key)?.map(R::decode).transpose()
    }

    fn holds(&self, key: &[u8]) -> Result<bool, EngineError> {
        Ok(self.0.get(key)?.is_some())
    }

    fn last_row<R: Record>(&self, prefix: &[u8]) -> Result<Option<(Key, R)>, EngineError> {
        let Some((key, value)) = self.0.last(prefix)? else { return Ok(None) };
        Ok(Some((Key::decode(&key)?, R::decode(value)?)))
    }

    /// A page of decoded rows; `pick` takes out of the key what the caller wants and refuses other tables' keys.
    fn page<R: Record, T>(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        pick: impl Fn(Key, R) -> Option<T>,
    ) -> Result<Vec<T>, EngineError> {
        let rows = self.0.scan(prefix, after, limit)?;
        let mut page = Vec::with_capacity(rows.len());
        for (key, value) in rows {
            let decoded = Key::decode(&key)?;
            let picked = pick(decoded, R::decode(value)?);
            page.push(
                picked.ok_or_else(|| EngineError::corrupt(format!("{} row in the wrong table", R::NAME)))?,
            );
        }
        Ok(page)
    }
}
