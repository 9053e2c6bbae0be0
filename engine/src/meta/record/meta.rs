//! Facts about the store itself.

use super::Record;
use crate::error::EngineError;
use crate::meta::codec::{Reader, Writer};

/// The version of the format that the whole data directory is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatRecord {
    /// The version.
    pub version: u32,
}

impl Record for FormatRecord {
    const NAME: &'static str = "format version";

    fn write(&self, to: &mut Writer) {
        to.u32(self.version);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self { version: from.u32()? })
    }
}

/// The random number that tells this store from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreIdRecord(pub [u8; 16]);

impl Record for StoreIdRecord {
    const NAME: &'static str = "store id";

    fn write(&self, to: &mut Writer) {
        to.raw(&self.0);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        from.array().map(Self)
    }
}

/// Where the event log begins, since it was trimmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBeginsRecord {
    /// The number of its first event.
    pub number: u64,
}

impl Record for LogBeginsRecord {
    const NAME: &'static str = "beginning of the log";

    fn write(&self, to: &mut Writer) {
        to.u64(self.number);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self { number: from.u64()? })
    }
}

/// Every generation below is named by a row or its file is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettledRecord {
    /// The lowest generation that recovery has to look at.
    pub generation: u64,
}

impl Record for SettledRecord {
    const NAME: &'static str = "settled generation";

    fn write(&self, to: &mut Writer) {
        to.u64(self.generation);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self { generation: from.u64()? })
    }
}
