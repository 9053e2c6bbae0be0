//! Backups: the hold that the server keeps for whoever makes one. No bytes go over the wire, and no request says where they go.

use super::found;
use crate::body::RequestBody;
use crate::document::{Backup, BackupRequest, Backups};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::{Response, no_content};
use http::StatusCode;
use std::time::Duration;

/// `GET /api/v1/backups`
pub(crate) async fn list(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let backups = exchange.registry().backups(&exchange.context).await?;
    Ok(found(&Backups { backups: backups.into_iter().map(Backup::from).collect() }))
}

/// `POST /api/v1/backups`
pub(crate) async fn start(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let hold = hold(exchange, body).await?;
    Ok(found(&Backup::from(exchange.registry().start_backup(&exchange.context, hold).await?)))
}

/// `PUT /api/v1/backups/{id}`
pub(crate) async fn renew(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let hold = hold(exchange, body).await?;
    let renewed = exchange.registry().renew_backup(&exchange.context, exchange.parameter(), hold).await?;
    Ok(found(&Backup::from(renewed)))
}

/// `DELETE /api/v1/backups/{id}`
pub(crate) async fn end(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    exchange.registry().end_backup(&exchange.context, exchange.parameter()).await?;
    Ok(no_content(StatusCode::NO_CONTENT))
}

async fn hold(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Duration, Refusal> {
    let request: BackupRequest = exchange.json(body).await?;
    Ok(Duration::from_secs(request.hold_seconds))
}
