//! Records of a manifest: its bytes, its place in a repository, its edges both ways, its referrers.

use super::Record;
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::meta::codec::{Reader, Writer};
use bytes::Bytes;
use strata_types::Digest;

/// Why a manifest names another digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EdgeRole {
    /// The image's configuration, a blob.
    Config,
    /// A layer, a blob.
    Layer,
    /// An entry of an index, a manifest.
    Child,
    /// What the manifest refers to. Keeps the target from nothing; its other direction is the referrer row.
    Subject,
}

impl EdgeRole {
    /// All roles, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::Config, Self::Layer, Self::Child, Self::Subject];

    /// The role's code in records, 1 to 4.
    pub const fn code(self) -> u8 {
        match self {
            Self::Config => 1,
            Self::Layer => 2,
            Self::Child => 3,
            Self::Subject => 4,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.code() == code)
    }
}

/// One reference of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// Why.
    pub role: EdgeRole,
    /// To what.
    pub digest: Digest,
}

/// All references of a manifest, sorted, without repetitions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edges(Vec<Edge>);

impl Edges {
    /// Sorts and drops repetitions.
    pub fn new(mut edges: Vec<Edge>) -> Self {
        edges.sort_unstable();
        edges.dedup();
        Self(edges)
    }

    /// The references in order.
    pub fn as_slice(&self) -> &[Edge] {
        &self.0
    }

    /// What the manifest refers to, where it does.
    pub fn subject(&self) -> Option<Digest> {
        self.0.iter().find(|edge| edge.role == EdgeRole::Subject).map(|edge| edge.digest)
    }

    /// Each digest that the manifest holds (all roles but the subject), with its roles; in order of digests.
    pub fn held(&self) -> Vec<(Digest, RoleSet)> {
        let mut held: Vec<(Digest, RoleSet)> =
            self.0.iter().filter_map(|edge| Some((edge.digest, RoleSet::of(edge.role)?))).collect();
        held.sort_unstable_by_key(|(digest, _)| *digest);
        held.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = RoleSet(kept.1.0 | next.1.0);
            }
            same
        });
        held
    }
}

impl Record for Edges {
    const NAME: &'static str = "edges";

    fn write(&self, to: &mut Writer) {
        to.u32(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        for edge in &self.0 {
            to.u8(edge.role.code());
            to.digest(&edge.digest);
        }
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        let count = from.u32()? as usize;
        // An edge takes 34 bytes at least: a lying count cannot make us reserve more than the value's own size.
        if count > from.remaining() / 34 {
            return Err(from.corrupt("more edges than bytes"));
        }
        let mut edges = Vec::with_capacity(count);
        for _ in 0..count {
            let role = EdgeRole::from_code(from.u8()?).ok_or_else(|| from.corrupt("unknown role"))?;
            edges.push(Edge { role, digest: from.digest()? });
        }
        if edges.is_sorted_by(|left, right| left < right) {
            Ok(Self(edges))
        } else {
            Err(from.corrupt("edges out of order"))
        }
    }
}

/// The roles in which one manifest holds one digest: config, layer, child. Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoleSet(u8);

impl RoleSet {
    /// The set of one role; `None` for the subject, which is not held.
    pub const fn of(role: EdgeRole) -> Option<Self> {
        match role {
            EdgeRole::Config | EdgeRole::Layer | EdgeRole::Child => Some(Self(1 << role.code())),
            EdgeRole::Subject => None,
        }
    }

    /// Whether `role` is in the set.
    pub const fn contains(self, role: EdgeRole) -> bool {
        self.0 & (1 << role.code()) != 0
    }

    /// The set's byte: bit 1 config, bit 2 layer, bit 3 child.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of a byte; `None` where it is empty or has other bits.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits == 0 || bits & !0b1110 != 0 { None } else { Some(Self(bits)) }
    }
}

/// A manifest of a repository holds a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackEdge {
    /// In which roles.
    pub roles: RoleSet,
}

impl Record for BackEdge {
    const NAME: &'static str = "back edge";

    fn write(&self, to: &mut Writer) {
        to.u8(self.roles.bits());
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        let roles = RoleSet::from_bits(from.u8()?).ok_or_else(|| from.corrupt("unknown roles"))?;
        Ok(Self { roles })
    }
}

/// The bytes of a manifest, once for the whole store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestBytes(pub Bytes);

impl Record for ManifestBytes {
    const NAME: &'static str = "manifest bytes";

    fn write(&self, to: &mut Writer) {
        to.raw(&self.0);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self(from.rest()))
    }
}

/// A manifest in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRecord {
    /// The media type it was pushed with.
    pub media_type: String,
    /// Its length, bytes.
    pub size: u64,
    /// When it was first pushed to the repository, or pushed again with other properties or without a tag.
    pub pushed_at: UnixMillis,
    /// What the service layer keeps beside it; opaque here.
    pub attributes: Bytes,
}

impl Record for ManifestRecord {
    const NAME: &'static str = "manifest";

    fn write(&self, to: &mut Writer) {
        to.short(self.media_type.as_bytes());
        to.u64(self.size);
        to.time(self.pushed_at);
        to.long(&self.attributes);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self {
            media_type: from.text()?,
            size: from.u64()?,
            pushed_at: from.time()?,
            attributes: from.long()?,
        })
    }
}

/// The descriptor with which a referrer is listed; opaque here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer(pub Bytes);

impl Record for Referrer {
    const NAME: &'static str = "referrer";

    fn write(&self, to: &mut Writer) {
        to.raw(&self.0);
    }

    fn read(from: &mut Reader) -> Result<Self, EngineError> {
        Ok(Self(from.rest()))
    }
}
