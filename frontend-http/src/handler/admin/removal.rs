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

/// `DELETE /api/v1/registries/{registry}[?force=true]`
pub(crate) async fn registry(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let force = exchange.query.get("force").is_some_and(|value| value == "true");
    let (registry, name) = (exchange.registry(), exchange.parameter());
    let removed = registry.delete_registry(&exchange.context, name, force, None).await?;
    Ok(found(&Removed::from(removed)))
}
