//! `strata.registry.v1.Manifests`

use super::publish::expected_tag;
use super::tags::page;
use crate::call::{Call, digest, invalid, reference_to_find, tag};
use crate::error::Refusal;
use crate::proto::registry as v1;
use bytes::Bytes;
use serde::Deserialize;
use std::collections::HashMap;
use strata_registry::{
    Publish, PublishedManifest, PutManifest, RegistryError, ResolvedContent, ResolvedManifest, Wanted,
};
use strata_types::limits::TAGS_PER_PUT_MAX;
use strata_types::manifest::ReferenceRole;
use strata_types::{Failure, Reference, RepositoryName, Tag};
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct Manifests;

/// What a push of a manifest under a digest or a tag is, as the service layer takes it.
fn put(asked: v1::ManifestsPutRequest) -> Result<PutManifest, Refusal> {
    if asked.tags.len() > TAGS_PER_PUT_MAX {
        return Err(RegistryError::TooManyTags { sent: asked.tags.len(), max: TAGS_PER_PUT_MAX }.into());
    }
    let mut tags = asked.tags.iter().map(|text| tag(text)).collect::<Result<Vec<Tag>, _>>()?;
    let reference = match (asked.digest.is_empty(), tags.is_empty()) {
        (false, _) => Reference::Digest(digest(&asked.digest)?),
        (true, false) => Reference::Tag(tags.remove(0)),
        (true, true) => return Err(invalid("digest", "there is neither a digest nor a tag")),
    };
    let content_type = (!asked.media_type.is_empty()).then_some(asked.media_type);
    Ok(PutManifest { reference, tags, content_type, bytes: asked.content })
}

/// Whether it takes more than a push under a digest or a tag.
fn is_published(asked: &v1::ManifestsPutRequest) -> bool {
    !asked.expected_tags.is_empty() || (asked.digest.is_empty() && asked.tags.is_empty())
}

/// A push with expectations, or under nothing but the digest that its bytes have: a publishing of one manifest.
fn publish(asked: v1::ManifestsPutRequest, repository: RepositoryName) -> Result<Publish, Refusal> {
    let sent = asked.tags.len().saturating_add(asked.expected_tags.len());
    if sent > TAGS_PER_PUT_MAX {
        return Err(RegistryError::TooManyTags { sent, max: TAGS_PER_PUT_MAX }.into());
    }
    let plain = asked.tags.into_iter().map(|tag| v1::ExpectedTag { tag, expected: None });
    let tags = plain.chain(asked.expected_tags).map(expected_tag);
    let manifest = PublishedManifest {
        repository,
        digest: Some(asked.digest.as_str()).filter(|text| !text.is_empty()).map(digest).transpose()?,
        content_type: Some(asked.media_type).filter(|text| !text.is_empty()),
        bytes: asked.content,
        tags: tags.collect::<Result<_, _>>()?,
    };
    Ok(Publish { manifests: vec![manifest], tags: Vec::new() })
}

fn resolved(found: ResolvedManifest) -> v1::ResolvedManifest {
    let (os, architecture, variant) =
        found.platform.map(|on| (on.os, on.architecture, on.variant)).unwrap_or_default();
    v1::ResolvedManifest {
        digest: found.digest.to_string(),
        media_type: found.media_type,
        content: found.bytes,
        os: os.unwrap_or_default(),
        architecture: architecture.unwrap_or_default(),
        variant: variant.unwrap_or_default(),
        config: found.config,
        contents: found.contents.into_iter().map(content).collect(),
    }
}

fn content(found: ResolvedContent) -> v1::ResolvedContent {
    let role = match found.role {
        ReferenceRole::Config => v1::ContentRole::Config,
        ReferenceRole::Layer => v1::ContentRole::Layer,
        ReferenceRole::Child => v1::ContentRole::Manifest,
        ReferenceRole::Subject => v1::ContentRole::Unspecified,
    };
    let descriptor = v1::Descriptor {
        media_type: found.descriptor.media_type,
        digest: found.descriptor.digest.to_string(),
        size: found.descriptor.size,
        ..Default::default()
    };
    v1::ResolvedContent { role: role.into(), descriptor: Some(descriptor), present: found.present }
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

    async fn resolve_image(
        &self,
        request: Request<v1::ManifestsResolveImageRequest>,
    ) -> Result<Response<v1::ManifestsResolveImageResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let reference = reference_to_find(&asked.reference)?;
            let some = |text: String| Some(text).filter(|text| !text.is_empty());
            let (os, architecture) = (some(asked.os), some(asked.architecture));
            let wanted = Wanted { os, architecture, variant: some(asked.variant) };
            let registry = call.registry();
            let found = registry.resolve_image(&call.context, &repository, &reference, &wanted).await?;
            Ok(v1::ManifestsResolveImageResponse {
                manifest: Some(resolved(found.manifest)),
                children: found.children.into_iter().map(resolved).collect(),
                cut: found.cut,
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
            if is_published(&asked) {
                let mut tags: Vec<String> = Vec::new();
                for tag in asked.tags.iter().chain(asked.expected_tags.iter().map(|tag| &tag.tag)) {
                    if !tags.contains(tag) {
                        tags.push(tag.clone());
                    }
                }
                let done = call.registry().publish(&call.context, publish(asked, repository)?).await?;
                let digest = done.manifests.first().map(ToString::to_string).unwrap_or_default();
                let subject = done.subjects.first().and_then(Option::as_ref);
                let subject = subject.map(ToString::to_string).unwrap_or_default();
                return Ok(v1::ManifestsPutResponse { digest, subject, tags });
            }
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
