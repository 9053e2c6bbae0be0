//! What an operator can set about the rules of the registry.

/// Settings of the service layer. Plain values: the file they are read from is the binary's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryConfig {
    /// Accepts image manifests whose layers are not in the repository (a "sparse" image, distribution-spec "Pushing manifests").
    /// Off by default: a push that names a missing layer is then refused with `MANIFEST_BLOB_UNKNOWN`. The children of an index may
    /// be missing either way.
    pub sparse_images: bool,
}
