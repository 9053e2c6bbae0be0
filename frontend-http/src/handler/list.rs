//! end-8, end-12 and the catalog: lists, page by page.

use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::page;
use crate::response::{Response, list};

/// `GET /v2/{name}/tags/list[?n=&last=]`
pub(crate) async fn tags(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, page) = (exchange.repository()?, page::parse(exchange.query)?);
    let found = exchange.registry().list_tags(&exchange.context, &repository, &page).await?;
    list::tags(exchange, &repository, &page, &found)
}

/// `GET /v2/{name}/referrers/{digest}[?artifactType=]`
pub(crate) async fn referrers(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, subject, page) =
        (exchange.repository()?, exchange.digest()?, page::parse(exchange.query)?);
    let artifact_type = exchange.query.get("artifactType").filter(|kind| !kind.is_empty());
    let artifact_type = artifact_type.as_deref();
    let registry = exchange.registry();
    let found =
        registry.list_referrers(&exchange.context, &repository, &subject, artifact_type, &page).await?;
    list::referrers(exchange, (&repository, &subject), artifact_type, &page, &found)
}

/// `GET /v2/_catalog[?n=&last=]`
pub(crate) async fn catalog(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let page = page::parse(exchange.query)?;
    let found = exchange.registry().catalog(&exchange.context, &page).await?;
    list::catalog(exchange, &page, &found)
}
