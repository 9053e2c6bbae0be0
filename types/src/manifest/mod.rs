//! Manifests: what a registry has to understand of the JSON that it stores as it is.
//!
//! [`parse()`] decides the kind and finds every reference. It accepts unknown fields anywhere, and refuses whatever two readers could
//! understand differently: duplicate fields, fields that differ from a known one only in case (Go's decoder takes them for it), a
//! body that is an image to one reader and an index to another. Nothing is ever written back: bytes are stored exactly.

mod error;
mod json;
mod parse;
#[cfg(test)]
mod tests;

pub use error::{ManifestError, ManifestFault};
pub use parse::parse;

use crate::descriptor::Descriptor;
use crate::media_type::ManifestKind;
use std::collections::BTreeMap;

/// What a reference is to the manifest that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReferenceRole {
    /// `config` of an image.
    Config,
    /// One of `layers` of an image.
    Layer,
    /// One of `manifests` of an index: a manifest, or a blob (BuildKit's cache index).
    Child,
    /// `subject`: what this manifest is about.
    Subject,
}

/// A manifest as far as a registry understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Which of the accepted kinds it is; tells the media type.
    pub kind: ManifestKind,
    /// The config of an image.
    pub config: Option<Descriptor>,
    /// The layers of an image, in order.
    pub layers: Vec<Descriptor>,
    /// The manifests of an index, in order.
    pub children: Vec<Descriptor>,
    /// What it is about (distribution-spec, "Pushing Manifests with Subject").
    pub subject: Option<Descriptor>,
    /// `artifactType`; where it is empty, the type of an image's config; `None` for an index without one
    /// (distribution-spec, "Listing Referrers").
    pub artifact_type: Option<String>,
    /// `annotations` of the manifest itself.
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// The media type that the manifest is served with.
    pub const fn media_type(&self) -> &'static str {
        self.kind.media_type()
    }

    /// Every reference with what it is here, in the order of the body; the same content can come more than once.
    pub fn references(&self) -> impl Iterator<Item = (ReferenceRole, &Descriptor)> {
        self.config
            .iter()
            .map(|d| (ReferenceRole::Config, d))
            .chain(self.layers.iter().map(|d| (ReferenceRole::Layer, d)))
            .chain(self.children.iter().map(|d| (ReferenceRole::Child, d)))
            .chain(self.subject.iter().map(|d| (ReferenceRole::Subject, d)))
    }
}
