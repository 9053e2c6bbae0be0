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

impl Record for BlobRecord {
    const NAME: &'static str = "blob";

    fn write(&self, to: &mut Writer) {
        to.u64(self.size);
        to.u64(self.checksum);
        to.time(self.created_at);
        match self.placement {
            Placement::Segment { segment, offset, length } => {
                to.u8(1);
                to.u32(segment);
                to.u64(offset);
                to.u32(length);
            }
            Placement::File { generation } => {
                to.u8(2);
                to.u64(generation);
            }
        }
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        let (size, checksum, created_at) = (from.u64()?, from.u64()?, from.time()?);
        let placement = match from.u8()? {
            1 => Placement::Segment { segment: from.u32()?, offset: from.u64()?, length: from.u32()? },
            2 => Placement::File { generation: from.u64()? },
            _ => return Err(from.corrupt("unknown placement")),
        };
        Ok(Self { size, placement, checksum, created_at })
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
