//! Ingests: what is on its way in, under names that clients choose. Begun or gone on with, asked for, listed, given up.

use super::filter::ContentFilter;
use super::read::pinned;
use super::space::ContentSpace;
use super::writer::ContentWriter;
use crate::access::Action;
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use std::borrow::Cow;
use strata_engine::{Engine, EngineError, IngestClaim, UnixMillis};
use strata_types::{Digest, RepositoryName, UploadId};

/// Longest name of an ingest, bytes.
pub const REFERENCE_BYTES_MAX: usize = 1024;
/// Most ingests that one list has.
pub const INGESTS_LISTED_MAX: usize = 10_000;
/// Ingests of one read.
const PAGE: usize = 64;

/// Where an ingest stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestStatus {
    /// The name that its client chose.
    pub reference: String,
    /// Bytes received, from the first one on without a gap.
    pub offset: u64,
    /// How many bytes it is to have, as far as its client has said; 0: it has not.
    pub total: u64,
    /// What it is to become, where its client said so when it began.
    pub expected: Option<Digest>,
    /// When it was begun.
    pub started_at: UnixMillis,
    /// When something of it was written down last.
    pub updated_at: UnixMillis,
}

impl From<strata_engine::IngestStatus> for IngestStatus {
    fn from(status: strata_engine::IngestStatus) -> Self {
        let strata_engine::IngestStatus { record, offset, updated_at } = status;
        Self {
            reference: record.reference,
            offset,
            total: record.total,
            expected: record.expected,
            started_at: record.started_at,
            updated_at,
        }
    }
}

impl IngestStatus {
    /// What filters see of it: its name.
    fn field(&self, path: &[Vec<u8>]) -> Option<Cow<'_, str>> {
        path.first().filter(|first| **first == b"ref").map(|_| self.reference.as_str().into())
    }
}

fn checked(reference: &str) -> Result<()> {
    let invalid = |why: String| Err(RegistryError::FieldInvalid { field: "ref", why });
    match reference.len() {
        0 => invalid("an ingest needs a name".to_owned()),
        1..=REFERENCE_BYTES_MAX => Ok(()),
        len => invalid(format!("a name has at most {REFERENCE_BYTES_MAX} bytes, this one has {len}")),
    }
}

/// What an error of the engine means for an ingest.
pub(super) fn of_ingest(error: EngineError, reference: &str) -> RegistryError {
    match error {
        EngineError::UploadUnknown | EngineError::NotFound => {
            RegistryError::IngestUnknown { reference: reference.to_owned() }
        }
        EngineError::UploadBusy { .. } => RegistryError::IngestLocked { reference: reference.to_owned() },
        EngineError::DigestMismatch { expected, actual } => {
            RegistryError::ContentDigestMismatch { expected, actual }
        }
        other => RegistryError::store(other),
    }
}

impl Registry {
    /// Opens an ingest for writing, behind the bytes that it holds, or begins it; one writer at a time. One that was begun with another
    /// total is begun anew. `total` is 0 where it is not known.
    ///
    /// # Errors
    /// [`RegistryError::FieldInvalid`]; [`RegistryError::ContentExists`] where what is expected is there;
    /// [`RegistryError::IngestLocked`]; [`RegistryError::NamespaceMissing`]; [`RegistryError::QuotaExceeded`];
    /// [`RegistryError::Denied`]; the store's condition.
    pub async fn open_ingest(
        &self,
        ctx: &Context,
        space: &ContentSpace,
        reference: &str,
        total: u64,
        expected: Option<&Digest>,
    ) -> Result<ContentWriter> {
        let repository = space.target()?;
        let opened = self.try_open(ctx, repository, reference, total, expected).await;
        self.told(ctx, Attempt::on_repository("blob.push", repository), opened)
    }

    async fn try_open(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        reference: &str,
        total: u64,
        expected: Option<&Digest>,
    ) -> Result<ContentWriter> {
        self.authorize(ctx, Action::Push, repository)?;
        checked(reference)?;
        if let Some(digest) = expected
            && pinned(&self.view()?, repository, digest)?.is_some()
        {
            return Err(RegistryError::ContentExists { digest: *digest });
        }
        let room = self.admit_upload(repository, expected.map(|digest| (digest, total)))?;
        let claim = IngestClaim {
            reference: reference.to_owned(),
            total,
            expected: expected.copied(),
            started_at: None,
        };
        ContentWriter::open(self, ctx, repository, claim, room).await
    }

    /// Tells where an ingest stands.
    ///
    /// # Errors
    /// [`RegistryError::IngestUnknown`]; [`RegistryError::Denied`].
    pub async fn ingest_status(
        &self,
        ctx: &Context,
        space: &ContentSpace,
        reference: &str,
    ) -> Result<IngestStatus> {
        for repository in self.allowed_in(ctx, space, Action::See)? {
            let id = Engine::ingest_id(repository, reference);
            if let Some(status) = self.status_of(repository, &id).await? {
                return Ok(status);
            }
        }
        Err(RegistryError::IngestUnknown { reference: reference.to_owned() })
    }

    /// `None`: it is gone.
    async fn status_of(&self, repository: &RepositoryName, id: &UploadId) -> Result<Option<IngestStatus>> {
        match self.engine().ingest_status(repository, id).await {
            Ok(status) => Ok(Some(status.into())),
            Err(EngineError::UploadUnknown) => Ok(None),
            Err(error) => Err(RegistryError::store(error)),
        }
    }

    /// Lists the ingests that a filter wants, in no particular order.
    ///
    /// # Errors
    /// [`RegistryError::FieldInvalid`] where they are more than [`INGESTS_LISTED_MAX`]; [`RegistryError::Denied`].
    pub async fn list_ingests(
        &self,
        ctx: &Context,
        space: &ContentSpace,
        filter: &ContentFilter,
    ) -> Result<Vec<IngestStatus>> {
        let mut listed = Vec::new();
        for repository in self.allowed_in(ctx, space, Action::See)? {
            let mut after = None;
            loop {
                let page = self.view()?.ingests(repository, after.as_ref(), PAGE);
                let page = page.map_err(RegistryError::store)?;
                let is_last = page.len() < PAGE;
                after = page.last().map(|(id, _)| *id);
                for (id, _) in page {
                    let status = self.status_of(repository, &id).await?;
                    listed.extend(status.filter(|status| filter.wants(|path| status.field(path))));
                }
                if listed.len() > INGESTS_LISTED_MAX {
                    let why =
                        format!("more than {INGESTS_LISTED_MAX} ingests match; say ref==NAME or the like");
                    return Err(RegistryError::FieldInvalid { field: "filters", why });
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(listed)
    }

    /// Gives an ingest up, with all that it holds. One that is being written to goes when its writer notices; it is unknown from now on.
    ///
    /// # Errors
    /// [`RegistryError::IngestUnknown`]; [`RegistryError::Denied`]; the store's condition.
    pub async fn abort_ingest(&self, ctx: &Context, space: &ContentSpace, reference: &str) -> Result<()> {
        let mut is_aborted = false;
        for repository in self.allowed_in(ctx, space, Action::Push)? {
            match self.engine().abort_ingest(repository, reference).await {
                Ok(()) => is_aborted = true,
                Err(EngineError::UploadUnknown) => {}
                Err(error) => return Err(RegistryError::store(error)),
            }
        }
        if is_aborted {
            Ok(())
        } else {
            Err(RegistryError::IngestUnknown { reference: reference.to_owned() })
        }
    }
}
