//! Manifests on their way into repositories: validated by themselves, then checked against the store and committed together, all or nothing.

use super::descriptor::referrer_descriptor;
use super::lease::Lease;
use super::references::{Pending, check, edges};
use crate::access::Action;
use crate::context::Context;
use crate::directory::Admitted;
use crate::error::RegistryError;
use crate::image::TagExpectation;
use crate::manifest::missing;
use crate::registry::{Registry, Result, away};
use crate::retry::Attempts;
use bytes::Bytes;
use std::sync::Arc;
use strata_engine::meta::digest::digest_of;
use strata_engine::meta::{Batch, Committed, ManifestPut, View};
use strata_types::limits::MANIFEST_BYTES_MAX;
use strata_types::manifest::parse;
use strata_types::{Algorithm, Digest, Manifest, Reference, RepositoryName, Tag};

/// Manifests above this size are worked on away from the connections' threads: parsing and hashing 4 MiB takes long enough to be felt.
const INLINE_BYTES_MAX: usize = 128 * 1024;

/// A valid manifest on its way into a repository.
#[derive(Debug)]
pub(super) struct Push {
    pub(super) manifest: Manifest,
    /// What is committed; what the references were found to be is of the latest attempt.
    pub(super) put: ManifestPut,
}

/// A tag on its way to a manifest that is there, or comes with it.
#[derive(Debug, Clone)]
pub(super) struct TagSet {
    pub(super) repository: RepositoryName,
    pub(super) tag: Tag,
    pub(super) digest: Digest,
}

/// What is committed together.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    /// Each digest once in a repository, and after all that it names.
    pub(super) manifests: Vec<Push>,
    /// Tags beside those that come with the manifests.
    pub(super) tags: Vec<TagSet>,
    /// What tags have to be before.
    pub(super) expected: Vec<(RepositoryName, Tag, TagExpectation)>,
    /// Where what is brought in, each once.
    pub(super) repositories: Vec<(RepositoryName, Action)>,
}

impl Pushes {
    /// What the manifests hold, each digest once.
    fn held(&self) -> Vec<Digest> {
        let edges = self.manifests.iter().flat_map(|push| &push.put.edges);
        let mut held: Vec<Digest> = edges.map(|edge| edge.digest).collect();
        held.sort_unstable();
        held.dedup();
        held
    }

    /// Bytes of all manifests.
    fn weight(&self) -> usize {
        self.manifests.iter().map(|push| push.put.bytes.len()).sum()
    }
}

impl Registry {
    /// Checks the references and commits, as often as the commit loses a race.
    pub(super) async fn commit_manifests(&self, ctx: &Context, pushes: Pushes) -> Result<Committed> {
        let (pushes, mut attempts) = (Arc::new(pushes), Attempts::new());
        let mut lease: Option<Lease> = None;
        loop {
            let outcome = self.try_commit(ctx, &pushes, lease.as_ref(), &mut attempts).await;
            match outcome {
                Ok(Some(committed)) => return Ok(committed),
                Ok(None) if lease.is_some() => {}
                Ok(None) => lease = Lease::take(self, ctx, pushes.held()).await,
                Err(error) => {
                    if let Some(lease) = lease {
                        lease.give_up(self, ctx).await;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// One attempt on a fresh view. `None`: it lost a race.
    async fn try_commit(
        &self,
        ctx: &Context,
        pushes: &Arc<Pushes>,
        lease: Option<&Lease>,
        attempts: &mut Attempts,
    ) -> Result<Option<Committed>> {
        let (registry, ctx_of, weight) = (self.clone(), ctx.clone(), pushes.weight());
        let decided = Arc::clone(pushes);
        let (mut batch, admitted) = away_if_heavy(weight, move || registry.decide(&ctx_of, &decided)).await?;
        if let Some(lease) = lease {
            lease.end(&mut batch);
        }
        let outcome = self.engine().commit(batch).await;
        let committed = attempts.judge(self, ctx, outcome).await?;
        if committed.is_some() {
            for admitted in admitted {
                self.admitted(admitted);
            }
        }
        Ok(committed)
    }

    /// References, then everything that the pushes write, with the expectation that the references are still there.
    fn decide(&self, ctx: &Context, pushes: &Pushes) -> Result<(Batch, Vec<Admitted>)> {
        let mut batch = self.batch(ctx);
        let mut admitted = Vec::with_capacity(pushes.repositories.len());
        for (repository, action) in &pushes.repositories {
            admitted.push(self.admit(ctx, *action, &mut batch, repository)?);
        }
        let view = self.view()?;
        for (repository, tag, expected) in &pushes.expected {
            let found = view.tag(repository, tag).map_err(RegistryError::store)?.map(|tag| tag.digest);
            if !expected.holds(found) {
                return Err(RegistryError::TagMoved { tag: tag.clone(), digest: found });
            }
        }
        let mut pending = Pending::at(batch.at());
        for push in &pushes.manifests {
            let found = check(&view, self.config(), &push.put.repository, &push.manifest, &pending)?;
            let put = ManifestPut {
                required_blobs: found.required_blobs,
                required_manifests: found.required_manifests,
                seen: found.seen,
                ..push.put.clone()
            };
            batch.put_manifest(&view, &put).map_err(RegistryError::store)?;
            pending.comes(&put.repository, put.digest, put.bytes.len() as u64);
        }
        for TagSet { repository, tag, digest } in &pushes.tags {
            require_manifest(&view, &pending, repository, digest)?;
            batch.set_tag(&view, repository, tag, digest).map_err(RegistryError::store)?;
        }
        Ok((batch, admitted))
    }
}

fn require_manifest(
    view: &View,
    pending: &Pending,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<()> {
    if pending.size(repository, digest).is_some()
        || view.has_manifest(repository, digest).map_err(RegistryError::store)?
    {
        return Ok(());
    }
    Err(missing(view, repository, &Reference::Digest(*digest))?)
}

/// Everything that can be said about a manifest without looking into the store. Without `expected` it is named by its sha256.
pub(super) fn validate(
    repository: RepositoryName,
    expected: Option<Digest>,
    content_type: Option<&str>,
    bytes: Bytes,
    tags: Vec<Tag>,
) -> Result<Push> {
    if bytes.len() > MANIFEST_BYTES_MAX {
        return Err(RegistryError::ManifestTooLarge { max: MANIFEST_BYTES_MAX });
    }
    let algorithm = expected.map_or(Algorithm::Sha256, |digest| digest.algorithm());
    let digest = digest_of(algorithm, &bytes);
    if let Some(expected) = expected.filter(|expected| *expected != digest) {
        return Err(RegistryError::DigestMismatch { expected, actual: digest });
    }
    let manifest = parse(&bytes, content_type)?;
    let subject = match &manifest.subject {
        Some(subject) => {
            let descriptor = referrer_descriptor(&manifest, digest, bytes.len());
            let descriptor =
                descriptor.map_err(|error| RegistryError::corrupt(format!("descriptor: {error}")))?;
            Some((subject.digest, descriptor))
        }
        None => None,
    };
    let put = ManifestPut {
        repository,
        digest,
        media_type: manifest.media_type().to_owned(),
        bytes,
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
pub(super) async fn away_if_heavy<T: Send + 'static>(
    weight: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if weight <= INLINE_BYTES_MAX { work() } else { away(work).await }
}
