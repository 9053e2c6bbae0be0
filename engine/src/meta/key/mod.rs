//! Keys: builders (one function per table, and per prefix that is listed) and, in [`decode`](mod@decode), the way back.
//!
//! The first byte names the table. Names end with a zero byte, which no name contains; digests delimit themselves;
//! integers are big-endian. So within a prefix, entries sort by name, digest or number (`docs/format.md`).

mod decode;
#[cfg(test)]
mod tests;

pub use decode::Key;
pub(crate) use decode::printable;

use super::record::{GcItem, Held, LeaseId, TombstoneItem};
use crate::clock::UnixMillis;
use bytes::Bytes;
use strata_types::{Digest, RepositoryName, Tag, UploadId};

/// First bytes of keys.
pub(crate) mod table {
    pub(crate) const META: u8 = b'!';
    pub(crate) const BACK_EDGE: u8 = b'E';
    pub(crate) const INGEST: u8 = b'I';
    pub(crate) const BLOB_REPOSITORY: u8 = b'L';
    pub(crate) const MANIFEST_BYTES: u8 = b'M';
    pub(crate) const PIN: u8 = b'P';
    pub(crate) const QUARANTINE: u8 = b'Q';
    pub(crate) const REFERRER: u8 = b'R';
    pub(crate) const USAGE: u8 = b'W';
    pub(crate) const BLOB: u8 = b'b';
    pub(crate) const CURSOR: u8 = b'c';
    pub(crate) const TRASH: u8 = b'd';
    pub(crate) const EDGES: u8 = b'e';
    pub(crate) const GENERATION: u8 = b'g';
    pub(crate) const TAG_HISTORY: u8 = b'h';
    pub(crate) const JOB: u8 = b'j';
    pub(crate) const FRAME: u8 = b'k';
    pub(crate) const LINK: u8 = b'l';
    pub(crate) const MANIFEST: u8 = b'm';
    pub(crate) const MANIFEST_REPOSITORY: u8 = b'n';
    pub(crate) const GC: u8 = b'q';
    pub(crate) const REPOSITORY: u8 = b'r';
    pub(crate) const SETTING: u8 = b's';
    pub(crate) const TAG: u8 = b't';
    pub(crate) const UPLOAD: u8 = b'u';
    pub(crate) const EVENT: u8 = b'v';
    pub(crate) const HOLDERS: u8 = b'w';
    pub(crate) const LEASE: u8 = b'x';
    pub(crate) const MANIFEST_TAG: u8 = b'y';
    pub(crate) const TOMBSTONE: u8 = b'z';
    /// Every table, in the order of keys.
    #[cfg(test)]
    pub(crate) const ALL: [u8; 30] = [
        META,
        BACK_EDGE,
        INGEST,
        BLOB_REPOSITORY,
        MANIFEST_BYTES,
        PIN,
        QUARANTINE,
        REFERRER,
        USAGE,
        BLOB,
        CURSOR,
        TRASH,
        EDGES,
        GENERATION,
        TAG_HISTORY,
        JOB,
        FRAME,
        LINK,
        MANIFEST,
        MANIFEST_REPOSITORY,
        GC,
        REPOSITORY,
        SETTING,
        TAG,
        UPLOAD,
        EVENT,
        HOLDERS,
        LEASE,
        MANIFEST_TAG,
        TOMBSTONE,
    ];
}

/// Codes of [`GcItem`] in keys.
pub(crate) const GC_LINK: u8 = 1;
pub(crate) const GC_MANIFEST: u8 = 2;
pub(crate) const GC_BLOB: u8 = 3;
pub(crate) const GC_MANIFEST_BYTES: u8 = 4;
/// Added to the code where the row says since when the item is queued.
pub(super) const GC_SINCE: u8 = 0x10;
/// Stands in front of the time in the queue of format 1, as long as milliseconds fit into 56 bits.
const GC_FORMAT_1: u8 = 0;
/// Codes of [`TombstoneItem`] in keys.
pub(super) const TOMBSTONE_FILE: u8 = 1;
pub(super) const TOMBSTONE_FRAME: u8 = 2;
pub(super) const TOMBSTONE_SEGMENT: u8 = 3;

/// Puts a key together.
struct Builder(Vec<u8>);

impl Builder {
    fn new(table: u8) -> Self {
        let mut key = Vec::with_capacity(96);
        key.push(table);
        Self(key)
    }

    fn name(mut self, name: &str) -> Self {
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
        self
    }

    /// Bytes that end the key, without a delimiter.
    fn tail(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    fn digest(mut self, digest: &Digest) -> Self {
        digest.write_key(&mut self.0);
        self
    }

    fn u32(self, value: u32) -> Self {
        self.tail(&value.to_be_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.tail(&value.to_be_bytes())
    }

    fn done(self) -> Bytes {
        self.0.into()
    }
}

/// The prefix of a whole table.
pub(crate) fn whole(table: u8) -> Bytes {
    Bytes::copy_from_slice(&[table])
}

/// `!` name: a fact about the store.
pub(crate) fn meta(name: &str) -> Bytes {
    Builder::new(table::META).tail(name.as_bytes()).done()
}

/// `r` name: a repository.
pub(crate) fn repository(name: &RepositoryName) -> Bytes {
    repository_after(name.as_str())
}

/// Where a list of repositories goes on after `name`, which need not be a repository's.
pub(crate) fn repository_after(name: &str) -> Bytes {
    Builder::new(table::REPOSITORY).tail(name.as_bytes()).done()
}

/// `M` D: a manifest's bytes.
pub(crate) fn manifest_bytes(digest: &Digest) -> Bytes {
    Builder::new(table::MANIFEST_BYTES).digest(digest).done()
}

/// `e` name 0 D: a manifest's edges.
pub(crate) fn edges(name: &RepositoryName, digest: &Digest) -> Bytes {
    Builder::new(table::EDGES).name(name.as_str()).digest(digest).done()
}

/// `m` name 0: the manifests of a repository.
pub(crate) fn manifests(name: &RepositoryName) -> Bytes {
    Builder::new(table::MANIFEST).name(name.as_str()).done()
}

/// `m` name 0 D: a manifest of a repository.
pub(crate) fn manifest(name: &RepositoryName, digest: &Digest) -> Bytes {
    Builder::new(table::MANIFEST).name(name.as_str()).digest(digest).done()
}

/// `n` D: the repositories of a manifest.
pub(crate) fn manifest_repositories(digest: &Digest) -> Bytes {
    Builder::new(table::MANIFEST_REPOSITORY).digest(digest).done()
}

/// `n` D name: a manifest is in a repository.
pub(crate) fn manifest_repository(digest: &Digest, name: &RepositoryName) -> Bytes {
    Builder::new(table::MANIFEST_REPOSITORY).digest(digest).tail(name.as_str().as_bytes()).done()
}

/// `t` name 0: the tags of a repository.
pub(crate) fn tags(name: &RepositoryName) -> Bytes {
    Builder::new(table::TAG).name(name.as_str()).done()
}

/// `t` name 0 tag: a tag.
pub(crate) fn tag(name: &RepositoryName, tag: &Tag) -> Bytes {
    tag_after(name, tag.as_str())
}

/// Where a list of tags goes on after `tag`, which need not be a tag.
pub(crate) fn tag_after(name: &RepositoryName, tag: &str) -> Bytes {
    Builder::new(table::TAG).name(name.as_str()).tail(tag.as_bytes()).done()
}

/// `y` name 0 D: the tags of a manifest.
pub(crate) fn manifest_tags(name: &RepositoryName, digest: &Digest) -> Bytes {
    Builder::new(table::MANIFEST_TAG).name(name.as_str()).digest(digest).done()
}

/// `y` name 0 D tag: a tag points to a manifest.
pub(crate) fn manifest_tag(name: &RepositoryName, digest: &Digest, tag: &Tag) -> Bytes {
    Builder::new(table::MANIFEST_TAG).name(name.as_str()).digest(digest).tail(tag.as_str().as_bytes()).done()
}

/// `h` name 0: the moves of all tags of a repository.
pub(crate) fn tag_history(name: &RepositoryName) -> Bytes {
    Builder::new(table::TAG_HISTORY).name(name.as_str()).done()
}

/// `h` name 0 tag 0: the moves of a tag.
pub(crate) fn tag_moves(name: &RepositoryName, tag: &Tag) -> Bytes {
    Builder::new(table::TAG_HISTORY).name(name.as_str()).name(tag.as_str()).done()
}

/// `h` name 0 tag 0 u64: the move of a tag that is told by the event of this number.
pub(crate) fn tag_move(name: &RepositoryName, tag: &Tag, event: u64) -> Bytes {
    Builder::new(table::TAG_HISTORY).name(name.as_str()).name(tag.as_str()).u64(event).done()
}

/// `l` name 0: the links of a repository.
pub(crate) fn links(name: &RepositoryName) -> Bytes {
    Builder::new(table::LINK).name(name.as_str()).done()
}

/// `l` name 0 D: a blob may be read in a repository.
pub(crate) fn link(name: &RepositoryName, digest: &Digest) -> Bytes {
    Builder::new(table::LINK).name(name.as_str()).digest(digest).done()
}

/// `P` name 0: the pinned blobs of a repository.
pub(crate) fn pins(name: &RepositoryName) -> Bytes {
    Builder::new(table::PIN).name(name.as_str()).done()
}

/// `P` name 0 D: a blob is pinned in a repository.
pub(crate) fn pin(name: &RepositoryName, digest: &Digest) -> Bytes {
    Builder::new(table::PIN).name(name.as_str()).digest(digest).done()
}

/// `I` name 0: the ingests of a repository.
pub(crate) fn ingests(name: &RepositoryName) -> Bytes {
    Builder::new(table::INGEST).name(name.as_str()).done()
}

/// `I` name 0 uuid: an ingest, by its upload session.
pub(crate) fn ingest(name: &RepositoryName, id: &UploadId) -> Bytes {
    Builder::new(table::INGEST).name(name.as_str()).tail(id.as_bytes()).done()
}

/// `L` D: the repositories of a blob.
pub(crate) fn blob_repositories(digest: &Digest) -> Bytes {
    Builder::new(table::BLOB_REPOSITORY).digest(digest).done()
}

/// `L` D name: a blob is linked in a repository.
pub(crate) fn blob_repository(digest: &Digest, name: &RepositoryName) -> Bytes {
    Builder::new(table::BLOB_REPOSITORY).digest(digest).tail(name.as_str().as_bytes()).done()
}

/// `b` D: a blob.
pub(crate) fn blob(digest: &Digest) -> Bytes {
    Builder::new(table::BLOB).digest(digest).done()
}

/// `Q` D: a blob in quarantine.
pub(crate) fn quarantine(digest: &Digest) -> Bytes {
    Builder::new(table::QUARANTINE).digest(digest).done()
}

/// `g` u64: whose file a generation names.
pub(crate) fn generation(number: u64) -> Bytes {
    Builder::new(table::GENERATION).u64(number).done()
}

/// `k` u32: the frames of a segment.
pub(crate) fn frames(segment: u32) -> Bytes {
    Builder::new(table::FRAME).u32(segment).done()
}

/// `k` u32 u64: a frame of a segment.
pub(crate) fn frame(segment: u32, offset: u64) -> Bytes {
    Builder::new(table::FRAME).u32(segment).u64(offset).done()
}

/// `E` name 0 child-D: the manifests of a repository that hold a digest.
pub(crate) fn back_edges(name: &RepositoryName, child: &Digest) -> Bytes {
    Builder::new(table::BACK_EDGE).name(name.as_str()).digest(child).done()
}

/// `E` name 0 child-D parent-D: a manifest of a repository holds a digest.
pub(crate) fn back_edge(name: &RepositoryName, child: &Digest, parent: &Digest) -> Bytes {
    Builder::new(table::BACK_EDGE).name(name.as_str()).digest(child).digest(parent).done()
}

/// `R` name 0 subject-D: the referrers of a subject.
pub(crate) fn referrers(name: &RepositoryName, subject: &Digest) -> Bytes {
    Builder::new(table::REFERRER).name(name.as_str()).digest(subject).done()
}

/// `R` name 0 subject-D referrer-D: a manifest refers to a subject.
pub(crate) fn referrer(name: &RepositoryName, subject: &Digest, referrer: &Digest) -> Bytes {
    Builder::new(table::REFERRER).name(name.as_str()).digest(subject).digest(referrer).done()
}

/// `u` uuid: an upload session.
pub(crate) fn upload(id: &UploadId) -> Bytes {
    Builder::new(table::UPLOAD).tail(id.as_bytes()).done()
}

/// `x` D: the leases on a digest.
pub(crate) fn leases(digest: &Digest) -> Bytes {
    Builder::new(table::LEASE).digest(digest).done()
}

/// `x` D lease-id: a lease.
pub(crate) fn lease(digest: &Digest, id: LeaseId) -> Bytes {
    Builder::new(table::LEASE).digest(digest).tail(&id.0).done()
}

/// `d` u64: the deletion that is told by the event of this number.
pub(crate) fn trash(event: u64) -> Bytes {
    Builder::new(table::TRASH).u64(event).done()
}

/// `v` u64: an event.
pub(crate) fn event(number: u64) -> Bytes {
    Builder::new(table::EVENT).u64(number).done()
}

/// Kind, name and digest of an item, as they stand in keys.
fn gc_parts(item: &GcItem) -> (u8, &str, &Digest) {
    match item {
        GcItem::Link { repository, digest } => (GC_LINK, repository.as_str(), digest),
        GcItem::Manifest { repository, digest } => (GC_MANIFEST, repository.as_str(), digest),
        GcItem::Blob { digest } => (GC_BLOB, "", digest),
        GcItem::ManifestBytes { digest } => (GC_MANIFEST_BYTES, "", digest),
    }
}

/// `q` kind: the queue of one kind, oldest first.
pub(crate) fn gc_kind(kind: u8) -> Bytes {
    Builder::new(table::GC).byte(kind).done()
}

/// `q` kind u64 name 0 D: what to look at again.
pub(crate) fn gc(at: UnixMillis, item: &GcItem) -> Bytes {
    let (kind, name, digest) = gc_parts(item);
    Builder::new(table::GC).byte(kind).u64(at.0).name(name).digest(digest).done()
}

/// `q` kind + 16 name 0 D: since when an item is queued.
pub(crate) fn gc_since(item: &GcItem) -> Bytes {
    let (kind, name, digest) = gc_parts(item);
    Builder::new(table::GC).byte(kind + GC_SINCE).name(name).digest(digest).done()
}

/// `q` 0: the queue as format 1 wrote it.
pub(crate) fn gc_format_1_all() -> Bytes {
    gc_kind(GC_FORMAT_1)
}

/// `q` u64 kind name 0 D: an entry of that queue.
pub(crate) fn gc_format_1(at: UnixMillis, item: &GcItem) -> Bytes {
    let (kind, name, digest) = gc_parts(item);
    Builder::new(table::GC).u64(at.0).byte(kind).name(name).digest(digest).done()
}

/// `z` kind …: bytes to remove.
pub(crate) fn tombstone(item: TombstoneItem) -> Bytes {
    let builder = Builder::new(table::TOMBSTONE);
    match item {
        TombstoneItem::File { generation } => builder.byte(TOMBSTONE_FILE).u64(generation),
        TombstoneItem::Frame { segment, offset } => builder.byte(TOMBSTONE_FRAME).u32(segment).u64(offset),
        TombstoneItem::Segment { segment } => builder.byte(TOMBSTONE_SEGMENT).u32(segment),
    }
    .done()
}

/// `z` 2 u32: the tombstones of a segment's frames.
pub(crate) fn frame_tombstones(segment: u32) -> Bytes {
    Builder::new(table::TOMBSTONE).byte(TOMBSTONE_FRAME).u32(segment).done()
}

/// `W` registry: what a registry uses.
pub(crate) fn usage(registry: &str) -> Bytes {
    Builder::new(table::USAGE).tail(registry.as_bytes()).done()
}

/// `w` registry 0 kind D: how many repositories of a registry hold a blob or a manifest.
pub(crate) fn holders(registry: &str, held: Held, digest: &Digest) -> Bytes {
    Builder::new(table::HOLDERS).name(registry).byte(held.code()).digest(digest).done()
}

/// `s` and a key of the service layer's.
pub(crate) fn setting(name: &[u8]) -> Bytes {
    Builder::new(table::SETTING).tail(name).done()
}

/// `c`, `j` name: the cursors of followers, which this version does not write, and jobs.
pub(crate) fn reserved(table: u8, name: &[u8]) -> Bytes {
    Builder::new(table).tail(name).done()
}
