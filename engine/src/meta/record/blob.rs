//! Records of blobs: where their bytes are, and from there back to them.

use super::Record;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::codec::{Reader, Writer};
use strata_types::{Digest, UploadId};

/// Where a blob's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placement {
    /// A frame of a segment file.
    Segment {
        /// The segment's number.
        segment: u32,
        /// Where the frame starts in the file, bytes.
        offset: u64,
        /// What the frame takes in the file, bytes: header, payload and all.
        length: u32,
    },
    /// A file of its own.
    File {
        /// The number that names the file; never used twice.
        generation: u64,
    },
}

/// A blob, once for the whole store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobRecord {
    /// Its length, bytes.
    pub size: u64,
    /// Where its bytes are.
    pub placement: Placement,
    /// xxh3 over its bytes, as `docs/format.md` defines it.
    pub checksum: u64,
    /// When its bytes were first stored.
    pub created_at: UnixMillis,
}

/// Codes of a blob's placement.
const SEGMENT: u8 = 1;
const FILE: u8 = 2;
const FILE_IN_QUARANTINE: u8 = 3;
const SEGMENT_IN_QUARANTINE: u8 = 4;

impl BlobRecord {
    fn write_with(&self, to: &mut Writer, segment_code: u8, file_code: u8) {
        to.u64(self.size);
        to.u64(self.checksum);
        to.time(self.created_at);
        match self.placement {
            Placement::Segment { segment, offset, length } => {
                to.u8(segment_code);
                to.u32(segment);
                to.u64(offset);
                to.u32(length);
            }
            Placement::File { generation } => {
                to.u8(file_code);
                to.u64(generation);
            }
        }
    }

    /// What the blob takes on the disk, bytes.
    pub(crate) const fn stored_bytes(&self) -> u64 {
        match self.placement {
            Placement::Segment { length, .. } => length as u64,
            Placement::File { .. } => self.size,
        }
    }
}

/// Of a blob that is sound: one in quarantine is read as [`StoredBlob`] only, so that nobody takes it for a sound one.
impl Record for BlobRecord {
    const NAME: &'static str = "blob";

    fn write(&self, to: &mut Writer) {
        self.write_with(to, SEGMENT, FILE);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        let stored = StoredBlob::read(from)?;
        match stored.quarantine {
            None => Ok(stored.record),
            Some(_) => Err(from.corrupt("it is in quarantine")),
        }
    }
}

/// What is wrong with the stored bytes of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Damage {
    /// Its file, or its segment, is not there.
    Missing,
    /// There are fewer or more bytes than were stored.
    Length,
    /// They are other bytes than were stored.
    Content,
    /// The device cannot read them, however often it is asked.
    Unreadable,
}

impl Damage {
    /// All kinds, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::Missing, Self::Length, Self::Content, Self::Unreadable];

    /// The kind's code in records, 1 to 4.
    pub const fn code(self) -> u8 {
        match self {
            Self::Missing => 1,
            Self::Length => 2,
            Self::Content => 3,
            Self::Unreadable => 4,
        }
    }

    /// The kind as one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Length => "length",
            Self::Content => "content",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Why a blob is not served although there is a row for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quarantine {
    /// Since when.
    pub at: UnixMillis,
    /// What was found.
    pub damage: Damage,
}

/// A blob's row: a blob that can be served, or one whose bytes are there and known to be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBlob {
    /// What was stored, and where.
    pub record: BlobRecord,
    /// Why it is not served; `None`: it is.
    pub quarantine: Option<Quarantine>,
}

impl StoredBlob {
    /// A blob that is served.
    pub const fn sound(record: BlobRecord) -> Self {
        Self { record, quarantine: None }
    }

    /// The blob, if it is served.
    pub const fn served(self) -> Option<BlobRecord> {
        match self.quarantine {
            None => Some(self.record),
            Some(_) => None,
        }
    }
}

impl Record for StoredBlob {
    const NAME: &'static str = "blob";

    fn write(&self, to: &mut Writer) {
        match self.quarantine {
            None => self.record.write(to),
            Some(Quarantine { at, damage }) => {
                self.record.write_with(to, SEGMENT_IN_QUARANTINE, FILE_IN_QUARANTINE);
                to.time(at);
                to.u8(damage.code());
            }
        }
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        let (size, checksum, created_at) = (from.u64()?, from.u64()?, from.time()?);
        let code = from.u8()?;
        let placement = match code {
            SEGMENT | SEGMENT_IN_QUARANTINE => {
                Placement::Segment { segment: from.u32()?, offset: from.u64()?, length: from.u32()? }
            }
            FILE | FILE_IN_QUARANTINE => Placement::File { generation: from.u64()? },
            _ => return Err(from.corrupt("unknown placement")),
        };
        let quarantine = if matches!(code, SEGMENT_IN_QUARANTINE | FILE_IN_QUARANTINE) {
            let (at, code) = (from.time()?, from.u8()?);
            let damage = Damage::ALL.into_iter().find(|damage| damage.code() == code);
            Some(Quarantine { at, damage: damage.ok_or_else(|| from.corrupt("unknown damage"))? })
        } else {
            None
        };
        Ok(Self { record: BlobRecord { size, placement, checksum, created_at }, quarantine })
    }
}

/// Whose file a generation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GenerationOwner {
    /// A committed blob.
    Blob(Digest),
    /// An upload session.
    Upload(UploadId),
}

impl Record for GenerationOwner {
    const NAME: &'static str = "generation";

    fn write(&self, to: &mut Writer) {
        match self {
            Self::Blob(digest) => {
                to.u8(1);
                to.digest(digest);
            }
            Self::Upload(id) => {
                to.u8(2);
                to.raw(id.as_bytes());
            }
        }
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        match from.u8()? {
            1 => from.digest().map(Self::Blob),
            2 => from.array().map(UploadId::from_bytes).map(Self::Upload),
            _ => Err(from.corrupt("unknown owner")),
        }
    }
}

/// Which blob a frame of a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameRecord {
    /// The blob.
    pub digest: Digest,
    /// What the frame takes in the file, bytes: the next frame starts there.
    pub length: u32,
}

impl Record for FrameRecord {
    const NAME: &'static str = "frame";

    fn write(&self, to: &mut Writer) {
        to.u32(self.length);
        to.digest(&self.digest);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self { length: from.u32()?, digest: from.digest()? })
    }
}
