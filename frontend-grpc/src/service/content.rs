//! `containerd.services.content.v1.Content`: this registry as the content store of a containerd.

mod convert;
mod list;
mod read;
mod write;

use crate::call::{Call, digest, invalid};
use crate::error::Refusal;
use crate::proto::content as v1;
use convert::{info, status};
use std::sync::Arc;
use strata_registry::{ContentFilter, ContentSpace, LabelChange};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

/// Names the namespace of a call.
const NAMESPACE: &str = "containerd-namespace";

#[derive(Debug)]
pub(crate) struct Content;

/// A call, where the content of its namespace lives, and its message.
type Taken<T> = (Arc<Call>, Result<ContentSpace, Refusal>, T);

fn take<T>(request: Request<T>) -> Result<Taken<T>, Status> {
    let namespace = namespace(request.metadata());
    let (call, message) = Call::take(request)?;
    let space = namespace.and_then(|namespace| Ok(call.registry().content_space(namespace.as_deref())?));
    Ok((call, space, message))
}

fn namespace(metadata: &MetadataMap) -> Result<Option<String>, Refusal> {
    let Some(namespace) = metadata.get(NAMESPACE) else { return Ok(None) };
    let text = namespace.to_str().map_err(|_| invalid(NAMESPACE, "it is of visible ASCII"))?;
    Ok(Some(text.to_owned()))
}

#[tonic::async_trait]
impl v1::content_server::Content for Content {
    type ListStream = list::Pages;
    type ReadStream = read::Pieces;
    type WriteStream = write::Answers;

    async fn info(&self, request: Request<v1::InfoRequest>) -> Result<Response<v1::InfoResponse>, Status> {
        let (call, space, asked) = take(request)?;
        call.answer(async {
            let digest = digest(&asked.digest)?;
            let found = call.registry().content_info(&call.context, &space?, &digest).await?;
            Ok(v1::InfoResponse { info: Some(info(found)) })
        })
        .await
    }

    async fn update(
        &self,
        request: Request<v1::UpdateRequest>,
    ) -> Result<Response<v1::UpdateResponse>, Status> {
        let (call, space, asked) = take(request)?;
        call.answer(async {
            let given = asked.info.ok_or_else(|| invalid("info", "it says of which content"))?;
            let digest = digest(&given.digest)?;
            let paths = asked.update_mask.unwrap_or_default().paths;
            let change = LabelChange { labels: given.labels.into_iter().collect(), paths };
            let changed = call.registry().update_content(&call.context, &space?, &digest, &change).await?;
            Ok(v1::UpdateResponse { info: Some(info(changed)) })
        })
        .await
    }

    async fn list(
        &self,
        request: Request<v1::ListContentRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let (call, space, asked) = take(request)?;
        call.answer(async {
            let filter = ContentFilter::parse(&asked.filters)?;
            list::begin(&call, space?, filter).await
        })
        .await
    }

    async fn delete(&self, request: Request<v1::DeleteContentRequest>) -> Result<Response<()>, Status> {
        let (call, space, asked) = take(request)?;
        call.answer(async {
            let digest = digest(&asked.digest)?;
            Ok(call.registry().delete_content(&call.context, &space?, &digest).await?)
        })
        .await
    }

    async fn read(
        &self,
        request: Request<v1::ReadContentRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let (call, space, asked) = take(request)?;
        call.answer(async { read::open(&call, &space?, &asked).await }).await
    }

    async fn status(
        &self,
        request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let (call, space, asked) = take(request)?;
        call.answer(async {
            let found = call.registry().ingest_status(&call.context, &space?, &asked.r#ref).await?;
            Ok(v1::StatusResponse { status: Some(status(found)) })
        })
        .await
    }

    async fn list_statuses(
        &self,
        request: Request<v1::ListStatusesRequest>,
    ) -> Result<Response<v1::ListStatusesResponse>, Status> {
        let (call, space, asked) = take(request)?;
        call.answer(async {
            let filter = ContentFilter::parse(&asked.filters)?;
            let found = call.registry().list_ingests(&call.context, &space?, &filter).await?;
            Ok(v1::ListStatusesResponse { statuses: found.into_iter().map(status).collect() })
        })
        .await
    }

    async fn write(
        &self,
        request: Request<Streaming<v1::WriteContentRequest>>,
    ) -> Result<Response<Self::WriteStream>, Status> {
        let (call, space, messages) = take(request)?;
        call.answer(async { Ok(write::begin(&call, space?, messages)) }).await
    }

    async fn abort(&self, request: Request<v1::AbortRequest>) -> Result<Response<()>, Status> {
        let (call, space, asked) = take(request)?;
        call.answer(async { Ok(call.registry().abort_ingest(&call.context, &space?, &asked.r#ref).await?) })
            .await
    }
}
