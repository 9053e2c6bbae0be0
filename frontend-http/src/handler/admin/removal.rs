//! Removal of whole registries.

use super::found;
use crate::document::Removed;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::Response;

/// `DELETE /api/v1/registries/{registry}[?force=true]`
pub(crate) async fn registry(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let force = exchange.query.get("force").is_some_and(|value| value == "true");
    let (registry, name) = (exchange.registry(), exchange.parameter());
    let removed = registry.delete_registry(&exchange.context, name, force, None).await?;
    Ok(found(&Removed::from(removed)))
}
