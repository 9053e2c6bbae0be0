//! Reading a blob's whole content for a detail: bounded, and an answer about an image does not fail because of it.

use crate::blob::linked_size;
use crate::registry::{Registry, Result};
use bytes::{Bytes, BytesMut};
use strata_types::{Digest, RepositoryName};

/// Largest config that is looked into, bytes. Those of images have a few thousand.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

impl Registry {
    /// The content of a config, where the repository has it and it can be read.
    pub(crate) async fn read_config(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Bytes>> {
        let size = linked_size(&self.view()?, repository, digest)?;
        if size.is_none_or(|size| size > CONFIG_BYTES_MAX) {
            return Ok(None);
        }
        match self.engine().read_blob(digest).await {
            Ok(Some(strata_engine::BlobBody::Bytes(bytes))) => Ok(Some(bytes)),
            Ok(Some(strata_engine::BlobBody::File(file))) => Ok(whole(&file).await.ok()),
            Ok(None) => Ok(None),
            Err(error) => {
                tracing::warn!(%digest, error = &error as &dyn std::error::Error, "a config cannot be read");
                Ok(None)
            }
        }
    }
}

async fn whole(file: &strata_engine::BlobFile) -> std::io::Result<Bytes> {
    let mut gathered = BytesMut::new();
    while (gathered.len() as u64) < file.len() {
        let left = usize::try_from(file.len()).unwrap_or(usize::MAX) - gathered.len();
        gathered.extend_from_slice(&file.read_at(gathered.len() as u64, left).await?);
    }
    Ok(gathered.freeze())
}
