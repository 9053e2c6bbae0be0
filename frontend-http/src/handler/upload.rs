//! end-4, end-5, end-6, end-11, end-13, end-14: upload sessions, uploads in one request, mounts.

use crate::body::RequestBody;
use crate::content_range::ContentRange;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::{Response, empty, header, upload};
use http::header::{CONTENT_RANGE, WARNING};
use http::{HeaderValue, StatusCode};
use strata_registry::{ChunkRange, RegistryError};
use strata_types::{Algorithm, Digest, ErrorCode, RepositoryName, UploadId};

/// `POST /v2/{name}/blobs/uploads/`: a mount, an upload in one request, or a new session.
pub(crate) async fn start(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let repository = exchange.repository()?;
    let mut warning = None;
    if let Some(mount) = exchange.query.get("mount") {
        match mount_blob(exchange, &repository, &mount).await? {
            Mount::Done(digest) => return Ok(upload::blob_created(exchange, &repository, &digest)),
            Mount::NotFound => {}
            Mount::Ignored(why) => warning = Some(why),
        }
    }
    if let Some(digest) = exchange.query.get("digest") {
        let digest = Digest::parse(&digest)?;
        let (size, stream) = (body.declared_len(), exchange.upload(body));
        let digest =
            exchange.registry().put_blob(&exchange.context, &repository, &digest, size, stream).await?;
        return Ok(upload::blob_created(exchange, &repository, &digest));
    }
    let algorithm = exchange.query.get("digest-algorithm");
    let algorithm = algorithm.map_or(Ok(Algorithm::Sha256), |name| Algorithm::parse(&name))?;
    let session = exchange.registry().start_upload(&exchange.context, &repository, algorithm).await?;
    let mut response = upload::session(StatusCode::ACCEPTED, exchange, &repository, &session);
    response.headers_mut().extend(warning.map(|warning| (WARNING, warning)));
    Ok(response)
}

/// `GET`, `HEAD /v2/{name}/blobs/uploads/{id}`
pub(crate) async fn status(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, id) = (exchange.repository()?, exchange.upload_id()?);
    let session = exchange.registry().upload_status(&exchange.context, &repository, &id).await?;
    Ok(upload::session(StatusCode::NO_CONTENT, exchange, &repository, &session))
}

/// `PATCH /v2/{name}/blobs/uploads/{id}`
pub(crate) async fn append(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let (repository, id) = (exchange.repository()?, exchange.upload_id()?);
    let range = chunk_range(exchange, body)?;
    let stream = exchange.upload(body);
    let appended =
        exchange.registry().append_upload(&exchange.context, &repository, &id, range, stream).await;
    let session = appended.map_err(|error| refuse(exchange, &repository, &id, error))?;
    Ok(upload::session(StatusCode::ACCEPTED, exchange, &repository, &session))
}

/// `PUT /v2/{name}/blobs/uploads/{id}?digest={digest}`
pub(crate) async fn finish(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let (repository, id) = (exchange.repository()?, exchange.upload_id()?);
    let missing = || Refusal::new(ErrorCode::DigestInvalid, "the upload can only be finished with ?digest=");
    let digest = Digest::parse(&exchange.query.get("digest").ok_or_else(missing)?)?;
    let range = chunk_range(exchange, body)?;
    let stream = exchange.upload(body);
    let registry = exchange.registry();
    let finished = registry.finish_upload(&exchange.context, &repository, &id, range, stream, &digest).await;
    let digest = finished.map_err(|error| refuse(exchange, &repository, &id, error))?;
    Ok(upload::blob_created(exchange, &repository, &digest))
}

/// `DELETE /v2/{name}/blobs/uploads/{id}`
pub(crate) async fn cancel(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, id) = (exchange.repository()?, exchange.upload_id()?);
    exchange.registry().cancel_upload(&exchange.context, &repository, &id).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// What came of `?mount=`.
enum Mount {
    Done(Digest),
    NotFound,
    Ignored(HeaderValue),
}

/// A mount that finds nothing is no error: the client gets a session and uploads.
async fn mount_blob(exchange: &Exchange<'_>, to: &RepositoryName, mount: &str) -> Result<Mount, Refusal> {
    let Ok(digest) = Digest::parse(mount) else {
        return Ok(Mount::Ignored(header::warning("mount was ignored: it is not a digest")));
    };
    let from = exchange.query.get("from").filter(|from| !from.is_empty());
    let Ok(from) = from.map(|from| RepositoryName::parse(&from)).transpose() else {
        return Ok(Mount::Ignored(header::warning("mount was ignored: from is not a repository name")));
    };
    let found = exchange.registry().mount_blob(&exchange.context, to, &digest, from.as_ref()).await?;
    Ok(if found { Mount::Done(digest) } else { Mount::NotFound })
}

/// What the headers say of the body's place and length. `Content-Range` must be as long as the body says it is.
fn chunk_range(exchange: &Exchange<'_>, body: &RequestBody) -> Result<Option<ChunkRange>, Refusal> {
    let mut values = exchange.headers.get_all(CONTENT_RANGE).iter();
    let Some(value) = values.next() else {
        return Ok(body.declared_len().map(|len| ChunkRange { start: None, len: Some(len) }));
    };
    if values.next().is_some() {
        return Err(Refusal::new(ErrorCode::SizeInvalid, "Content-Range is there more than once"));
    }
    let range = ContentRange::parse(value.as_bytes())?;
    match body.declared_len() {
        Some(declared) if declared != range.len => {
            let message =
                format!("Content-Range stands for {} bytes, Content-Length for {declared}", range.len);
            Err(Refusal::new(ErrorCode::SizeInvalid, message))
        }
        _ => Ok(Some(ChunkRange { start: Some(range.start), len: Some(range.len) })),
    }
}

/// A chunk in the wrong place is told where the right one is.
fn refuse(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    id: &UploadId,
    error: RegistryError,
) -> Refusal {
    let offset = match &error {
        RegistryError::ChunkOutOfOrder { offset, .. } | RegistryError::UploadBusy { offset } => Some(*offset),
        _ => None,
    };
    let place = offset.map(|offset| upload::place(exchange, repository, id, offset));
    place
        .into_iter()
        .flatten()
        .fold(error.into(), |refusal: Refusal, (name, value)| refusal.with(name, value))
}
