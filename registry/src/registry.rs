//! The one handle of the service layer.

use crate::blob::{BlobRead, BlobStat};
use crate::context::Context;
use crate::error::{BodyError, RegistryError};
use crate::manifest::{ManifestPutDone, ManifestRead, ManifestStat, PutManifest};
use crate::page::{Page, ReferrerPage, RepositoryPage, TagPage};
use crate::upload::{ChunkRange, UploadStatus};
use bytes::Bytes;
use futures_core::Stream;
use strata_types::{Algorithm, Digest, Reference, RepositoryName, UploadId};

type Result<T> = std::result::Result<T, RegistryError>;

/// The registry: every use case is one function here. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry(());

fn later<T>() -> Result<T> {
    Err(RegistryError::Unavailable { why: String::new() })
}

macro_rules! signatures { ($($(#[$m:meta])* fn $n:ident($($a:ident : $t:ty),* $(,)?) -> $r:ty;)*) => { impl Registry { $($(#[$m])*
    /// # Errors
    /// See [`RegistryError`].
    pub async fn $n(&self, _ctx: &Context, $($a: $t),*) -> Result<$r> { $(let _ = $a;)* later() })* } } }
signatures! {
    fn stat_blob(repository: &RepositoryName, digest: &Digest) -> BlobStat;
    fn open_blob(repository: &RepositoryName, digest: &Digest) -> BlobRead;
    fn delete_blob(repository: &RepositoryName, digest: &Digest) -> ();
    fn mount_blob(repository: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> bool;
    fn start_upload(repository: &RepositoryName, algorithm: Algorithm) -> UploadStatus;
    fn upload_status(repository: &RepositoryName, id: &UploadId) -> UploadStatus;
    fn cancel_upload(repository: &RepositoryName, id: &UploadId) -> ();
    fn append_upload(repository: &RepositoryName, id: &UploadId, range: Option<ChunkRange>, body: impl Stream<Item = std::result::Result<Bytes, BodyError>> + Send) -> UploadStatus;
    fn finish_upload(repository: &RepositoryName, id: &UploadId, range: Option<ChunkRange>, body: impl Stream<Item = std::result::Result<Bytes, BodyError>> + Send, digest: &Digest) -> Digest;
    fn put_blob(repository: &RepositoryName, digest: &Digest, size_hint: Option<u64>, body: impl Stream<Item = std::result::Result<Bytes, BodyError>> + Send) -> Digest;
    fn get_manifest(repository: &RepositoryName, reference: &Reference) -> ManifestRead;
    fn stat_manifest(repository: &RepositoryName, reference: &Reference) -> ManifestStat;
    fn put_manifest(repository: &RepositoryName, put: PutManifest) -> ManifestPutDone;
    fn delete_manifest(repository: &RepositoryName, reference: &Reference) -> ();
    fn list_tags(repository: &RepositoryName, page: &Page) -> TagPage;
    fn list_referrers(repository: &RepositoryName, subject: &Digest, artifact_type: Option<&str>, page: &Page) -> ReferrerPage;
    fn catalog(page: &Page) -> RepositoryPage;
}

impl Registry {
    /// Whether the registry can do its work.
    pub fn health(&self) -> crate::Health {
        crate::Health::Ready
    }
}
