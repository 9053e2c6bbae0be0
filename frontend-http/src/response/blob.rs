//! Answers that are blobs, in whole or in part (distribution-spec, "Pulling blobs"; RFC 9110 §14, §15.3.7).

use super::{Response, empty, header, with_parts};
use crate::body::Part;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::range::Selection;
use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use http::{HeaderMap, StatusCode};
use std::ops::Range;
use std::sync::Arc;
use strata_registry::{BlobBody, BlobRead, BlobStat};
use strata_types::Digest;

/// `200` with the headers that the whole blob would have.
pub(crate) fn head(blob: &BlobStat) -> Response {
    let mut response = empty(StatusCode::OK);
    describe(response.headers_mut(), &blob.digest);
    response.headers_mut().insert(CONTENT_LENGTH, blob.size.into());
    response
}

/// `200`, `206` or the error `416`, as the request's ranges say.
pub(crate) fn selected(
    exchange: &Exchange<'_>,
    blob: BlobRead,
    selection: Selection,
) -> Result<Response, Refusal> {
    let BlobRead { digest, size, body, .. } = blob;
    let body = match body {
        BlobBody::Bytes(bytes) => BlobBody::Bytes(exchange.hold(bytes)?),
        file @ BlobBody::File(_) => file,
    };
    let source = Source { exchange, body, size };
    let mut response = match selection {
        Selection::Whole => source.single(StatusCode::OK, 0..size),
        Selection::One(range) => source.single(StatusCode::PARTIAL_CONTENT, range),
        Selection::Many(ranges) => source.multipart(&ranges),
        Selection::Unsatisfiable => return Err(Refusal::unsatisfiable(size)),
    };
    describe(response.headers_mut(), &digest);
    Ok(response)
}

/// What all answers about a blob say. The type is not that of a part where the body is several.
fn describe(headers: &mut HeaderMap, digest: &Digest) {
    headers.entry(CONTENT_TYPE).or_insert(header::OCTET_STREAM);
    headers.insert(header::CONTENT_DIGEST, header::digest(digest));
    headers.insert(ETAG, header::entity_tag(digest));
    headers.insert(ACCEPT_RANGES, header::BYTES);
    headers.insert(header::CONTENT_TYPE_OPTIONS, header::NO_SNIFF);
}

/// The content, and the connection that it goes to.
struct Source<'a> {
    exchange: &'a Exchange<'a>,
    body: BlobBody,
    size: u64,
}

impl Source<'_> {
    fn single(self, status: StatusCode, range: Range<u64>) -> Response {
        let content_range = (status == StatusCode::PARTIAL_CONTENT).then(|| self.content_range(&range));
        let mut parts = PartMaker::new(self.body);
        let mut response = with_parts(status, self.exchange, [parts.part(range)]);
        response.headers_mut().extend(content_range.map(|text| (CONTENT_RANGE, header::value(&text))));
        response
    }

    /// Each part has a head of its own and the whole an end (RFC 9110 §14.6). The boundary is random, so that no content can
    /// hold it.
    fn multipart(self, ranges: &[Range<u64>]) -> Response {
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let heads: Vec<String> = ranges
            .iter()
            .map(|range| {
                let content_range = self.content_range(range);
                format!(
                    "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: {content_range}\r\n\r\n"
                )
            })
            .collect();
        let mut maker = PartMaker::new(self.body);
        let mut parts = Vec::with_capacity(2 * ranges.len() + 1);
        for (head, range) in heads.into_iter().zip(ranges) {
            parts.push(Part::Bytes(head.into()));
            parts.push(maker.part(range.clone()));
        }
        parts.push(Part::Bytes(format!("\r\n--{boundary}--\r\n").into()));
        let mut response = with_parts(StatusCode::PARTIAL_CONTENT, self.exchange, parts);
        let content_type = format!("multipart/byteranges; boundary={boundary}");
        response.headers_mut().insert(CONTENT_TYPE, header::value(&content_type));
        response
    }

    fn content_range(&self, range: &Range<u64>) -> String {
        format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), self.size)
    }
}

/// Cuts parts out of a body.
enum PartMaker {
    Bytes(Bytes),
    File(Arc<dyn crate::body::FileSource>),
}

impl PartMaker {
    fn new(body: BlobBody) -> Self {
        match body {
            BlobBody::Bytes(bytes) => Self::Bytes(bytes),
            BlobBody::File(file) => Self::File(Arc::new(file)),
        }
    }

    fn part(&mut self, range: Range<u64>) -> Part {
        match self {
            Self::Bytes(bytes) => {
                let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Part::Bytes(bytes.slice(at(range.start)..at(range.end)))
            }
            Self::File(file) => Part::File(Arc::clone(file), range),
        }
    }
}
