//! The keys that tokens are signed with.

use super::found;
use crate::body::RequestBody;
use crate::document::{Nothing, SigningKey, SigningKeys};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::{self, Response};
use http::StatusCode;

/// `GET /api/v1/signing-keys`
pub(crate) async fn list(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let keys = exchange.registry().signing_keys(&exchange.context).await?;
    Ok(found(&SigningKeys { keys: keys.into_iter().map(SigningKey::from).collect() }))
}

/// `POST /api/v1/signing-keys`
pub(crate) async fn rotate(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let Nothing {} = exchange.json(body).await?;
    let key = exchange.registry().rotate_signing_key(&exchange.context).await?;
    Ok(response::json(StatusCode::CREATED, &SigningKey::from(key)))
}
