//! Keys back into what they name. Takes any bytes: what is not a key of a known table is [`EngineError::Corrupt`].

use super::{
    GC_BLOB, GC_LINK, GC_MANIFEST, GC_MANIFEST_BYTES, GC_SINCE, TOMBSTONE_FILE, TOMBSTONE_FRAME,
    TOMBSTONE_SEGMENT, back_edge, blob, blob_repository, edges, event, frame, gc, gc_format_1, gc_since,
    generation, holders, ingest, lease, link, manifest, manifest_bytes, manifest_repository, manifest_tag,
    meta, pin, quarantine, referrer, repository, reserved, setting, table, tag, tag_move, tombstone, trash,
    upload, usage,
};
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::record::{GcItem, Held, LeaseId, TombstoneItem};
use bytes::Bytes;
use std::fmt::{self, Write as _};
use strata_types::{Digest, RepositoryName, Tag, UploadId};

/// What a key names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the fields are the parts of the key, named as in docs/format.md")]
pub enum Key {
    /// `!` name.
    Meta { name: String },
    /// `E` name 0 child parent.
    BackEdge { repository: RepositoryName, child: Digest, parent: Digest },
    /// `I` name 0 uuid.
    Ingest { repository: RepositoryName, id: UploadId },
    /// `L` D name.
    BlobRepository { digest: Digest, repository: RepositoryName },
    /// `M` D.
    ManifestBytes { digest: Digest },
    /// `P` name 0 D.
    Pin { repository: RepositoryName, digest: Digest },
    /// `R` name 0 subject referrer.
    Referrer { repository: RepositoryName, subject: Digest, referrer: Digest },
    /// `W` registry.
    Usage { registry: String },
    /// `Q` D.
    Quarantine { digest: Digest },
    /// `b` D.
    Blob { digest: Digest },
    /// `c`, `j` and a name.
    Reserved { table: u8, name: Bytes },
    /// `d` u64.
    Trash { number: u64 },
    /// `e` name 0 D.
    Edges { repository: RepositoryName, digest: Digest },
    /// `g` u64.
    Generation { generation: u64 },
    /// `h` name 0 tag 0 u64.
    TagMove { repository: RepositoryName, tag: Tag, event: u64 },
    /// `k` u32 u64.
    Frame { segment: u32, offset: u64 },
    /// `l` name 0 D.
    Link { repository: RepositoryName, digest: Digest },
    /// `m` name 0 D.
    Manifest { repository: RepositoryName, digest: Digest },
    /// `n` D name.
    ManifestRepository { digest: Digest, repository: RepositoryName },
    /// `q` kind u64 name 0 D.
    Gc { at: UnixMillis, item: GcItem },
    /// `q` kind + 16 name 0 D.
    GcSince { item: GcItem },
    /// `q` u64 kind name 0 D, as format 1 wrote it.
    GcFormat1 { at: UnixMillis, item: GcItem },
    /// `r` name.
    Repository { repository: RepositoryName },
    /// `s` and what the service layer names it.
    Setting { name: Bytes },
    /// `t` name 0 tag.
    Tag { repository: RepositoryName, tag: Tag },
    /// `u` uuid.
    Upload { id: UploadId },
    /// `v` u64.
    Event { number: u64 },
    /// `w` registry 0 kind D.
    Holders { registry: String, held: Held, digest: Digest },
    /// `x` D id.
    Lease { digest: Digest, id: LeaseId },
    /// `y` name 0 D tag.
    ManifestTag { repository: RepositoryName, digest: Digest, tag: Tag },
    /// `z` kind ….
    Tombstone { item: TombstoneItem },
}

impl Key {
    /// The key's bytes.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Meta { name } => meta(name),
            Self::BackEdge { repository, child, parent } => back_edge(repository, child, parent),
            Self::Ingest { repository, id } => ingest(repository, id),
            Self::Pin { repository, digest } => pin(repository, digest),
            Self::BlobRepository { digest, repository } => blob_repository(digest, repository),
            Self::ManifestBytes { digest } => manifest_bytes(digest),
            Self::Referrer { repository, subject, referrer: by } => referrer(repository, subject, by),
            Self::Usage { registry } => usage(registry),
            Self::Quarantine { digest } => quarantine(digest),
            Self::Blob { digest } => blob(digest),
            Self::Reserved { table, name } => reserved(*table, name),
            Self::Trash { number } => trash(*number),
            Self::Edges { repository, digest } => edges(repository, digest),
            Self::Generation { generation: number } => generation(*number),
            Self::TagMove { repository, tag, event } => tag_move(repository, tag, *event),
            Self::Frame { segment, offset } => frame(*segment, *offset),
            Self::Link { repository, digest } => link(repository, digest),
            Self::Manifest { repository, digest } => manifest(repository, digest),
            Self::ManifestRepository { digest, repository } => manifest_repository(digest, repository),
            Self::Gc { at, item } => gc(*at, item),
            Self::GcSince { item } => gc_since(item),
            Self::GcFormat1 { at, item } => gc_format_1(*at, item),
            Self::Repository { repository: name } => repository(name),
            Self::Setting { name } => setting(name),
            Self::Tag { repository, tag: name } => tag(repository, name),
            Self::Upload { id } => upload(id),
            Self::Event { number } => event(*number),
            Self::Holders { registry, held, digest } => holders(registry, *held, digest),
            Self::Lease { digest, id } => lease(digest, *id),
            Self::ManifestTag { repository, digest, tag } => manifest_tag(repository, digest, tag),
            Self::Tombstone { item } => tombstone(*item),
        }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] where the bytes are no key of this format.
    pub fn decode(key: &[u8]) -> Result<Self, EngineError> {
        Self::read(key).ok_or_else(|| EngineError::corrupt(format!("key {}", escaped(key))))
    }

    fn read(key: &[u8]) -> Option<Self> {
        let (table, rest) = key.split_first()?;
        let mut parts = Parts(rest);
        let key = match *table {
            table::META => Self::Meta { name: String::from_utf8(parts.rest().to_vec()).ok()? },
            table::BACK_EDGE => {
                Self::BackEdge { repository: parts.name()?, child: parts.digest()?, parent: parts.digest()? }
            }
            table::INGEST => {
                Self::Ingest { repository: parts.name()?, id: UploadId::from_bytes(parts.array()?) }
            }
            table::PIN => Self::Pin { repository: parts.name()?, digest: parts.digest()? },
            table::BLOB_REPOSITORY => {
                Self::BlobRepository { digest: parts.digest()?, repository: repository_of(parts.rest())? }
            }
            table::MANIFEST_BYTES => Self::ManifestBytes { digest: parts.digest()? },
            table::REFERRER => Self::Referrer {
                repository: parts.name()?,
                subject: parts.digest()?,
                referrer: parts.digest()?,
            },
            table::USAGE => Self::Usage { registry: registry_of(parts.rest())? },
            table::QUARANTINE => Self::Quarantine { digest: parts.digest()? },
            table::BLOB => Self::Blob { digest: parts.digest()? },
            table::CURSOR | table::JOB => {
                Self::Reserved { table: *table, name: Bytes::copy_from_slice(parts.rest()) }
            }
            table::TRASH => Self::Trash { number: parts.u64()? },
            table::EDGES => Self::Edges { repository: parts.name()?, digest: parts.digest()? },
            table::GENERATION => Self::Generation { generation: parts.u64()? },
            table::TAG_HISTORY => Self::TagMove {
                repository: parts.name()?,
                tag: tag_of(parts.until_zero()?)?,
                event: parts.u64()?,
            },
            table::FRAME => Self::Frame { segment: parts.u32()?, offset: parts.u64()? },
            table::LINK => Self::Link { repository: parts.name()?, digest: parts.digest()? },
            table::MANIFEST => Self::Manifest { repository: parts.name()?, digest: parts.digest()? },
            table::MANIFEST_REPOSITORY => {
                Self::ManifestRepository { digest: parts.digest()?, repository: repository_of(parts.rest())? }
            }
            table::GC => parts.gc()?,
            table::REPOSITORY => Self::Repository { repository: repository_of(parts.rest())? },
            table::SETTING => Self::Setting { name: Bytes::copy_from_slice(parts.rest()) },
            table::TAG => Self::Tag { repository: parts.name()?, tag: tag_of(parts.rest())? },
            table::UPLOAD => Self::Upload { id: UploadId::from_bytes(parts.array()?) },
            table::EVENT => Self::Event { number: parts.u64()? },
            table::HOLDERS => Self::Holders {
                registry: registry_of(parts.until_zero()?)?,
                held: Held::from_code(parts.byte()?)?,
                digest: parts.digest()?,
            },
            table::LEASE => Self::Lease { digest: parts.digest()?, id: LeaseId(parts.array()?) },
            table::MANIFEST_TAG => Self::ManifestTag {
                repository: parts.name()?,
                digest: parts.digest()?,
                tag: tag_of(parts.rest())?,
            },
            table::TOMBSTONE => Self::Tombstone { item: parts.tombstone_item()? },
            _ => return None,
        };
        parts.0.is_empty().then_some(key)
    }
}

/// For messages: the table's name and the parts.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meta { name } => write!(f, "fact {name}"),
            Self::BackEdge { repository, child, parent } => {
                write!(f, "back edge {repository} {child} {parent}")
            }
            Self::Ingest { repository, id } => write!(f, "ingest {repository} {id}"),
            Self::Pin { repository, digest } => write!(f, "pin {repository} {digest}"),
            Self::BlobRepository { digest, repository } => {
                write!(f, "blob's repository {digest} {repository}")
            }
            Self::ManifestBytes { digest } => write!(f, "manifest bytes {digest}"),
            Self::Referrer { repository, subject, referrer } => {
                write!(f, "referrer {repository} {subject} {referrer}")
            }
            Self::Usage { registry } => write!(f, "usage of registry {registry}"),
            Self::Quarantine { digest } => write!(f, "quarantine {digest}"),
            Self::Blob { digest } => write!(f, "blob {digest}"),
            Self::Reserved { table, name } => write!(f, "reserved {} {}", char::from(*table), escaped(name)),
            Self::Trash { number } => write!(f, "deletion {number}"),
            Self::Edges { repository, digest } => write!(f, "edges {repository} {digest}"),
            Self::Generation { generation } => write!(f, "generation {generation:016x}"),
            Self::TagMove { repository, tag, event } => write!(f, "tag history {repository}:{tag} {event}"),
            Self::Frame { segment, offset } => write!(f, "frame {segment:08x} {offset}"),
            Self::Link { repository, digest } => write!(f, "link {repository} {digest}"),
            Self::Manifest { repository, digest } => write!(f, "manifest {repository} {digest}"),
            Self::ManifestRepository { digest, repository } => {
                write!(f, "manifest's repository {digest} {repository}")
            }
            Self::Gc { at, item } => write!(f, "gc queue {} {item:?}", at.0),
            Self::GcSince { item } => write!(f, "gc queued since {item:?}"),
            Self::GcFormat1 { at, item } => write!(f, "gc queue of format 1 {} {item:?}", at.0),
            Self::Repository { repository } => write!(f, "repository {repository}"),
            Self::Setting { name } => write!(f, "setting {}", escaped(name)),
            Self::Tag { repository, tag } => write!(f, "tag {repository}:{tag}"),
            Self::Upload { id } => write!(f, "upload session {id}"),
            Self::Event { number } => write!(f, "event {number}"),
            Self::Holders { registry, held, digest } => {
                write!(f, "holders of {} {digest} in registry {registry}", held.as_str())
            }
            Self::Lease { digest, id } => write!(f, "lease {digest} {id:?}"),
            Self::ManifestTag { repository, digest, tag } => {
                write!(f, "manifest's tag {repository} {digest} {tag}")
            }
            Self::Tombstone { item: TombstoneItem::File { generation } } => {
                write!(f, "tombstone of file {generation:016x}")
            }
            Self::Tombstone { item: TombstoneItem::Frame { segment, offset } } => {
                write!(f, "tombstone of frame {segment:08x} {offset}")
            }
            Self::Tombstone { item: TombstoneItem::Segment { segment } } => {
                write!(f, "tombstone of segment {segment:08x}")
            }
        }
    }
}

/// A key as text for messages, whether or not it can be understood.
pub(crate) fn printable(key: &[u8]) -> String {
    Key::decode(key).map_or_else(|_| escaped(key), |key| key.to_string())
}

/// Printable ASCII as it is, the rest as `\xNN`.
fn escaped(key: &[u8]) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key {
        if byte.is_ascii_graphic() && *byte != b'\\' {
            text.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

fn repository_of(bytes: &[u8]) -> Option<RepositoryName> {
    RepositoryName::parse(std::str::from_utf8(bytes).ok()?).ok()
}

/// A registry's name is a repository's name of one segment.
fn registry_of(bytes: &[u8]) -> Option<String> {
    let name = repository_of(bytes)?;
    (!name.as_str().contains('/')).then(|| name.as_str().to_owned())
}

fn tag_of(bytes: &[u8]) -> Option<Tag> {
    Tag::parse(std::str::from_utf8(bytes).ok()?).ok()
}

/// What is left of a key.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn digest(&mut self) -> Option<Digest> {
        let (digest, rest) = Digest::from_key(self.0).ok()?;
        self.0 = rest;
        Some(digest)
    }

    fn until_zero(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let (part, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(1..)?;
        Some(part)
    }

    fn name(&mut self) -> Option<RepositoryName> {
        repository_of(self.until_zero()?)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn gc(&mut self) -> Option<Key> {
        match self.0.first()? {
            0 => {
                let (at, kind) = (UnixMillis(self.u64()?), self.byte()?);
                Some(Key::GcFormat1 { at, item: self.gc_item(kind)? })
            }
            1..GC_SINCE => {
                let (kind, at) = (self.byte()?, UnixMillis(self.u64()?));
                Some(Key::Gc { at, item: self.gc_item(kind)? })
            }
            _ => {
                let kind = self.byte()?.checked_sub(GC_SINCE)?;
                Some(Key::GcSince { item: self.gc_item(kind)? })
            }
        }
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn gc_item(&mut self, kind: u8) -> Option<GcItem> {
        let name = self.until_zero()?;
        let digest = self.digest()?;
        match kind {
            GC_LINK => Some(GcItem::Link { repository: repository_of(name)?, digest }),
            GC_MANIFEST => Some(GcItem::Manifest { repository: repository_of(name)?, digest }),
            GC_BLOB if name.is_empty() => Some(GcItem::Blob { digest }),
            GC_MANIFEST_BYTES if name.is_empty() => Some(GcItem::ManifestBytes { digest }),
            _ => None,
        }
    }

    fn tombstone_item(&mut self) -> Option<TombstoneItem> {
        match self.array()? {
            [TOMBSTONE_FILE] => Some(TombstoneItem::File { generation: self.u64()? }),
            [TOMBSTONE_FRAME] => Some(TombstoneItem::Frame { segment: self.u32()?, offset: self.u64()? }),
            [TOMBSTONE_SEGMENT] => Some(TombstoneItem::Segment { segment: self.u32()? }),
            _ => None,
        }
    }
}
