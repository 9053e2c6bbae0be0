//! `strata.registry.v1.Manifests`

use super::tags::page;
use crate::call::{Call, digest, invalid, reference_to_find, tag};
use crate::error::Refusal;
use crate::proto::registry as v1;
use bytes::Bytes;
use serde::Deserialize;
use std::collections::HashMap;
use strata_registry::{PutManifest, RegistryError};
use strata_types::limits::TAGS_PER_PUT_MAX;
use strata_types::{Failure, Reference, Tag};
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct Manifests;

/// What a push of a manifest is, as the service layer takes it.
fn put(asked: v1::ManifestsPutRequest) -> Result<PutManifest, Refusal> {
    if asked.tags.len() > TAGS_PER_PUT_MAX {
        return Err(RegistryError::TooManyTags { sent: asked.tags.len(), max: TAGS_PER_PUT_MAX }.into());
    }
    let mut tags = asked.tags.iter().map(|text| tag(text)).collect::<Result<Vec<Tag>, _>>()?;
    let reference = match (asked.digest.is_empty(), tags.is_empty()) {
        (false, _) => Reference::Digest(digest(&asked.digest)?),
        (true, false) => Reference::Tag(tags.remove(0)),
        (true, true) => return Err(invalid("digest", "a manifest is stored under a digest, a tag, or both")),
    };
    let content_type = (!asked.media_type.is_empty()).then_some(asked.media_type);
    Ok(PutManifest { reference, tags, content_type, bytes: asked.content })
}

/// A descriptor, as the store keeps those of referrers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    artifact_type: String,
    #[serde(default)]
    annotations: HashMap<String, String>,
}

fn descriptor(json: &Bytes) -> Result<v1::Descriptor, Refusal> {
    let stored: Stored = serde_json::from_slice(json)
        .map_err(|error| Refusal::new(Failure::Internal, format!("a stored descriptor: {error}")))?;
    Ok(v1::Descriptor {
        media_type: stored.media_type,
        digest: stored.digest,
        size: stored.size,
        artifact_type: stored.artifact_type,
        annotations: stored.annotations,
    })
}

#[tonic::async_trait]
impl v1::manifests_server::Manifests for Manifests {
    async fn stat(
        &self,
        request: Request<v1::ManifestsStatRequest>,
    ) -> Result<Response<v1::ManifestsStatResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let reference = reference_to_find(&asked.reference)?;
            let found = call.registry().stat_manifest(&call.context, &repository, &reference).await?;
            Ok(v1::ManifestsStatResponse {
                digest: found.digest.to_string(),
                media_type: found.media_type,
                size: found.size,
            })
        })
        .await
    }

    async fn get(
        &self,
        request: Request<v1::ManifestsGetRequest>,
    ) -> Result<Response<v1::ManifestsGetResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let reference = reference_to_find(&asked.reference)?;
            let found = call.registry().get_manifest(&call.context, &repository, &reference).await?;
            Ok(v1::ManifestsGetResponse {
                digest: found.digest.to_string(),
                media_type: found.media_type,
                content: found.bytes,
            })
        })
        .await
    }

    async fn put(
        &self,
        request: Request<v1::ManifestsPutRequest>,
    ) -> Result<Response<v1::ManifestsPutResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let put = put(asked)?;
            let first = match &put.reference {
                Reference::Tag(tag) => Some(tag.clone()),
                Reference::Digest(_) => None,
            };
            let done = call.registry().put_manifest(&call.context, &repository, put).await?;
            let others = done.tags.into_iter().filter(|tag| first.as_ref() != Some(tag));
            let tags: Vec<Tag> = first.iter().cloned().chain(others).collect();
            Ok(v1::ManifestsPutResponse {
                digest: done.digest.to_string(),
                subject: done.subject.map(|subject| subject.to_string()).unwrap_or_default(),
                tags: tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
            })
        })
        .await
    }

    async fn delete(
        &self,
        request: Request<v1::ManifestsDeleteRequest>,
    ) -> Result<Response<v1::ManifestsDeleteResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let reference = Reference::Digest(digest(&asked.digest)?);
            call.registry().delete_manifest(&call.context, &repository, &reference).await?;
            Ok(v1::ManifestsDeleteResponse {})
        })
        .await
    }

    async fn referrers(
        &self,
        request: Request<v1::ManifestsReferrersRequest>,
    ) -> Result<Response<v1::ManifestsReferrersResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let subject = digest(&asked.subject)?;
            let kind = Some(asked.artifact_type.as_str()).filter(|kind| !kind.is_empty());
            let page = page(asked.page_size, &asked.page_token);
            let registry = call.registry();
            let found = registry.list_referrers(&call.context, &repository, &subject, kind, &page).await?;
            Ok(v1::ManifestsReferrersResponse {
                referrers: found.descriptors.iter().map(descriptor).collect::<Result<_, _>>()?,
                next_page_token: found.next.map(|next| next.to_string()).unwrap_or_default(),
            })
        })
        .await
    }
}
