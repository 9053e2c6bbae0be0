//! The scrub and the quarantine for operators: where they stand, a round now, another look, giving up, repair. Scrubbing also goes on by
//! itself.

use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use crate::upload::{UploadBody, receive_whole};
use strata_engine::meta::{GcItem, StoredBlob};
use strata_engine::quarantine::Rechecked;
use strata_engine::scrub::ScrubStatus;
use strata_types::Digest;

impl Registry {
    /// Begins a round of the scrub, if none is under way, and tells its number. With `rate` this round goes so many bytes a second fast;
    /// 0 is no limit.
    ///
    /// # Errors
    /// [`RegistryError::OperatorsOnly`]; the store's condition.
    pub async fn scrub_start(&self, ctx: &Context, rate: Option<u64>) -> Result<u64> {
        ctx.authorize_operator()?;
        self.engine().scrub_start(rate).await.map_err(RegistryError::store)
    }

    /// Where the scrub stands.
    ///
    /// # Errors
    /// [`RegistryError::OperatorsOnly`].
    pub fn scrub_status(&self, ctx: &Context) -> Result<ScrubStatus> {
        ctx.authorize_operator()?;
        Ok(self.engine().scrub_status())
    }

    /// Blobs in quarantine, in the order of digests, behind `after`, at most `limit`.
    ///
    /// # Errors
    /// [`RegistryError::OperatorsOnly`]; the store's condition.
    pub async fn quarantined(
        &self,
        ctx: &Context,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, StoredBlob)>> {
        ctx.authorize_operator()?;
        self.engine().quarantined(after, limit).map_err(RegistryError::store)
    }

    /// Reads a blob, in quarantine or not, and puts it where it belongs.
    ///
    /// # Errors
    /// [`RegistryError::NotStored`]; [`RegistryError::OperatorsOnly`]; the store's condition.
    pub async fn recheck_blob(&self, ctx: &Context, digest: &Digest) -> Result<Rechecked> {
        ctx.authorize_operator()?;
        let rechecked = self.engine().recheck_blob(digest).await.map_err(RegistryError::store)?;
        rechecked.ok_or(RegistryError::NotStored { digest: *digest })
    }

    /// Gives up a blob in quarantine: it goes with its links. Manifests that hold it stay, and name what is not there until it is pushed
    /// again.
    ///
    /// # Errors
    /// [`RegistryError::NotQuarantined`]; [`RegistryError::OperatorsOnly`]; the store's condition.
    pub async fn discard_blob(&self, ctx: &Context, digest: &Digest) -> Result<()> {
        ctx.authorize_operator()?;
        let discarded = self.engine().discard_blob(digest).await.map_err(RegistryError::store)?;
        if discarded { Ok(()) } else { Err(RegistryError::NotQuarantined { digest: *digest }) }
    }

    /// Gives a blob that the store has, in whatever repositories, good bytes, if it needs them: `false` where it is sound, and then the
    /// body is not read. For all who can get at the bytes somewhere else.
    ///
    /// # Errors
    /// [`RegistryError::NotStored`]; [`RegistryError::DigestMismatch`]; [`RegistryError::SizeMismatch`] and [`RegistryError::Body`];
    /// [`RegistryError::OperatorsOnly`]; the store's condition.
    pub async fn repair_blob(
        &self,
        ctx: &Context,
        digest: &Digest,
        declared: Option<u64>,
        body: impl UploadBody,
    ) -> Result<bool> {
        if matches!(self.recheck_blob(ctx, digest).await?, Rechecked::Sound | Rechecked::Released) {
            return Ok(false);
        }
        let mut batch = self.batch(ctx);
        // Whoever discards it meanwhile leaves a blob that nothing links.
        batch.queue_gc(&GcItem::Blob { digest: *digest });
        receive_whole(self, digest, declared, body, batch).await?;
        Ok(true)
    }
}
