//! One request as handlers see it: its parts, parsed on demand, and the context for use cases.

use crate::app::App;
use crate::body::{RequestBody, RequestBodyError};
use crate::condition::{self, Verdict};
use crate::connection::ConnectionInfo;
use crate::error::Refusal;
use crate::forwarded::Origin;
use crate::memory::{Memory, Room};
use crate::query::Query;
use crate::range::{self, Selection};
use crate::request_log::RequestLog;
use crate::response::header;
use crate::route::Route;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::header::RANGE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use strata_registry::{BodyError, Context, Piece, Registry, UploadBody};
use strata_types::limits::MANIFEST_BYTES_MAX;
use strata_types::{Digest, ErrorCode, Failure, Reference, ReferenceError, RepositoryName, UploadId};

/// A request on its way through a handler. The body is apart from it, because it is used up.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) app: &'a App,
    pub(crate) connection: &'a ConnectionInfo,
    pub(crate) method: &'a Method,
    pub(crate) version: Version,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: Query<'a>,
    pub(crate) context: Context,
    pub(crate) log: &'a Arc<RequestLog>,
    route: &'a Route<'a>,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        app: &'a App,
        connection: &'a ConnectionInfo,
        parts: &'a Parts,
        route: &'a Route<'a>,
        origin: &Origin,
        request_id: Arc<str>,
        log: &'a Arc<RequestLog>,
    ) -> Self {
        Self {
            app,
            connection,
            method: &parts.method,
            version: parts.version,
            headers: &parts.headers,
            query: Query::new(parts.uri.query()),
            context: Context {
                principal: app.registry().stranger(),
                request_id,
                remote: Some(origin.remote),
                scope: connection.scope,
            },
            log,
            route,
        }
    }

    /// The service layer.
    pub(crate) fn registry(&self) -> &Registry {
        self.app.registry()
    }

    /// The repository that the path names.
    pub(crate) fn repository(&self) -> Result<RepositoryName, Refusal> {
        Ok(RepositoryName::parse(self.route.name())?)
    }

    /// The parameter of the path that names no repository, as it is.
    pub(crate) fn parameter(&self) -> &str {
        self.route.last()
    }

    /// What [`parameter`](Self::parameter) belongs to, where the path has two.
    pub(crate) fn parent(&self) -> &str {
        self.route.parent()
    }

    /// The digest at the end of the path.
    pub(crate) fn digest(&self) -> Result<Digest, Refusal> {
        Ok(Digest::parse(self.route.last())?)
    }

    /// The tag or digest at the end of the path, to be stored under.
    pub(crate) fn reference(&self) -> Result<Reference, Refusal> {
        Ok(Reference::parse(self.route.last())?)
    }

    /// The tag or digest at the end of the path, of a manifest that should be there. Under a text that can be no tag there is
    /// none: the spec wants `404`, where a push gets `400`.
    pub(crate) fn reference_to_find(&self) -> Result<Reference, Refusal> {
        Reference::parse(self.route.last()).map_err(|error| match error {
            ReferenceError::Tag(error) => {
                Refusal::new(ErrorCode::ManifestUnknown, format!("there is no such manifest: {error}"))
            }
            ReferenceError::Digest(error) => error.into(),
        })
    }

    /// The upload session at the end of the path.
    pub(crate) fn upload_id(&self) -> Result<UploadId, Refusal> {
        Ok(UploadId::parse(self.route.last())?)
    }

    /// A `Location` for a path of this server.
    pub(crate) fn location(&self, path: &str) -> HeaderValue {
        header::value(&self.url(path))
    }

    /// How clients reach a path of this server: under the external URL where there is one, else the path alone.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.app.external_url().unwrap_or_default())
    }

    /// Whether the client has this content already, by what `If-None-Match` says.
    ///
    /// # Errors
    /// `412` where `If-Match` names other content.
    pub(crate) fn is_fresh(&self, digest: &Digest) -> Result<bool, Refusal> {
        if !condition::is_conditional(self.headers) {
            return Ok(false);
        }
        match condition::judge(self.headers, &digest.to_string()) {
            Verdict::Proceed => Ok(false),
            Verdict::NotModified => Ok(true),
            Verdict::Failed => Err(Refusal::precondition_failed()),
        }
    }

    /// What part of a blob of `size` bytes is asked for. A `HEAD` has no ranges (RFC 9110 §14.2).
    pub(crate) fn selection(&self, digest: &Digest, size: u64) -> Selection {
        match self.headers.get(RANGE) {
            Some(range) if condition::range_applies(self.headers, &digest.to_string()) => {
                range::select(range.as_bytes(), size)
            }
            _ => Selection::Whole,
        }
    }

    /// The body as use cases take it, counted for the log.
    pub(crate) fn stream<'b>(
        &self,
        body: &'b mut RequestBody,
    ) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + Unpin + use<'a, 'b> {
        let log = self.log;
        body.map(move |chunk| match chunk {
            Ok(bytes) => {
                log.received(bytes.len() as u64);
                Ok(bytes)
            }
            Err(error) => Err(body_error(&error)),
        })
    }

    /// The body as uploads take it, counted for the log.
    pub(crate) fn upload<'b>(&self, body: &'b mut RequestBody) -> ReceivedBody<'b>
    where
        'a: 'b,
    {
        ReceivedBody { body, log: self.log }
    }

    /// Bytes for the answer, counted as held in memory until they have left.
    ///
    /// # Errors
    /// `503` where too much is held already.
    pub(crate) fn hold(&self, bytes: Bytes) -> Result<Bytes, Refusal> {
        Ok(self.app.memory().hold(bytes)?)
    }

    /// The whole body of a manifest, and the room it takes. What is declared or comes beyond the limit is not read.
    pub(crate) async fn manifest_bytes(&self, body: &mut RequestBody) -> Result<(Bytes, Room), Refusal> {
        let too_large =
            || Refusal::new(Failure::TooLarge, format!("a manifest has at most {MANIFEST_BYTES_MAX} bytes"));
        if body.declared_len().is_some_and(|len| len > MANIFEST_BYTES_MAX as u64) {
            return Err(too_large());
        }
        let mut room = Memory::room();
        let mut gathered = BytesMut::new();
        let mut stream = self.stream(body);
        while let Some(chunk) = stream.next().await.transpose()? {
            let len = gathered.len().saturating_add(chunk.len());
            if len > MANIFEST_BYTES_MAX {
                return Err(too_large());
            }
            self.app.memory().grow(&mut room, len)?;
            gathered.extend_from_slice(&chunk);
        }
        Ok((gathered.freeze(), room))
    }
}

/// The body of an upload.
#[derive(Debug)]
pub(crate) struct ReceivedBody<'b> {
    body: &'b mut RequestBody,
    log: &'b RequestLog,
}

impl UploadBody for ReceivedBody<'_> {
    fn poll_piece(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Piece, BodyError>>> {
        let piece = ready!(self.body.poll_piece(cx));
        if let Some(Ok(Piece::Bytes(bytes))) = &piece {
            self.log.received(bytes.len() as u64);
        }
        Poll::Ready(piece.map(|piece| piece.map_err(|error| body_error(&error))))
    }

    fn read(mut self: Pin<&mut Self>, memory: &mut [u8]) -> Result<usize, BodyError> {
        let count = self.body.read(memory).map_err(|error| body_error(&error))?;
        self.log.received(count as u64);
        Ok(count)
    }
}

fn body_error(error: &RequestBodyError) -> BodyError {
    match error {
        RequestBodyError::TooSlow { .. } => BodyError::TooSlow,
        RequestBodyError::Cut { .. } | RequestBodyError::Malformed { .. } => BodyError::Cut,
    }
}
