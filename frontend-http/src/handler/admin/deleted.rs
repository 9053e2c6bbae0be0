//! What was deleted and can be restored.

use super::found;
use crate::body::RequestBody;
use crate::document::{Deletions, RestoreRequest, Restored};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::Response;
use strata_types::{Failure, RepositoryName};

/// `GET /api/v1/deleted[?repository=&limit=&cursor=]`
pub(crate) async fn list(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let repository = exchange.query.get("repository").map(|name| RepositoryName::parse(&name)).transpose()?;
    let slice = exchange.slice()?;
    let after = slice.after(number)?;
    let context = &exchange.context;
    let page = exchange.registry().list_deleted(context, repository.as_ref(), after, slice.limit).await?;
    Ok(found(&Deletions::from(page)))
}

/// `POST /api/v1/deleted/{id}/restore`
pub(crate) async fn restore(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let request: RestoreRequest = exchange.json(body).await?;
    let number = number(exchange.parameter())?;
    let restored = exchange.registry().restore(&exchange.context, number, request.force).await?;
    Ok(found(&Restored::from(restored)))
}

fn number(text: &str) -> Result<u64, Refusal> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number.ok_or_else(|| Refusal::new(Failure::NotFound, "there is no such deletion: its name is a number"))
}
