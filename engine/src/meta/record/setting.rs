//! What the service layer keeps in the store, opaque to the engine.

use super::Record;
use crate::error::EngineError;
use crate::meta::codec::{Reader, Writer};
use bytes::Bytes;

/// A value of the service layer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingRecord(pub Bytes);

impl Record for SettingRecord {
    const NAME: &'static str = "setting";

    fn write(&self, to: &mut Writer) {
        to.raw(&self.0);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self(from.rest()))
    }
}
