//! How the store is.

use super::found;
use crate::document::Status;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::Response;

/// `GET /api/v1/status`
pub(crate) async fn get(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let status = exchange.registry().status(&exchange.context).await?;
    Ok(found(&Status::from(status)))
}
