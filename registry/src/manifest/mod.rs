//! Manifests of a repository: get, put, delete.

mod delete;
mod descriptor;
mod lease;
mod publish;
mod push;
mod put;
mod read;
mod references;
mod resolve;

pub(crate) use descriptor::artifact_type;
pub use publish::{
    PUBLISH_BYTES_MAX, PUBLISH_MANIFESTS_MAX, PUBLISH_TAGS_MAX, Publish, Published, PublishedManifest,
    PublishedTag,
};
pub use put::{ManifestPutDone, PutManifest};
pub use read::{ManifestRead, ManifestStat};
pub(crate) use read::{find, missing};
pub use resolve::{ResolvedContent, ResolvedImage, ResolvedManifest, Wanted};
