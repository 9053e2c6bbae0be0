//! `strata.registry.v1.Blobs`

mod read;
mod write;

use crate::call::{Call, digest, session};
use crate::error::Refusal;
use crate::proto::registry as v1;
use strata_types::{Algorithm, Digest};
use tonic::{Request, Response, Status, Streaming};

#[derive(Debug)]
pub(crate) struct Blobs;

#[tonic::async_trait]
impl v1::blobs_server::Blobs for Blobs {
    type ReadStream = read::Pieces;

    async fn find_missing(
        &self,
        request: Request<v1::BlobsFindMissingRequest>,
    ) -> Result<Response<v1::BlobsFindMissingResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let mut texts = asked.digests;
            let digests = texts.iter().map(|text| digest(text)).collect::<Result<Vec<Digest>, Refusal>>()?;
            let found = call.registry().find_blobs(&call.context, &repository, digests).await?;
            let mut found = found.into_iter();
            texts.retain(|_| found.next().flatten().is_none());
            Ok(v1::BlobsFindMissingResponse { missing: texts })
        })
        .await
    }

    async fn stat(
        &self,
        request: Request<v1::BlobsStatRequest>,
    ) -> Result<Response<v1::BlobsStatResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let digest = digest(&asked.digest)?;
            let found = call.registry().stat_blob(&call.context, &repository, &digest).await?;
            Ok(v1::BlobsStatResponse { digest: found.digest.to_string(), size: found.size })
        })
        .await
    }

    async fn read(
        &self,
        request: Request<v1::BlobsReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(read::open(&call, &asked)).await
    }

    async fn start_write(
        &self,
        request: Request<v1::BlobsStartWriteRequest>,
    ) -> Result<Response<v1::BlobsStartWriteResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let algorithm = match asked.algorithm.as_str() {
                "" => Algorithm::Sha256,
                name => Algorithm::parse(name)?,
            };
            let started = call.registry().start_upload(&call.context, &repository, algorithm).await?;
            Ok(v1::BlobsStartWriteResponse { session: started.id.to_string() })
        })
        .await
    }

    async fn write(
        &self,
        request: Request<Streaming<v1::BlobsWriteRequest>>,
    ) -> Result<Response<v1::BlobsWriteResponse>, Status> {
        let (call, mut messages) = Call::take(request)?;
        call.answer(write::write(&call, &mut messages)).await
    }

    async fn write_status(
        &self,
        request: Request<v1::BlobsWriteStatusRequest>,
    ) -> Result<Response<v1::BlobsWriteStatusResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let id = session(&asked.session)?;
            let found = call.registry().upload_status(&call.context, &repository, &id).await?;
            Ok(v1::BlobsWriteStatusResponse { offset: found.offset })
        })
        .await
    }

    async fn cancel_write(
        &self,
        request: Request<v1::BlobsCancelWriteRequest>,
    ) -> Result<Response<v1::BlobsCancelWriteResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let id = session(&asked.session)?;
            call.registry().cancel_upload(&call.context, &repository, &id).await?;
            Ok(v1::BlobsCancelWriteResponse {})
        })
        .await
    }

    async fn mount(
        &self,
        request: Request<v1::BlobsMountRequest>,
    ) -> Result<Response<v1::BlobsMountResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let digest = digest(&asked.digest)?;
            let from = Some(asked.from.as_str()).filter(|from| !from.is_empty());
            let from = from.map(strata_types::RepositoryName::parse).transpose()?;
            let registry = call.registry();
            let mounted = registry.mount_blob(&call.context, &repository, &digest, from.as_ref()).await?;
            Ok(v1::BlobsMountResponse { mounted })
        })
        .await
    }

    async fn delete(
        &self,
        request: Request<v1::BlobsDeleteRequest>,
    ) -> Result<Response<v1::BlobsDeleteResponse>, Status> {
        let (call, asked) = Call::take(request)?;
        call.answer(async {
            let repository = call.repository(&asked.repository)?;
            let digest = digest(&asked.digest)?;
            call.registry().delete_blob(&call.context, &repository, &digest).await?;
            Ok(v1::BlobsDeleteResponse {})
        })
        .await
    }
}
