//! Values of the key space: bytes ↔ structs, no I/O. Every value starts with a version byte; all that is not exactly a
//! known record is [`EngineError::Corrupt`]. `docs/format.md` lists them byte by byte, a committed fixture pins them.

mod blob;
mod content;
mod event;
mod gc;
mod job;
mod manifest;
mod meta;
mod repository;
mod setting;
#[cfg(test)]
mod tests;
mod trash;
mod upload;
mod usage;

pub use blob::{BlobRecord, Damage, FrameRecord, GenerationOwner, Placement, Quarantine, StoredBlob};
pub use content::{IngestRecord, PinRecord};
pub use event::{Event, EventKind};
pub use gc::{GcItem, LeaseId, LeaseRecord, SinceRecord, TombstoneItem, TombstoneRecord};
pub(crate) use job::SCRUB;
pub use job::{ScrubRecord, ScrubRound, ScrubTally};
pub use manifest::{BackEdge, Edge, EdgeRole, Edges, ManifestBytes, ManifestRecord, Referrer, RoleSet};
pub use meta::{FormatRecord, LogBeginsRecord, SettledRecord, StoreIdRecord};
pub use repository::{HistoryRecord, LinkRecord, RepositoryRecord, TagRecord};
pub use setting::SettingRecord;
pub use trash::{Target, TrashRecord, Trashed, TrashedManifest};
pub use upload::{HashState, UploadRecord};
pub use usage::{Held, HoldersRecord, Usage};

use super::codec::{Reader, Writer};
use super::format;
use super::key::{Key, table};
use crate::error::EngineError;
use bytes::Bytes;

/// Version byte of every record of this format.
pub const RECORD_VERSION: u8 = 1;

/// A value of the key space.
pub(crate) trait Record: Sized {
    /// The record's name in error messages and in the format document.
    const NAME: &'static str;

    /// Writes everything after the version byte.
    fn write(&self, to: &mut Writer);

    /// Reads everything after the version byte.
    fn read(from: &mut Reader) -> Result<Self, EngineError>;

    /// The whole value.
    fn encode(&self) -> Bytes {
        let mut to = Writer::with_capacity(64);
        to.u8(RECORD_VERSION);
        self.write(&mut to);
        to.finish()
    }

    /// Reads a whole value.
    fn decode(value: Bytes) -> Result<Self, EngineError> {
        let mut from = Reader::new(Self::NAME, value);
        let version = from.u8()?;
        if version != RECORD_VERSION {
            return Err(from.corrupt(&format!("unknown version {version}")));
        }
        let record = Self::read(&mut from)?;
        from.end()?;
        Ok(record)
    }
}

/// The value of rows whose key says everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence;

impl Record for Presence {
    const NAME: &'static str = "index";

    fn write(&self, _to: &mut Writer) {}

    fn read(_from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self)
    }
}

/// Reads the value of any row, for those who only want to know whether it can be read. Reserved tables are opaque.
///
/// # Errors
/// [`EngineError::Corrupt`] where it cannot be read, or its version is not known.
pub fn decode_row(key: &Key, value: Bytes) -> Result<(), EngineError> {
    match key {
        Key::Meta { name } => match name.as_str() {
            format::FORMAT => FormatRecord::decode(value).map(drop),
            format::LOG_BEGINS => LogBeginsRecord::decode(value).map(drop),
            format::SETTLED => SettledRecord::decode(value).map(drop),
            format::STORE_ID => StoreIdRecord::decode(value).map(drop),
            _ => Err(EngineError::corrupt(format!("unknown fact about the store: {name}"))),
        },
        Key::BackEdge { .. } => BackEdge::decode(value).map(drop),
        Key::Ingest { .. } => IngestRecord::decode(value).map(drop),
        Key::Pin { .. } => PinRecord::decode(value).map(drop),
        Key::ManifestBytes { .. } => ManifestBytes::decode(value).map(drop),
        Key::Referrer { .. } => Referrer::decode(value).map(drop),
        Key::Blob { .. } => StoredBlob::decode(value).map(drop),
        Key::Reserved { table: table::JOB, name } if name == SCRUB => ScrubRecord::decode(value).map(drop),
        Key::Reserved { .. } => Ok(()),
        Key::Edges { .. } => Edges::decode(value).map(drop),
        Key::Generation { .. } => GenerationOwner::decode(value).map(drop),
        Key::TagMove { .. } => HistoryRecord::decode(value).map(drop),
        Key::Frame { .. } => FrameRecord::decode(value).map(drop),
        Key::Link { .. } => LinkRecord::decode(value).map(drop),
        Key::Manifest { .. } => ManifestRecord::decode(value).map(drop),
        Key::Repository { .. } => RepositoryRecord::decode(value).map(drop),
        Key::Setting { .. } => SettingRecord::decode(value).map(drop),
        Key::Tag { .. } => TagRecord::decode(value).map(drop),
        Key::Upload { .. } => UploadRecord::decode(value).map(drop),
        Key::Event { .. } => Event::decode(value).map(drop),
        Key::Usage { .. } => Usage::decode(value).map(drop),
        Key::Holders { .. } => HoldersRecord::decode(value).map(drop),
        Key::Lease { .. } => LeaseRecord::decode(value).map(drop),
        Key::GcSince { .. } => SinceRecord::decode(value).map(drop),
        Key::Trash { .. } => TrashRecord::decode(value).map(drop),
        Key::Tombstone { .. } => TombstoneRecord::decode(value).map(drop),
        Key::BlobRepository { .. }
        | Key::ManifestRepository { .. }
        | Key::Gc { .. }
        | Key::GcFormat1 { .. }
        | Key::ManifestTag { .. }
        | Key::Quarantine { .. } => Presence::decode(value).map(drop),
    }
}
