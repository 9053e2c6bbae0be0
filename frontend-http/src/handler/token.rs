//! Tokens for access keys, or for nobody (distribution token specification, "Token Authentication" and "OAuth2").
//!
//! Both ways give the same document. A refresh token is given where it was asked for by somebody who is known; clients that have one
//! come with `POST` from then on and never with their secret again.
//!
//! A token is for one service, the one of this instance, whatever was asked: it is the audience that is verified later. Who asks for another
//! one is refused and told, as Harbor and GitLab do, rather than given a token that the other will not take. `GET` may leave the service out,
//! as people with curl do; of `POST` the OAuth 2 document says that `service` and `client_id` are required. The id of the client need not be
//! known, and decides nothing.

use crate::authorization::Authorization;
use crate::body::RequestBody;
use crate::challenge;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::form::{FORM_BYTES_MAX, Form};
use crate::response::{self, Response};
use crate::route::PathError;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use strata_registry::{
    Context, Credentials, IssuedToken, Principal, RegistryError, ScopeError, parse_scopes, scope_text,
};
use strata_types::{Failure, moment};

/// A token as clients of either way read it. Not `Debug`: it is all secret.
#[derive(Serialize)]
struct Document<'a> {
    token: &'a str,
    /// The same, by the name that OAuth 2 has for it.
    access_token: &'a str,
    /// What was granted, which may be less than what was asked for.
    scope: String,
    expires_in: u64,
    issued_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

/// `GET /token`: an access key in `Authorization`, or nothing.
pub(crate) async fn get(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let form = Form::new(exchange.query.raw().as_bytes());
    require_service(exchange, &form)?;
    let authorization = Authorization::of(exchange.headers);
    let credentials = match authorization.credentials() {
        // A token is no reason to get another one.
        Credentials::Bearer(_) => Credentials::Unreadable,
        credentials => credentials,
    };
    let who = authenticate(exchange, credentials).await?;
    let scopes: Vec<_> = form.all("scope").collect();
    let wants_refresh = form.one("offline_token").is_ok_and(|value| value.as_deref() == Some("true"));
    issue(exchange, who, scopes.iter().map(AsRef::as_ref), wants_refresh, None)
}

/// `POST /token`: a form that holds an access key or a refresh token.
pub(crate) async fn post(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    // Where there are no tokens, nobody is told how to ask for one.
    require_service(exchange, &Form::new(b""))?;
    let text = form_bytes(exchange, body).await?;
    let form = Form::new(&text);
    require_service(exchange, &form)?;
    let one =
        |name| form.one(name).map_err(|name| invalid(format!("{name} stands in the form more than once")));
    let required = |name| one(name)?.ok_or_else(|| invalid(format!("the form has no {name}")));
    let wants_refresh = one("access_type")?.as_deref() == Some("offline");
    let scope = one("scope")?.unwrap_or_default();
    for name in ["service", "client_id"] {
        if required(name)?.is_empty() {
            return Err(invalid(format!("{name} is empty")));
        }
    }
    match required("grant_type")?.as_ref() {
        "password" => {
            let (id, secret) = (required("username")?, required("password")?);
            let who = authenticate(exchange, Credentials::Basic { id: &id, secret: &secret }).await?;
            issue(exchange, who, [scope.as_ref()], wants_refresh, None)
        }
        "refresh_token" => {
            let refresh = required("refresh_token")?;
            let context = &exchange.context;
            let registry = exchange.registry();
            let who = registry.authenticate_refresh(&refresh, context.remote, &context.request_id).await;
            let who = who.map_err(|error| refused(exchange, error))?;
            // The one that the client has goes on to count: another would make a session without an end.
            let same = wants_refresh.then_some(refresh.as_ref());
            issue(exchange, who, [scope.as_ref()], false, same)
        }
        _ => Err(invalid("grant_type is password or refresh_token".to_owned())),
    }
}

async fn authenticate(exchange: &Exchange<'_>, credentials: Credentials<'_>) -> Result<Principal, Refusal> {
    let context = &exchange.context;
    let who = exchange.registry().authenticate(credentials, context.remote, &context.request_id).await;
    who.map_err(|error| refused(exchange, error))
}

/// The error of one who is not let in here: he has to come with a key, as a token is what he wants.
fn refused(exchange: &Exchange<'_>, error: RegistryError) -> Refusal {
    let is_challenge = matches!(error, RegistryError::Unauthorized { .. });
    let refusal = Refusal::from(error);
    if is_challenge {
        let service = exchange.registry().service().unwrap_or_default();
        return refusal.with(WWW_AUTHENTICATE, challenge::basic(service));
    }
    refusal
}

fn issue<'s>(
    exchange: &Exchange<'_>,
    who: Principal,
    scopes: impl IntoIterator<Item = &'s str>,
    wants_refresh: bool,
    refresh: Option<&str>,
) -> Result<Response, Refusal> {
    let asked = parse_scopes(scopes).map_err(|error: ScopeError| invalid(error.to_string()))?;
    let context = Context { principal: who, ..exchange.context.clone() };
    let issued = exchange.registry().issue_token(&context, asked, wants_refresh)?;
    let mut response = response::json(StatusCode::OK, &document(&issued, refresh));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(response)
}

fn document<'a>(issued: &'a IssuedToken, refresh: Option<&'a str>) -> Document<'a> {
    let token = issued.token.expose();
    Document {
        token,
        access_token: token,
        scope: scope_text(&issued.granted),
        expires_in: issued.life.as_secs(),
        issued_at: moment::rfc3339(issued.issued_at.0 / 1000),
        refresh_token: refresh.or(issued.refresh.as_ref().map(strata_registry::Secret::expose)),
    }
}

/// Refuses where there are no tokens, or none for the service that the client wants one for.
fn require_service(exchange: &Exchange<'_>, form: &Form<'_>) -> Result<(), Refusal> {
    let Some(service) = exchange.registry().service() else { return Err(PathError::Unknown.into()) };
    match form.all("service").find(|asked| !asked.is_empty() && asked != service) {
        None => Ok(()),
        Some(_) => Err(invalid(format!("tokens of this instance are for the service {service}"))),
    }
}

async fn form_bytes(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Bytes, Refusal> {
    if !says_form(exchange.headers) {
        let refusal = invalid("send this with Content-Type: application/x-www-form-urlencoded".to_owned());
        return Err(refusal.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let too_large = || Refusal::new(Failure::TooLarge, format!("a form has at most {FORM_BYTES_MAX} bytes"));
    if body.declared_len().is_some_and(|len| len > FORM_BYTES_MAX as u64) {
        return Err(too_large());
    }
    let mut gathered = BytesMut::new();
    let mut stream = exchange.stream(body);
    while let Some(chunk) = stream.next().await.transpose()? {
        if gathered.len().saturating_add(chunk.len()) > FORM_BYTES_MAX {
            return Err(too_large());
        }
        gathered.extend_from_slice(&chunk);
    }
    Ok(gathered.freeze())
}

/// Whether the media type is that of a form, whatever its parameters.
fn says_form(headers: &HeaderMap) -> bool {
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let said = said.split(';').next().unwrap_or_default().trim();
    said.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn invalid(why: String) -> Refusal {
    Refusal::new(Failure::RequestInvalid, why)
}
