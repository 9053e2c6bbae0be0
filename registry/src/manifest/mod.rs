//! Manifests of a repository: get, put, delete.

mod delete;
mod descriptor;
mod lease;
mod put;
mod read;
mod references;

pub(crate) use descriptor::artifact_type;
pub use put::{ManifestPutDone, PutManifest};
pub use read::{ManifestRead, ManifestStat};
pub(crate) use read::{find, missing};
