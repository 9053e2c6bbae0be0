//! Records of a repository: itself, its tags and their history, its links to blobs.

use super::Record;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::codec::{Reader, Writer};
use strata_types::Digest;

/// A repository exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepositoryRecord {
    /// When its first push came.
    pub created_at: UnixMillis,
}

impl Record for RepositoryRecord {
    const NAME: &'static str = "repository";

    fn write(&self, to: &mut Writer) {
        to.time(self.created_at);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self { created_at: from.time()? })
    }
}

/// A blob may be read in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkRecord {
    /// When it was pushed or mounted last, or when the last manifest let go of it: a recent link protects the blob from the sweep.
    pub created_at: UnixMillis,
}

impl Record for LinkRecord {
    const NAME: &'static str = "link";

    fn write(&self, to: &mut Writer) {
        to.time(self.created_at);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self { created_at: from.time()? })
    }
}

/// Where a tag points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagRecord {
    /// The manifest.
    pub digest: Digest,
    /// When the tag was last set, even to the same manifest.
    pub updated_at: UnixMillis,
}

impl Record for TagRecord {
    const NAME: &'static str = "tag";

    fn write(&self, to: &mut Writer) {
        to.digest(&self.digest);
        to.time(self.updated_at);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self { digest: from.digest()?, updated_at: from.time()? })
    }
}

/// One move of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryRecord {
    /// Where the tag pointed from then on; `None` where it was removed.
    pub target: Option<Digest>,
    /// When.
    pub at: UnixMillis,
}

impl Record for HistoryRecord {
    const NAME: &'static str = "tag history";

    fn write(&self, to: &mut Writer) {
        to.time(self.at);
        to.option(self.target.as_ref(), Writer::digest);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self { at: from.time()?, target: from.option(Reader::digest)? })
    }
}
