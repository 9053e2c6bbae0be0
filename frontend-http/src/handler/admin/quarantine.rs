//! Blobs in quarantine.

use super::found;
use crate::body::RequestBody;
use crate::document::{Quarantine, Rechecked, RecheckedAll, Repaired};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::{Response, empty};
use http::StatusCode;
use strata_types::Digest;

/// `GET /api/v1/quarantine[?limit=&cursor=]`
pub(crate) async fn list(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let slice = exchange.slice()?;
    let after = slice.after(Digest::parse)?;
    let registry = exchange.registry();
    let blobs = registry.quarantined(&exchange.context, after.as_ref(), slice.limit + 1).await?;
    Ok(found(&Quarantine::page(blobs, slice.limit)))
}

/// `POST /api/v1/quarantine/{digest}/recheck`
pub(crate) async fn recheck(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    // As every request that changes something, it must say that it is JSON.
    let _: crate::document::Nothing = exchange.json(body).await?;
    let rechecked = exchange.registry().recheck_blob(&exchange.context, &exchange.digest()?).await?;
    Ok(found(&Rechecked::from(rechecked)))
}

/// `POST /api/v1/quarantine/recheck`: all of them, answered when that is done.
pub(crate) async fn recheck_all(
    exchange: &Exchange<'_>,
    body: &mut RequestBody,
) -> Result<Response, Refusal> {
    let _: crate::document::Nothing = exchange.json(body).await?;
    let tally = exchange.registry().recheck_quarantine(&exchange.context).await?;
    Ok(found(&RecheckedAll::from(tally)))
}

/// `DELETE /api/v1/quarantine/{digest}`: gives the blob up.
pub(crate) async fn discard(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    exchange.registry().discard_blob(&exchange.context, &exchange.digest()?).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `PUT /api/v1/quarantine/{digest}`: the blob's bytes, as the body.
pub(crate) async fn repair(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let digest = exchange.digest()?;
    let declared = body.declared_len();
    let stream = exchange.upload(body);
    let healed = exchange.registry().repair_blob(&exchange.context, &digest, declared, stream).await?;
    Ok(found(&Repaired { healed }))
}
