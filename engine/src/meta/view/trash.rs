//! What was deleted and can be restored.

use super::View;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::key::{self, Key, table};
use crate::meta::record::TrashRecord;

#[expect(clippy::missing_errors_doc, reason = "all return what MetaView::get documents")]
impl View {
    /// A deletion.
    pub fn trash(&self, number: u64) -> Result<Option<TrashRecord>, EngineError> {
        self.record(&key::trash(number))
    }

    /// Deletions, oldest first, each with the number of the event that tells it.
    pub fn trash_page(
        &self,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, TrashRecord)>, EngineError> {
        let after = after.map(key::trash);
        self.page(&key::whole(table::TRASH), after.as_deref(), limit, |key, record| match key {
            Key::Trash { number } => Some((number, record)),
            _ => None,
        })
    }

    /// The oldest deletions, as long as they were before a moment: what can be given up.
    pub fn expired_trash(&self, before: UnixMillis, limit: usize) -> Result<Vec<u64>, EngineError> {
        let page = self.trash_page(None, limit)?;
        Ok(page.into_iter().take_while(|(_, record)| record.at < before).map(|(number, _)| number).collect())
    }
}
