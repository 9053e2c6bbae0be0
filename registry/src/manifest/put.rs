//! `PUT` of a manifest (distribution-spec end-7a, end-7b).

use super::push::{Pushes, away_if_heavy, validate};
use crate::access::Action;
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use bytes::Bytes;
use strata_types::limits::TAGS_PER_PUT_MAX;
use strata_types::{Digest, Outcome, Reference, RepositoryName, Tag};

/// A manifest as it is pushed.
#[derive(Debug, Clone)]
pub struct PutManifest {
    /// What stands in the path.
    pub reference: Reference,
    /// The `?tag=` parameters; at most [`TAGS_PER_PUT_MAX`].
    pub tags: Vec<Tag>,
    /// The `Content-Type` of the request, with its parameters.
    pub content_type: Option<String>,
    /// The body; at most [`MANIFEST_BYTES_MAX`](strata_types::limits::MANIFEST_BYTES_MAX).
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
        if put.tags.len() > TAGS_PER_PUT_MAX {
            return Err(RegistryError::TooManyTags { sent: put.tags.len(), max: TAGS_PER_PUT_MAX });
        }
        let (weight, mut tags) = (put.bytes.len(), Vec::with_capacity(put.tags.len()));
        for tag in &put.tags {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        let of = repository.clone();
        let push = away_if_heavy(weight, move || {
            let (mut tags, expected) = (put.tags, put.reference);
            let expected = match expected {
                Reference::Digest(digest) => Some(digest),
                Reference::Tag(tag) => {
                    tags.push(tag);
                    None
                }
            };
            validate(of, expected, put.content_type.as_deref(), put.bytes, tags)
        });
        let push = push.await?;
        let done = ManifestPutDone {
            digest: push.put.digest,
            subject: push.put.subject.as_ref().map(|(digest, _)| *digest),
            tags,
        };
        let repositories = vec![(repository.clone(), Action::Push)];
        let pushes = Pushes { manifests: vec![push], repositories, ..Pushes::default() };
        self.commit_manifests(ctx, pushes).await?;
        Ok(done)
    }
}
