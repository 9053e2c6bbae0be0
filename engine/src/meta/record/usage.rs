//! What a registry uses: its figures, and who of it holds a digest.

use super::Record;
use crate::error::EngineError;
use crate::meta::codec::{Reader, Writer};

/// What a repository can hold by a digest. The same bytes as a blob and as a manifest are two things, and are stored twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Held {
    /// A blob, by a link.
    Blob,
    /// A manifest.
    Manifest,
}

impl Held {
    /// The code in keys.
    pub const fn code(self) -> u8 {
        match self {
            Self::Blob => 1,
            Self::Manifest => 2,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Blob),
            2 => Some(Self::Manifest),
            _ => None,
        }
    }

    /// For messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Manifest => "manifest",
        }
    }
}

/// How many repositories of a registry hold a digest, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HoldersRecord {
    /// So many repositories.
    pub repositories: u64,
    /// The length of the blob or manifest, bytes.
    pub bytes: u64,
}

impl Record for HoldersRecord {
    const NAME: &'static str = "holders";

    fn write(&self, to: &mut Writer) {
        to.u64(self.repositories);
        to.u64(self.bytes);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self { repositories: from.u64()?, bytes: from.u64()? })
    }
}

/// What a registry uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Repositories.
    pub repositories: u64,
    /// Manifests, each in each repository that has it.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Bytes of blobs and manifests, each counted in each repository that holds it.
    pub logical_bytes: u64,
    /// Bytes of blobs and manifests, each counted once.
    pub unique_bytes: u64,
}

impl Record for Usage {
    const NAME: &'static str = "usage";

    fn write(&self, to: &mut Writer) {
        for figure in [self.repositories, self.manifests, self.tags, self.logical_bytes, self.unique_bytes] {
            to.u64(figure);
        }
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self {
            repositories: from.u64()?,
            manifests: from.u64()?,
            tags: from.u64()?,
            logical_bytes: from.u64()?,
            unique_bytes: from.u64()?,
        })
    }
}
