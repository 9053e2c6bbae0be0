//! Upload sessions and events.

use super::View;
use crate::error::EngineError;
use crate::meta::key::{self, Key, table};
use crate::meta::record::{Event, UploadRecord};
use strata_types::UploadId;

#[expect(clippy::missing_errors_doc, reason = "all return what MetaView::get documents")]
impl View {
    /// An upload session, expired or not.
    pub fn upload(&self, id: &UploadId) -> Result<Option<UploadRecord>, EngineError> {
        self.record(&key::upload(id))
    }

    /// Upload sessions, in the order of ids. A page can weigh 64 KiB an entry.
    pub fn uploads(
        &self,
        after: Option<&UploadId>,
        limit: usize,
    ) -> Result<Vec<(UploadId, UploadRecord)>, EngineError> {
        let after = after.map(key::upload);
        self.page(&key::whole(table::UPLOAD), after.as_deref(), limit, |key, record| match key {
            Key::Upload { id } => Some((id, record)),
            _ => None,
        })
    }

    /// Events with numbers above `after`, in order. The first event has number 1.
    pub fn events(&self, after: u64, limit: usize) -> Result<Vec<(u64, Event)>, EngineError> {
        let after = key::event(after);
        self.page(&key::whole(table::EVENT), Some(&after), limit, |key, event| match key {
            Key::Event { number } => Some((number, event)),
            _ => None,
        })
    }

    /// The number of the last event, 0 where there is none.
    pub fn last_event(&self) -> Result<u64, EngineError> {
        let row = self.last_row::<Event>(&key::whole(table::EVENT))?;
        Ok(row.map_or(0, |(key, _)| match key {
            Key::Event { number } => number,
            _ => 0,
        }))
    }
}
