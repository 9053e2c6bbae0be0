//! Answers about upload sessions and finished uploads (distribution-spec, "Pushing blobs").
//!
//! All state of a session stands in the path of its `Location`, none in its query: clients drop queries, and a Location
//! handed out earlier must go on working.

use super::{Response, empty, header, no_content};
use crate::exchange::Exchange;
use http::header::{LOCATION, RANGE};
use http::{HeaderName, HeaderValue, StatusCode};
use strata_registry::UploadStatus;
use strata_types::{Digest, RepositoryName, UploadId};

/// `202` or `204` with the place and progress of a session.
pub(crate) fn session(
    status: StatusCode,
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    upload: &UploadStatus,
) -> Response {
    let mut response = if status == StatusCode::NO_CONTENT { empty(status) } else { no_content(status) };
    response.headers_mut().extend(place(exchange, repository, &upload.id, upload.offset));
    response
}

/// Where a session is and how far: `Location`, `Range` and `Docker-Upload-UUID`.
pub(crate) fn place(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    id: &UploadId,
    offset: u64,
) -> [(HeaderName, HeaderValue); 3] {
    // Before the first byte the spec has no way to say "nothing"; its suite wants 0-0.
    let range = format!("0-{}", offset.saturating_sub(1));
    [
        (LOCATION, exchange.location(&format!("/v2/{repository}/blobs/uploads/{id}"))),
        (RANGE, header::value(&range)),
        (header::UPLOAD_UUID, header::value(&id.to_string())),
    ]
}

/// `201`: the blob is in the repository.
pub(crate) fn blob_created(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Response {
    let mut response = no_content(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(LOCATION, exchange.location(&format!("/v2/{repository}/blobs/{digest}")));
    headers.insert(header::CONTENT_DIGEST, header::digest(digest));
    response
}
