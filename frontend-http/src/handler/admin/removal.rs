//! Removal of whole repositories and registries.

use super::found;
use crate::document::Removed;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::Response;

/// `DELETE /api/v1/repositories/{name}`
pub(crate) async fn repository(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let repository = exchange.repository()?;
    let removed = exchange.registry().delete_repository(&exchange.context, &repository).await?;
    Ok(found(&Removed::from(removed)))
}

/// `DELETE /api/v1/registries/{registry}`
pub(crate) async fn registry(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let removed = exchange.registry().delete_registry(&exchange.context, exchange.parameter()).await?;
    Ok(found(&Removed::from(removed)))
}
