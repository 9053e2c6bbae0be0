//! `strata.registry.v1.Publish`

use super::tags::expectation;
use crate::call::{Call, digest, invalid, tag};
use crate::error::Refusal;
use crate::proto::registry as v1;
use strata_registry::{PublishedManifest, PublishedTag, TagExpectation};
use strata_types::Tag;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct Publish;

/// A tag, and what it has to be.
pub(crate) fn expected_tag(asked: v1::ExpectedTag) -> Result<(Tag, TagExpectation), Refusal> {
    Ok((tag(&asked.tag)?, expectation(asked.expected)?))
}

fn manifest(call: &Call, asked: v1::PublishManifest) -> Result<PublishedManifest, Refusal> {
    Ok(PublishedManifest {
        repository: call.repository(&asked.repository)?,
        digest: Some(asked.digest.as_str()).filter(|text| !text.is_empty()).map(digest).transpose()?,
        content_type: Some(asked.media_type).filter(|text| !text.is_empty()),
        bytes: asked.content,
        tags: asked.tags.into_iter().map(expected_tag).collect::<Result<_, _>>()?,
    })
}

fn published_tag(call: &Call, asked: v1::PublishTag) -> Result<PublishedTag, Refusal> {
    let (tag, expected) = expected_tag(asked.tag.ok_or_else(|| invalid("tags.tag", "is missing"))?)?;
    let (repository, digest) = (call.repository(&asked.repository)?, digest(&asked.digest)?);
    Ok(PublishedTag { repository, tag, digest, expected })
}

#[tonic::async_trait]
impl v1::publish_server::Publish for Publish {
    async fn publish(
        &self,
        request: Request<v1::PublishRequest>,
    ) -> Result<Response<v1::PublishResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let manifests = asked.manifests.into_iter().map(|one| manifest(&call, one));
            let tags = asked.tags.into_iter().map(|one| published_tag(&call, one));
            let publish = strata_registry::Publish {
                manifests: manifests.collect::<Result<_, _>>()?,
                tags: tags.collect::<Result<_, _>>()?,
            };
            let done = call.registry().publish(&call.context, publish).await?;
            Ok(v1::PublishResponse {
                digests: done.manifests.iter().map(ToString::to_string).collect(),
                first_event: done.events.0,
                last_event: done.events.1,
            })
        })
        .await
    }
}
