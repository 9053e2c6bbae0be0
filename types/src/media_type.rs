//! Media types that a registry has to know (image-spec, "OCI Image Media Types"; docker "Image Manifest V2, Schema 2").
//!
//! Everything else that stands in a manifest is opaque: configs, layers and artifacts may be of any type.

/// OCI image manifest.
pub const OCI_IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index. Also the type of an answer of the referrers API.
pub const OCI_IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker image manifest, version 2, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image manifest, version 2, schema 1, unsigned. No client in use makes it; refused.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Docker image manifest, version 2, schema 1, signed. Refused.
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// The config of a docker image.
pub const DOCKER_IMAGE_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// What kind of manifest a media type names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ManifestKind {
    /// [`OCI_IMAGE_MANIFEST`].
    OciImage,
    /// [`OCI_IMAGE_INDEX`].
    OciIndex,
    /// [`DOCKER_MANIFEST`].
    DockerImage,
    /// [`DOCKER_MANIFEST_LIST`].
    DockerList,
}

impl ManifestKind {
    /// All kinds that are accepted.
    pub const ALL: [Self; 4] = [Self::OciImage, Self::OciIndex, Self::DockerImage, Self::DockerList];

    /// The kind that a media type without parameters names. Media types are compared without regard to case (RFC 6838).
    pub fn of(media_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.media_type().eq_ignore_ascii_case(media_type))
    }

    /// The media type, as it is served.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::OciImage => OCI_IMAGE_MANIFEST,
            Self::OciIndex => OCI_IMAGE_INDEX,
            Self::DockerImage => DOCKER_MANIFEST,
            Self::DockerList => DOCKER_MANIFEST_LIST,
        }
    }

    /// Whether it lists manifests instead of a config and layers.
    pub const fn is_index(self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }
}

/// The media type of a `Content-Type` value: without parameters and the white space around it.
///
/// ```
/// use strata_types::media_type::essence;
/// assert_eq!(essence(" application/json ; charset=utf-8"), "application/json");
/// ```
pub fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether a layer of this type need not be in the repository: its owner does not allow it to be pushed.
pub fn is_nondistributable(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.docker.image.rootfs.foreign.diff.tar"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_parameters() {
        for (content_type, expected) in [
            ("", ""),
            (";", ""),
            ("a/b", "a/b"),
            ("a/b; charset=utf-8", "a/b"),
            ("\ta/b ;x=y;z", "a/b"),
            ("a/b;", "a/b"),
        ] {
            assert_eq!(essence(content_type), expected, "{content_type:?}");
        }
    }

    #[test]
    fn knows_the_accepted_kinds_only() {
        for kind in ManifestKind::ALL {
            assert_eq!(ManifestKind::of(kind.media_type()), Some(kind));
            assert_eq!(ManifestKind::of(&kind.media_type().to_uppercase()), Some(kind));
        }
        for other in ["", "application/json", DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, DOCKER_IMAGE_CONFIG] {
            assert_eq!(ManifestKind::of(other), None, "{other}");
        }
    }
}
