//! One call, from its head to its service and back: who asks, until when, and what is said of it in the log.

use crate::app::App;
use crate::config::GrpcConfig;
use crate::connection::ConnectionInfo;
use crate::deadline;
use crate::error::Refusal;
use crate::log::{Begun, CallLog};
use crate::request::{RequestBody, message_max};
use crate::response::{Ending, ResponseBody, note_code};
use crate::service::Services;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use strata_registry::{BodyError, Context, Registry, RepositoryName};
use strata_transport::activity::{InFlight, STREAM_PATIENCE};
use strata_transport::authorization::Authorization;
use strata_transport::drain::{Connections, Phase};
use strata_transport::flood::Floods;
use strata_transport::limits::HttpLimits;
use strata_types::{Digest, Failure, Reference, ReferenceError, Tag, UploadId};
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Status};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the calls of a server have in common.
#[derive(Debug)]
pub(crate) struct Calls<B = Incoming> {
    pub(crate) app: Arc<App>,
    pub(crate) services: Services<B>,
    pub(crate) limits: HttpLimits,
    pub(crate) connections: Connections,
    pub(crate) floods: Arc<Floods>,
}

/// A call as services see it.
#[derive(Debug)]
pub(crate) struct Call {
    /// For use cases.
    pub(crate) context: Context,
    pub(crate) app: Arc<App>,
    log: Arc<CallLog>,
    /// What it showed; not of calls that are over before it could be taken away.
    authorization: Option<HeaderValue>,
}

impl<B> Calls<B>
where
    B: Body<Data = Bytes, Error: Display> + Send + Unpin + 'static,
{
    /// Calls of these services.
    pub(crate) fn new(
        registry: Registry,
        config: &GrpcConfig,
        services: impl FnOnce(&Arc<App>) -> Services<B>,
    ) -> Self {
        let app = Arc::new(App::new(registry, config));
        let services = services(&app);
        let connections = Connections::new(config.limits.connections_max);
        Self { app, services, limits: config.limits.clone(), connections, floods: Arc::default() }
    }

    /// Answers one call. Every error is an answer. Dropped when the client goes away.
    pub(crate) async fn answer(
        self: Arc<Self>,
        connection: Arc<ConnectionInfo>,
        request: Request<B>,
        mut in_flight: InFlight,
    ) -> Response<ResponseBody> {
        let (parts, incoming) = request.into_parts();
        let app = &self.app;
        let method = app.metrics.method(parts.uri.path());
        let id = app.request_ids.take(parts.headers.get(REQUEST_ID).map(HeaderValue::as_bytes));
        let remote = connection.peer.map(|peer| app.proxies.origin(peer.ip(), connection.tls, &parts).remote);
        let begun = Begun {
            method,
            id: Arc::clone(&id),
            remote,
            user_agent: parts.headers.get(USER_AGENT).map(HeaderValue::as_bytes),
            path: parts.uri.path(),
        };
        let log = CallLog::begin(Arc::clone(&app.metrics), begun);
        let is_patient = is_patient(app.metrics.name(method));
        let until = deadline::of(&parts.headers);
        let ending = self.ending(until, is_patient);
        let context = Context {
            principal: app.registry.stranger(),
            request_id: Arc::clone(&id),
            remote,
            scope: connection.scope,
        };
        let stall = self.limits.body_stall * STREAM_PATIENCE;
        let (app_of, max) = (Arc::clone(app), message_max(parts.uri.path()));
        let body = RequestBody::new(incoming, app_of, Arc::clone(&log), stall, max);
        let answer = self.serve(parts, body, context, &log);
        let answer = match until {
            None => answer.await,
            Some(until) => {
                tokio::time::timeout_at(until, answer).await.unwrap_or_else(|_| expired().into_http())
            }
        };
        let mut answer = with_reason(answer, &log);
        if !is_patient && !app.metrics.takes_stream(method) {
            // From here on the client must take bytes. One that sends a stream may have none to take for long.
            in_flight.respond();
        }
        answer.headers_mut().insert(REQUEST_ID, header(&id));
        note_code(&log, answer.headers());
        answer.map(|body| ResponseBody::new(body, ending, log, in_flight))
    }

    async fn serve(
        &self,
        parts: Parts,
        mut body: RequestBody<B>,
        mut context: Context,
        log: &Arc<CallLog>,
    ) -> Response<tonic::body::Body> {
        if let Some(refused) = not_grpc(&parts) {
            return refused;
        }
        if !is_open(parts.uri.path()) {
            let authorization = Authorization::of(&parts.headers);
            let Context { remote, request_id, .. } = &context;
            let registry = &self.app.registry;
            match registry.authenticate(authorization.credentials(), *remote, request_id).await {
                Ok(principal) => {
                    body.is_of(&principal);
                    context.principal = principal;
                }
                Err(error) => {
                    let refusal = Refusal::from(error);
                    log.refused(&refusal);
                    return refusal.status.into_http();
                }
            }
        }
        let authorization = parts.headers.get(AUTHORIZATION).filter(|_| is_watch(parts.uri.path())).cloned();
        let call = Call { context, app: Arc::clone(&self.app), log: Arc::clone(log), authorization };
        let mut request = Request::from_parts(parts, body);
        request.extensions_mut().insert(Arc::new(call));
        self.services.call(request).await
    }

    /// What ends an answer early: the client's patience, and of one that would go on for ever the end of the server.
    fn ending(&self, until: Option<Instant>, is_patient: bool) -> Option<Ending> {
        if until.is_none() && !is_patient {
            return None;
        }
        let mut signal = self.connections.subscribe();
        Some(Box::pin(async move {
            let stopped = async {
                if !is_patient || signal.wait_for(|signal| signal.phase >= Phase::Draining).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = at(until) => expired(),
                () = stopped => Refusal::new(Failure::Unavailable, "the server stops; ask again").status,
            }
        }))
    }
}

/// Waits until then; for ever where it is never.
async fn at(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

fn expired() -> Status {
    Refusal::new(Failure::Timeout, "the time that the client gave for this call is over").status
}

/// Gives a reason to a refusal that has none: those of the library, which reads messages and finds methods.
fn with_reason(answer: Response<tonic::body::Body>, log: &CallLog) -> Response<tonic::body::Body> {
    let Some(status) = Status::from_header_map(answer.headers()) else { return answer };
    if !status.details().is_empty() {
        return answer;
    }
    let refusal = match (status.code(), status.message()) {
        // What the server itself fails at has its reason already. This is a message that is none, or only the beginning of one.
        (Code::Internal, message) => Refusal::new(Failure::RequestInvalid, message),
        (Code::Unimplemented, "") => Refusal::new(Failure::ExtensionUnknown, "there is no such method"),
        (Code::Unimplemented, message) => Refusal::new(Failure::ExtensionUnknown, message),
        _ => return answer,
    };
    log.refused(&refusal);
    refusal.status.into_http()
}

/// Whether nothing need move for long in answers of this method.
fn is_patient((service, method): (&str, &str)) -> bool {
    method == "Watch" || service.starts_with("grpc.reflection.")
}

/// Whether who asks is asked again and again.
fn is_watch(path: &str) -> bool {
    path.ends_with("/Watch")
}

/// Whether nobody has to say who he is: there is nothing of the registry's in the answer.
fn is_open(path: &str) -> bool {
    path.starts_with("/grpc.health.") || path.starts_with("/grpc.reflection.")
}

/// The answer to what is HTTP but not gRPC (gRPC over HTTP/2, "Responses").
fn not_grpc(parts: &Parts) -> Option<Response<tonic::body::Body>> {
    let content_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_grpc = content_type
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')));
    let status = match (parts.method == Method::POST, is_grpc) {
        (true, true) => return None,
        (false, _) => StatusCode::METHOD_NOT_ALLOWED,
        (true, false) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
    };
    let mut answer = Response::new(tonic::body::Body::empty());
    *answer.status_mut() = status;
    Some(answer)
}

/// Ids are of characters that fit into a field.
fn header(id: &str) -> HeaderValue {
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static(""))
}

impl Call {
    /// The call that a request belongs to, and its message.
    ///
    /// # Errors
    /// Only of requests that did not come by [`Calls::answer`].
    pub(crate) fn take<T>(request: tonic::Request<T>) -> Result<(Arc<Call>, T), Status> {
        let (_, mut extensions, message) = request.into_parts();
        let call = extensions.remove::<Arc<Call>>();
        call.map(|call| (call, message)).ok_or_else(|| Status::internal("a call without its context"))
    }

    /// Answers with what a use case, and whatever stands around it, came to.
    pub(crate) async fn answer<T>(
        &self,
        outcome: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<tonic::Response<T>, Status> {
        outcome.await.map(tonic::Response::new).map_err(|refusal| self.refuse(refusal))
    }

    /// The same context, with who asks as it is now: what was taken away meanwhile is not there any more.
    pub(crate) async fn ask_again(&self) -> Result<Context, Refusal> {
        let field = self.authorization.as_ref().map(HeaderValue::as_bytes);
        let authorization = field.map_or(Authorization::None, Authorization::parse);
        let Context { remote, request_id, scope, .. } = &self.context;
        let registry = self.registry();
        let principal = registry.authenticate(authorization.credentials(), *remote, request_id).await?;
        Ok(Context { principal, request_id: Arc::clone(request_id), remote: *remote, scope: *scope })
    }

    /// What the client is told; the log is told more.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Status {
        self.log.refused(&refusal);
        refusal.status
    }

    /// The service layer.
    pub(crate) fn registry(&self) -> &Registry {
        &self.app.registry
    }

    /// The repository that a request names.
    pub(crate) fn repository(&self, name: &str) -> Result<RepositoryName, Refusal> {
        let repository = RepositoryName::parse(name)?;
        self.log.about(&repository);
        Ok(repository)
    }
}

/// A digest that a request names.
pub(crate) fn digest(text: &str) -> Result<Digest, Refusal> {
    Ok(Digest::parse(text)?)
}

/// A tag that a request names.
pub(crate) fn tag(text: &str) -> Result<Tag, Refusal> {
    Ok(Tag::parse(text)?)
}

/// A tag or digest that should be there. Under a text that can be no tag there is none, as over HTTP.
pub(crate) fn reference_to_find(text: &str) -> Result<Reference, Refusal> {
    Reference::parse(text).map_err(|error| match error {
        ReferenceError::Tag(error) => {
            let code = strata_types::ErrorCode::ManifestUnknown;
            Refusal::new(code, format!("there is no such manifest: {error}"))
        }
        ReferenceError::Digest(error) => error.into(),
    })
}

/// An upload session that a request names.
pub(crate) fn session(text: &str) -> Result<UploadId, Refusal> {
    Ok(UploadId::parse(text)?)
}

/// A request that is not of its form.
pub(crate) fn invalid(field: &'static str, why: &str) -> Refusal {
    Refusal::field(Failure::RequestInvalid, field, why)
}

/// What becomes of a call whose messages could not be read: where they were cut off or took too long, its client is hardly there to hear it.
pub(crate) fn cut(status: &Status) -> Refusal {
    let refusal = match status.code() {
        Code::DeadlineExceeded => BodyError::TooSlow.into(),
        Code::Cancelled | Code::Unknown => BodyError::Cut.into(),
        _ => invalid("part", status.message()),
    };
    Refusal { status: status.clone(), ..refusal }
}
