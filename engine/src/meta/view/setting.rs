//! Settings of the service layer.

use super::View;
use crate::error::EngineError;
use crate::meta::key::{self, Key};
use crate::meta::record::SettingRecord;
use bytes::Bytes;

#[expect(clippy::missing_errors_doc, reason = "all return what MetaView::get documents")]
impl View {
    /// A setting.
    pub fn setting(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.record(&key::setting(key))?.map(|SettingRecord(value)| value))
    }

    /// Settings whose keys start with `prefix`, in the order of keys; `after` is a whole key. A page can weigh 64 KiB an entry.
    pub fn settings(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        let after = after.map(key::setting);
        let prefix = key::setting(prefix);
        self.page(&prefix, after.as_deref(), limit, |key, SettingRecord(value)| match key {
            Key::Setting { name } => Some((name, value)),
            _ => None,
        })
    }
}
