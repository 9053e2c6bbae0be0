//! The event log: what happened, appended in the transaction that did it.

use super::Record;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::codec::{Reader, Writer};
use bytes::Bytes;
use strata_types::{Digest, RepositoryName, Tag};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A repository came to be.
    RepositoryCreated,
    /// A blob was pushed to a repository that had it not.
    BlobPushed,
    /// A blob was mounted into a repository that had it not.
    BlobMounted,
    /// A blob was removed from a repository.
    BlobDeleted,
    /// A manifest was pushed to a repository, perhaps not for the first time.
    ManifestPushed,
    /// A manifest was removed from a repository.
    ManifestDeleted,
    /// A tag was set, perhaps to where it pointed before.
    TagSet,
    /// A tag was removed.
    TagDeleted,
    /// A repository was removed with all that it had.
    RepositoryDeleted,
    /// The bytes of a blob were found to be bad; it is not served until it is healed.
    BlobQuarantined,
    /// A blob has good bytes again.
    BlobHealed,
    /// Something that only the service layer knows of; the detail says what.
    Noted,
}

impl EventKind {
    /// All kinds, in the order of their codes.
    pub const ALL: [Self; 12] = [
        Self::RepositoryCreated,
        Self::BlobPushed,
        Self::BlobMounted,
        Self::BlobDeleted,
        Self::ManifestPushed,
        Self::ManifestDeleted,
        Self::TagSet,
        Self::TagDeleted,
        Self::RepositoryDeleted,
        Self::BlobQuarantined,
        Self::BlobHealed,
        Self::Noted,
    ];

    /// The kind's code in records.
    pub const fn code(self) -> u8 {
        match self {
            Self::RepositoryCreated => 1,
            Self::BlobPushed => 2,
            Self::BlobMounted => 3,
            Self::BlobDeleted => 4,
            Self::ManifestPushed => 5,
            Self::ManifestDeleted => 6,
            Self::TagSet => 7,
            Self::TagDeleted => 8,
            Self::RepositoryDeleted => 9,
            Self::BlobQuarantined => 10,
            Self::BlobHealed => 11,
            Self::Noted => 12,
        }
    }
}

/// One event. Its sequence number is its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: UnixMillis,
    /// What.
    pub kind: EventKind,
    /// Where.
    pub repository: Option<RepositoryName>,
    /// The blob or manifest; for a removed tag what it pointed to.
    pub digest: Option<Digest>,
    /// The tag.
    pub tag: Option<Tag>,
    /// What the service layer adds (who, from where); opaque here, at most 64 KiB.
    pub detail: Bytes,
}

impl Record for Event {
    const NAME: &'static str = "event";

    fn write(&self, to: &mut Writer) {
        to.time(self.at);
        to.u8(self.kind.code());
        to.option(self.repository.as_ref(), |to, name| to.short(name.as_str().as_bytes()));
        to.option(self.digest.as_ref(), Writer::digest);
        to.option(self.tag.as_ref(), |to, tag| to.short(tag.as_str().as_bytes()));
        to.short(&self.detail);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        let at = from.time()?;
        let code = from.u8()?;
        let kind = EventKind::ALL.into_iter().find(|kind| kind.code() == code);
        Ok(Self {
            at,
            kind: kind.ok_or_else(|| from.corrupt("unknown kind"))?,
            repository: from.option(Reader::repository)?,
            digest: from.option(Reader::digest)?,
            tag: from.option(Reader::tag)?,
            detail: from.short()?,
        })
    }
}
