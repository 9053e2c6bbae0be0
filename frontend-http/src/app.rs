//! The OCI side's entry: one request in, one answer out, whatever happens.
//!
//! Called by the connection side for every request. Routes, calls a handler, sets what all answers have in common, and sees
//! to the request's line in the log.

use crate::authorization::{Authorization, token_to_find};
use crate::body::{RequestBody, ResponseBody};
use crate::challenge;
use crate::connection::ConnectionInfo;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::forwarded::{Origin, Proxies};
use crate::handler;
use crate::hot::{HotAnswer, HotAnswers, Keepable, Kept};
use crate::lane::{Asked, Content, Reply, SimpleRequest};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::query::Query;
use crate::request_id::RequestIds;
use crate::request_log::{Begun, RequestLog};
use crate::response::{self, Response, header};
use crate::route::{Endpoint, PathError, Route};
use crate::serve::Handler;
use crate::zero_copy::FileRange;
use bytes::Bytes;
use http::header::{USER_AGENT, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode};
use ipnet::IpNet;
use prometheus_client::collector::Collector;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use strata_registry::{Context, Credentials, Health, Reading, Registry, RepositoryName};

/// Settings of the OCI side. Plain values: the file they are read from is the binary's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppConfig {
    /// What stands before the path of every `Location`, such as `https://registry.example`. `None` sends paths only, which is
    /// right unless a proxy changes them.
    pub external_url: Option<String>,
    /// Bytes that manifests, small blobs and lists of all requests together may hold in memory; a request beyond it is answered
    /// with 503 and `Retry-After`. Default 128 MiB.
    pub body_memory: usize,
    /// Bytes of manifests and small blobs that are kept in memory, to be sent again without being read; 0 for none. Default 32 MiB.
    pub hot_memory: usize,
    /// Networks of proxies whose `X-Forwarded-*` fields are believed. Default none.
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            external_url: None,
            body_memory: 128 * 1024 * 1024,
            hot_memory: 32 * 1024 * 1024,
            trusted_proxies: Vec::new(),
        }
    }
}

/// The OCI distribution API, health and metrics over one registry.
#[derive(Debug)]
pub struct App {
    registry: Registry,
    config: AppConfig,
    metrics: Arc<Metrics>,
    request_ids: RequestIds,
    memory: Memory,
    hot: HotAnswers,
    proxies: Proxies,
    draining: AtomicBool,
    others: Others,
}

/// What `/metrics` shows besides what this side knows.
type Collect = Box<dyn Fn() -> Box<dyn Collector> + Send + Sync>;

#[derive(Default)]
struct Others(OnceLock<Collect>);

impl fmt::Debug for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Others").field(&self.0.get().is_some()).finish()
    }
}

impl App {
    /// Serves `registry`.
    pub fn new(registry: Registry, config: AppConfig) -> Arc<Self> {
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        let memory = Memory::new(config.body_memory);
        let hot = HotAnswers::new(config.hot_memory);
        let proxies = Proxies::new(config.trusted_proxies.clone());
        Arc::new(Self {
            registry,
            config,
            memory,
            hot,
            proxies,
            metrics: Arc::default(),
            request_ids: RequestIds::new(low ^ high),
            draining: AtomicBool::new(false),
            others: Others::default(),
        })
    }

    /// `/metrics` shows from now on what `collect` gives as well. To be said once.
    pub fn show_also(&self, collect: impl Fn() -> Box<dyn Collector> + Send + Sync + 'static) {
        let _ = self.others.0.set(Box::new(collect));
    }

    /// See [`show_also`](Self::show_also).
    pub(crate) fn other_collector(&self) -> Option<Box<dyn Collector>> {
        self.others.0.get().map(|collect| collect())
    }

    /// The server is about to stop: `/readyz` says so from now on, everything else goes on.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether [`start_draining`](Self::start_draining) was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Why no requests should be sent here; `None` where all is well.
    pub(crate) fn unready(&self) -> Option<String> {
        match self.registry.health() {
            Health::ReadOnly { why } => Some(why),
            _ if self.is_draining() => Some("the server is about to stop".to_owned()),
            _ => None,
        }
    }

    /// Why pushes would be refused although the server is as it should be; `None` where they are taken.
    pub(crate) fn full(&self) -> Option<String> {
        match self.registry.health() {
            Health::Full { why } => Some(why),
            _ => None,
        }
    }

    /// The counters of this side.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The bound on bytes in memory.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The answers kept in memory.
    pub(crate) fn hot(&self) -> &HotAnswers {
        &self.hot
    }

    /// Without a slash at the end.
    pub(crate) fn external_url(&self) -> Option<&str> {
        self.config.external_url.as_deref().map(|url| url.trim_end_matches('/'))
    }

    async fn answer(&self, connection: &ConnectionInfo, parts: &Parts, body: &mut RequestBody) -> Response {
        let routed = Route::parse(parts.uri.path());
        let request_id =
            self.request_ids.take(parts.headers.get(header::REQUEST_ID).map(HeaderValue::as_bytes));
        let origin = self.proxies.origin(connection.peer.ip(), connection.tls, parts);
        let log = self.begin_log(&origin, parts, routed.as_ref().ok(), &request_id);
        let result = match &routed {
            Ok(route) => {
                let id = Arc::clone(&request_id);
                let exchange = Exchange::new(self, connection, parts, route, &origin, id, &log);
                self.enter(exchange, route.endpoint, body).await
            }
            Err(error) => Err(Refusal::from(*error)),
        };
        let mut answer = result.unwrap_or_else(|refusal| {
            log.refused(&refusal);
            let allowed = routed.as_ref().map_or("", |route| route.endpoint.methods());
            let refusal = self.challenging(refusal, &origin, parts, routed.as_ref().ok());
            let refusal = refusal.allowing(allowed);
            if is_admin(parts.uri.path()) {
                refusal.into_problem(&request_id)
            } else {
                refusal.into_response()
            }
        });
        if parts.method == Method::HEAD {
            answer = response::without_body(answer);
        }
        answer.headers_mut().insert(header::REQUEST_ID, header::value(&request_id));
        if matches!(parts.uri.path().strip_prefix("/v2"), Some(rest) if rest.is_empty() || rest.starts_with('/'))
        {
            answer.headers_mut().insert(header::API_VERSION, header::API_VERSION_2);
            answer.headers_mut().extend(namespace(parts).map(|host| (header::OCI_NAMESPACE, host)));
        }
        self.keep(parts, routed.as_ref().ok(), &mut answer);
        log.answered(answer.status());
        answer.map(|body| body.watched(log))
    }

    /// Finds out who asks, and lets a handler answer.
    async fn enter(
        &self,
        mut exchange: Exchange<'_>,
        endpoint: Endpoint,
        body: &mut RequestBody,
    ) -> Result<Response, Refusal> {
        // Whoever comes for a token shows there what for.
        let is_open = matches!(
            endpoint,
            Endpoint::Landing | Endpoint::Health | Endpoint::Readiness | Endpoint::Token | Endpoint::Unknown
        );
        if !is_open {
            let authorization = Authorization::of(exchange.headers);
            let Context { remote, request_id, .. } = &exchange.context;
            let who = self.registry.authenticate(authorization.credentials(), *remote, request_id).await?;
            exchange.context.principal = who;
        }
        dispatch(&exchange, endpoint, body).await
    }

    /// The refusal with what its client has to come back with, where it is not let in.
    fn challenging(
        &self,
        mut refusal: Refusal,
        origin: &Origin,
        parts: &Parts,
        route: Option<&Route<'_>>,
    ) -> Refusal {
        let (Some(mut challenge), Some(service), Some(route)) =
            (refusal.take_challenge(), self.registry.service(), route)
        else {
            return refusal;
        };
        // There it is a key that is missing, and the handler has said so.
        if route.endpoint == Endpoint::Token {
            return refusal;
        }
        challenge::complete(&mut challenge, route, &parts.method, Query::new(parts.uri.query()));
        let base = self.external_url().map(str::to_owned).or_else(|| origin.url());
        refusal.with(WWW_AUTHENTICATE, challenge::bearer(base.as_deref(), service, &challenge))
    }

    /// Keeps an answer that a handler left a [`Keepable`] with, if the next one who asks is to get the very same.
    fn keep(&self, parts: &Parts, route: Option<&Route<'_>>, answer: &mut Response) {
        let (Some(keepable), Some(route)) = (answer.extensions_mut().remove::<Keepable>(), route) else {
            return;
        };
        let Ok(repository) = RepositoryName::parse(route.name()) else { return };
        // Whoever gets it gets the same; whether one may is asked each time.
        if answer.status() == StatusCode::OK && parts.uri.query().is_none() {
            self.hot.keep(parts.uri.path(), route.endpoint, repository, answer.headers(), keepable);
        }
    }

    /// The body of an answer that is given again; `None` where it takes the long way.
    fn content(&self, connection: &ConnectionInfo, answer: &HotAnswer) -> Option<Content> {
        match &answer.content {
            Kept::Nothing => None,
            // Where memory is short, the long way says so.
            Kept::Bytes(bytes) => Some(Content::Bytes(self.memory.hold(bytes.clone()).ok()?)),
            Kept::File(file) => {
                connection.zero_copy()?;
                let file = file.open()?;
                file.as_fd()?;
                let len = usize::try_from(file.len()).ok()?;
                Some(Content::File(FileRange::new(Arc::new(file), 0, len)))
            }
        }
    }

    fn begin_log(
        &self,
        origin: &Origin,
        parts: &Parts,
        route: Option<&Route<'_>>,
        request_id: &Arc<str>,
    ) -> Arc<RequestLog> {
        let begun = Begun {
            endpoint: route.map_or(Endpoint::Unknown, |route| route.endpoint),
            method: &parts.method,
            id: Arc::clone(request_id),
            remote: origin.remote,
            repository: route.map_or("", Route::name),
            path: parts.uri.path(),
            user_agent: parts.headers.get(USER_AGENT).map(HeaderValue::as_bytes),
        };
        RequestLog::begin(Arc::clone(&self.metrics), &begun)
    }
}

impl Handler for App {
    async fn handle(
        self: &Arc<Self>,
        connection: &ConnectionInfo,
        request: Request<&mut RequestBody>,
    ) -> http::Response<ResponseBody> {
        let (parts, body) = request.into_parts();
        self.answer(connection, &parts, body).await
    }

    fn recall(&self, connection: &ConnectionInfo, request: &SimpleRequest<'_>) -> Option<Reply> {
        let answer = self.hot.find(request.target.as_bytes())?;
        let how = match request.asked {
            Asked::Get => Reading::Get,
            Asked::Head => Reading::Head,
        };
        let who = if let Some(token) = request.authorization.and_then(token_to_find) {
            self.registry.recall(Credentials::Bearer(token))?
        } else {
            let authorization = request.authorization.map_or(Authorization::None, Authorization::parse);
            self.registry.recall(authorization.credentials())?
        };
        if !self.registry.permits(&who, connection.scope, how, &answer.repository) {
            return None;
        }
        let (method, content) = match request.asked {
            Asked::Get => (Method::GET, self.content(connection, &answer)?),
            Asked::Head => {
                // Of what is not sent it is known all the same whether it could be.
                if let Kept::File(file) = &answer.content {
                    file.open()?;
                }
                (Method::HEAD, Content::Bytes(Bytes::new()))
            }
        };
        self.hot.count();
        answer.standing.given();
        if request.asked == Asked::Get {
            answer.standing.pulled();
        }
        let id = self.request_ids.take(request.request_id);
        let begun = Begun {
            endpoint: answer.endpoint,
            method: &method,
            id: Arc::clone(&id),
            remote: connection.peer.ip(),
            repository: answer.repository.as_str(),
            path: request.target,
            user_agent: request.user_agent,
        };
        let log = RequestLog::recalled(Arc::clone(&self.metrics), begun);
        Some(Reply { head: answer.head.clone(), id, content, log })
    }
}

/// Whether a path is of the admin API, be it that nothing is there.
fn is_admin(path: &str) -> bool {
    matches!(path.strip_prefix("/api"), Some(rest) if rest.is_empty() || rest.starts_with('/'))
}

/// The host that a pull through a mirror is meant for, as `?ns=` says it (distribution-spec, "Proxying"); echoed, so that the
/// client knows that it was understood. Anything that is no host is ignored.
fn namespace(parts: &Parts) -> Option<HeaderValue> {
    const HOST_BYTES_MAX: usize = 255;
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return None;
    }
    let host = Query::new(parts.uri.query()).get("ns")?;
    let fits = (1..=HOST_BYTES_MAX).contains(&host.len())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    fits.then(|| header::value(&host))
}

/// Endpoint and method to handler; the whole of the API in one match.
async fn dispatch(
    exchange: &Exchange<'_>,
    endpoint: Endpoint,
    body: &mut RequestBody,
) -> Result<Response, Refusal> {
    // A HEAD is a GET whose body the caller takes away; where that would cost a read, the handler looks at the method itself.
    let method = if exchange.method == Method::HEAD { &Method::GET } else { exchange.method };
    match (endpoint, method.as_str()) {
        (Endpoint::Landing, "GET") => Ok(handler::base::landing()),
        (Endpoint::Health, "GET") => Ok(handler::health::live()),
        (Endpoint::Readiness, "GET") => Ok(handler::health::ready(exchange)),
        (Endpoint::Metrics, "GET") => handler::health::metrics(exchange),
        (Endpoint::Token, "GET") => handler::token::get(exchange).await,
        (Endpoint::Token, "POST") => handler::token::post(exchange, body).await,
        (Endpoint::Base, "GET") => handler::base::base(exchange),
        (Endpoint::Catalog, "GET") => handler::list::catalog(exchange).await,
        (Endpoint::Discover, "GET") => handler::base::discover(exchange),
        (Endpoint::RepositoryDiscover, "GET") => handler::base::discover_repository(exchange).await,
        (Endpoint::Blob, "GET") => handler::blob::get(exchange).await,
        (Endpoint::Blob, "DELETE") => handler::blob::delete(exchange).await,
        (Endpoint::Uploads, "POST") => handler::upload::start(exchange, body).await,
        (Endpoint::Upload, "GET") => handler::upload::status(exchange).await,
        (Endpoint::Upload, "PATCH") => handler::upload::append(exchange, body).await,
        (Endpoint::Upload, "PUT") => handler::upload::finish(exchange, body).await,
        (Endpoint::Upload, "DELETE") => handler::upload::cancel(exchange).await,
        (Endpoint::Manifest, "GET") => handler::manifest::get(exchange).await,
        (Endpoint::Manifest, "PUT") => handler::manifest::put(exchange, body).await,
        (Endpoint::Manifest, "DELETE") => handler::manifest::delete(exchange).await,
        (Endpoint::Tags, "GET") => handler::list::tags(exchange).await,
        (Endpoint::Referrers, "GET") => handler::list::referrers(exchange).await,
        (endpoint, _) if endpoint.is_admin() => {
            handler::admin::dispatch(exchange, endpoint, method, body).await
        }
        (Endpoint::Unknown, _) => Err(PathError::Unknown.into()),
        (_, _) => Err(Refusal::method_not_allowed(endpoint.methods())),
    }
}
