//! What was deleted and can be restored.

use super::{Edge, Edges, Record};
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::codec::{Reader, Writer};
use bytes::Bytes;
use strata_types::{Digest, RepositoryName, Tag};

/// A deletion that can be undone. Its number, the key, is that of the event that tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrashRecord {
    /// When it was deleted.
    pub at: UnixMillis,
    /// Where it was.
    pub repository: RepositoryName,
    /// The manifest, or the one that the tag pointed to.
    pub digest: Digest,
    /// What was deleted.
    pub what: Trashed,
}

/// What was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trashed {
    /// A manifest, and with it what belongs to it.
    Manifest(TrashedManifest),
    /// A tag.
    Tag(Tag),
}

/// What is needed to put a manifest back. Its bytes stay where they are until garbage collection takes them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrashedManifest {
    /// As in its row.
    pub media_type: String,
    /// As in its row.
    pub size: u64,
    /// As in its row.
    pub pushed_at: UnixMillis,
    /// As in its row.
    pub attributes: Bytes,
    /// What it referred to.
    pub edges: Edges,
    /// What of that its repository had, in order of digests: only this must be there when it is put back.
    pub there: Vec<(Digest, Target)>,
    /// The descriptor with which it was listed, where it had a subject.
    pub descriptor: Option<Bytes>,
    /// The tags that went with it.
    pub tags: Vec<Tag>,
}

/// What an edge leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A blob that the repository may read.
    Link,
    /// A manifest of the repository.
    Manifest,
}

const MANIFEST: u8 = 1;
const TAG: u8 = 2;

impl Target {
    const fn code(self) -> u8 {
        match self {
            Self::Link => 1,
            Self::Manifest => 2,
        }
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        match from.u8()? {
            1 => Ok(Self::Link),
            2 => Ok(Self::Manifest),
            _ => Err(from.corrupt("unknown target")),
        }
    }
}

impl Record for TrashRecord {
    const NAME: &'static str = "deletion";

    fn write(&self, to: &mut Writer) {
        to.time(self.at);
        to.short(self.repository.as_str().as_bytes());
        to.digest(&self.digest);
        match &self.what {
            Trashed::Manifest(manifest) => {
                to.u8(MANIFEST);
                manifest.write(to);
            }
            Trashed::Tag(tag) => {
                to.u8(TAG);
                to.short(tag.as_str().as_bytes());
            }
        }
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        let (at, repository, digest) = (from.time()?, from.repository()?, from.digest()?);
        let what = match from.u8()? {
            MANIFEST => Trashed::Manifest(TrashedManifest::read(from)?),
            TAG => Trashed::Tag(from.tag()?),
            _ => return Err(from.corrupt("unknown kind")),
        };
        Ok(Self { at, repository, digest, what })
    }
}

impl TrashedManifest {
    fn write(&self, to: &mut Writer) {
        to.short(self.media_type.as_bytes());
        to.u64(self.size);
        to.time(self.pushed_at);
        to.long(&self.attributes);
        self.edges.write(to);
        to.u32(u32::try_from(self.there.len()).unwrap_or(u32::MAX));
        for (digest, target) in &self.there {
            to.u8(target.code());
            to.digest(digest);
        }
        to.option(self.descriptor.as_ref(), |to, descriptor| to.long(descriptor));
        to.u32(u32::try_from(self.tags.len()).unwrap_or(u32::MAX));
        for tag in &self.tags {
            to.short(tag.as_str().as_bytes());
        }
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        let (media_type, size, pushed_at) = (from.text()?, from.u64()?, from.time()?);
        let (attributes, edges) = (from.long()?, Edges::read(from)?);
        // An entry takes 34 bytes at least, a tag three.
        let there = from.list(34, |from| {
            let target = Target::read(from)?;
            Ok((from.digest()?, target))
        })?;
        if !there.is_sorted_by(|left, right| left.0 < right.0) {
            return Err(from.corrupt("what was there is out of order"));
        }
        let descriptor = from.option(Reader::long)?;
        let tags = from.list(3, Reader::tag)?;
        Ok(Self { media_type, size, pushed_at, attributes, edges, there, descriptor, tags })
    }

    /// The edges that are not its subject.
    pub(crate) fn held_edges(&self) -> Vec<Edge> {
        let held = self.edges.as_slice().iter().filter(|edge| edge.role != super::EdgeRole::Subject);
        held.copied().collect()
    }
}
