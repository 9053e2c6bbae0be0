//! Registries, and who has a role in them.

use super::account::role;
use super::found;
use crate::body::RequestBody;
use crate::document::{
    Members, Registries, Registry, RegistryChangeRequest, RegistryRequest, Removed, RoleRequest,
};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::{self, Response};
use crate::revision::tagged;
use http::StatusCode;
use strata_registry::{RegistryEntry, RoleOn};
use strata_types::Failure;

/// `GET /api/v1/registries[?search=&limit=&cursor=]`
pub(crate) async fn list(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (slice, search) = (exchange.slice()?, exchange.query.get("search"));
    let (registry, context) = (exchange.registry(), &exchange.context);
    let page = registry.registries(context, slice.cursor.as_deref(), slice.limit, search.as_deref()).await?;
    Ok(found(&Registries::from(page)))
}

/// `POST /api/v1/registries`
pub(crate) async fn create(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let request: RegistryRequest = exchange.json(body).await?;
    let made = exchange.registry().create_registry(&exchange.context, request.into()).await?;
    Ok(shown(StatusCode::CREATED, made))
}

/// `GET /api/v1/registries/{registry}`
pub(crate) async fn get(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (registry, context) = (exchange.registry(), &exchange.context);
    let entry = registry.registry(context, exchange.parameter()).await?;
    let usage = registry.registry_usage(context, exchange.parameter()).await?;
    let revision = entry.revision;
    let document = Registry { figures: Some(usage.into()), ..Registry::from(entry) };
    Ok(tagged(found(&document), revision))
}

/// `PATCH /api/v1/registries/{registry}`
pub(crate) async fn change(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let revision = exchange.expected_revision()?;
    let request: RegistryChangeRequest = exchange.json(body).await?;
    let (registry, context) = (exchange.registry(), &exchange.context);
    let changed = registry.change_registry(context, exchange.parameter(), request.into(), revision).await?;
    Ok(shown(StatusCode::OK, changed))
}

/// `DELETE /api/v1/registries/{registry}[?force=true]`
pub(crate) async fn delete(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let revision = exchange.expected_revision()?;
    let force = match exchange.query.get("force").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Refusal::new(Failure::RequestInvalid, "force is true or false")),
    };
    let (registry, context) = (exchange.registry(), &exchange.context);
    let removed = registry.delete_registry(context, exchange.parameter(), force, revision).await?;
    Ok(found(&Removed::from(removed)))
}

/// `GET /api/v1/registries/{registry}/members[?limit=&cursor=]`
pub(crate) async fn members(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let slice = exchange.slice()?;
    let (registry, context) = (exchange.registry(), &exchange.context);
    let (name, after) = (exchange.parameter(), slice.cursor.as_deref());
    Ok(found(&Members::from(registry.members(context, name, after, slice.limit).await?)))
}

/// `PUT /api/v1/registries/{registry}/members/{account}`
pub(crate) async fn set_member(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let request: RoleRequest = exchange.json(body).await?;
    let on = RoleOn::Registry(exchange.parent().to_owned());
    role(exchange, exchange.parameter(), on, Some(request)).await
}

/// `DELETE /api/v1/registries/{registry}/members/{account}`
pub(crate) async fn remove_member(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let on = RoleOn::Registry(exchange.parent().to_owned());
    role(exchange, exchange.parameter(), on, None).await
}

fn shown(status: StatusCode, entry: RegistryEntry) -> Response {
    let revision = entry.revision;
    tagged(response::json(status, &Registry::from(entry)), revision)
}
