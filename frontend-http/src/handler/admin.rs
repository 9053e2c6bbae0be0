//! The admin API, below `/api/v1/`: parse, call one use case, answer a [`document`](crate::document).
//!
//! What every endpoint here has in common: answers are JSON and are kept by nobody; errors are problem details
//! ([`Problem`](crate::document::Problem)); a method that changes something takes a body only as `application/json`. No request names a path of
//! the server's file system. Who may call it is decided by the use case.

mod account;
mod audit;
mod backup;
mod deleted;
mod gc;
mod image;
mod quarantine;
mod registry;
mod scrub;
mod signing_key;
mod status;
mod tag;

use crate::body::RequestBody;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::{self, Response};
use crate::route::Endpoint;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;

/// Endpoint and method to handler; the whole of the admin API in two matches. A `HEAD` comes as a `GET`.
pub(crate) async fn dispatch(
    exchange: &Exchange<'_>,
    endpoint: Endpoint,
    method: &Method,
    body: &mut RequestBody,
) -> Result<Response, Refusal> {
    let answered = match (endpoint, method.as_str()) {
        (Endpoint::OpenApi, "GET") => Ok(description()),
        (Endpoint::Status, "GET") => status::get(exchange).await,
        (Endpoint::Gc, "GET") => gc::get(exchange),
        (Endpoint::Gc, "POST") => gc::run(exchange, body).await,
        (Endpoint::Backups, "GET") => backup::list(exchange).await,
        (Endpoint::Backups, "POST") => backup::start(exchange, body).await,
        (Endpoint::Backup, "PUT") => backup::renew(exchange, body).await,
        (Endpoint::Backup, "DELETE") => backup::end(exchange).await,
        (Endpoint::Scrub, "GET") => scrub::get(exchange),
        (Endpoint::Scrub, "POST") => scrub::start(exchange, body).await,
        (Endpoint::Quarantine, "GET") => quarantine::list(exchange).await,
        (Endpoint::QuarantineRecheckAll, "POST") => quarantine::recheck_all(exchange, body).await,
        (Endpoint::QuarantinedBlob, "PUT") => quarantine::repair(exchange, body).await,
        (Endpoint::QuarantinedBlob, "DELETE") => quarantine::discard(exchange).await,
        (Endpoint::QuarantineRecheck, "POST") => quarantine::recheck(exchange, body).await,
        (Endpoint::Deletions, "GET") => deleted::list(exchange).await,
        (Endpoint::Restore, "POST") => deleted::restore(exchange, body).await,
        (Endpoint::Audit, "GET") => audit::list(exchange).await,
        (Endpoint::Images, "GET") => image::list(exchange).await,
        (Endpoint::Image, "GET") => image::get(exchange).await,
        (Endpoint::Image, "DELETE") => image::delete(exchange).await,
        (Endpoint::ImageArtifacts, "GET") => image::artifacts(exchange).await,
        (Endpoint::ImageArtifact, "GET") => image::artifact(exchange).await,
        (Endpoint::ImageArtifact, "DELETE") => image::delete_artifact(exchange).await,
        (Endpoint::ImageTags, "GET") => tag::list(exchange).await,
        (Endpoint::ImageTag, "GET") => tag::get(exchange).await,
        (Endpoint::ImageTag, "PUT") => tag::put(exchange, body).await,
        (Endpoint::ImageTag, "DELETE") => tag::delete(exchange).await,
        (Endpoint::ImageTagHistory, "GET") => tag::history(exchange).await,
        (_, _) => dispatch_directory(exchange, endpoint, method, body).await,
    };
    answered.map(|mut response| {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    })
}

/// The same for accounts and registries, and for what no endpoint takes.
async fn dispatch_directory(
    exchange: &Exchange<'_>,
    endpoint: Endpoint,
    method: &Method,
    body: &mut RequestBody,
) -> Result<Response, Refusal> {
    match (endpoint, method.as_str()) {
        (Endpoint::Session, "GET") => account::session(exchange).await,
        (Endpoint::Accounts, "GET") => account::list(exchange).await,
        (Endpoint::Accounts, "POST") => account::create(exchange, body).await,
        (Endpoint::Account, "GET") => account::get(exchange).await,
        (Endpoint::Account, "PATCH") => account::change(exchange, body).await,
        (Endpoint::Account, "DELETE") => account::delete(exchange).await,
        (Endpoint::AccountKeys, "GET") => account::keys(exchange).await,
        (Endpoint::AccountKeys, "POST") => account::create_key(exchange, body).await,
        (Endpoint::AccountKey, "GET") => account::key(exchange).await,
        (Endpoint::AccountKey, "PATCH") => account::change_key(exchange, body).await,
        (Endpoint::AccountKey, "DELETE") => account::delete_key(exchange).await,
        (Endpoint::AccountRoles, "GET") => account::roles(exchange).await,
        (Endpoint::InstanceRole, "PUT") => account::set_role(exchange, body).await,
        (Endpoint::InstanceRole, "DELETE") => account::take_role(exchange).await,
        (Endpoint::Registries, "GET") => registry::list(exchange).await,
        (Endpoint::Registries, "POST") => registry::create(exchange, body).await,
        (Endpoint::Registry, "GET") => registry::get(exchange).await,
        (Endpoint::Registry, "PATCH") => registry::change(exchange, body).await,
        (Endpoint::Registry, "DELETE") => registry::delete(exchange).await,
        (Endpoint::RegistryMembers, "GET") => registry::members(exchange).await,
        (Endpoint::RegistryMember, "PUT") => registry::set_member(exchange, body).await,
        (Endpoint::RegistryMember, "DELETE") => registry::remove_member(exchange).await,
        (Endpoint::SigningKeys, "GET") => signing_key::list(exchange).await,
        (Endpoint::SigningKeys, "POST") => signing_key::rotate(exchange, body).await,
        (_, _) => Err(Refusal::method_not_allowed(endpoint.methods())),
    }
}

/// `GET /api/v1/openapi.json`: for everybody, as it says nothing of what is stored.
fn description() -> Response {
    let mut response = response::with_bytes(StatusCode::OK, crate::openapi::description());
    response.headers_mut().insert(CONTENT_TYPE, response::header::JSON);
    response
}

/// `200` with a document.
fn found(document: &impl Serialize) -> Response {
    response::json(StatusCode::OK, document)
}
