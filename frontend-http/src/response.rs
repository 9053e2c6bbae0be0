//! Answers: what a use case gave, rendered. No decision is made here.

pub(crate) mod blob;
mod blob_file;
pub(crate) mod header;
pub(crate) mod list;
pub(crate) mod manifest;
pub(crate) mod upload;

use crate::body::{Part, ResponseBody};
use crate::error::Refusal;
use crate::exchange::Exchange;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use serde::Serialize;
use strata_types::Digest;

/// Bytes that a connection is handed at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// The answer to a request.
pub(crate) type Response = http::Response<ResponseBody>;

/// An answer without a body; `Content-Length` is left to the caller and to hyper.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response
}

/// An answer without a body that says so, for statuses that could have one.
pub(crate) fn no_content(status: StatusCode) -> Response {
    let mut response = empty(status);
    response.headers_mut().insert(CONTENT_LENGTH, 0.into());
    response
}

/// `304`: the client has this very content.
pub(crate) fn not_modified(digest: &Digest) -> Response {
    let mut response = empty(StatusCode::NOT_MODIFIED);
    response.headers_mut().insert(ETAG, header::entity_tag(digest));
    response.headers_mut().insert(header::CONTENT_DIGEST, header::digest(digest));
    response
}

/// An answer of bytes, with their `Content-Length`.
pub(crate) fn with_bytes(status: StatusCode, bytes: Bytes) -> Response {
    let len = bytes.len();
    let mut response = Response::new(ResponseBody::bytes(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_LENGTH, len.into());
    response
}

/// An answer of bytes that may be many: counted as held in memory until they have left, and sent in pieces, so that the log
/// knows how much of them a client took.
///
/// # Errors
/// `503` where too much is held already.
pub(crate) fn held(exchange: &Exchange<'_>, bytes: Bytes) -> Result<Response, Refusal> {
    let bytes = exchange.hold(bytes)?;
    let piece = |at: usize| Part::Bytes(bytes.slice(at..bytes.len().min(at + PIECE_BYTES)));
    let pieces = (0..bytes.len()).step_by(PIECE_BYTES).map(piece);
    Ok(with_parts(StatusCode::OK, exchange, pieces))
}

/// An answer of bytes and ranges of files, with their `Content-Length`.
pub(crate) fn with_parts(
    status: StatusCode,
    exchange: &Exchange<'_>,
    parts: impl IntoIterator<Item = Part>,
) -> Response {
    let body = ResponseBody::multipart(exchange.connection, exchange.version, parts);
    let len = body.len();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_LENGTH, len.into());
    response
}

/// A JSON document.
pub(crate) fn json(status: StatusCode, document: &impl Serialize) -> Response {
    let mut response = with_bytes(status, json_bytes(document));
    response.headers_mut().insert(CONTENT_TYPE, header::JSON);
    response
}

/// The bytes of a JSON document. The documents of this crate are plain structs of strings and numbers, which always serialize.
pub(crate) fn json_bytes(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document).map_or_else(|_| Bytes::from_static(b"{}"), Bytes::from)
}

/// The same answer as to a HEAD: all headers, no body (RFC 9110 §9.3.2).
pub(crate) fn without_body(response: Response) -> Response {
    response.map(|_| ResponseBody::empty())
}
