//! `PUT` of a manifest (distribution-spec end-7a, end-7b).

use super::descriptor::referrer_descriptor;
use super::lease::Lease;
use super::references::{check, edges};
use crate::access::Action;
use crate::audit::Attempt;
use crate::context::Context;
use crate::directory::Admitted;
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use crate::retry::Attempts;
use bytes::Bytes;
use std::sync::Arc;
use strata_engine::meta::digest::digest_of;
use strata_engine::meta::{Batch, ManifestPut};
use strata_types::limits::{MANIFEST_BYTES_MAX, TAGS_PER_PUT_MAX};
use strata_types::manifest::parse;
use strata_types::{Algorithm, Digest, Manifest, Outcome, Reference, RepositoryName, Tag};

/// Manifests above this size are worked on away from the connections' threads: parsing and hashing 4 MiB takes long enough to be felt.
const INLINE_BYTES_MAX: usize = 128 * 1024;

/// A manifest as it is pushed.
#[derive(Debug, Clone)]
pub struct PutManifest {
    /// What stands in the path.
    pub reference: Reference,
    /// The `?tag=` parameters; at most [`TAGS_PER_PUT_MAX`].
    pub tags: Vec<Tag>,
    /// The `Content-Type` of the request, with its parameters.
    pub content_type: Option<String>,
    /// The body; at most [`MANIFEST_BYTES_MAX`].
    pub bytes: Bytes,
}

/// What a push of a manifest did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestPutDone {
    /// The manifest: sha256 where it was pushed by tag, else of the algorithm in the path.
    pub digest: Digest,
    /// What it is about (`OCI-Subject`).
    pub subject: Option<Digest>,
    /// The tags of [`PutManifest::tags`], each once, which now stand for it (`OCI-Tag`); without the one of the path.
    pub tags: Vec<Tag>,
}

/// A valid manifest on its way into a repository.
#[derive(Debug)]
struct Push {
    manifest: Manifest,
    /// What is committed; what the references were found to be is of the latest attempt.
    put: ManifestPut,
}

impl Push {
    /// What the manifest holds, each digest once.
    fn held(&self) -> Vec<Digest> {
        let mut held: Vec<Digest> = self.put.edges.iter().map(|edge| edge.digest).collect();
        held.sort_unstable();
        held.dedup();
        held
    }
}

impl Registry {
    /// Stores a manifest, byte by byte as it is, and points tags to it; all or nothing.
    ///
    /// Creates the repository where there is none. A tag that stands for another manifest moves, and its history remembers.
    ///
    /// # Errors
    /// [`RegistryError::ManifestInvalid`]; [`RegistryError::DigestMismatch`]; [`RegistryError::ReferencesUnknown`] and
    /// [`RegistryError::ReferenceSize`]; [`RegistryError::ManifestTooLarge`]; [`RegistryError::TooManyTags`];
    /// [`RegistryError::Denied`]; [`RegistryError::Contended`] and the store's condition.
    pub async fn put_manifest(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        put: PutManifest,
    ) -> Result<ManifestPutDone> {
        let reference = put.reference.clone();
        let done = self.push_manifest(ctx, repository, put).await;
        let attempt = Attempt::on_reference(["manifest.push"; 2], repository, &reference);
        let done = self.told(ctx, attempt, done);
        match &done {
            Ok(_) => self.counters().manifests_pushed.add(1),
            Err(error) if matches!(error.outcome(), Outcome::Code(_)) => {
                self.counters().manifests_refused.add(1);
            }
            Err(_) => {}
        }
        done
    }

    async fn push_manifest(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        put: PutManifest,
    ) -> Result<ManifestPutDone> {
        self.authorize(ctx, Action::Push, repository)?;
        if put.bytes.len() > MANIFEST_BYTES_MAX {
            return Err(RegistryError::ManifestTooLarge { max: MANIFEST_BYTES_MAX });
        }
        if put.tags.len() > TAGS_PER_PUT_MAX {
            return Err(RegistryError::TooManyTags { sent: put.tags.len(), max: TAGS_PER_PUT_MAX });
        }
        let (weight, mut tags) = (put.bytes.len(), Vec::with_capacity(put.tags.len()));
        for tag in &put.tags {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        let repository = repository.clone();
        let push = away_if_heavy(weight, move || validate(repository, put)).await?;
        let push = Arc::new(push);
        self.commit_manifest(ctx, &push, weight).await?;
        Ok(ManifestPutDone {
            digest: push.put.digest,
            subject: push.put.subject.as_ref().map(|(d, _)| *d),
            tags,
        })
    }

    /// Checks the references and commits, as often as the commit loses a race.
    async fn commit_manifest(&self, ctx: &Context, push: &Arc<Push>, weight: usize) -> Result<()> {
        let mut attempts = Attempts::new();
        let mut lease: Option<Lease> = None;
        loop {
            let outcome = self.try_commit(ctx, push, weight, lease.as_ref(), &mut attempts).await;
            match outcome {
                Ok(true) => return Ok(()),
                Ok(false) if lease.is_some() => {}
                Ok(false) => lease = Lease::take(self, ctx, push.held()).await,
                Err(error) => {
                    if let Some(lease) = lease {
                        lease.give_up(self, ctx).await;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// One attempt on a fresh view. `false`: it lost a race.
    async fn try_commit(
        &self,
        ctx: &Context,
        push: &Arc<Push>,
        weight: usize,
        lease: Option<&Lease>,
        attempts: &mut Attempts,
    ) -> Result<bool> {
        let (registry, ctx_of, push) = (self.clone(), ctx.clone(), Arc::clone(push));
        let (mut batch, admitted) = away_if_heavy(weight, move || registry.decide(&ctx_of, &push)).await?;
        if let Some(lease) = lease {
            lease.end(&mut batch);
        }
        let outcome = self.engine().commit(batch).await;
        let is_done = attempts.judge(self, ctx, outcome).await?.is_some();
        if is_done {
            self.admitted(admitted);
        }
        Ok(is_done)
    }

    /// References, then everything that the push writes, with the expectation that the references are still there.
    fn decide(&self, ctx: &Context, push: &Push) -> Result<(Batch, Admitted)> {
        let mut batch = self.batch(ctx);
        let admitted = self.admit(ctx, Action::Push, &mut batch, &push.put.repository)?;
        let view = self.view()?;
        let found = check(&view, self.config(), &push.put.repository, &push.manifest)?;
        let put = ManifestPut {
            required_blobs: found.required_blobs,
            required_manifests: found.required_manifests,
            seen: found.seen,
            ..push.put.clone()
        };
        batch.put_manifest(&view, &put).map_err(RegistryError::store)?;
        Ok((batch, admitted))
    }
}

/// Everything that can be said about a manifest without looking into the store.
fn validate(repository: RepositoryName, put: PutManifest) -> Result<Push> {
    let digest = match &put.reference {
        Reference::Digest(expected) => {
            let actual = digest_of(expected.algorithm(), &put.bytes);
            if actual != *expected {
                return Err(RegistryError::DigestMismatch { expected: *expected, actual });
            }
            actual
        }
        Reference::Tag(_) => digest_of(Algorithm::Sha256, &put.bytes),
    };
    let manifest = parse(&put.bytes, put.content_type.as_deref())?;
    let subject = match &manifest.subject {
        Some(subject) => {
            let descriptor = referrer_descriptor(&manifest, digest, put.bytes.len());
            let descriptor =
                descriptor.map_err(|error| RegistryError::corrupt(format!("descriptor: {error}")))?;
            Some((subject.digest, descriptor))
        }
        None => None,
    };
    let mut tags = put.tags;
    if let Reference::Tag(tag) = put.reference {
        tags.push(tag);
    }
    let put = ManifestPut {
        repository,
        digest,
        media_type: manifest.media_type().to_owned(),
        bytes: put.bytes,
        edges: edges(&manifest),
        required_blobs: Vec::new(),
        required_manifests: Vec::new(),
        subject,
        tags,
        attributes: Bytes::new(),
        seen: Vec::new(),
    };
    Ok(Push { manifest, put })
}

/// Runs `work` here if it is light, else where it keeps no connection waiting.
async fn away_if_heavy<T: Send + 'static>(
    weight: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if weight <= INLINE_BYTES_MAX { work() } else { away(work).await }
}
