//! Answers about manifests (distribution-spec, "Pulling manifests", "Pushing manifests").

use super::{Response, empty, header, held, no_content};
use crate::error::Refusal;
use crate::exchange::Exchange;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, StatusCode};
use strata_registry::{ManifestPutDone, ManifestRead, ManifestStat};
use strata_types::{Digest, Reference, RepositoryName};

/// `200` with the bytes as they were pushed.
pub(crate) fn whole(exchange: &Exchange<'_>, manifest: ManifestRead) -> Result<Response, Refusal> {
    let mut response = held(exchange, manifest.bytes)?;
    describe(response.headers_mut(), &manifest.digest, &manifest.media_type);
    Ok(response)
}

/// `200` with the headers that [`whole`] has.
pub(crate) fn head(manifest: &ManifestStat) -> Response {
    let mut response = empty(StatusCode::OK);
    describe(response.headers_mut(), &manifest.digest, &manifest.media_type);
    response.headers_mut().insert(CONTENT_LENGTH, manifest.size.into());
    response
}

/// `201` with the digest, and what came of subject and tags.
pub(crate) fn created(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    reference: &Reference,
    done: &ManifestPutDone,
) -> Response {
    let mut response = no_content(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(LOCATION, exchange.location(&format!("/v2/{repository}/manifests/{reference}")));
    headers.insert(header::CONTENT_DIGEST, header::digest(&done.digest));
    if let Some(subject) = &done.subject {
        headers.insert(header::OCI_SUBJECT, header::digest(subject));
    }
    for tag in &done.tags {
        headers.append(header::OCI_TAG, header::value(tag.as_str()));
    }
    response
}

fn describe(headers: &mut HeaderMap, digest: &Digest, media_type: &str) {
    headers.insert(CONTENT_TYPE, header::value(media_type));
    headers.insert(header::CONTENT_DIGEST, header::digest(digest));
    headers.insert(ETAG, header::entity_tag(digest));
    headers.insert(header::CONTENT_TYPE_OPTIONS, header::NO_SNIFF);
}
