//! `strata.registry.v1.Tags`

use crate::call::{Call, digest, tag};
use crate::error::Refusal;
use crate::proto::registry as v1;
use strata_registry::{Page, TagExpectation};
use strata_types::Reference;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct Tags;

/// What a tag has to be before it is changed.
pub(crate) fn expectation(expected: Option<v1::TagExpectation>) -> Result<TagExpectation, Refusal> {
    use v1::tag_expectation::Expected;
    Ok(match expected.and_then(|expected| expected.expected) {
        None | Some(Expected::Absent(false)) => TagExpectation::Any,
        Some(Expected::Absent(true)) => TagExpectation::Absent,
        Some(Expected::Digest(text)) => TagExpectation::At(digest(&text)?),
    })
}

/// Which part of a list is wanted.
pub(crate) fn page(size: u32, token: &str) -> Page {
    let n = (size > 0).then(|| usize::try_from(size).unwrap_or(usize::MAX));
    Page { n, last: (!token.is_empty()).then(|| token.to_owned()) }
}

#[tonic::async_trait]
impl v1::tags_server::Tags for Tags {
    async fn get(
        &self,
        request: Request<v1::TagsGetRequest>,
    ) -> Result<Response<v1::TagsGetResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let reference = Reference::Tag(tag(&asked.tag)?);
            let found = call.registry().stat_manifest(&call.context, &repository, &reference).await?;
            Ok(v1::TagsGetResponse {
                digest: found.digest.to_string(),
                media_type: found.media_type,
                size: found.size,
            })
        })
        .await
    }

    async fn list(
        &self,
        request: Request<v1::TagsListRequest>,
    ) -> Result<Response<v1::TagsListResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let page = page(asked.page_size, &asked.page_token);
            let found = call.registry().list_tags(&call.context, &repository, &page).await?;
            let next = found.tags.last().filter(|_| found.more).map(|tag| tag.as_str().to_owned());
            Ok(v1::TagsListResponse {
                tags: found.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
                next_page_token: next.unwrap_or_default(),
            })
        })
        .await
    }

    async fn set(
        &self,
        request: Request<v1::TagsSetRequest>,
    ) -> Result<Response<v1::TagsSetResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let (tag, digest) = (tag(&asked.tag)?, digest(&asked.digest)?);
            let expected = expectation(asked.expected)?;
            call.registry().put_tag(&call.context, &repository, &tag, &digest, expected).await?;
            Ok(v1::TagsSetResponse {})
        })
        .await
    }

    async fn delete(
        &self,
        request: Request<v1::TagsDeleteRequest>,
    ) -> Result<Response<v1::TagsDeleteResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let reference = Reference::Tag(tag(&asked.tag)?);
            call.registry().delete_manifest(&call.context, &repository, &reference).await?;
            Ok(v1::TagsDeleteResponse {})
        })
        .await
    }
}
