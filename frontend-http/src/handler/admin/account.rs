//! Accounts, their keys, their roles, and who one is oneself.

use super::found;
use crate::body::RequestBody;
use crate::document::{
    Account, AccountChangeRequest, AccountRequest, Accounts, Key, KeyChangeRequest, KeyRequest, Keys, NewKey,
    RoleRequest, Roles, Session,
};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::{self, Response, empty};
use crate::revision::tagged;
use http::StatusCode;
use strata_registry::{AccountChange, KeyChange, NewAccount, RoleOn, UnixMillis};
use strata_types::Failure;

/// `GET /api/v1/session`
pub(crate) async fn session(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    Ok(found(&Session::from(exchange.registry().whoami(&exchange.context).await?)))
}

/// `GET /api/v1/accounts[?search=&limit=&cursor=]`
pub(crate) async fn list(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (slice, search) = (exchange.slice()?, exchange.query.get("search"));
    let (registry, context) = (exchange.registry(), &exchange.context);
    let page = registry.accounts(context, slice.cursor.as_deref(), slice.limit, search.as_deref()).await?;
    Ok(found(&Accounts::from(page)))
}

/// `POST /api/v1/accounts`
pub(crate) async fn create(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let AccountRequest { name, kind, email } = exchange.json(body).await?;
    let new = NewAccount { name, kind: kind.into(), email };
    let account = exchange.registry().create_account(&exchange.context, new).await?;
    let response = response::json(StatusCode::CREATED, &Account::from(&*account));
    Ok(tagged(response, account.revision))
}

/// `GET /api/v1/accounts/{account}`
pub(crate) async fn get(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let account = exchange.registry().account(&exchange.context, exchange.parameter()).await?;
    Ok(tagged(found(&Account::from(&*account)), account.revision))
}

/// `PATCH /api/v1/accounts/{account}`
pub(crate) async fn change(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let revision = exchange.expected_revision()?;
    let AccountChangeRequest { email, state } = exchange.json(body).await?;
    let change = AccountChange { email, state: state.map(Into::into) };
    let (registry, context) = (exchange.registry(), &exchange.context);
    let account = registry.change_account(context, exchange.parameter(), change, revision).await?;
    Ok(tagged(found(&Account::from(&*account)), account.revision))
}

/// `DELETE /api/v1/accounts/{account}`
pub(crate) async fn delete(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let revision = exchange.expected_revision()?;
    exchange.registry().delete_account(&exchange.context, exchange.parameter(), revision).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `GET /api/v1/accounts/{account}/keys`
pub(crate) async fn keys(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let keys = exchange.registry().keys(&exchange.context, exchange.parameter()).await?;
    Ok(found(&Keys { keys: keys.into_iter().map(Key::from).collect() }))
}

/// `POST /api/v1/accounts/{account}/keys`: the one answer that holds a secret.
pub(crate) async fn create_key(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let KeyRequest { description, expires_at_millis, narrowing } = exchange.json(body).await?;
    let narrowing = narrowing.map(crate::document::NarrowingRequest::into_known).transpose();
    let narrowing = narrowing.map_err(|word| {
        Refusal::new(
            Failure::RequestInvalid,
            format!("narrowing: {word:.40?} is none of pull, push and delete"),
        )
    })?;
    let expires_at = expires_at_millis.map(UnixMillis);
    let new = strata_registry::NewKey { description, expires_at, narrowing };
    let created = exchange.registry().create_key(&exchange.context, exchange.parameter(), new).await?;
    let revision = created.account.revision;
    Ok(tagged(response::json(StatusCode::CREATED, &NewKey::from(created)), revision))
}

/// `GET /api/v1/accounts/{account}/keys/{key}`
pub(crate) async fn key(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (account, id) = (exchange.parent(), exchange.parameter());
    let key = exchange.registry().key(&exchange.context, account, id).await?;
    Ok(found(&Key::from(key)))
}

/// `PATCH /api/v1/accounts/{account}/keys/{key}`. The entity tag of a key is that of its account.
pub(crate) async fn change_key(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let revision = exchange.expected_revision()?;
    let KeyChangeRequest { state, description, expires_at_millis } = exchange.json(body).await?;
    let expires_at = expires_at_millis.map(|at| at.map(UnixMillis));
    let change = KeyChange { state: state.map(Into::into), description, expires_at };
    let (registry, context) = (exchange.registry(), &exchange.context);
    let (account, id) = (exchange.parent(), exchange.parameter());
    let changed = registry.change_key(context, account, id, change, revision).await?;
    Ok(tagged(key(exchange).await?, changed.revision))
}

/// `DELETE /api/v1/accounts/{account}/keys/{key}`
pub(crate) async fn delete_key(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let revision = exchange.expected_revision()?;
    let (account, id) = (exchange.parent(), exchange.parameter());
    exchange.registry().delete_key(&exchange.context, account, id, revision).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `GET /api/v1/accounts/{account}/roles`
pub(crate) async fn roles(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let account = exchange.registry().account(&exchange.context, exchange.parameter()).await?;
    Ok(tagged(found(&Roles::from(&*account.roles)), account.revision))
}

/// `PUT /api/v1/accounts/{account}/roles/instance`
pub(crate) async fn set_role(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let request: RoleRequest = exchange.json(body).await?;
    role(exchange, exchange.parameter(), RoleOn::Instance, Some(request)).await
}

/// `DELETE /api/v1/accounts/{account}/roles/instance`
pub(crate) async fn take_role(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    role(exchange, exchange.parameter(), RoleOn::Instance, None).await
}

/// Gives an account a role, or takes it; answers its roles.
pub(super) async fn role(
    exchange: &Exchange<'_>,
    account: &str,
    on: RoleOn,
    request: Option<RoleRequest>,
) -> Result<Response, Refusal> {
    let revision = exchange.expected_revision()?;
    let role = request.map(|request| request.role.into());
    let (registry, context) = (exchange.registry(), &exchange.context);
    let account = registry.set_role(context, account, on, role, revision).await?;
    Ok(tagged(found(&Roles::from(&*account.roles)), account.revision))
}
