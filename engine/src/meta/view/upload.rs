//! Upload sessions.

use super::View;
use crate::error::EngineError;
use crate::meta::key::{self, Key, table};
use crate::meta::record::UploadRecord;
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
}
