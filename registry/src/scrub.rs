//! The scrub and the quarantine for operators: where they stand, a round now, another look, giving up, repair. Scrubbing also goes on by
//! itself.

use crate::access::InstanceAction;
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::quota::Room;
use crate::registry::{Registry, Result, away};
use crate::upload::{Sent, UploadBody, receive_whole};
use strata_engine::meta::{Batch, GcItem, StoredBlob};
use strata_engine::quarantine::Rechecked;
use strata_engine::scrub::ScrubStatus;
use strata_types::{Digest, RepositoryName};

/// Most repositories that are named with a blob in quarantine.
pub const REPOSITORIES_NAMED_MAX: usize = 20;
/// Most that are counted.
pub const REPOSITORIES_COUNTED_MAX: usize = 1000;

/// A blob in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedBlob {
    /// The blob.
    pub digest: Digest,
    /// What is known of it.
    pub stored: StoredBlob,
    /// The repositories that link it, the first [`REPOSITORIES_NAMED_MAX`] by name: whoever pushes it to one of them heals it.
    pub repositories: Vec<RepositoryName>,
    /// How many there are; [`REPOSITORIES_COUNTED_MAX`] stands for that many or more.
    pub total: usize,
}

/// What another look at all blobs in quarantine came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecheckTally {
    /// Blobs that are sound, and back in service.
    pub released: u64,
    /// Blobs whose bytes are bad; they stay.
    pub damaged: u64,
    /// Blobs that the device refuses to read; they stay.
    pub unreadable: u64,
}

impl Registry {
    /// Begins a round of the scrub, if none is under way, and tells its number. With `rate` this round goes so many bytes a second fast;
    /// 0 is no limit.
    ///
    /// # Errors
    /// [`RegistryError::OperatorsOnly`]; the store's condition.
    pub async fn scrub_start(&self, ctx: &Context, rate: Option<u64>) -> Result<u64> {
        self.authorize_change(ctx, InstanceAction::Operate, Attempt::on_instance("scrub.start", ""))?;
        self.engine().scrub_start(rate).await.map_err(RegistryError::store)
    }

    /// Where the scrub stands.
    ///
    /// # Errors
    /// [`RegistryError::OperatorsOnly`].
    pub fn scrub_status(&self, ctx: &Context) -> Result<ScrubStatus> {
        self.authorize_instance(ctx, InstanceAction::Operate)?;
        Ok(self.engine().scrub_status())
    }

    /// Blobs in quarantine, in the order of digests, behind `after`, at most `limit`, and where each is linked.
    ///
    /// # Errors
    /// [`RegistryError::OperatorsOnly`]; the store's condition.
    pub async fn quarantined(
        &self,
        ctx: &Context,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<QuarantinedBlob>> {
        self.authorize_instance(ctx, InstanceAction::Operate)?;
        let (registry, after) = (self.clone(), after.copied());
        away(move || {
            let found = registry.engine().quarantined(after.as_ref(), limit).map_err(RegistryError::store)?;
            found.into_iter().map(|(digest, stored)| registry.linked(digest, stored)).collect()
        })
        .await
    }

    fn linked(&self, digest: Digest, stored: StoredBlob) -> Result<QuarantinedBlob> {
        let names = self.view()?.blob_repositories(&digest, None, REPOSITORIES_COUNTED_MAX);
        let mut repositories = names.map_err(RegistryError::store)?;
        let total = repositories.len();
        repositories.truncate(REPOSITORIES_NAMED_MAX);
        Ok(QuarantinedBlob { digest, stored, repositories, total })
    }

    /// Looks again at every blob in quarantine, as [`recheck_blob`](Self::recheck_blob) does at one.
    ///
    /// # Errors
    /// [`RegistryError::OperatorsOnly`]; the store's condition. What was released before stays so.
    pub async fn recheck_quarantine(&self, ctx: &Context) -> Result<RecheckTally> {
        const PAGE: usize = 256;
        self.authorize_change(ctx, InstanceAction::Operate, Attempt::on_instance("quarantine.recheck", ""))?;
        let mut tally = RecheckTally::default();
        let mut after = None;
        loop {
            let page = self.engine().quarantined(after.as_ref(), PAGE).map_err(RegistryError::store)?;
            for (digest, _) in &page {
                match self.engine().recheck_blob(digest).await.map_err(RegistryError::store)? {
                    Some(Rechecked::Sound | Rechecked::Released) => tally.released += 1,
                    Some(Rechecked::Damaged { .. }) => tally.damaged += 1,
                    Some(_) => tally.unreadable += 1,
                    // Discarded meanwhile.
                    None => {}
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => after = Some(*last),
                _ => return Ok(tally),
            }
        }
    }

    /// Reads a blob, in quarantine or not, and puts it where it belongs.
    ///
    /// # Errors
    /// [`RegistryError::NotStored`]; [`RegistryError::OperatorsOnly`]; the store's condition.
    pub async fn recheck_blob(&self, ctx: &Context, digest: &Digest) -> Result<Rechecked> {
        self.authorize_change(
            ctx,
            InstanceAction::Operate,
            Attempt::on_instance("quarantine.recheck", &digest.to_string()),
        )?;
        let rechecked = self.engine().recheck_blob(digest).await.map_err(RegistryError::store)?;
        rechecked.ok_or(RegistryError::NotStored { digest: *digest })
    }

    /// Gives up a blob in quarantine: it goes with its links. Manifests that hold it stay, and name what is not there until it is pushed
    /// again.
    ///
    /// # Errors
    /// [`RegistryError::NotQuarantined`]; [`RegistryError::OperatorsOnly`]; the store's condition.
    pub async fn discard_blob(&self, ctx: &Context, digest: &Digest) -> Result<()> {
        self.authorize_change(
            ctx,
            InstanceAction::Operate,
            Attempt::on_instance("quarantine.discard", &digest.to_string()),
        )?;
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
        let queue = |batch: &mut Batch| {
            // Whoever discards it meanwhile leaves a blob that nothing links.
            batch.queue_gc(&GcItem::Blob { digest: *digest });
            Ok(())
        };
        let sent = Sent { body, declared, room: Room::ENDLESS };
        receive_whole(self, ctx, digest, sent, queue).await?;
        Ok(true)
    }
}
